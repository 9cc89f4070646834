"""How unequally a burden lies, how far a fund reaches, how a cascade grows: functions of plain arrays.

Shares and probabilities are decimals; money is in whatever unit goes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from contagion.errors import InputError


def as_vector(name: str, values, *, least: int = 1, lowest: float = -np.inf) -> np.ndarray:
    """Values as a 1-D array of finite numbers.

    Raises
    ------
    InputError
        Fewer than `least`, one below `lowest`, or one that is no finite number.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < least or not np.all(np.isfinite(array)) or np.any(array < lowest):
        bound = "" if np.isinf(lowest) else f", none below {lowest:g}"
        raise InputError(name, values, f"one dimension with at least {least} finite number(s){bound}")
    return array


def as_share(name: str, value: float) -> float:
    """A number strictly between 0 and 1; `InputError` otherwise."""
    if not 0.0 < value < 1.0:
        raise InputError(name, value, "a number strictly between 0 and 1")
    return float(value)


# -- concentration --------------------------------------------------------------------------------------------------


def lorenz(values) -> tuple[np.ndarray, np.ndarray]:
    """Lorenz curve: the share of the total that the smallest hold (Lorenz 1905).

    Parameters
    ----------
    values : array_like of shape (n,)
        Not negative.

    Returns
    -------
    population, share : ndarray of shape (n + 1,)
        Cumulative shares, from 0 to 1. Where the total is zero the curve is the diagonal: all bear the same. [1]

    Examples
    --------
    >>> population, share = lorenz([3, 1])
    >>> population.tolist(), share.tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.25, 1.0])
    """
    ordered = np.sort(as_vector("values", values, lowest=0.0))
    population = np.linspace(0.0, 1.0, len(ordered) + 1)
    total = ordered.sum()
    if total == 0.0:
        return population, population.copy()
    return population, np.concatenate([[0.0], np.cumsum(ordered) / total])


def gini(values) -> float:
    """Gini coefficient of a population, without the n / (n - 1) correction of a sample; 0 where the total is zero. [1]

    Examples
    --------
    >>> round(gini([1, 2, 3, 4]), 12)
    0.25
    """
    ordered = np.sort(as_vector("values", values, lowest=0.0))
    n, total = len(ordered), ordered.sum()
    if total == 0.0:
        return 0.0
    return float((2.0 * np.arange(1, n + 1) - n - 1.0) @ ordered / (n * total))


def pareto_gini(alpha: float) -> float:
    """Gini coefficient ``1 / (2 alpha - 1)`` of a Pareto distribution, to compare sizes and burdens with. [1]

    Raises
    ------
    InputError
        At or below a tail index of 1 there is no mean, so no coefficient.

    Examples
    --------
    >>> pareto_gini(1.5)
    0.5
    """
    if not alpha > 1.0:
        raise InputError("alpha", alpha, "a tail index above 1")
    return 1.0 / (2.0 * alpha - 1.0)


def hhi(values) -> float:
    """Herfindahl-Hirschman index: sum of squared shares, from 1 / n to 1; 0 where the total is zero. [1]

    Examples
    --------
    >>> round(hhi([1, 2, 3, 4]), 12)
    0.3
    """
    array = as_vector("values", values, lowest=0.0)
    total = array.sum()
    return float(np.square(array / total).sum()) if total > 0.0 else 0.0


def top_share(values, fraction: float = 0.0) -> float:
    """Share of the total held by the largest ``max(1, ceil(fraction * n))``; 0 where the total is zero. [1]

    Examples
    --------
    >>> top_share([1, 2, 3, 4]), top_share([1, 2, 3, 4], 0.5)
    (0.4, 0.7)
    """
    array = as_vector("values", values, lowest=0.0)
    if not 0.0 <= fraction <= 1.0:
        raise InputError("fraction", fraction, "a number from 0 to 1")
    count, total = max(1, int(np.ceil(fraction * len(array) - 1e-9))), array.sum()
    return float(np.partition(array, len(array) - count)[len(array) - count :].sum() / total) if total > 0.0 else 0.0


def hill(values, k: int) -> float:
    """Tail index from the `k` largest values: ``k / sum of log(x_i / x_(k+1))`` (Hill 1975). [1]

    Parameters
    ----------
    values : array_like of shape (n,)
        The ``k + 1`` largest positive and not all equal.
    k : int
        Number of upper order statistics, below n.

    Examples
    --------
    >>> round(hill([16, 8, 4, 2, 1], 4), 6)
    0.577078
    """
    array = as_vector("values", values, least=2)
    if not 1 <= k < len(array):
        raise InputError("k", k, f"a whole number from 1 to {len(array) - 1}, one less than there are values")
    largest = np.sort(array)[::-1][: k + 1]
    if not largest[-1] > 0.0 or largest[0] == largest[-1]:
        raise InputError("values", largest.tolist(), f"{k + 1} largest values that are positive and not all equal")
    return float(k / np.log(largest[:-1] / largest[-1]).sum())


# -- intervals ------------------------------------------------------------------------------------------------------


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927): sensible at 0 and n, where the normal interval is not. [1]

    Examples
    --------
    >>> low, high = wilson(12, 1000)
    >>> round(low, 6), round(high, 6)
    (0.006878, 0.020857)
    """
    from scipy.special import ndtri

    if not 0 <= successes <= trials or trials == 0:
        raise InputError("successes", successes, f"a count from 0 to the number of trials, {trials}")
    z = float(ndtri(0.5 + as_share("confidence", confidence) / 2.0))
    share, scale = successes / trials, 1.0 + z * z / trials
    centre = (share + z * z / (2.0 * trials)) / scale
    half = z * np.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials)) / scale
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return float(low), float(1.0 if successes == trials else min(1.0, centre + half))


def bootstrap_interval(
    values, rng: np.random.Generator, statistic: Callable = np.mean, confidence: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over runs (Efron 1979).

    Parameters
    ----------
    values : array_like of shape (n,)
        One number a run.
    rng : numpy.random.Generator
        Source of the resamples; the same generator state gives the same interval.
    statistic : callable
        Takes an array and ``axis``, as NumPy's reductions do.

    Examples
    --------
    >>> bootstrap_interval([2.0, 2.0, 2.0], np.random.default_rng(1))
    (2.0, 2.0)
    """
    from scipy.stats import bootstrap

    array = as_vector("values", values)
    as_share("confidence", confidence)
    if np.all(array == array[0]):
        same = float(statistic(array, axis=-1))
        return same, same
    found = bootstrap(
        (array,), statistic, n_resamples=resamples, confidence_level=confidence, method="percentile", random_state=rng,
        vectorized=True,
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


# -- funds, deleveraging, cascades ----------------------------------------------------------------------------------


class FundCoverage(NamedTuple):
    """What a fund did about each deficit."""

    coverage: np.ndarray  # share of each deficit it paid, 1 where there was none [1]
    residual: np.ndarray  # what it left of each
    fund_after: float
    breach_rate: float  # share of periods with a residual [1]


def fund_coverage(fund: float, deficits) -> FundCoverage:
    """A fund pays deficits in their order until it is empty.

    Parameters
    ----------
    fund : float
        Money in the fund before the first, not negative.
    deficits : array_like of shape (n,)
        One a period, not negative.

    Examples
    --------
    >>> found = fund_coverage(10, [4, 0, 8, 5])
    >>> found.coverage.tolist(), found.residual.tolist(), found.breach_rate
    ([1.0, 1.0, 0.75, 0.0], [0.0, 0.0, 2.0, 5.0], 0.5)
    """
    deficits = as_vector("deficits", deficits, lowest=0.0)
    if not fund >= 0.0:
        raise InputError("fund", fund, "a number, not negative")
    before = np.maximum(0.0, fund - (np.cumsum(deficits) - deficits))
    paid = np.minimum(before, deficits)
    coverage = np.divide(paid, deficits, out=np.ones_like(deficits), where=deficits > 0.0)
    residual = deficits - paid
    return FundCoverage(coverage, residual, float(before[-1] - paid[-1]), float(np.mean(residual > 0.0)))


class Overuse(NamedTuple):
    """Deleveraging against its need. Published ratios differ tenfold with the denominator: this one is the need."""

    ou_needed: float  # collected / needed [1]
    overshoot: float  # collected - needed
    tracking_regret: float  # sum of |collected - needed| over waves


def adl_overuse(haircut, needed) -> Overuse:
    """What deleveraging collected against what it had to, wave by wave (Chitra, arXiv 2512.01112).

    Parameters
    ----------
    haircut, needed : array_like of shape (n_waves,)
        Not negative; `needed` not all zero.

    Examples
    --------
    >>> adl_overuse([5, 1, 14], [2, 2, 1])
    Overuse(ou_needed=4.0, overshoot=15.0, tracking_regret=17.0)
    """
    haircut, needed = as_vector("haircut", haircut, lowest=0.0), as_vector("needed", needed, lowest=0.0)
    if len(haircut) != len(needed) or not needed.sum() > 0.0:
        raise InputError("needed", needed.tolist(), f"{len(haircut)} numbers, one a wave, not all zero")
    total, need = float(haircut.sum()), float(needed.sum())
    return Overuse(total / need, total - need, float(np.abs(haircut - needed).sum()))


def loss_multiplier(total_loss: float, first_round_loss: float) -> float:
    """Total loss over the loss before any reaction to it. [1]

    Examples
    --------
    >>> loss_multiplier(36, 12)
    3.0
    """
    if not first_round_loss > 0.0:
        raise InputError("first_round_loss", first_round_loss, "a number above 0")
    return total_loss / first_round_loss


def branching_ratios(new) -> np.ndarray:
    """New events of each round over those of the round before, shape (n - 1,); nan after a round without any. [1]

    Examples
    --------
    >>> branching_ratios([1, 3, 6, 3]).tolist()
    [3.0, 2.0, 0.5]
    """
    new = as_vector("new", new, lowest=0.0)
    return np.divide(new[1:], new[:-1], out=np.full(len(new) - 1, np.nan), where=new[:-1] > 0.0)
