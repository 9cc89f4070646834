"""Published and closed-form cases of collateralised lending."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.protocols.lending_rules import (
    health_change,
    health_factor,
    kinked_rate,
    largest_repayment,
    liquidation_spiral,
    supply_rate,
    toxicity_frontier,
)


def test_health_factor():
    assert health_factor(0.8 * 10_000.0, 6_000.0) == pytest.approx(1.333, abs=5e-4)  # Aave documentation
    assert health_factor(0.8, 0.0) == float("inf")


def test_close_factor_is_of_the_whole_debt():
    # Aave v3.3 documentation: three debts of 3,000, half of 9,000 exceeds one of them.
    assert largest_repayment(3_000.0, 0.99, 0.5, 0.95, total_debt=9_000.0, collateral=10_000.0) == 3_000.0
    assert largest_repayment(8_000.0, 0.99, 0.5, 0.95) == 4_000.0


def test_full_close_at_the_boundary_and_for_small_positions():
    assert largest_repayment(8_000.0, 0.95, 0.5, 0.95) == 8_000.0
    assert largest_repayment(8_000.0, 0.9500001, 0.5, 0.95) == 4_000.0
    assert largest_repayment(1_999.0, 0.99, 0.5, 0.95, small_position=2_000.0) == 1_999.0


@pytest.mark.parametrize(
    ("debt", "before", "change"),
    [(8_200.0, 0.975609756097561, 0.018834688346883455), (9_700.0, 0.8247422680412371, -0.0017537622941106907)],
)
def test_health_after_liquidation(debt, before, change):
    """10,000 of collateral at 0.8, 1,000 repaid at bonus 5%: collateral of 8,950 is left."""
    assert health_factor(8_000.0, debt) == pytest.approx(before, rel=1e-12)
    assert health_change(before, 0.8, debt, 1_000.0, 0.05) == pytest.approx(change, rel=1e-9)
    assert 0.8 * 8_950 / (debt - 1_000) - before == pytest.approx(change, rel=1e-9)


def test_toxicity_frontier():
    assert toxicity_frontier([0.05, 0.1]) == pytest.approx([0.9523809523809523, 0.9090909090909091])
    expected = {0.01: 0.9337068160597571, 0.05: 0.8658008658008656, 0.1: 0.7936507936507936, 0.25: 0.6349206349206349}
    for over_depth, frontier in expected.items():
        assert toxicity_frontier(0.05, over_depth) == pytest.approx(frontier)


def test_liquidation_spiral():
    """Threshold 0.85, bonus 5%, half of the debt at a time; bad debt = ltv - 1 / 1.05 where toxic."""
    ends = [liquidation_spiral(ltv, 0.85, 0.05, 0.5) for ltv in (0.94, 0.95, 0.96, 0.98, 1.0)]
    assert [end.outcome for end in ends] == ["healed", "healed", "bad_debt", "bad_debt", "bad_debt"]
    assert [end.steps for end in ends] == [4, 6, 7, 6, 5]
    bad = [0.0, 0.0, 0.96 - 1 / 1.05, 0.98 - 1 / 1.05, 1 - 1 / 1.05]
    assert [end.bad_debt for end in ends] == pytest.approx(bad)


def test_kinked_rate():
    # Compound v3 (slopes per unit of utilisation): 1.5% + 3.5% x 0.6, then 1.5% + 3.5% x 0.8 + 25% x 0.15.
    assert kinked_rate(0.6, 0.015, 0.035, 0.25, 0.8, slopes_are_totals=False) == pytest.approx(0.036)
    assert kinked_rate(0.95, 0.015, 0.035, 0.25, 0.8, slopes_are_totals=False) == pytest.approx(0.0805)
    # Aave (slopes over whole segments): 5.5% x 0.45 / 0.9.
    rate = kinked_rate(0.45, 0.0, 0.055, 0.4, 0.9)
    assert rate == pytest.approx(0.0275)
    assert supply_rate(rate, 0.45, 0.1) == pytest.approx(0.0111375)
    assert kinked_rate(1.0, 0.01, 0.04, 0.75, 0.8) == pytest.approx(0.80)


@settings(max_examples=50, deadline=None)
@given(
    ltv=st.floats(0.5, 1.2), bonus=st.floats(0.0, 0.2), threshold=st.floats(0.5, 0.95), share=st.floats(0.001, 0.5),
)  # fmt: skip
def test_health_falls_exactly_above_the_frontier(ltv, bonus, threshold, share):
    repaid = share * min(ltv, 1 / (1 + bonus))
    after = threshold * (1 - repaid * (1 + bonus)) / (ltv - repaid) if repaid < ltv else float("inf")
    change = health_change(threshold / ltv, threshold, ltv, repaid, bonus)
    assert after - threshold / ltv == pytest.approx(change, rel=1e-6, abs=1e-9)
    margin = ltv - float(toxicity_frontier(bonus))
    if abs(margin) > 1e-9:
        assert (change < 0) == (margin > 0)
