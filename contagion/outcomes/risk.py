"""Risk measures across runs: tails of losses and systemic shares. Losses are positive numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contagion.errors import InputError
from contagion.outcomes.measures import as_share, as_vector

# -- tails ----------------------------------------------------------------------------------------------------------


class Tail(NamedTuple):
    """Value at risk and expected shortfall, in the unit of the losses."""

    var: float
    es: float


def historical_var_es(losses, quantile: float) -> Tail:
    """Quantile of losses, and the mean of the worst ``(1 - quantile) n`` of them.

    VaR is the smallest loss whose empirical distribution reaches the quantile. Where ``(1 - quantile) n`` is not whole
    the loss on its edge counts by the fraction (Acerbi-Tasche 2002, Proposition 4.1).

    Examples
    --------
    >>> tail = historical_var_es([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.8)
    >>> tail.var, round(tail.es, 12)
    (8.0, 9.5)
    """
    ordered, as_given = np.sort(as_vector("losses", losses)), as_share("quantile", quantile)
    n = len(ordered)
    var = ordered[max(0, int(np.ceil(as_given * n - 1e-9)) - 1)]
    weight = np.clip((1.0 - as_given) * n - np.arange(n), 0.0, 1.0)
    return Tail(float(var), float(ordered[::-1] @ weight / weight.sum()))


def gaussian_es(quantile: float, sigma: float = 1.0) -> float:
    """Expected shortfall ``sigma phi(z_q) / (1 - q)`` of a normal loss of mean zero, in the unit of `sigma`.

    Examples
    --------
    >>> round(gaussian_es(0.95), 6)
    2.062713
    """
    from scipy.special import ndtri

    z = float(ndtri(as_share("quantile", quantile)))
    return float(sigma * _density(z) / (1.0 - quantile))


def fund_size(deficits, breach_rate: float) -> float:
    """Smallest fund that a share `breach_rate` of runs at most exhausts, in the unit of the deficits.

    At ``breach_rate = r / kappa`` it minimises ``r K + kappa E[(D - K)+]``, the cost of holding a fund plus that of
    falling short (Chitra, arXiv 2512.01112; the newsvendor's quantile).

    Examples
    --------
    >>> fund_size([0, 0, 0, 1, 2, 3, 4, 5, 6, 7], 0.2)
    5.0
    """
    return historical_var_es(deficits, 1.0 - as_share("breach_rate", breach_rate)).var


def loss_beyond_margin(margin_rate, step_sigma):
    """Expected loss of an unhedged position beyond its maintenance margin in one normal step.

    ``sigma (phi(a) - a (1 - Phi(a)))`` with ``a = margin / sigma``: the floor of what trading costs others.

    Parameters
    ----------
    margin_rate, step_sigma : float or array_like
        Maintenance margin and standard deviation of the step, over notional. [1]

    Returns
    -------
    float or ndarray
        Over notional; times 1e4 for basis points. [1]

    Examples
    --------
    >>> round(1e4 * float(loss_beyond_margin(0.01, 0.01)), 4)
    8.3315
    """
    from scipy.special import ndtr

    margin_rate, step_sigma = np.asarray(margin_rate, dtype=float), np.asarray(step_sigma, dtype=float)
    if not np.all(step_sigma > 0.0):
        raise InputError("step_sigma", step_sigma, "numbers above 0")
    a = margin_rate / step_sigma
    return step_sigma * (_density(a) - a * ndtr(-a))


# -- systemic shares ------------------------------------------------------------------------------------------------


def mes(losses, system_losses, quantile: float) -> float:
    """Marginal expected shortfall: an agent's mean loss in the worst ``(1 - quantile) n`` runs of the system.

    Acharya, Pedersen, Philippon and Richardson (2017), in losses. Runs are ordered by the system's loss; the one on the
    edge counts by the fraction.

    Parameters
    ----------
    losses, system_losses : array_like of shape (n_runs,)

    Examples
    --------
    >>> round(mes([5, 0, 1, 2], [1, 2, 3, 4], 0.5), 12)
    1.5
    """
    losses, system = paired(losses, system_losses)
    worst = np.argsort(-system, kind="stable")
    weight = np.clip((1.0 - as_share("quantile", quantile)) * len(losses) - np.arange(len(losses)), 0.0, 1.0)
    return float(losses[worst] @ weight / weight.sum())


def delta_covar(losses, system_losses, quantile: float, band: float = 0.05) -> float:
    """Delta CoVaR: the system's quantile when an agent is at its VaR, less when it is at its median.

    Adrian and Brunnermeier (2016). "At" is read as the runs whose rank of the agent's loss is within ``band / 2`` of
    the quantile, or of one half: no form of dependence is assumed, as a quantile regression would, but it takes many
    runs.

    Parameters
    ----------
    losses, system_losses : array_like of shape (n_runs,)
    band : float
        Width of the window of ranks. [1]

    Examples
    --------
    >>> x = np.arange(1000.0)
    >>> delta_covar(x, 2.0 * x, 0.95, band=0.002)
    900.0
    """
    losses, system = paired(losses, system_losses)
    as_share("band", band)
    as_share("quantile", quantile)
    rank = (np.argsort(np.argsort(losses, kind="stable"), kind="stable") + 0.5) / len(losses)
    covar = []
    for level in (quantile, 0.5):
        near = np.abs(rank - level) <= band / 2.0 + 1e-12
        if not near.any():
            raise InputError("band", band, f"wide enough to hold one of {len(losses)} runs")
        covar.append(historical_var_es(system[near], quantile).var)
    return covar[0] - covar[1]


class GaussianSystemic(NamedTuple):
    """In standard deviations of the measured party."""

    mes: float
    delta_covar: float
    covar: float


def gaussian_systemic(correlation: float, quantile: float) -> GaussianSystemic:
    """MES, Delta CoVaR and CoVaR of two standard normal losses: ``rho ES``, ``rho z``, ``rho z + sqrt(1 - rho^2) z``.

    Examples
    --------
    >>> [round(value, 4) for value in gaussian_systemic(0.5, 0.95)]
    [1.0314, 0.8224, 2.2469]
    """
    from scipy.special import ndtri

    if not -1.0 <= correlation <= 1.0:
        raise InputError("correlation", correlation, "a number from -1 to 1")
    z = float(ndtri(as_share("quantile", quantile)))
    delta = correlation * z
    return GaussianSystemic(correlation * gaussian_es(quantile), delta, delta + float(np.sqrt(1 - correlation**2)) * z)


def srisk(debt: float, market_equity: float, k: float, lrmes: float) -> float:
    """Capital shortfall in a crisis, ``max(0, k D - (1 - k) W (1 - LRMES))`` (Brownlees-Engle 2017). [money]

    Parameters
    ----------
    k : float
        Capital that must be held over assets. [1]
    lrmes : float
        Expected share of equity lost in the crisis. [1]

    Examples
    --------
    >>> round(srisk(900, 100, 0.08, 0.4), 12)
    16.8
    """
    return max(0.0, k * debt - (1.0 - k) * market_equity * (1.0 - lrmes))


def _density(x):
    return np.exp(-0.5 * np.square(x)) / np.sqrt(2.0 * np.pi)


def paired(first, second) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors with an entry a run; `InputError` otherwise."""
    first, second = as_vector("losses", first), as_vector("system_losses", second)
    if len(first) != len(second):
        raise InputError("system_losses", len(second), f"as many runs as the other argument has, {len(first)}")
    return first, second
