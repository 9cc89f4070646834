"""Requirements by rule, held to closed forms and hand calculations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion import ContagionModel
from contagion.errors import InputError
from contagion.margin.dynamic import measure_of, next_multiplier
from contagion.margin.initial import InitialTerms, initial_of
from contagion.margin.kernels import margins
from contagion.margin.portfolio import ScanScenario, loss_table, scan_accounts
from contagion.margin.rules import Portfolio, VolumeAtRisk, deductions
from contagion.scenario.loader import load_scenario
from contagion.state.codes import InstrumentKind

FLOORS, RATES, INITIAL = [0.0, 100.0, 1000.0], [0.01, 0.02, 0.05], [0.02, 0.04, 0.10]


def maintenance(units: np.ndarray, add_on: np.ndarray, mark: float = 1.0) -> np.ndarray:
    """Maintenance of one position per account under the tiers above."""
    n, one = len(units), np.ones(1)
    out = np.empty((3, n))
    margins(
        np.arange(n), np.arange(n + 1), np.zeros(n), np.zeros(n, np.int64), units, mark * one, mark * one,
        np.zeros(1, np.int64), np.array([0, 3]), np.array(FLOORS), np.array(RATES),
        np.array(deductions(FLOORS, RATES)), add_on.reshape(1, 4), *out,
    )  # fmt: skip
    return out[1]


def plain_maintenance(units: np.ndarray, add_on: np.ndarray, mark: float) -> np.ndarray:
    """The same in NumPy: the integral of the marginal rates, plus the add-ons."""
    size = np.abs(units)
    notional = size * mark
    tiered = sum(
        (rate - before) * np.maximum(0.0, notional - floor)
        for floor, rate, before in zip(FLOORS, RATES, [0.0, *RATES], strict=False)
    )
    return tiered + notional * (add_on[0] * size + np.where(units > 0.0, add_on[2], add_on[3]))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-5e3, 5e3), min_size=1, max_size=8), st.floats(0.0, 1e-3), st.floats(0.0, 0.1),
    st.floats(0.0, 0.1), st.floats(0.1, 10.0),
)  # fmt: skip
def test_kernel_equals_its_plain_twin(units, slope, long, short, mark):
    add_on = np.array([slope, 0.0, long, short])
    found = maintenance(np.array(units), add_on, mark)
    np.testing.assert_allclose(found, plain_maintenance(np.array(units), add_on, mark), rtol=1e-12, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(FLOORS[1:]), st.floats(0.0, 1e-3))
def test_maintenance_is_continuous_at_a_floor(floor, slope):
    below, above = maintenance(np.array([floor * (1 - 1e-12), floor]), np.array([slope, 0.0, 0.0, 0.0]))
    assert above == pytest.approx(below, rel=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 5e3), st.floats(1e-6, 5e3), st.floats(0.0, 1e-3))
def test_maintenance_increases_with_size(size, more, slope):
    small, large = maintenance(np.array([size, size + more]), np.array([slope, 0.0, 0.0, 0.0]))
    assert large > small


def terms(add_on: np.ndarray, mark: float) -> InitialTerms:
    one = np.ones(1)
    return InitialTerms(
        mark * one, np.zeros(1, np.int64), np.zeros(1, np.int8), np.array([0, 3]), np.array(FLOORS),
        np.array(RATES), np.array(INITIAL), add_on.reshape(1, 4), one, np.zeros((1, 0)), np.zeros((1, 4)),
    )  # fmt: skip


def test_initial_margin_by_hand():
    held = np.zeros(1, np.int64)
    # 300 units at 2 are 600 of notional, in the second tier: 600 * (4% + 1e-4 * 300) = 42.
    assert initial_of(0, held, np.array([300.0]), terms(np.array([0, 1e-4, 0, 0.0]), 2.0)) == pytest.approx(42.0)
    # A short with 1% on top of 2% maintenance: initial margin rises in proportion, 600 * 4% * (2% + 1%) / 2% = 36.
    assert initial_of(0, held, np.array([-300.0]), terms(np.array([0, 0, 0, 0.01]), 2.0)) == pytest.approx(36.0)


# -- portfolio margin -----------------------------------------------------------------------------------------------


def scan(units: np.ndarray, loss, delta, mark, asset, rates, kind=None) -> np.ndarray:
    n, width = units.shape
    kind = np.zeros(width, np.int8) if kind is None else kind
    out = np.empty((n, 3))
    scan_accounts(
        np.arange(n), np.arange(n + 1) * width, np.zeros(n, np.int64), np.tile(np.arange(width), n), units.ravel(),
        loss, delta, mark, asset, kind, int(asset.max()) + 1, np.array([rates]), out,
    )  # fmt: skip
    return out


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 600), st.integers(1, 6), st.integers(1, 24), st.integers(0, 2**31))
def test_scan_equals_its_plain_twin(n, width, scenarios, seed):
    rng = np.random.default_rng(seed)
    units = rng.normal(size=(n, width)) * (rng.random((n, width)) < 0.7)
    loss, delta = rng.normal(size=(width, scenarios)), rng.normal(size=width)
    mark, asset = rng.uniform(1.0, 2.0, width), rng.integers(0, 3, width)
    found = scan(units, loss, delta, mark, asset, (0.02, 0.01, 3e-4, 0.5))
    exposure = units * delta * mark
    net = np.abs(np.stack([exposure[:, asset == a].sum(axis=1) for a in range(3)], axis=1)).sum(axis=1)
    hedged = (np.abs(exposure).sum(axis=1) - net) / 2
    np.testing.assert_allclose(found[:, 0], np.maximum(0.0, (units @ loss).max(axis=1)), atol=1e-12)
    np.testing.assert_allclose(found[:, 1], 0.02 * net + 0.01 * hedged, atol=1e-12)
    np.testing.assert_allclose(found[:, 2], 3e-4 * (np.abs(units) * mark).sum(axis=1), atol=1e-15)


def test_fees_are_for_contracts_and_not_for_posted_coins():
    # 2 contracts and 5 coins at 10: a fee of 1% of 20.
    one, kind = np.ones(2), np.array([InstrumentKind.LINEAR, InstrumentKind.SPOT])
    asset = np.zeros(2, np.int64)
    found = scan(np.array([[-2.0, 5.0]]), np.zeros((2, 1)), one, 10.0 * one, asset, (0.0, 0.0, 0.01, 0.5), kind)
    assert found[0, 2] == pytest.approx(0.2)


@settings(max_examples=50, deadline=None)
@given(st.floats(-100.0, 100.0), st.floats(1.0, 1e5), st.floats(-0.9, 3.0), st.floats(0.0, 1.0))
def test_one_scenario_is_its_closed_form(units, price, move, weight):
    one = np.ones(1)
    loss = loss_table(price * one, one, (ScanScenario(move, 0.0, weight),))
    found = scan(np.array([[units]]), loss, one, price * one, np.zeros(1, np.int64), (0.0, 0.0, 0.0, 1.0))
    assert found[0, 0] == pytest.approx(max(0.0, -units * price * move * weight), abs=1e-9)


def test_inverse_losses_are_in_coin():
    # A long of 100 USD at 50: the price halves, 1/P doubles from 0.02 to 0.04, the loss is 100 * 0.02 = 2 coins.
    loss = loss_table(np.array([1 / 50]), np.array([-1.0]), (ScanScenario(-0.5, 0.0, 1.0),))
    assert -100.0 * loss[0, 0] == pytest.approx(2.0)


def test_default_scenarios_are_24():
    assert len(Portfolio().scenarios) == 24


# -- rules in a run -------------------------------------------------------------------------------------------------


def run(rule: dict, steps: int = 12, **more):
    model = ContagionModel(
        "quickstart", rng=7, **{"exchanges.perp.margin": rule, "protocols": {}, "exchanges.perp.waterfall": [],
                                "traders": TRADERS, "shocks": SHOCKS, "steps": steps, **more},
    )  # fmt: skip
    return model, model.run()


SHOCKS = [{"at": 6, "kind": "price_gap", "asset": "BTC", "size": -0.08}]
TRADERS = [
    {"archetype": "directional", "count": 40, "venue": "perp", "size": {"fixed": 1e5},
     "leverage": {"lognormal": [4, 0.5]}},
    {"archetype": "market_maker", "count": 3, "venue": "perp", "capital": 3e6},
]  # fmt: skip


def test_volume_at_risk_asks_for_slippage_and_risk_factor():
    rule = {"margin": "volume_at_risk", "slippage": 0.05, "risk_factor_long": 0.1, "risk_factor_short": 0.2}
    model, _ = run(rule, steps=3)
    state = model.world.state
    size = np.abs(state.positions.units) * state.instruments.mark[state.positions.instrument]
    rate = np.where(state.positions.units > 0.0, 0.15, 0.25)
    expected = np.bincount(state.positions.account, size * rate, len(state.accounts.balance))
    np.testing.assert_allclose(state.accounts.requirement, expected, rtol=1e-12)
    assert (state.books.warning == 1.1).all() and (state.books.release == pytest.approx(1.3 / 1.2))


def test_levels_out_of_order_are_refused():
    with pytest.raises(ValueError, match="search must not exceed initial"):
        VolumeAtRisk(search=1.3, initial=1.2)


def test_initial_margin_follows_open_interest_and_maintenance_does_not():
    model, _ = run({"margin": "open_interest_scaled", "lower": 0.0, "upper": 1e8}, steps=3)
    table = model.world.state.instruments
    open_interest = table.open_interest * table.mark
    base = load_scenario("quickstart").exchanges["perp"].contracts
    for row, name in enumerate(name.partition(":")[2] for name in table.names):
        tier = base[name].tiers[0] if name in base else None
        initial, kept = (tier.initial, tier.maintenance) if tier else (0.01, 0.005)
        expected = initial + open_interest[row] / 1e8 * (1.0 - initial)
        assert table.tier_initial[table.tier_start[row]] == pytest.approx(expected, rel=1e-12)
        assert table.tier_rate[table.tier_start[row]] == kept


def test_portfolio_margin_stands_in_the_requirement():
    rule = {"margin": "portfolio", "scenarios": [[-0.1, 0.0, 1.0], [0.1, 0.0, 1.0]], "net_delta_rate": 0.0,
            "hedged_delta_rate": 0.0, "fee": 0.0}  # fmt: skip
    model, _ = run(rule, steps=3)
    state = model.world.state
    value = state.positions.units * state.instruments.mark[state.positions.instrument]
    net = np.abs(np.bincount(state.positions.account, value, len(state.accounts.balance)))
    # Assets move together, so the loss is 10% of the net position, and maintenance half of that.
    np.testing.assert_allclose(state.accounts.requirement, 0.05 * net, rtol=1e-9, atol=1e-6)


def test_rates_that_follow_risk_call_more():
    _, calm = run({"margin": "tiers"})
    _, moving = run({"margin": "dynamic", "window": 10, "cap": 4.0})
    assert moving.outcomes["margin_peak_to_trough"] == pytest.approx(4.0)
    assert moving.outcomes["margin_calls_by_rates"] > 0.0
    assert "margin_calls_by_rates" not in calm.outcomes


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=20), st.floats(0.1, 1.0), st.floats(1.0, 5.0),
       st.floats(0.01, 1.0))  # fmt: skip
def test_multiplier_stays_within_floor_and_cap(ratios, floor, cap, speed):
    multiplier = np.ones(1)
    for ratio in ratios:
        multiplier = next_multiplier(multiplier, np.array([ratio]), floor, cap, speed)
        assert floor * (1 - 1e-12) <= multiplier[0] <= cap * (1 + 1e-12)


def test_measures_by_hand():
    returns = np.array([[0.01], [-0.02], [0.03], [-0.04]])
    # Mean square 7.5e-4 a step, 4 steps a year: sqrt(4 * 7.5e-4).
    assert measure_of(returns, "volatility", 0.5, 0.25)[0] == pytest.approx(np.sqrt(3e-3))
    assert measure_of(returns, "value_at_risk", 0.5, 0.25)[0] == pytest.approx(0.03)
    assert measure_of(returns, "expected_shortfall", 0.5, 0.25)[0] == pytest.approx(0.035)


def test_a_funding_cap_in_multiples_of_margin():
    scenario = {"exchanges.perp.funding": {"margin_multiple": 6.0}, "exchanges.perp.contracts": {
        "BTC": {"tiers": [{"maintenance": 0.03, "initial": 0.05}]},
        "ETH": {"tiers": [{"maintenance": 0.06, "initial": 0.1}]},
    }}  # fmt: skip
    model, _ = run({"margin": "tiers"}, steps=1, **scenario)
    np.testing.assert_allclose(model.pricing.funding_cap, [0.12, 0.24])


def test_options_need_portfolio_margin():
    put = {"kind": "option", "asset": "BTC", "strike": 9e4, "expiry": 5, "right": "put"}
    with pytest.raises(InputError, match="portfolio"):
        load_scenario("quickstart", {"exchanges.perp.contracts": {"BTC": {}, "ETH": {}, "P": put}})
