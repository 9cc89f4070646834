"""Estimates over units: against closed forms, published numbers and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contagion.experiment.statistics import (
    expected_shortfall,
    holm,
    mean_interval,
    pairing,
    sign_flip,
    tail_interval,
    unit_counts,
)  # fmt: skip
from contagion.outcomes.risk import gaussian_es, historical_var_es


def test_bca_interval_of_a_published_example() -> None:
    """Law school data (Efron and Tibshirani 1993, table 3.1): LSAT scores; mean 600.27, standard error 10.44.

    The bootstrap standard error of a mean is s sqrt((n - 1) / n) / sqrt(n); the interval is near 1.96 of it each way.
    """
    lsat = [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594]
    found = mean_interval(lsat, np.random.default_rng(3), resamples=9999)
    error = np.std(lsat) / np.sqrt(15)
    assert found.value == pytest.approx(600.2667, abs=1e-4)
    assert found.half_width == pytest.approx(1.96 * error, rel=0.05)
    assert found.low < found.value < found.high


def test_bca_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    hits = [low <= 0.0 <= high for _, low, high in (
        mean_interval(rng.normal(size=40), rng, 0.9, 400) for _ in range(200))]  # fmt: skip
    assert np.mean(hits) == pytest.approx(0.9, abs=0.06)  # standard error 0.021


def test_bca_leans_with_the_skew_and_a_normal_interval_does_not() -> None:
    values = np.random.default_rng(2).exponential(size=30)
    found = mean_interval(values, np.random.default_rng(1))
    assert found.high - found.value > found.value - found.low


def test_one_unit_has_no_interval_and_equal_units_have_a_point() -> None:
    assert np.isnan(mean_interval([3.0], np.random.default_rng(1)).low)
    assert mean_interval([3.0, 3.0], np.random.default_rng(1)) == (3.0, 3.0, 3.0)
    assert np.isfinite(mean_interval([0.0] * 40 + [1.0], np.random.default_rng(1)).high)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.floats(0.05, 0.95))
@settings(max_examples=50)
def test_expected_shortfall_with_equal_weights_is_that_of_runs(values: list[float], quantile: float) -> None:
    found = expected_shortfall(values, np.ones(len(values)), quantile)[0]
    assert found == pytest.approx(historical_var_es(values, quantile).es, rel=1e-9, abs=1e-6)


def test_weights_count_as_repetitions() -> None:
    found = expected_shortfall([1.0, 5.0, 3.0], [1, 2, 1], 0.5)
    assert found[0] == pytest.approx(historical_var_es([1, 5, 5, 3], 0.5).es)  # the two fives


def test_expected_shortfall_of_normal_losses() -> None:
    """phi(z) / (1 - q) = 2.0627 at 95%, and its interval covers that."""
    losses = np.random.default_rng(8).normal(size=4000)
    found = tail_interval(losses, np.arange(4000), np.random.default_rng(1), 0.95, resamples=300)
    assert found.low < gaussian_es(0.95) < found.high
    assert found.half_width < 0.15


def test_runs_of_one_unit_are_one_piece_of_evidence() -> None:
    """Ten copies of each of 50 runs give the interval of 50 units, not of 500."""
    losses = np.random.default_rng(8).normal(size=50)
    alone = tail_interval(losses, np.arange(50), np.random.default_rng(1))
    copied = tail_interval(np.repeat(losses, 10), np.repeat(np.arange(50), 10), np.random.default_rng(1))
    assert copied == pytest.approx(alone)


def test_resamples_hold_as_many_units_as_there_are() -> None:
    counts = np.concatenate(list(unit_counts(7, np.random.default_rng(1), 100, width=2_000_000)))
    assert counts.shape == (100, 7) and set(counts.sum(axis=1)) == {7.0}


def test_sign_flips_of_few_pairs_are_counted_exactly() -> None:
    """All of five differences have one sign: two of 32 sign patterns are as extreme."""
    assert sign_flip([1.0, 2.0, 0.5, 3.0, 1.5], np.random.default_rng(1)) == pytest.approx(2 / 32)
    assert sign_flip([0.0, 0.0, 0.0], np.random.default_rng(1)) == 1.0


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.06, -0.06])
def test_sign_flips_of_very_many_pairs_agree_with_student(shift: float) -> None:
    # 1,601 pairs of standard deviation 1: the mean has a standard error of 0.025, and its law is all but normal.
    values = np.random.default_rng(5).standard_normal(1_601)
    values += shift - values.mean()
    expected = stats.ttest_1samp(values, 0).pvalue
    assert sign_flip(values, np.random.default_rng(1)) == pytest.approx(expected, abs=0.015)


def test_sign_flips_of_many_pairs_agree_with_student() -> None:
    values = np.random.default_rng(4).normal(0.2, 1.0, size=100)
    assert sign_flip(values, np.random.default_rng(1)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.04, 0.5: times 4, 3, 2, 1 gives 0.04, 0.06, 0.08, 0.5."""
    assert holm([0.5, 0.04, 0.01, 0.02]) == pytest.approx([0.5, 0.08, 0.04, 0.06])
    assert holm([0.4, 0.4]).tolist() == [0.8, 0.8]
    assert holm([]).tolist() == []


def test_pairing_of_equal_variances_is_one_over_one_less_the_correlation() -> None:
    """Var(a) + Var(b) over Var(a - b), with unit variances and correlation 0.9: 2 / 0.2 = 10."""
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=200_000), rng.normal(size=(2, 200_000))
    one, other = np.sqrt(0.9) * common + np.sqrt(0.1) * own
    found = pairing(one, other)
    assert found.correlation == pytest.approx(0.9, abs=0.005)
    assert found.variance_ratio == pytest.approx(10.0, rel=0.02)


def test_pairs_that_differ_by_a_constant_need_one_pair() -> None:
    values = np.array([1.0, 5.0, 2.0])
    assert np.isinf(pairing(values, values + 1.0).variance_ratio)
    assert pairing([1.0, 1.0], [2.0, 2.0]).variance_ratio == 1.0
