"""Markets small enough for paper: one long, one maker on the other side, one fall of the price.

All start from the same page. BTC costs 100 USD. The long holds 1,000 USD of it on leverage 9: equity 1000 / 9 = 111.11,
so it is worth nothing at 100 - 11.11 = 88.89. At 80 it has 111.11 - 10 * 20 = -88.89: that is the deficit. The maker,
with 10,000 USD, has the other side and is 200 USD richer at 80.
"""

from __future__ import annotations

from typing import Any

import pytest
from worlds import scenario

from contagion.model import ContagionModel
from contagion.results import RunResult

DEFICIT = 10 * 20 - 1000 / 9
LONG, MAKER, VENUE, FUND = "long:0", "maker:0", "perp", "perp/insurance_fund"


def market(waterfall: list[Any], kind: str = "linear", fund: float = 10.0, equity: float = 50.0) -> RunResult:
    data = {
        "name": "paper",
        "steps": 1,
        "feedback": "none",
        "prices": "constant",
        "impact": "linear",
        "assets": {"BTC": {"price": 100}},
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "BTC", "size": -0.2}],
        "exchanges": {
            "perp": {
                "contracts": {"BTC": {"kind": kind, "tiers": [{"maintenance": 0.05, "initial": 0.1}]}},
                "equity": equity,
                "insurance_fund": {"size": fund},
                "waterfall": waterfall,
            }
        },
        "traders": [
            {"archetype": "passive", "name": "long", "venue": "perp", "long_share": 1.0, "size": {"fixed": 1000},
             "leverage": {"fixed": 9}},
            {"archetype": "market_maker", "name": "maker", "venue": "perp", "capital": 10_000,
                "parameters": {"depth": 1e15},
            },
        ],
    }  # fmt: skip
    return ContagionModel(scenario(data), rng=1).run()


def rows(result: RunResult) -> list[tuple]:
    """Rows of the first round; in later ones a venue may sell what it took over, here at no loss to speak of."""
    first = result.ledger[result.ledger["round"] <= 1]
    table = first[["phase", "cause", "layer", "deficit_id", "payer", "payee", "amount"]]
    return [(*row[:-1], pytest.approx(row[-1], rel=1e-12)) for row in table.itertuples(index=False)]


def worths(result: RunResult) -> dict[str, float]:
    return result.agents.set_index("agent")["net_worth"].to_dict()


def opening(deficit: float) -> list[tuple]:
    """Up to the root: the venue carries what the long's account lacks, until the takeover makes it final."""
    return [
        ("mark", "limited_liability", "", -1, VENUE, LONG, deficit),
        ("default", "limited_liability", "", -1, LONG, VENUE, deficit),
        ("default", "deficit", "", 0, VENUE, LONG, deficit),
    ]


def test_a_fund_pays_and_profits_are_cut_for_the_rest() -> None:
    """The fund has 10; the maker, 200 up, gives 88.89 - 10 = 78.89 of it and keeps its principal."""
    found = market(["insurance_fund", "profit_haircut"])
    assert rows(found) == [
        *opening(DEFICIT),
        ("allocate", "allocation", "insurance_fund", 0, FUND, VENUE, 10.0),
        ("allocate", "allocation", "profit_haircut", 0, MAKER, VENUE, DEFICIT - 10),
    ]
    assert worths(found) == pytest.approx(
        {"outside": 0, VENUE: 50, FUND: 0, LONG: 0, MAKER: 10_000 + 200 - (DEFICIT - 10)}
    )


def test_a_fund_pays_then_the_venue_and_a_rest_stays_unallocated() -> None:
    """88.89 = 10 of the fund + 50 of the venue's own + 28.89 that leave the venue with less than nothing."""
    found = market(["insurance_fund", "venue_equity"])
    assert rows(found) == [
        *opening(DEFICIT),
        ("allocate", "allocation", "insurance_fund", 0, FUND, VENUE, 10.0),
        ("allocate", "allocation", "venue_equity", 0, VENUE, VENUE, 50.0),
        ("allocate", "allocation", "unallocated", 0, VENUE, VENUE, DEFICIT - 60),
    ]
    assert worths(found) == pytest.approx({"outside": 0, VENUE: 60 - DEFICIT, FUND: 0, LONG: 0, MAKER: 10_200})


def test_the_other_side_is_closed_at_the_bankruptcy_price() -> None:
    """The maker closes its 10 units at 88.89 instead of 80 and so bears 10 * 8.89, the deficit, to the cent."""
    found = market(["auto_deleverage", "insurance_fund"])
    assert rows(found) == [
        *opening(DEFICIT),
        ("allocate", "allocation", "auto_deleverage", 0, MAKER, VENUE, DEFICIT),
    ]
    assert worths(found) == pytest.approx({"outside": 0, VENUE: 50, FUND: 10, LONG: 0, MAKER: 10_000 + 1000 / 9})


def test_deleveraging_after_a_fund_gives_back_what_the_fund_paid() -> None:
    """Units pass at the bankruptcy price, whatever was paid before: 10 USD too much, the surplus of the takeover.

    The fund's 10 and the maker's 78.89 close the root; 10 more from the maker belong to none and go to the fund.
    """
    found = market(["insurance_fund", "auto_deleverage"])
    assert rows(found) == [
        *opening(DEFICIT),
        ("allocate", "allocation", "insurance_fund", 0, FUND, VENUE, 10.0),
        ("allocate", "allocation", "auto_deleverage", 0, MAKER, VENUE, DEFICIT - 10),
        ("allocate", "allocation", "auto_deleverage", -1, MAKER, VENUE, 10.0),
        ("allocate", "surplus", "", -1, VENUE, FUND, 10.0),
    ]
    assert worths(found) == pytest.approx({"outside": 0, VENUE: 50, FUND: 10, LONG: 0, MAKER: 10_200 - DEFICIT})


def test_an_inverse_contract_is_bankrupt_where_the_contracts_buy_the_balance() -> None:
    """1,000 contracts of 1 USD. Balance 10 coins of entry value + 1.111 of margin: bankrupt at 1000 / 11.11 = 90.

    At 80 the account has 11.111 - 12.5 = -1.389 coins, -111.11 USD. The maker (100 coins, of them 10 are the value of
    what it sold) has 90 + 12.5 = 102.5 coins; closing at 90 instead of 80 costs it 12.5 - 11.11 = 1.389 coins.
    """
    found = market(["auto_deleverage"], kind="inverse", fund=0.0)
    deficit = 80 * (12.5 - 100 / 9)
    assert rows(found) == [
        *opening(deficit),
        ("allocate", "allocation", "auto_deleverage", 0, MAKER, VENUE, deficit),
    ]
    assert worths(found) == pytest.approx({"outside": 0, VENUE: 50, FUND: 0, LONG: 0, MAKER: 80 * 102.5 - deficit})
