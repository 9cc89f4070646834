from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagion.agents.behaviours import Directional, Hedger, LeveragedFund, Market, Observation, Passive, Rebalancer
from contagion.agents.rules import Seen
from contagion.scenario.rules import BUILT_IN, rule_class

CALM = Seen(
    index=100.0, past=100.0, basis=0.0, funding=0.0, volatility=0.5, normal=0.5, depth=1e6, delta=100.0, units=20.0,
    equity=1000.0, requirement=10.0, opening=2.0, hedge=0.0, legs=0.0,
)  # fmt: skip
"""Exposure 2000 on equity 1000: at the opening leverage of 2."""


def wanted(behaviour, **seen) -> float:
    return type(behaviour).rule(CALM._replace(**seen), behaviour.vector())


def test_momentum_buys_what_rose_towards_its_leverage():
    trader = Directional(threshold=0.01, speed=0.25, target_leverage=3.0)
    # goal 3 x 1000, exposure 2000: a quarter of the gap of 1000 is 250 USD, 2.5 units
    assert wanted(trader, past=98.0) == pytest.approx(2.5)
    # after a fall the goal is -3000: a quarter of -5000 is -12.5 units
    assert wanted(trader, past=102.0) == pytest.approx(-12.5)


def test_a_contrarian_does_the_opposite():
    trader = Directional(style="contrarian", threshold=0.01, speed=0.25, target_leverage=3.0)
    assert wanted(trader, past=98.0) == pytest.approx(-12.5)
    assert wanted(trader, past=102.0) == pytest.approx(2.5)


def test_a_move_at_the_threshold_is_not_acted_on():
    trader = Directional(threshold=0.25, speed=1.0)
    assert wanted(trader, past=80.0) == 0.0  # +25%, exactly
    assert wanted(trader, past=79.0, units=0.0) == 20.0


def test_no_trade_against_the_own_signal():
    assert wanted(Directional(target_leverage=1.0), past=90.0) == 0.0  # already above the goal of 1000


def test_the_cap_bounds_the_opening_leverage():
    assert wanted(Directional(speed=1.0, max_leverage=1.5), past=90.0, units=0.0) == pytest.approx(15.0)


def test_a_rebalancer_sells_after_losses_and_buys_after_gains():
    keeper = Rebalancer(band=0.1, speed=0.5)
    assert wanted(keeper) == 0.0
    # equity 500: goal 1000, exposure 2000, half of -1000 is -5 units
    assert wanted(keeper, equity=500.0) == pytest.approx(-5.0)
    assert wanted(keeper, equity=1500.0) == pytest.approx(5.0)
    # exposure 2000 against a goal of 1900 is within a band of 10%
    assert wanted(keeper, equity=950.0) == 0.0
    assert wanted(keeper, opening=-2.0, units=-20.0, equity=500.0) == pytest.approx(5.0)  # a short buys back


def test_a_fund_holds_value_at_risk():
    fund = LeveragedFund(band=0.0, speed=1.0)
    assert wanted(fund) == 0.0
    assert wanted(fund, volatility=1.0) == pytest.approx(-10.0)  # twice the volatility: half the leverage
    assert wanted(LeveragedFund(band=0.0, speed=1.0, max_leverage=3.0), volatility=0.1) == pytest.approx(10.0)  # capped


def test_a_hedger_closes_up_a_hedge_that_lost_a_leg():
    hedger = Hedger(threshold=0.01, band=0.05, speed=1.0)
    intact = {"units": -20.0, "hedge": 2000.0, "legs": 2.0}
    assert wanted(hedger, **intact) == 0.0
    assert wanted(hedger, **intact | {"hedge": 1950.0}) == 0.0  # 50 open, tolerated: 5% of 2000 is 100
    # 2000 short against 1200 long: each of two legs takes half of 800
    assert wanted(hedger, **intact | {"hedge": 1200.0}) == pytest.approx(4.0)
    assert wanted(hedger, **intact | {"hedge": 0.0, "legs": 1.0}) == pytest.approx(20.0)
    assert wanted(hedger, units=-20.0) == 0.0  # never had another leg


def test_a_hedger_sells_a_rich_contract_and_buys_a_cheap_one():
    hedger = Hedger(threshold=0.01, aggressiveness=5.0)
    # 5 x (0.03 - 0.01) x 1000 = 100 USD, one unit
    assert wanted(hedger, basis=0.03) == pytest.approx(-1.0)
    assert wanted(hedger, basis=-0.03) == pytest.approx(1.0)
    assert wanted(hedger, basis=0.01) == 0.0


@pytest.mark.parametrize("behaviour", [Directional(), Hedger(), Rebalancer(), LeveragedFund()])
def test_who_has_no_equity_does_not_trade(behaviour):
    stressed = {"past": 200.0, "units": 40.0, "basis": 0.2, "volatility": 3.0, "hedge": 100.0, "legs": 2.0}
    assert wanted(behaviour, **stressed) != 0.0
    for equity in (0.0, -5.0):
        assert wanted(behaviour, **stressed, equity=equity) == 0.0


@settings(max_examples=50, deadline=None)
@given(
    units=st.floats(-1e3, 1e3), equity=st.floats(1.0, 1e5), opening=st.floats(0.1, 20.0), speed=st.floats(0.0, 1.0),
    delta=st.floats(1.0, 1e5),
)  # fmt: skip
def test_a_rebalancer_never_overshoots(units, equity, opening, speed, delta):
    seen = {"units": units, "equity": equity, "opening": opening, "delta": delta}
    change = wanted(Rebalancer(speed=speed, band=0.0, max_leverage=50.0), **seen)
    before, after = units * delta - opening * equity, (units + change) * delta - opening * equity
    assert abs(after) <= abs(before) * (1 + 1e-9) + 1e-9
    assert after * before >= -1e-6 * before**2


def test_deciding_asks_the_rule_of_every_position():
    observation = Observation(
        4, 0.0, (Market(7, "a:BTC", None, CALM), Market(9, "b:BTC", None, CALM._replace(equity=500.0)))
    )
    assert Rebalancer().decide(observation) == [(9, -5.0)]
    assert Passive().decide(observation) == []


@pytest.mark.parametrize("name", BUILT_IN["archetype"])
def test_every_archetype_takes_an_entry_spread_and_no_unknown_key(name):
    assert rule_class("archetype", name)(entry_spread=0.1).entry_spread == 0.1
    with pytest.raises(ValidationError, match="lookbakc"):
        rule_class("archetype", name)(lookbakc=3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("directional", {"style": "random"}), ("directional", {"lookback": 0}), ("rebalancer", {"speed": 1.5}),
     ("market_maker", {"depth": 0.0}), ("market_maker", {"stress": float("nan")}), ("keeper", {"gas": -1}),
     ("depositor", {"fraction": 0.0}), ("borrower", {"ltv": 1.0})],
)  # fmt: skip
def test_impossible_parameters_are_refused(name, parameters):
    with pytest.raises(ValidationError, match=next(iter(parameters))):
        rule_class("archetype", name)(**parameters)
