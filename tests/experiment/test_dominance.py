"""Stochastic dominance: textbook cases, and how often the test is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.errors import InputError
from contagion.experiment.dominance import dominance, nowhere_worse


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


def test_distributions_that_cross_do_not_dominate_whatever_the_test_says() -> None:
    """Losses of 1, 2, 3, 10 against 2, 3, 4, 9: lower up to the third, higher in the tail; the mean is 4 against 4.5.

    As gains, areas below the distributions: at -9 the first has 1/4 x 1 more, which no later level can undo at -9.
    """
    one, other, units = np.array([-1.0, -2.0, -3.0, -10.0]), np.array([-2.0, -3.0, -4.0, -9.0]), np.arange(4)
    for order in (1, 2):
        assert not nowhere_worse(one, other, units, order) and not nowhere_worse(other, one, units, order)
    assert nowhere_worse(one, one - 1.0, units, 1) and not nowhere_worse(one - 1.0, one, units, 1)


def test_less_spread_dominates_by_areas_and_units_weigh_the_same() -> None:
    """2, 3 against 1, 3.5: below 2 the second has more, at 3 the areas are 1/2 and 1, at 3.5 they are 1 and 1.25.

    With the run of 1 four times in one unit nothing changes, since its unit still weighs a half.
    """
    units = np.array([0, 1])
    assert nowhere_worse([2.0, 3.0], [1.0, 3.5], units, 2) and not nowhere_worse([2.0, 3.0], [1.0, 3.5], units, 1)
    many = np.array([0, 0, 0, 0, 1])
    assert nowhere_worse([2.0] * 4 + [3.0], [1.0] * 4 + [3.5], many, 2)
    assert not nowhere_worse([1.0] * 4 + [3.5], [2.0] * 4 + [3.0], many, 2)
