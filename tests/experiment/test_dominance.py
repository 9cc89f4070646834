"""Stochastic dominance: textbook cases, and how often the test is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.errors import InputError
from contagion.experiment.dominance import dominance


def compared(one: np.ndarray, other: np.ndarray, order: int):
    return dominance(one, other, np.arange(len(one)), order, np.random.default_rng(1), resamples=500)


def test_a_constant_more_is_better_at_first_order() -> None:
    values = np.random.default_rng(1).normal(size=200)
    better, worse = compared(values + 1.0, values, 1), compared(values, values + 1.0, 1)
    assert better == (0.0, 1.0)
    assert worse.p_value < 0.01


def test_a_violation_by_hand() -> None:
    """Of 1..10 against 2, 2, 3..10 half a step lower in one place: at 1 the first has 1/10 more below."""
    one, other = np.arange(1.0, 11.0), np.array([2.0, 2.0, *range(3, 11)])
    assert compared(one, other, 1).violation == pytest.approx(0.1)
    # Second order: expected shortfall below 2 is 0.1 more; below any level from 2 on too. Over the range 1 to 10: / 9.
    assert compared(one, other, 2).violation == pytest.approx(0.1 / 9)


def test_less_spread_around_the_same_mean_is_better_at_second_order_only() -> None:
    wide = np.random.default_rng(1).normal(size=400)
    wide -= wide.mean()
    narrow = 0.3 * wide
    assert compared(narrow, wide, 2).p_value > 0.5
    assert compared(wide, narrow, 2).p_value < 0.01
    assert compared(narrow, wide, 1).p_value < 0.01 and compared(wide, narrow, 1).p_value < 0.01


def test_equal_distributions_are_seldom_told_apart() -> None:
    """Both are true at the border of the hypothesis, where the test is to reject in 5% of cases."""
    rng = np.random.default_rng(7)
    rejected = [
        dominance(rng.normal(size=40), rng.normal(size=40), np.arange(40), 1, rng, resamples=100).p_value < 0.05
        for _ in range(150)
    ]
    assert np.mean(rejected) < 0.10


def test_pairs_are_kept_together() -> None:
    """A shift far below the spread shows in pairs, and would not in independent samples of this size."""
    values = np.random.default_rng(3).normal(size=200)
    assert compared(values, values + 0.05, 1).p_value < 0.05
    apart = np.random.default_rng(4).permutation(values) + 0.05
    assert compared(values, apart, 1).p_value > 0.05


def test_few_units_say_nothing_and_other_orders_are_unknown() -> None:
    assert np.isnan(compared(np.arange(5.0), np.arange(5.0) + 1, 1).p_value)
    with pytest.raises(InputError, match="1 or 2"):
        compared(np.arange(20.0), np.arange(20.0), 3)
