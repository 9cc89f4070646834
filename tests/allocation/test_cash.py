"""Cash layers on markets small enough to check by hand, and the published cases they must give."""

from __future__ import annotations

import numpy as np
import pytest
from allocation_market import FUND, VENUE, build, position

from contagion.allocation.cash import InsuranceFund, ProfitHaircut, Recourse, VenueEquity
from contagion.allocation.layer import pro_rata
from contagion.allocation.waterfall import Waterfall
from contagion.protocols.verbs import write_off
from contagion.scenario.assemble import assemble
from contagion.scenario.schema import Scenario
from contagion.state.codes import InstrumentKind

HAIRCUT = "profit_haircut"


def no_profit(market, name: str) -> None:
    """Let a trader's position count as entered at the current price."""
    row = market.state.accounts.start[market.account(name)]
    market.state.positions.entry[row] = market.state.instruments.value_price[0]


def toy_book(layer: ProfitHaircut):
    """Equity (10, 5, 1, -3, -12), collateral (2, 1, 0.5, 0, 0) and profit (8, 4, 0.5, -3, -12) at 101.

    The entry of the second winner is 99, so that the queue by profit share times leverage is 2, 1, 3.
    """
    traders = [
        position("one", 2.0, 8.0, 100.0),
        position("two", 1.0, 2.0, 99.0),
        position("three", 0.5, 0.5, 100.0),
        position("lost 3", 0.0, -3.0, 100.0),
        position("lost 12", 0.0, -12.0, 100.0),
    ]
    market = build(traders, [(HAIRCUT, layer)], [100.0])
    market.move(101.0)
    no_profit(market, "rest")
    market.take_over("lost 3", "lost 12")
    market.waterfall.allocate()
    market.check()
    return market


def test_toy_book_queue():
    """Chitra, arXiv 2512.01112: half of the deficit of 15 by a queue leaves equity (6.5, 1, 1)."""
    market = toy_book(ProfitHaircut(order="pnl_leverage", severity=0.5))
    assert [market.equity(name) for name in ("one", "two", "three")] == pytest.approx([6.5, 1.0, 1.0], abs=1e-12)
    assert sum(amount for (_, layer, _), amount in market.paid().items() if layer == "unallocated") == 7.5


def test_toy_book_pro_rata():
    """The same pro rata at the rate 7.5 / 12.5 = 0.6 leaves (5.2, 2.6, 0.7)."""
    market = toy_book(ProfitHaircut(severity=0.5))
    assert [market.equity(name) for name in ("one", "two", "three")] == pytest.approx([5.2, 2.6, 0.7], abs=1e-12)
    # the two deficits are served pro rata to their size: 3 / 15 and 12 / 15 of 7.5
    served = [sum(a for (_, layer, root), a in market.paid().items() if layer == HAIRCUT and root == r) for r in (0, 1)]
    assert served == pytest.approx([1.5, 6.0], abs=1e-12)


def test_profit_equalisation_of_one_contract():
    """BitMEX, dynamic profit equalisation: 100 to 110 with 4 of margin; 6 missing, the winner keeps 4 of its 10."""
    traders = [position("loser", 4.0, -1.0, 100.0), position("winner", 4.0, 1.0, 100.0)]
    market = build(traders, [(HAIRCUT, ProfitHaircut())], [100.0])
    market.move(110.0)
    (root,) = market.take_over("loser")
    market.waterfall.allocate()
    assert market.paid() == {("winner", HAIRCUT, root): pytest.approx(6.0)}
    assert market.equity("winner") - 4.0 == pytest.approx(4.0)
    market.check()


@pytest.mark.parametrize(
    ("gains", "loss", "kept", "uncovered"),
    [
        ([30.0, 10.0, -25.0, -55.0, 20.0], 15.0, [22.5, 7.5, -25.0, -55.0, 15.0], 0.0),  # h = 15 / 60
        ([4.0, 6.0], 13.0, [0.0, 0.0], 3.0),  # h = 1
    ],
)
def test_gains_haircut(gains, loss, kept, uncovered):
    """Variation-margin gains haircut: losers pay in full, gainers keep (1 - h) of their gains."""
    limits = np.maximum(gains, 0.0)
    paid = pro_rata(limits, loss)
    assert gains - paid == pytest.approx(kept)
    assert loss - paid.sum() == pytest.approx(uncovered)


def test_layers_in_the_order_given():
    """Deficit 50: 20 from the fund, 15 from a tranche of own capital, 10 of profit, the rest of the capital."""
    layers = [
        ("insurance_fund", InsuranceFund()),
        ("first_tranche", VenueEquity(limit=15.0)),
        (HAIRCUT, ProfitHaircut()),
        ("venue_equity", VenueEquity()),
    ]
    traders = [position("long", 50.0, 10.0, 100.0), position("short", 30.0, -1.0, 100.0)]
    market = build(traders, layers, [100.0], fund=20.0, equity=18.0)
    market.move(90.0)
    no_profit(market, "rest")
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {
        ("perp/insurance_fund", "insurance_fund", root): pytest.approx(20.0),
        ("perp", "first_tranche", root): pytest.approx(15.0),
        ("short", HAIRCUT, root): pytest.approx(10.0),
        ("perp", "venue_equity", root): pytest.approx(3.0),
        ("perp", "unallocated", root): pytest.approx(2.0),
    }
    assert market.state.agents.cash[FUND] == 0.0
    market.check()
    assert market.state.agents.worth[VENUE] == pytest.approx(18.0 - 15.0 - 3.0 - 2.0)


def test_a_tranche_is_for_the_whole_run():
    """A tranche of 60 bears the first deficit of 50 and 10 of the second of 20."""
    traders = [position("first", 50.0, 10.0, 100.0), position("second", 30.0, 5.0, 100.0)]
    market = build(traders, [("venue_equity", VenueEquity(limit=60.0))], [100.0], equity=500.0)
    market.move(90.0)
    (first,) = market.take_over("first")
    market.trade("rest", "takeover", 10.0, 90.0)
    market.waterfall.allocate()
    (second,) = market.take_over("second")
    market.waterfall.allocate()
    assert market.paid() == {
        ("perp", "venue_equity", first): pytest.approx(50.0),
        ("perp", "venue_equity", second): pytest.approx(10.0),
        ("perp", "unallocated", second): pytest.approx(10.0),
    }
    market.check()


def test_a_haircut_does_not_push_an_account_below_zero():
    """A profit of 12 on the position of an account that lost 5 before: of the 10 missing it pays the 7 it has."""
    traders = [position("loser", 2.0, -2.0, 106.0), position("worn", -5.0, 1.0, 100.0)]
    market = build(traders, [(HAIRCUT, ProfitHaircut())], [106.0])
    market.move(112.0)
    no_profit(market, "rest")
    (root,) = market.take_over("loser")
    market.waterfall.allocate()
    assert market.paid() == {
        ("worn", HAIRCUT, root): pytest.approx(7.0),
        ("perp", "unallocated", root): pytest.approx(3.0),
    }
    market.check()


def test_units_stay_for_the_market_when_the_fund_pays_in_full():
    market = build([position("long", 50.0, 10.0, 100.0)], [("insurance_fund", InsuranceFund())], [100.0], fund=500.0)
    market.move(90.0)
    market.take_over("long")
    market.waterfall.allocate()
    assert market.units("takeover") == 10.0 and market.equity("takeover") == pytest.approx(0.0)
    market.check()

    market.open_step()  # they are sold at 93: 30 of profit is the fund's
    market.move(93.0)
    market.trade("rest", "takeover", 10.0, 93.0)
    assert market.waterfall.allocate()
    assert market.state.agents.cash[FUND] == pytest.approx(500.0 - 50.0 + 30.0)
    assert market.balance("takeover") == 0.0
    market.check()
    assert not market.waterfall.allocate()


def test_recourse_reaches_the_owners_wallet_for_its_own_deficit_only():
    """Deficits 50 and 20; the first owner has 30, the second plenty."""
    traders = [position("poor", 50.0, 10.0, 100.0, wallet=30.0), position("rich", 30.0, 5.0, 100.0, wallet=900.0)]
    market = build(traders, [("recourse", Recourse())], [100.0])
    market.move(90.0)
    poor, rich = market.take_over("poor", "rich")
    market.waterfall.allocate()
    assert market.paid() == {
        ("poor", "recourse", poor): pytest.approx(30.0),
        ("rich", "recourse", rich): pytest.approx(20.0),
        ("perp", "unallocated", poor): pytest.approx(20.0),
    }
    assert market.state.agents.cash[4:6] == pytest.approx([0.0, 880.0])
    market.check()


def test_a_quiet_round_moves_nothing():
    market = build([position("long", 50.0, 10.0, 100.0)], [("insurance_fund", InsuranceFund())], [100.0], fund=10.0)
    assert not market.waterfall.allocate()
    assert len(market.world.bookkeeper.ledger) == 0


@pytest.mark.parametrize(("reserve", "claims"), [(40.0, 0.0), (40.0, 35.0)])
def test_a_pool_ends_at_its_depositors(reserve, claims):
    """Bad debt of 100: the reserve's cash, then its own claims, then everybody who holds the claim."""
    pool = {
        "kind": "lending_pool", "supplied": 1000.0, "reserve": {"size": reserve},
        "collateral": {"ETH": {"ltv": 0.9, "liquidation_threshold": 0.95}},
    }  # fmt: skip
    borrower = {"archetype": "borrower", "venue": "pool", "size": {"fixed": 500.0}, "leverage": {"fixed": 5.0}}
    world = assemble(
        Scenario.model_validate(
            {"name": "pool", "assets": {"ETH": {"price": 100.0}}, "prices": "constant", "protocols": {"pool": pool},
             "traders": [borrower]}
        ), 1,
    )  # fmt: skip
    state, venue = world.state, world.venues["pool"]
    held = state.holdings.units
    if claims:  # the reserve buys claims from outside at par
        state.holdings.units[world.bookkeeper.slot(venue.fund, venue.claim)] += claims
        state.holdings.units[world.bookkeeper.slot(0, venue.claim)] -= claims
    waterfall = Waterfall(world)
    world.step = 1
    world.bookkeeper.ledger.open_step(1)
    account = int(state.agents.account_start[state.first_trader])
    rows = slice(int(state.accounts.start[account]), int(state.accounts.start[account + 1]))
    state.positions.units[rows][state.instruments.kind[state.positions.instrument[rows]] == InstrumentKind.SPOT] = 0.0
    debt = state.positions.units[rows].copy()
    debt[debt < 0.0] = -100.0
    state.positions.units[rows] = debt
    root = write_off(world.bookkeeper, account)
    supply = float(state.assets.supply[venue.claim])
    waterfall.allocate()
    rows = world.bookkeeper.ledger.rows()
    rows = rows[(rows["cause"] == 7) & (rows["deficit"] == root)]
    paid = {(int(row["payer"]), world.bookkeeper.ledger.layers[row["layer"]]): float(row["amount"]) for row in rows}
    assert paid == {
        (venue.fund, "reserve"): pytest.approx(reserve + claims),
        (venue.row, "depositor_write_down"): pytest.approx(100.0 - reserve - claims),
    }
    assert state.agents.cash[venue.fund] == 0.0
    assert state.assets.supply[venue.claim] == pytest.approx(supply - claims)
    assert (held >= 0.0).all()
