"""Loopers around their target, worked out by hand: 100,000 of collateral, debt over collateral 0.6 unless said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario


def build(shocks=(), steps=3, rate=0.0, supplied=1e6, ceiling=None, **parameters) -> ContagionModel:
    """A pool that lends up to 0.8 against ether at a flat rate, and one looper."""
    data = {
        "name": "loops", "steps": steps, "dt": "1h", "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
        "impact": "linear", "feedback": "none", "shocks": list(shocks),
        "protocols": {"pool": {
            "kind": "lending_pool", "supplied": supplied, "oracle": {"deviation": 0.0},
            "rate": {"base": rate, "slope1": 0.0, "slope2": 0.0},
            "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "debt_ceiling": ceiling}},
        }},
        "traders": [{"archetype": "looper", "venue": "pool", "size": {"fixed": 1e5},
                     "parameters": {"target_ltv": 0.6} | parameters}],
    }  # fmt: skip
    return ContagionModel(load_scenario(data), rng=1)


def loan(model: ContagionModel) -> tuple[float, float]:
    """Collateral and debt. [USD]"""
    state = model.world.state
    return tuple(
        abs(float(state.positions.units[row] * state.instruments.equity_price[state.positions.instrument[row]]))
        for row in (0, 1)
    )


def gap(size: float) -> list[dict]:
    return [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": size}]


def test_it_opens_at_its_target_and_stays_there():
    model = build()
    assert loan(model) == pytest.approx((1e5, 6e4))
    model.step()
    assert loan(model) == pytest.approx((1e5, 6e4))
    assert not {"looped", "unlooped"} & set(model.world.counters)


def test_after_a_fall_it_sells_collateral_and_repays_to_its_target():
    """Collateral 90,000: (60,000 - 0.6 x 90,000) / 0.4 = 15,000 sold and repaid leaves 75,000 and 45,000."""
    model = build(gap(-0.1))
    model.step()
    assert loan(model) == pytest.approx((7.5e4, 4.5e4))
    assert model.world.counters["unlooped"] == pytest.approx(15_000)


def test_after_a_rise_it_borrows_and_buys_to_its_target():
    """Collateral 110,000: (66,000 - 60,000) / 0.4 = 15,000 borrowed; equity of 50,000 carries 125,000."""
    model = build(gap(0.1))
    model.step()
    assert loan(model) == pytest.approx((1.25e5, 7.5e4))
    assert model.world.counters["looped"] == pytest.approx(15_000)
    held = build(gap(0.1), releverages=False)
    held.step()
    assert loan(held) == pytest.approx((1.1e5, 6e4))


def test_it_does_nothing_within_its_band():
    """A fall by 4% brings 0.6 to 0.625, 4.2% above the target."""
    model = build(gap(-0.04), band=0.05)
    model.step()
    assert loan(model) == pytest.approx((9.6e4, 6e4))


def test_it_can_borrow_only_what_the_pool_has():
    model = build(gap(0.1), supplied=64_000.0)
    model.step()
    assert loan(model) == pytest.approx((1.14e5, 6.4e4))


def test_debt_against_isolated_collateral_stays_below_its_ceiling():
    model = build(gap(0.1), ceiling=65_000.0)
    model.step()
    assert loan(model) == pytest.approx((1.15e5, 6.5e4))
    with pytest.raises(InputError, match=r"collateral\.ETH\.debt_ceiling.*at least 60000, what is owed"):
        build(ceiling=5e4)


def test_it_winds_down_when_borrowing_gets_too_dear():
    """At 20% a year against a carry of 10% it repays half of its debt a step: 60,000, 30,000, 15,000 (an hour's
    interest is 0.002%)."""
    model = build(rate=0.2, most_rate=0.1, speed=0.5)
    for debt in (3e4, 1.5e4):
        model.step()
        assert loan(model) == pytest.approx((4e4 + debt, debt), rel=1e-4)
    calm = build(rate=0.2, most_rate=0.3, speed=0.5)
    calm.step()
    assert loan(calm)[1] == pytest.approx(6e4, rel=1e-4)


def test_a_thin_market_takes_its_part():
    """Linear impact, depth 1,000,000: 15,000 come from q with q (1 - 0.5 x 0.01 q / 1e6) = 15,000, q = 15,001.1."""
    model = build(gap(-0.1), spot_depth=1e6)
    model.step()
    collateral, debt = loan(model)
    assert debt == pytest.approx(4.5e4)
    assert 9e4 - collateral == pytest.approx((1 - (1 - 4 * 0.005e-6 * 15_000) ** 0.5) / (2 * 0.005e-6), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(
    size=st.floats(-0.5, 1.0), target=st.floats(0.1, 0.75), depth=st.one_of(st.none(), st.floats(1e4, 1e9)),
    supplied=st.floats(8e4, 1e6), rate=st.floats(0.0, 0.5),
)  # fmt: skip
def test_books_add_up_and_the_pools_limit_holds(size, target, depth, supplied, rate):
    """The audit of every step finds every net worth; what is borrowed stays within the pool's loan-to-value."""
    model = build(gap(size), rate=rate, supplied=supplied, target_ltv=target, spot_depth=depth, most_rate=0.3)
    model.step()
    collateral, debt = loan(model)
    if model.world.counters.get("looped"):
        assert debt <= 0.8 * collateral * (1 + 1e-9)
    model.step()
