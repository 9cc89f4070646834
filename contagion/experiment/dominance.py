"""Stochastic dominance between policies: whose distribution of outcomes anyone would prefer, and with what confidence.

First order: at every level, one is at least as likely to do at least that well. Every preference for more agrees.
Second order: its expected shortfalls below every level are no larger. Everyone who dislikes risk agrees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contagion.errors import InputError
from contagion.experiment.statistics import RESAMPLES, unit_counts
from contagion.outcomes.measures import as_vector

LEVELS = 256
ROUNDING = 1e-12
FEWEST_UNITS = 10
"""With fewer, resampling says nothing about how sure it is."""


class Dominance(NamedTuple):
    """Whether the first of two distributions dominates the second.

    ``violation`` is the largest by which it fails: of probability [1] at first order; at second order of expected
    shortfall below a level, over the range of the levels [1]. ``p_value`` tests that it dominates: small values speak
    against it; nan where units are too few to say.
    """

    violation: float
    p_value: float


def dominance(
    gains, other, units, order: int, rng: np.random.Generator, resamples: int = RESAMPLES, levels: int = LEVELS
) -> Dominance:
    """Test that `gains` dominate `other`: more is better; negate losses.

    The test of Barrett and Donald (2003) with a recentred bootstrap that keeps pairs together (Linton, Maasoumi and
    Whang 2005), resampling units.

    Parameters
    ----------
    gains, other : array_like of shape (n_runs,)
        Paired runs.
    units : array_like of shape (n_runs,)
        Number of each pair's unit, from 0.
    order : {1, 2}
    levels
        At how many levels at most the distributions are compared: all values up to that number, else their quantiles.
    """
    gains, other = as_vector("gains", gains), as_vector("other", other)
    if order not in (1, 2):
        raise InputError("order", order, "1 or 2")
    units = np.asarray(units, dtype=np.int64)
    at = np.unique(np.concatenate([gains, other]))
    if len(at) > levels:
        at = np.unique(np.quantile(at, np.linspace(0.0, 1.0, levels)))
    count, scale = int(units.max()) + 1, float(np.ptp(at)) or 1.0
    excess = _below(gains, at, order, scale) - _below(other, at, order, scale)
    by_unit = np.zeros((count, len(at)))
    np.add.at(by_unit, units, excess)
    by_unit /= np.bincount(units, minlength=count)[:, None]
    mean = by_unit.mean(axis=0)
    violation = max(0.0, float(mean.max()))
    if count < FEWEST_UNITS or violation == 0.0:
        return Dominance(violation, 1.0 if count >= FEWEST_UNITS else np.nan)
    recentred = by_unit - mean
    above = sum(
        int((np.maximum((counts @ recentred / count).max(axis=1), 0.0) >= violation).sum())
        for counts in unit_counts(count, rng, resamples, max(count, len(at)))
    )
    return Dominance(violation, (1 + above) / (1 + resamples))


def nowhere_worse(gains, other, units, order: int) -> bool:
    """Whether the runs themselves dominate: their distributions do not cross at any value (order 1), nor do the areas
    below them (order 2). A test that does not reject dominance is no sign of it; this is, for the runs at hand.

    Parameters
    ----------
    gains, other : array_like of shape (n_runs,)
        Paired runs; more is better.
    units : array_like of shape (n_runs,)
        Number of each pair's unit, from 0; units weigh the same.
    order : {1, 2}

    Examples
    --------
    >>> nowhere_worse([1.0, 9.0], [2.0, 3.0], [0, 1], 1), nowhere_worse([2.0, 3.0], [1.0, 3.5], [0, 1], 2)
    (False, True)
    """
    gains, other = as_vector("gains", gains), as_vector("other", other)
    if order not in (1, 2):
        raise InputError("order", order, "1 or 2")
    units = np.asarray(units, dtype=np.int64)
    count = int(units.max()) + 1
    weight = 1.0 / (np.bincount(units, minlength=count)[units] * count)
    values = np.concatenate([gains, other])
    rising = np.argsort(values, kind="stable")
    values, ahead = values[rising], np.cumsum(np.concatenate([weight, -weight])[rising])
    last = np.append(values[1:] > values[:-1], True)  # values that several runs share count together
    values, ahead = values[last], ahead[last]
    excess = ahead if order == 1 else np.cumsum(ahead[:-1] * np.diff(values)) / (float(np.ptp(values)) or 1.0)
    return bool(excess.max(initial=0.0) <= ROUNDING)


def _below(values: np.ndarray, at: np.ndarray, order: int, scale: float) -> np.ndarray:
    """Per value and level: whether it is at or below the level, or how far below over the range of levels."""
    short = at[None, :] - values[:, None]
    return (short >= 0.0).astype(float) if order == 1 else np.maximum(short, 0.0) / scale
