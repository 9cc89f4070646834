"""A waterfall with a layer that has nobody to ask is explained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from scenario_worlds import exchange_world, pool_world

from contagion.errors import InputError
from contagion.scenario import load_scenario


def exchange(*layers: Any) -> dict[str, Any]:
    return exchange_world(exchanges={"perp": {"waterfall": list(layers)}})


def test_a_ranking_without_candidates() -> None:
    data = pool_world()
    data["protocols"]["pool"]["waterfall"] = ["reserve", "auto_deleverage"]
    with pytest.raises(InputError, match="a pool has no contracts, so there are no candidates"):
        load_scenario(data)
    with pytest.raises(InputError, match=r"auto_deleverage\.ranking.*'biggest'.*pnl_leverage"):
        load_scenario(exchange({"layer": "auto_deleverage", "ranking": "biggest"}))


def test_a_layer_of_pools_at_an_exchange() -> None:
    with pytest.raises(InputError, match=r"waterfall\.1.*only a lending pool has depositors"):
        load_scenario(exchange("insurance_fund", "depositor_write_down"))


DEFAULT_FUND = {"cover": 1}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"waterfall": [{"layer": "token_dilution", "token": "DOGE", "supply": 1e6}]}, r"0\.token.*'DOGE'.*one of BTC"),
    (
        {"waterfall": [{"layer": "token_dilution", "token": "BTC", "supply": 1e6}], "collateral": {"BTC": {}}},
        r"token.*'BTC'.*neither collateral nor settlement",
    ),
    ({"waterfall": [{"layer": "insurance_fund", "market_caps": {"BTCC": 5.0}}]}, r"market_caps.*'BTCC'.*nearest: BTC"),
    ({"default_fund": DEFAULT_FUND, "waterfall": ["insurance_fund"]}, r"perp\.default_fund.*draw on it"),
    ({"waterfall": ["assessments"]}, r"waterfall\.0.*'assessments'.*a venue with a default_fund"),
    ({"liquidation": {"takeover_below": 1.5}}, r"takeover_below.*1\.5.*less than or equal to 1"),
    ({"waterfall": [{"layer": "profit_haircut", "recognition": "close"}]}, r"close_every.*at least 2 steps"),
    ({"waterfall": [{"layer": "profit_haircut", "close_every": 5}]}, r"close_every.*5.*recognition: close"),
    ({"waterfall": [{"layer": "period_clawback", "close_every": 5}]}, r"close_every.*5.*closes of its own"),
    ({"waterfall": [{"layer": "withdrawal_haircut", "recognition": "close"}]}, r"recognition.*when somebody withdraws"),
    ({"waterfall": [{"layer": "tear_up", "scope": "full"}, "auto_deleverage"]}, "can never be reached"),
    ({"waterfall": [{"layer": "auto_deleverage", "ranking": "builtins:len"}]}, r"ranking.*builtins:len.*not of obj"),
    ({"funding": {"interval": "10s"}}, r"funding\.interval.*'10s'.*at least a step, 60s"),
    ({"margin": {"margin": "size_sloped", "slope": {"BTCC": 1e-5}}}, r"margin\.slope.*'BTCC'.*nearest: BTC"),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "message"), BAD)
def test_terms_that_do_nothing_or_name_nobody_are_explained(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_scenario(exchange_world(dt="1min", exchanges={"perp": terms}))


def test_terms_that_do_something_are_accepted() -> None:
    for waterfall in (
        [{"layer": "profit_haircut", "recognition": "close", "close_every": 5}],
        [{"layer": "tear_up", "scope": "full"}, "optimal_haircut"],  # profits on contracts that were not torn up
        [{"layer": "period_clawback", "interval": "1D"}],
    ):
        load_scenario(exchange(*waterfall))
    load_scenario(exchange_world(exchanges={"perp": {"default_fund": DEFAULT_FUND, "waterfall": ["default_fund"]}}))


def test_a_preset_leaves_out_terms_of_assets_that_are_not_there() -> None:
    data = exchange_world(assets={"BTC": {"price": 100.0, "volatility": 0.5}})
    for name in ("drift", "dydx_v4", "deribit", "ccp_eu"):
        data["exchanges"] = {"perp": {"preset": name}}
        load_scenario(data)
