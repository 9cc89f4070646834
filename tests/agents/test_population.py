"""Sizes and leverage: closed forms of the distributions, exact totals, caps, and draws that belong to a key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contagion.agents.population import (
    from_quantiles,
    leverage,
    lognormal,
    pareto,
    pareto_mean,
    pareto_sizes,
    scale_to_total,
    uniform_for_keys,
)
from contagion.errors import InputError

N = 200_000
MIDPOINTS = (np.arange(N) + 0.5) / N
KEYS = np.arange(100_000, dtype=np.uint64)


def gini(values: np.ndarray) -> float:
    ordered = np.sort(values)
    ranks = np.arange(1, len(values) + 1)
    return float(2 * (ranks * ordered).sum() / (len(values) * ordered.sum()) - (len(values) + 1) / len(values))


def test_keyed_uniforms_are_uniform_and_strictly_inside() -> None:
    uniforms = uniform_for_keys(7, "size", KEYS)
    assert stats.kstest(uniforms, "uniform").pvalue > 0.01
    # Consecutive keys: lag-one correlation of n uniforms has standard error 1 / sqrt(n).
    assert abs(np.corrcoef(uniforms[:-1], uniforms[1:])[0, 1]) < 4 / np.sqrt(len(KEYS))
    assert uniforms.min() > 0 and uniforms.max() < 1


@pytest.mark.parametrize(("seed", "purpose"), [(7, "leverage"), (8, "size")])
def test_purposes_and_seeds_are_independent(seed: int, purpose: str) -> None:
    first, second = uniform_for_keys(7, "size", KEYS), uniform_for_keys(seed, purpose, KEYS)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(KEYS))
    # Joint uniformity on a 10 x 10 grid: chi-square with 99 degrees of freedom.
    counts = np.histogram2d(first, second, bins=10, range=[[0, 1], [0, 1]])[0].ravel()
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_value_belongs_to_its_key_alone() -> None:
    chosen = KEYS[[99, 5, 70_000]]
    np.testing.assert_array_equal(
        uniform_for_keys(7, "size", chosen), uniform_for_keys(7, "size", KEYS)[[99, 5, 70_000]]
    )


@pytest.mark.parametrize("alpha", [1.5, 3.0])
def test_pareto_gini_and_tail(alpha: float) -> None:
    values = pareto(MIDPOINTS, alpha, minimum=2.0)
    # Gini 1 / (2 alpha - 1); the missing far tail of n midpoints weighs about n^(1/alpha - 1).
    assert gini(values) == pytest.approx(1 / (2 * alpha - 1), abs=N ** (1 / alpha - 1))
    # P(X > 8) = (2 / 8)^alpha.
    assert np.mean(values > 8.0) == pytest.approx(0.25**alpha, abs=1 / N)
    # Hill estimate over the largest 2,000 keyed draws: standard error alpha / sqrt(2,000).
    drawn = np.sort(pareto(uniform_for_keys(7, "size", KEYS), alpha))[-2001:]
    hill = 1 / np.mean(np.log(drawn[1:] / drawn[0]))
    assert hill == pytest.approx(alpha, abs=4 * alpha / np.sqrt(2000))


def test_truncated_pareto_by_hand() -> None:
    # alpha = 1 on [1, 4]: F(x) = (1 - 1/x) / (1 - 1/4); median 1.6; mean ln 4 / (3/4).
    assert pareto(np.array([0.5]), 1.0, 1.0, 4.0)[0] == pytest.approx(1.6)
    assert pareto_mean(1.0, 1.0, 4.0) == pytest.approx(np.log(4) * 4 / 3)
    assert pareto_mean(1.0 + 1e-12, 1.0, 4.0) == pytest.approx(np.log(4) * 4 / 3)
    # alpha = 2 on [1, 2]: density 2 x^-3 / (3/4), mean 2 (1 - 1/2) / (3/4) = 4/3.
    assert pareto_mean(2.0, 1.0, 2.0) == pytest.approx(4 / 3)
    for alpha in (0.6, 1.0, 2.0):
        assert pareto(MIDPOINTS, alpha, 1.0, 50.0).mean() == pytest.approx(pareto_mean(alpha, 1.0, 50.0), rel=1e-4)
    assert pareto(np.array([1e-300, 1 - 2**-53]), 0.6, 1.0, 50.0) == pytest.approx([1.0, 50.0])


def test_sizes_keep_the_tail_index_below_the_cap() -> None:
    # Log-log slope of the survival function well below the cap: P(X > x) = (x^-a - H^-a) / (L^-a - H^-a).
    sizes = np.sort(pareto_sizes(MIDPOINTS, 0.8, 1e9, 0.05))
    low, high = sizes[0], 0.05e9
    at = sizes[[N // 2, 9 * N // 10, 99 * N // 100]]
    survival = (at**-0.8 - high**-0.8) / (low**-0.8 - high**-0.8)
    np.testing.assert_allclose(survival, [0.5, 0.1, 0.01], rtol=2e-3)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 300),
    st.floats(0.3, 4.0),
    st.floats(1.0, 1e12),
    st.floats(0.0, 1.0),
    st.integers(0, 2**32),
)
def test_sizes_add_up_and_none_passes_the_cap(count, alpha, total, slack, seed) -> None:
    share = 1 / count + slack * (1 - 1 / count)
    uniforms = uniform_for_keys(seed, "size", np.arange(count, dtype=np.uint64))
    sizes = pareto_sizes(uniforms, alpha, total, share)
    assert sizes.sum() == pytest.approx(total, rel=1e-9)
    assert sizes.max() <= total * share * (1 + 1e-12)
    assert (sizes > 0).all()
    # Larger uniform, larger size.
    assert (np.diff(sizes[np.argsort(uniforms)]) >= -1e-12 * total).all()


def test_scaling_by_hand() -> None:
    # 100 over sizes 6, 3, 1 with a cap of 40: one at the cap leaves 60 over 3 + 1, 45 and 15: a second at the cap
    # leaves 20 to the last.
    np.testing.assert_allclose(scale_to_total(np.array([1.0, 6.0, 3.0]), 100.0, 0.4), [20, 40, 40])
    np.testing.assert_allclose(scale_to_total(np.array([1.0, 6.0, 3.0]), 100.0), [10, 60, 30])


def test_lognormal_and_capped_leverage() -> None:
    values = lognormal(MIDPOINTS, 5.0, 0.8)
    assert np.median(values) == pytest.approx(5.0, rel=1e-4)
    # Mean 5 exp(0.8^2 / 2), Gini 2 Phi(0.8 / sqrt 2) - 1.
    assert values.mean() == pytest.approx(5 * np.exp(0.32), rel=1e-3)
    assert gini(values) == pytest.approx(2 * stats.norm.cdf(0.8 / np.sqrt(2)) - 1, abs=1e-3)
    capped = leverage(MIDPOINTS, 5.0, 0.8, 20.0)
    # Mass at the cap: P(5 exp(0.8 z) > 20) = 1 - Phi(ln 4 / 0.8).
    assert np.mean(capped == 20.0) == pytest.approx(1 - stats.norm.cdf(np.log(4) / 0.8), abs=2 / N)
    assert capped.max() == 20.0


def test_recorded_quantiles() -> None:
    # Leverage of wallets deleveraged on 10 October 2025: 5/25/50/75/90/95% = .006/.161/.434/.989/3.2/6.5.
    probabilities, values = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95], [0.006, 0.161, 0.434, 0.989, 3.2, 6.5]
    np.testing.assert_allclose(from_quantiles(np.array(probabilities), probabilities, values), values)
    # Half way in probability is the geometric mean; outside the record its ends.
    drawn = from_quantiles(np.array([0.625, 0.001, 0.999]), probabilities, values)
    np.testing.assert_allclose(drawn, [np.sqrt(0.434 * 0.989), 0.006, 6.5])


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: pareto(MIDPOINTS, 0.0), "alpha"),
        (lambda: pareto(MIDPOINTS, 1.0, 2.0, 1.0), "maximum"),
        (lambda: pareto_sizes(MIDPOINTS, 1.0, float("nan")), "total"),
        (lambda: pareto_sizes(MIDPOINTS[:10], 1.0, 1.0, 0.05), "truncate"),
        (lambda: scale_to_total(np.array([1.0, -1.0]), 1.0), "sizes"),
        (lambda: lognormal(MIDPOINTS, -1.0, 1.0), "median"),
        (lambda: lognormal(MIDPOINTS, 1.0, -1.0), "sigma"),
        (lambda: leverage(MIDPOINTS, 1.0, 1.0, 0.0), "cap"),
        (lambda: from_quantiles(MIDPOINTS, [0.5], [1.0]), "quantiles"),
        (lambda: from_quantiles(MIDPOINTS, [0.5, 0.4], [1.0, 2.0]), "probabilities"),
        (lambda: from_quantiles(MIDPOINTS, [0.5, 0.6], [2.0, 1.0]), "values"),
    ],
)
def test_bad_parameters_are_named(call, field: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert error.value.field == field
