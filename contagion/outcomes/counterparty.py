"""Exposure to a counterparty over runs: what it would owe, how likely it fails, what that costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contagion.errors import InputError
from contagion.outcomes.measures import as_share, as_vector
from contagion.outcomes.risk import paired


class Exposure(NamedTuple):
    """Exposure to a counterparty, in the unit of the values."""

    ee: np.ndarray  # expected exposure at each time
    epe: float  # its average over time
    pfe: np.ndarray  # quantiles of exposure, shape (n_quantiles, n_times)
    cva: float  # LGD times the sum of EE and the probability of default in each interval


def exposure_profile(times, values, quantiles, hazard_rate: float, lgd: float) -> Exposure:
    """EE, EPE, PFE and CVA of simulated mark-to-market values, without discounting.

    Parameters
    ----------
    times : array_like of shape (n_times,)
        Increasing, from 0. [years]
    values : array_like of shape (n_runs, n_times)
        What the counterparty owes; negative values are not exposure.
    quantiles : sequence of float
        Of potential future exposure.
    hazard_rate : float
        Constant rate of the counterparty's default, independent of the values. [1 / year]
    lgd : float
        Share of exposure lost in a default. [1]

    Examples
    --------
    >>> found = exposure_profile([0, 1], [[0, 4], [0, -2]], [0.9], 0.0, 0.6)
    >>> found.ee.tolist(), found.epe, found.pfe.tolist(), found.cva
    ([0.0, 2.0], 1.0, [[0.0, 4.0]], 0.0)
    """
    times = as_vector("times", times, least=2)
    positive = np.maximum(np.asarray(values, dtype=float), 0.0)
    if positive.ndim != 2 or positive.shape[1] != len(times):
        raise InputError("values", positive.shape, f"shape (n_runs, {len(times)}), a column for each time")
    if times[0] != 0.0 or np.any(np.diff(times) <= 0.0):
        raise InputError("times", times.tolist(), "increasing numbers from 0")
    ee = positive.mean(axis=0)
    average = (ee[1:] + ee[:-1]) / 2.0
    epe = float(average @ np.diff(times) / times[-1])
    pfe = np.array([np.quantile(positive, as_share("quantiles", q), axis=0, method="inverted_cdf") for q in quantiles])
    defaults = -np.diff(np.exp(-hazard_rate * times))
    return Exposure(ee, epe, pfe, float(lgd * (average @ defaults)))


def brownian_exposure(sigma: float, horizon: float, quantiles, hazard_rate: float, lgd: float) -> Exposure:
    """The same for values that follow a Brownian motion from zero, in closed form, `ee` and `pfe` at the horizon.

    ``EE(t) = sigma sqrt(t / 2 pi)``, ``EPE = 2/3 EE(T)``, ``PFE_q = max(0, z_q) sigma sqrt(T)``, and
    ``CVA = LGD int EE(t) h exp(-h t) dt = LGD sigma P(3/2, h T) / sqrt(8 h)``, P the regularised incomplete gamma.

    Parameters
    ----------
    sigma : float
        [value / sqrt(year)]
    horizon : float
        [years]

    Examples
    --------
    >>> found = brownian_exposure(1.0, 1.0, [0.95], 0.02, 0.6)
    >>> round(float(found.ee[0]), 6), round(found.epe, 6), round(found.cva, 8)
    (0.398942, 0.265962, 0.00315351)
    """
    from scipy.special import gammainc, ndtri

    if not (sigma > 0.0 and horizon > 0.0 and hazard_rate >= 0.0):
        raise InputError("sigma, horizon, hazard_rate", (sigma, horizon, hazard_rate), "above 0, above 0, not negative")
    ee = sigma * np.sqrt(horizon / (2.0 * np.pi))
    z = np.maximum(0.0, ndtri(np.array([as_share("quantiles", q) for q in quantiles])))
    scale = sigma / np.sqrt(8.0 * hazard_rate) if hazard_rate > 0.0 else 0.0
    cva = float(lgd * scale * gammainc(1.5, hazard_rate * horizon))
    return Exposure(np.array([ee]), float(2.0 / 3.0 * ee), (z * sigma * np.sqrt(horizon))[:, None], cva)


class DefaultRisk(NamedTuple):
    """What a creditor expects of one counterparty over runs."""

    pd: float  # share of runs in which it defaults [1]
    lgd: float  # loss over exposure, summed over those runs; nan without any [1]
    expected_loss: float  # mean loss over all runs [money]


def default_risk(defaulted, exposures, losses) -> DefaultRisk:
    """Probability of default, loss given default and expected loss of one counterparty.

    Parameters
    ----------
    defaulted : array_like of bool, shape (n_runs,)
    exposures, losses : array_like of shape (n_runs,)
        At default; ignored in runs without one. [money]

    Examples
    --------
    >>> default_risk([True, False, False, True], [10, 10, 10, 30], [4, 0, 0, 16])
    DefaultRisk(pd=0.5, lgd=0.5, expected_loss=5.0)
    """
    exposures, losses = paired(exposures, losses)
    defaulted = np.asarray(defaulted, dtype=bool)
    if defaulted.shape != losses.shape:
        raise InputError("defaulted", defaulted.shape, f"one truth value for each of {len(losses)} runs")
    lost, exposed = float(losses[defaulted].sum()), float(exposures[defaulted].sum())
    return DefaultRisk(float(defaulted.mean()), lost / exposed if exposed > 0.0 else float("nan"), lost / len(losses))
