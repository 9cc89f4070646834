"""European options: value, greeks, and a run through expiry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion import ContagionModel
from contagion.margin.options import option_value, value_options
from contagion.margin.portfolio import ScanScenario, option_losses
from contagion.scenario.schema import Scenario
from contagion.state.codes import InstrumentKind

TERMS = (st.floats(50.0, 200.0), st.floats(50.0, 200.0), st.floats(0.02, 2.0), st.floats(0.1, 2.0))


def greeks(spot, strike, years, volatility, right) -> np.ndarray:
    value, found = np.zeros(1), np.zeros((1, 4))
    value_options(
        np.zeros(1, np.int64), *(np.array([x], float) for x in (spot, strike, years, volatility, right)), value, found
    )
    return found[0]


@settings(max_examples=50, deadline=None)
@given(*TERMS)
def test_put_call_parity(spot, strike, years, volatility):
    call, put = (option_value(spot, strike, years, volatility, right) for right in (1.0, -1.0))
    assert call - put == pytest.approx(spot - strike, abs=1e-9)


def test_a_published_value():
    # At the money, spread s = 0.2 * sqrt(0.25) = 0.1: 100 * (2 N(0.05) - 1), N(0.05) = 0.519938806 (tables).
    assert option_value(100.0, 100.0, 0.25, 0.2, 1.0) == pytest.approx(100.0 * (2 * 0.519938806 - 1.0), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(*TERMS, st.sampled_from([1.0, -1.0]))
def test_greeks_are_differences(spot, strike, years, volatility, right):
    delta, gamma, vega, theta = greeks(spot, strike, years, volatility, right)
    h, v, t = 1e-3 * spot, 1e-5, 1e-6
    value = lambda s=spot, y=years, w=volatility: float(option_value(s, strike, y, w, right))  # noqa: E731
    assert delta == pytest.approx((value(spot + h) - value(spot - h)) / (2 * h), abs=1e-3)
    assert gamma == pytest.approx((value(spot + h) - 2 * value() + value(spot - h)) / h**2, abs=1e-4, rel=1e-2)
    assert vega == pytest.approx((value(w=volatility + v) - value(w=volatility - v)) / (2 * v), abs=1e-3, rel=1e-4)
    assert theta == pytest.approx((value(y=years - t) - value(y=years + t)) / (2 * t), abs=1e-2, rel=1e-3)


def test_at_expiry_an_option_is_worth_its_exercise():
    assert option_value(120.0, 100.0, 0.0, 0.5, 1.0) == 20.0
    assert option_value(120.0, 100.0, -1.0, 0.5, -1.0) == 0.0
    assert greeks(120.0, 100.0, 0.0, 0.5, 1.0).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_volatility_shocks_are_scaled_by_time_to_expiry():
    # One week left: the shock of 40% is scaled by (30 / 7) ** 0.3.
    years, one = 7.0 / 365.0, np.ones(1)
    found = option_losses(100 * one, 100 * one, years * one, 0.5 * one, one, (ScanScenario(0.0, 0.4, 1.0),))
    shocked = 0.5 * (1 + 0.4 * (30 / 7) ** 0.3)
    expected = option_value(100.0, 100.0, years, 0.5, 1.0) - option_value(100.0, 100.0, years, shocked, 1.0)
    assert found[0, 0] == pytest.approx(expected)


def market(**more) -> Scenario:
    return Scenario.model_validate({
        "name": "options", "dt": "1h", "steps": 30,
        "assets": {"BTC": {"price": 100_000, "volatility": 0.6, "implied_volatility": 0.7}},
        "prices": "constant",
        "shocks": [{"at": 5, "kind": "price_gap", "asset": "BTC", "size": -0.08}],
        "exchanges": {"opt": {
            "margin": "portfolio", "equity": 1e6, "insurance_fund": {"size": 1e5}, "contracts": {
                "BTC": {},
                "P95": {"kind": "option", "asset": "BTC", "strike": 95_000, "expiry": 20, "right": "put"},
                "C99": {"kind": "option", "asset": "BTC", "strike": 99_000, "expiry": 24, "right": "call"},
            },
        }},
        "traders": [
            {"archetype": "directional", "name": "hedged", "count": 5, "venue": "opt", "assets": {"BTC": 1, "P95": 1},
             "size": {"fixed": 2e5}, "leverage": {"fixed": 2}, "long_share": 1.0,
             "answers": {"ignore": 1.0}, "parameters": {"speed": 0.0}},
            {"archetype": "directional", "name": "writers", "count": 5, "venue": "opt", "assets": {"P95": 1, "C99": 1},
             "size": {"fixed": 1e5}, "leverage": {"fixed": 1}, "long_share": 0.0,
             "answers": {"ignore": 1.0}, "parameters": {"speed": 0.0}},
            {"archetype": "market_maker", "count": 2, "venue": "opt", "capital": 3e6},
        ],
        **more,
    })  # fmt: skip


def test_nothing_is_lost_through_expiry():
    """The books are audited every step; what expires is paid by one side to the other."""
    model = ContagionModel(market(), rng=1)
    while model.step_number < 19:
        model.step()
    state = model.world.state
    put = state.instruments.names.index("opt:P95")
    rows = np.flatnonzero(state.positions.instrument == put)
    units, balance = state.positions.units[rows].copy(), state.accounts.balance[state.positions.account[rows]].copy()
    assert np.abs(units).sum() > 0.0
    model.step()
    # The index stands below the strike after the gap: each put pays the difference.
    payoff = 95_000 - state.assets.index[state.assets.row("BTC")]
    assert payoff > 0.0
    assert not state.positions.units[rows].any()
    np.testing.assert_allclose(
        state.accounts.balance[state.positions.account[rows]] - balance, units * payoff, rtol=1e-9, atol=1e-6
    )
    result = model.run()
    paid = result.ledger[result.ledger.cause == "settlement"]
    assert set(paid.step) == {20}  # the call ended out of the money
    assert paid.amount.sum() == pytest.approx(np.abs(units).sum() * payoff, rel=1e-9)
    assert not state.positions.units[
        state.instruments.kind[state.positions.instrument] == InstrumentKind.OPTION
    ].any()


def test_a_volatility_jump_moves_option_values():
    jump = [{"at": 2, "kind": "volatility_jump", "asset": "BTC", "size": 2.0}]
    values = []
    for shocks in ([], jump):
        model = ContagionModel(market(shocks=shocks), rng=1)
        for _ in range(3):
            model.step()
        values.append(model.world.state.instruments.equity_price[1])
    years = (20 - 3) / (365 * 24)
    expected = [float(option_value(1e5, 95_000.0, years, volatility, -1.0)) for volatility in (0.7, 1.4)]
    assert values == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("missing", ["strike", "expiry", "right", "asset"])
def test_an_option_needs_all_its_terms(missing):
    option = {"kind": "option", "asset": "BTC", "strike": 1.0, "expiry": 1, "right": "put"}
    del option[missing]
    with pytest.raises(ValueError, match=missing):
        market(exchanges={"opt": {"margin": "portfolio", "contracts": {"BTC": {}, "X": option}}})
