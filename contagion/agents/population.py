"""Who is in the market: heavy-tailed sizes and leverage, each entity's draw belonging to its own key.

Every function turns uniforms in (0, 1), one per entity, into values by inverting a distribution function, so a value
is monotone in its uniform and adding an entity changes nobody else's draw.
"""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.streams import Streams


def uniform_for_keys(seed: int, purpose: str, keys: np.ndarray) -> np.ndarray:
    """One uniform in (0, 1) per entity key; depends only on (seed, purpose, key).

    Parameters
    ----------
    keys : ndarray of uint64
        Keys made from content, any shape.
    """
    return Streams(seed).uniforms(purpose, keys)


def pareto(uniforms: np.ndarray, alpha: float, minimum: float = 1.0, maximum: float = np.inf) -> np.ndarray:
    """Pareto values on [minimum, maximum]: P(X > x) falls as x^-alpha, the mass above ``maximum`` spread below it.

    Parameters
    ----------
    alpha : float
        Tail index, above 0; at or below 1 the untruncated distribution has no mean.
    minimum, maximum : float
        Bounds, in the units of the result.
    """
    _positive("alpha", alpha)
    _positive("minimum", minimum)
    if not maximum > minimum:
        raise InputError("maximum", maximum, f"a number above the minimum, {minimum:g}")
    covered = -np.expm1(alpha * np.log(minimum / maximum)) if np.isfinite(maximum) else 1.0
    return np.minimum(minimum * (1.0 - covered * np.asarray(uniforms, float)) ** (-1.0 / alpha), maximum)


def pareto_mean(alpha: float, minimum: float, maximum: float) -> float:
    """Mean of the truncated Pareto: alpha L^alpha integral of x^-alpha over [L, H], over 1 - (L / H)^alpha."""
    span = np.log(maximum / minimum)
    tail = span if abs(alpha - 1.0) * span < 1e-9 else np.expm1((1.0 - alpha) * span) / (1.0 - alpha)
    return float(alpha * minimum * tail / -np.expm1(-alpha * span))


def pareto_sizes(uniforms: np.ndarray, alpha: float, total: float, largest_share: float = 1.0) -> np.ndarray:
    """Pareto sizes that add up to ``total``, none above ``largest_share`` of it.

    The distribution is truncated at that share and its minimum set so that the expected sum is the total; then all
    sizes are scaled to the exact sum, those at the cap staying there.

    Parameters
    ----------
    uniforms : ndarray of shape (n,)
        One per entity.
    alpha : float
        Tail index.
    total : float
        What the sizes add up to, for example the open interest of one side. [USD]
    largest_share : float
        Largest single size over the total; at least 1 / n.

    Returns
    -------
    ndarray of shape (n,)
        [USD]

    Raises
    ------
    InputError
        Parameters not positive, or n entities under the cap cannot hold the total.
    """
    from scipy.optimize import brentq

    uniforms = np.asarray(uniforms, float)
    count = len(uniforms)
    _positive("alpha", alpha)
    _positive("total", total)
    _feasible(count, largest_share)
    maximum, mean = total * largest_share, total / max(count, 1)
    if count * largest_share <= 1.0 + 1e-12:
        return np.full(count, mean)

    def excess(log_minimum: float) -> float:
        return float(np.log(pareto_mean(alpha, np.exp(log_minimum), 1.0) * maximum / mean))

    minimum = maximum * float(np.exp(brentq(excess, -700.0, -1e-12)))
    return scale_to_total(pareto(uniforms, alpha, minimum, maximum), total, largest_share)


def scale_to_total(sizes: np.ndarray, total: float, largest_share: float = 1.0) -> np.ndarray:
    """Sizes times one factor, capped at ``largest_share`` of the total, so that they add up to ``total``.

    Raises
    ------
    InputError
        A size not positive, or the cap below 1 / n.
    """
    sizes = np.asarray(sizes, float)
    if not (np.isfinite(sizes) & (sizes > 0.0)).all():
        raise InputError("sizes", sizes[~(np.isfinite(sizes) & (sizes > 0.0))][0], "finite numbers above 0")
    _feasible(len(sizes), largest_share)
    cap = total * largest_share
    # With the k largest at the cap, the factor of the rest is (total - k cap) / their sum; the smallest k for which
    # the largest of the rest stays under the cap is the answer.
    descending = np.sort(sizes)[::-1]
    rest = np.cumsum(descending[::-1])[::-1]
    factors = (total - cap * np.arange(len(sizes))) / rest
    fits = descending * factors <= cap * (1.0 + 1e-12)
    factor = factors[np.argmax(fits)] if fits.any() else np.inf
    return np.minimum(sizes * factor, cap)


def lognormal(uniforms: np.ndarray, median: float, sigma: float) -> np.ndarray:
    """Lognormal values with a median and a standard deviation ``sigma`` of the log."""
    from scipy.special import ndtri

    _positive("median", median)
    if not (np.isfinite(sigma) and sigma >= 0.0):
        raise InputError("sigma", sigma, "a finite number, at least 0")
    return median * np.exp(sigma * ndtri(np.asarray(uniforms, float)))


def leverage(uniforms: np.ndarray, median: float, sigma: float, cap: float) -> np.ndarray:
    """Lognormal leverage (notional over margin) that the venue caps; the mass above the cap sits at it."""
    _positive("cap", cap)
    return np.minimum(lognormal(uniforms, median, sigma), cap)


def from_quantiles(uniforms: np.ndarray, probabilities: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values from recorded quantiles: the log of the value is linear in the probability between them.

    Below the first and above the last recorded probability the value is the recorded one: no tail is invented.

    Parameters
    ----------
    probabilities : ndarray of shape (k,)
        Increasing, in (0, 1), for example 0.01 ... 0.999.
    values : ndarray of shape (k,)
        Quantiles, positive, not decreasing.
    """
    probabilities, values = np.asarray(probabilities, float), np.asarray(values, float)
    if probabilities.shape != values.shape or probabilities.ndim != 1 or len(values) < 2:
        accepted = "as many probabilities as values, at least 2"
        raise InputError("quantiles", (probabilities.shape, values.shape), accepted)
    if not ((np.diff(probabilities) > 0).all() and probabilities[0] > 0.0 and probabilities[-1] < 1.0):
        raise InputError("probabilities", probabilities.tolist(), "increasing numbers in (0, 1)")
    if not ((values > 0).all() and np.isfinite(values).all() and (np.diff(values) >= 0).all()):
        raise InputError("values", values.tolist(), "finite numbers above 0 that do not decrease")
    return np.exp(np.interp(np.asarray(uniforms, float), probabilities, np.log(values)))


def _positive(field: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0.0):
        raise InputError(field, value, "a finite number above 0")


def _feasible(count: int, largest_share: float) -> None:
    if not 0.0 < largest_share <= 1.0 or (count and count * largest_share < 1.0 - 1e-12):
        raise InputError("truncate", largest_share, f"a share from 1 / {count} (so that {count} can hold all) to 1")
