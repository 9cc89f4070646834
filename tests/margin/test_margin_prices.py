"""Prices at which something happens, held to what happens there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contagion import ContagionModel
from contagion.margin.prices import bankruptcy_prices, fillable_price, price_at_requirement, tiered_liquidation_price
from contagion.margin.rules import deductions

FLOORS, RATES = np.array([0.0, 100.0, 1000.0]), np.array([0.01, 0.02, 0.05])
CARRIED = np.array(deductions(FLOORS.tolist(), RATES.tolist()))


def requirement(notional: float) -> float:
    tier = int(np.searchsorted(FLOORS, notional, side="right")) - 1
    return notional * RATES[tier] - CARRIED[tier]


@settings(max_examples=50, deadline=None)
@given(st.floats(-50.0, 50.0), st.floats(1.0, 100.0), st.floats(0.02, 2.0), st.floats(0.0, 20.0), st.floats(0, 1e-3))
def test_equity_meets_the_requirement_at_the_liquidation_price(units, mark, leverage_inverse, others, slope):
    assume(abs(units) > 1e-3)
    equity = abs(units) * mark * leverage_inverse + others
    extra = slope * abs(units)
    price = tiered_liquidation_price(equity, units, mark, others, FLOORS, RATES, CARRIED, extra)
    if np.isnan(price):
        assert units > 0.0  # only a long can be safe at every price
        return
    notional = abs(units) * price
    left = equity + units * (price - mark)
    assert left == pytest.approx(requirement(notional) + extra * notional + others, rel=1e-9, abs=1e-9)


def test_a_long_that_owns_its_coins_has_no_liquidation_price():
    assert np.isnan(tiered_liquidation_price(200.0, 1.0, 100.0, 0.0, FLOORS, RATES, CARRIED, 0.0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(1, 1e4), st.floats(0.001, 0.1)), min_size=1, max_size=5),
       st.floats(-1e4, 1e5))  # fmt: skip
def test_closing_at_bankruptcy_prices_leaves_nothing_and_each_close_leaves_the_ratio(held, equity):
    units, price, rate = (np.array(column) for column in zip(*held, strict=True))
    assume((np.abs(units) > 1e-6).all())
    needed = np.abs(units) * price * rate
    quoted = bankruptcy_prices(units, price, needed, equity)
    change = units * (quoted - price)
    assert equity + change.sum() == pytest.approx(0.0, abs=1e-6 * max(1.0, abs(equity)))
    if len(units) > 1:
        # `change` is a difference of prices: it carries the rounding of the notional.
        rounding = 1e-14 * (np.abs(units) * price).sum() / needed[1:].sum()
        assert (equity + change[0]) / needed[1:].sum() == pytest.approx(
            equity / needed.sum(), rel=1e-6, abs=max(1e-9, rounding)
        )


def test_one_position_is_bankrupt_where_its_equity_is_zero():
    # Long 2 at 100 with 10 of equity: 100 - 10 / 2.
    assert bankruptcy_prices(np.array([2.0]), np.array([100.0]), np.array([1.0]), 10.0)[0] == 95.0
    assert price_at_requirement(10.0, 2.0, 100.0) == 95.0


def test_fillable_price_gives_way_by_the_spread_at_most():
    # Below zero equity the whole spread: (1,000 - 1.5 * 30) / 10.
    assert fillable_price(1000.0, -1.0, 30.0, 30.0, 10.0) == pytest.approx(95.5)
    assert fillable_price(1000.0, 60.0, 30.0, 30.0, 10.0) == 100.0


def test_accounts_of_a_run_state_their_prices():
    model = ContagionModel("quickstart", rng=7)
    model.step()
    state = model.world.state
    account = next(
        a for agent in model.agents for a in getattr(agent, "accounts", []) if a.liquidation_prices and a.equity > 0.0
    )
    name, price = next(iter(account.liquidation_prices.items()))
    row = state.instruments.names.index(name)
    units = account.positions[name]
    tier = state.instruments.tier_start[row]
    before, after = (abs(units) * p * state.instruments.tier_rate[tier] for p in (state.instruments.mark[row], price))
    left = account.equity + units * (price - state.instruments.mark[row])
    assert left == pytest.approx(account.requirement + after - before, rel=1e-9)
    assert set(account.bankruptcy_prices) == set(account.positions)
    distance = model.result().agents["liquidation_distance"]
    assert (distance >= 0.0).all() and np.isfinite(distance).any()
