"""The plain Mesa model and the array model, written independently, give the same numbers."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.compare import array_outcomes, differences, mesa_outcomes, run_mesa
from benchmarks.scenarios import exchange_only
from contagion.scenario.loader import load_scenario

SEED = 4
GAPS = (-0.06, -0.05, -0.07, 0.1, 0.09)


@cache
def scenario(feedback: str = "full"):
    return exchange_only(300, 60, gaps=GAPS).model_copy(update={"feedback": feedback})


@cache
def baseline(feedback: str = "full"):
    return mesa_outcomes(run_mesa(scenario(feedback), SEED))


def test_the_scenario_uses_every_rule():
    """Calls that are topped up, liquidations, bankruptcies, an exhausted fund, deleveraging, and a rest."""
    found = baseline()
    for name in ("margin_calls", "liquidations", "deficit", "deleveraged_notional"):
        assert found[name].sum() > 0.0, name
    for name in ("top_up", "liquidation_fee", "insurance_fund", "auto_deleverage", "unallocated", "surplus"):
        assert found[f"ledger.{name}"] > 0.0, name


@pytest.mark.parametrize("feedback", ["full", "local", "none"])
def test_both_give_the_same_numbers(feedback):
    apart = differences(baseline(feedback), array_outcomes(scenario(feedback), SEED))
    assert {name: size for name, size in apart.items() if size > 1e-9} == {}


def test_they_agree_on_a_larger_market_whose_takeover_account_sells_at_a_loss():
    world = exchange_only(2_000, 250, gaps=(-0.05, -0.06, 0.1, 0.1, -0.1))
    apart = differences(mesa_outcomes(run_mesa(world, 9)), array_outcomes(world, 9))
    assert {name: size for name, size in apart.items() if size > 1e-9} == {}


def test_they_agree_on_a_maker_that_quotes_less_for_a_while_after_it_was_deleveraged():
    """One maker, so that no two rank equal, against mostly longs: it is short when the price falls."""
    retreat = "traders.maker.parameters.retreat"
    leaning = {"traders.maker.count": 1, "traders.0.long_share": 0.85, f"{retreat}_for": 10}
    world = load_scenario(exchange_only(300, 60, gaps=(-0.07, -0.05, -0.05, -0.03, -0.04)), leaning)
    ours = mesa_outcomes(run_mesa(world, SEED))
    apart = differences(ours, array_outcomes(world, SEED))
    assert {name: size for name, size in apart.items() if size > 1e-9} == {}
    for changed in ({retreat: 0.0}, {f"{retreat}_for": 9}):
        assert max(differences(ours, array_outcomes(load_scenario(world, changed), SEED)).values()) > 1e-6


@pytest.mark.parametrize(
    "changed",
    [
        {"exchanges.perp.liquidation.fee": 0.004},
        {"exchanges.perp.liquidation.limit": "market"},
        {"exchanges.perp.warning": 1.6},
        {"exchanges.perp.arbitrage.speed": 0.1, "feedback": "local"},
        {"exchanges.perp.insurance_fund.size": 1400.0},
        {"exchanges.perp.waterfall": ["insurance_fund", {"layer": "auto_deleverage", "price": "mark"}]},
        {"exchanges.perp.waterfall": ["insurance_fund", {"layer": "auto_deleverage", "ranking": "pro_rata"}]},
        {"exchanges.perp.waterfall": ["insurance_fund"]},
        {"impact": {"impact": "square_root", "permanent_share": 0.4}},
        {"impact": "linear"},
    ],
    ids=lambda changed: " ".join(f"{name}={value}" for name, value in changed.items()),
)
def test_a_rule_that_differs_on_one_side_is_seen(changed):
    other = load_scenario(scenario(), changed)
    assert max(differences(baseline(other.feedback), array_outcomes(other, SEED)).values()) > 1e-6
