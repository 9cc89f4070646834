"""Estimates over independent units, each with an interval: means, tails, differences, and tests of them.

A *unit* is what was drawn independently: a world where worlds are sampled, otherwise a replication. Runs of one unit
may depend on each other, so they are averaged, or weighted together, before anything is said about chance.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import stats

from contagion.errors import InputError
from contagion.outcomes.measures import as_share, as_vector

RESAMPLES = 2000
PERMUTATIONS = 9999
CELLS = 4_000_000
"""Numbers that a batch of resamples may hold."""
MANY = 1_000
"""Pairs above which random sign changes are drawn as bits."""


class Estimate(NamedTuple):
    """A number and its interval, in the unit of the values; the interval is nan where two or more units are lacking."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval."""
        return (self.high - self.low) / 2.0


def mean_interval(
    values, rng: np.random.Generator, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Estimate:
    """Mean over units with its bootstrap interval, bias-corrected and accelerated (BCa; Efron 1987; by SciPy).

    Parameters
    ----------
    values : array_like of shape (n_units,)
        One number an independent unit; differences of pairs for a paired comparison.

    Examples
    --------
    >>> mean_interval([2.0, 2.0, 2.0], np.random.default_rng(1))
    Estimate(value=2.0, low=2.0, high=2.0)
    """
    array = as_vector("values", values)
    as_share("confidence", confidence)
    mean = float(array.mean())
    if len(array) < 2:
        return Estimate(mean, np.nan, np.nan)
    if np.ptp(array) == 0.0:
        return Estimate(mean, mean, mean)
    batch = max(1, CELLS // len(array))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that nearly all agree: answered below
        found = stats.bootstrap(
            (array,), np.mean, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=rng,
            vectorized=True, batch=batch,
        )  # fmt: skip
    low, high = found.confidence_interval
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = np.quantile(found.bootstrap_distribution, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(mean, float(low), float(high))


def expected_shortfall(values, weights, quantile: float) -> np.ndarray:
    """Mean of the highest ``1 - quantile`` of weighted values, once per row of weights. In the unit of the values.

    With equal weights the expected shortfall of :func:`contagion.outcomes.risk.historical_var_es`: the value on the
    edge counts by the fraction (Acerbi-Tasche 2002, Proposition 4.1).

    Parameters
    ----------
    values : array_like of shape (n,)
    weights : array_like of shape (k, n) or (n,)
        Not negative, not all zero in a row.

    Examples
    --------
    >>> expected_shortfall([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1] * 10, 0.8).tolist()
    [9.5]
    """
    values = as_vector("values", values)
    tail = 1.0 - as_share("quantile", quantile)
    order = np.argsort(-values, kind="stable")
    weight = np.atleast_2d(np.asarray(weights, dtype=float))[:, order]
    weight = weight / weight.sum(axis=1, keepdims=True)
    before = np.cumsum(weight, axis=1) - weight
    inside = np.clip(tail - before, 0.0, weight)
    return inside @ values[order] / inside.sum(axis=1)


def tail_interval(
    values, units, rng: np.random.Generator, quantile: float = 0.95, confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Estimate:  # fmt: skip
    """Expected shortfall over runs, with a percentile bootstrap interval that resamples units.

    Parameters
    ----------
    values : array_like of shape (n_runs,)
        Losses: the highest are the tail.
    units : array_like of shape (n_runs,)
        Number of each run's unit, from 0.
    """
    values, units = as_vector("values", values), np.asarray(units, dtype=np.int64)
    count = int(units.max()) + 1
    each = 1.0 / np.bincount(units, minlength=count)[units]
    value = float(expected_shortfall(values, each, quantile)[0])
    if count < 2:
        return Estimate(value, np.nan, np.nan)
    found = [
        expected_shortfall(values, counts[:, units] * each, quantile)
        for counts in unit_counts(count, rng, resamples, len(values))
    ]
    low, high = np.quantile(np.concatenate(found), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))


def unit_counts(units: int, rng: np.random.Generator, resamples: int, width: int | None = None):
    """How often each unit is in each bootstrap resample: arrays of shape (some, units) whose rows sum to `units`.

    Parameters
    ----------
    width
        Numbers a resample takes in the caller's hands, which bounds the rows of one array.
    """
    batch = max(1, CELLS // max(width or units, units))
    for start in range(0, resamples, batch):
        yield rng.multinomial(units, np.full(units, 1.0 / units), size=min(batch, resamples - start)).astype(float)


def sign_flip(differences, rng: np.random.Generator, permutations: int = PERMUTATIONS) -> float:
    """Two-sided p-value of a mean difference of pairs under exchange within pairs (Fisher 1935; by SciPy). [1]

    Exact where ``2 ** n`` is at most `permutations`, otherwise from that many random sign changes.

    Examples
    --------
    >>> sign_flip([1.0, 2.0, 3.0, 4.0], np.random.default_rng(1))
    0.125
    """
    array = as_vector("differences", differences)
    if len(array) < 2 or not array.any():
        return 1.0
    if len(array) > MANY:
        return _by_random_signs(array, rng, permutations)
    flipped = stats.permutation_test(
        (array,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=permutations, rng=rng, batch=max(1, CELLS // len(array)),
    )  # fmt: skip
    return float(flipped.pvalue)


def _by_random_signs(array: np.ndarray, rng: np.random.Generator, permutations: int) -> float:
    """The same for long series: signs are bits and a sum is a matrix product, ten times faster. [1]"""
    observed = array.sum()
    as_high = as_low = 0
    rows = max(1, CELLS // len(array))
    slack = 1e-14 * abs(observed)  # equal sums differ by rounding
    for first in range(0, permutations, rows):
        count = min(rows, permutations - first)
        bits = np.unpackbits(rng.integers(0, 256, (count, -(-len(array) // 8)), np.uint8), axis=1, count=len(array))
        sums = observed - 2.0 * (bits.astype(float) @ array)
        as_high += int((sums >= observed - slack).sum())
        as_low += int((sums <= observed + slack).sum())
    return min(1.0, 2.0 * (1 + min(as_high, as_low)) / (permutations + 1))


def holm(p_values) -> np.ndarray:
    """p-values adjusted so that the chance of one false rejection or more stays below their level (Holm 1979). [1]

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(12).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(values) else steps
    return adjusted


class Pairing(NamedTuple):
    """What common random numbers save.

    ``variance_ratio`` is runs of independent seeds over paired runs for the same interval of the difference; infinite
    where pairs always differ by the same, 1 where nothing varies. [1]
    """

    correlation: float
    variance_ratio: float


def pairing(values, base) -> Pairing:
    """Correlation of pairs, and the variance of independent differences over that of paired ones.

    Parameters
    ----------
    values, base : array_like of shape (n_units,)

    Examples
    --------
    >>> pairing([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0]).variance_ratio.__round__(6)
    6.333333
    """
    values, base = as_vector("values", values, least=2), as_vector("base", base, least=2)
    if len(values) != len(base):
        raise InputError("base", len(base), f"{len(values)} values, one a pair")
    apart, together = values.var(ddof=1) + base.var(ddof=1), (values - base).var(ddof=1)
    spread = values.std(ddof=1) * base.std(ddof=1)
    scale = 1e-18 * float(max(np.square(values).max(), np.square(base).max(), 1e-300))
    if together <= scale:  # equal but for rounding
        return Pairing(1.0 if spread > 0.0 else np.nan, np.inf if apart > scale else 1.0)
    correlation = float(np.cov(values, base)[0, 1] / spread) if spread > 0.0 else np.nan
    return Pairing(correlation, float(apart / together))
