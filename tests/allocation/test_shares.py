"""The arithmetic of sharing: published figures, optimality against a linear program, conservation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from contagion.allocation.clearing_house import cover
from contagion.allocation.shares import level_down, per_unit, walk, water_fill, whole_lots

seeds = st.integers(0, 10_000)


def test_capped_pro_rata_of_the_published_rule():
    """Chitra, arXiv 2512.01112: winners 100, 50, 50 with caps 0.1, 1, 1 give 10, 15, 15 of 40; the level is 0.3."""
    amounts, level = water_fill(np.array([100.0, 50, 50]), np.array([10.0, 50, 50]), 40.0)
    assert amounts == pytest.approx([10, 15, 15]) and level == pytest.approx(0.3)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(1e-3, 1.3))
def test_water_filling_is_the_smallest_greatest_share(seed, part):
    """The level is the optimum of: min t subject to sum x = want, x <= t w, 0 <= x <= limit."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    weights, limits = rng.uniform(0.1, 5.0, (2, count))
    want = part * limits.sum()
    amounts, level = water_fill(weights, limits, want)
    assert amounts.sum() == pytest.approx(min(want, limits.sum()), rel=1e-12)
    assert (amounts <= limits).all()
    if want < limits.sum():
        best = linprog(
            np.append(np.zeros(count), 1.0), A_ub=np.hstack([np.eye(count), -weights[:, None]]), b_ub=np.zeros(count),
            A_eq=np.append(np.ones(count), 0.0)[None, :], b_eq=[want],
            bounds=[*((0.0, limit) for limit in limits), (0.0, None)],
        )  # fmt: skip
        assert (amounts / weights).max() == pytest.approx(best.fun, rel=1e-7, abs=1e-9)
        assert level == pytest.approx(best.fun, rel=1e-7, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0.01, 1.2))
def test_cutting_from_the_top_leaves_the_smallest_greatest_survivor(seed, part):
    rng = np.random.default_rng(seed)
    values = rng.pareto(1.2, int(rng.integers(1, 9))) + 0.1
    want = min(part * values.sum(), values.sum())
    amounts, level = level_down(values, want)
    assert amounts.sum() == pytest.approx(want, rel=1e-9)
    count = len(values)
    best = linprog(
        np.append(np.zeros(count), 1.0), A_ub=np.hstack([-np.eye(count), -np.ones((count, 1))]), b_ub=-values,
        A_eq=np.append(np.ones(count), 0.0)[None, :], b_eq=[want],
        bounds=[*((0.0, value) for value in values), (0.0, None)],
    )  # fmt: skip
    assert max(level, 0.0) == pytest.approx(best.fun, abs=1e-7)


def test_walk_wraps_around_and_skips():
    """dYdX v4: ten to fill from the third place; the third cannot pay: 5, 4, 1."""
    fills = walk(np.array([4.0, 9, 3, 5]), np.array([True, True, False, True]), 2, 10.0)
    assert fills.tolist() == [4.0, 1.0, 0.0, 5.0]


def test_whole_lots_keep_the_total():
    """2.6, 1.6 and 0.8 of sizes 5, 5, 0.8 in lots of 1: 2, 1 and the whole 0.8; the 1.2 left go lot by lot by score."""
    fills, sizes, key = np.array([2.6, 1.6, 0.8]), np.array([5.0, 5.0, 0.8]), np.array([7, 3, 5], np.uint64)
    rounded = whole_lots(fills, sizes, np.array([1.0, 2.0, 3.0]), key, 1.0)
    assert rounded == pytest.approx([2.2, 2.0, 0.8])


def test_a_rest_of_lots_follows_the_holder_and_not_its_place():
    """Three equal fills of 1.5 in lots of 1: 1 each; of the 1.5 left key 3 gets a lot, key 5 the half, in any order."""
    fills, sizes, key = np.full(3, 1.5), np.full(3, 5.0), np.array([7, 3, 5], np.uint64)
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        rounded = whole_lots(fills, sizes, np.zeros(3), key[order], 1.0)
        assert dict(zip(key[order].tolist(), rounded.tolist(), strict=True)) == {7: 1.0, 3: 2.0, 5: 1.5}


def test_loss_per_unit_of_open_interest():
    """Drift, liquidation tests: 100 over 5 long and 5 short."""
    assert per_unit(100.0, 5.0, -5.0) == 10.0 and per_unit(100.0, 0.0, 0.0) == 0.0


def test_cover_sizes_by_the_worst_scenario():
    """Losses 5, 3, 1 in one scenario and 0, 4, 4.5 in the other: cover-1 is 5, cover-2 is 8.5."""
    losses = np.array([[5.0, 3.0, 1.0], [0.0, 4.0, 4.5]])
    assert (cover(losses, 1), cover(losses, 2), cover(losses, 9)) == (5.0, 8.5, 9.0)
