"""European options at a flat volatility: Black-Scholes value and greeks without interest or carry.

Arrays broadcast. A right is +1 for a call and -1 for a put. At expiry, or without volatility, the value is what
exercise would give.
"""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt

import numba as nb

YEAR = 365.0
"""Days of a year, for the time to expiry in volatility shocks and theta per day."""


@nb.njit(cache=True, inline="always")
def _normal(x):
    return 0.5 * (1.0 + erf(x / sqrt(2.0)))


@nb.njit(cache=True, inline="always")
def _density(x):
    return exp(-0.5 * x * x) / sqrt(2.0 * pi)


@nb.njit(cache=True)
def _greeks(spot, strike, years, volatility, right):
    """Value, delta, gamma, vega and theta of one unit."""
    inside = right * (spot - strike)
    spread = volatility * sqrt(max(years, 0.0))
    if spread <= 0.0 or spot <= 0.0:
        delta = right if inside > 0.0 else 0.0
        return max(inside, 0.0), delta, 0.0, 0.0, 0.0
    up = log(spot / strike) / spread + 0.5 * spread
    down = up - spread
    value = right * (spot * _normal(right * up) - strike * _normal(right * down))
    density = _density(up)
    vega = spot * density * sqrt(years)
    return (
        max(value, 0.0), right * _normal(right * up), density / (spot * spread), vega,
        -0.5 * vega * volatility / years,
    )


@nb.vectorize(cache=True)
def option_value(spot, strike, years, volatility, right):
    """Black-Scholes (1973) value of one unit, no interest. [USD]

    Parameters
    ----------
    spot, strike : ndarray
        [USD]
    years : ndarray
        Time to expiry; at or below zero the value is intrinsic.
    volatility : ndarray
        Annualised.
    right : ndarray
        +1 for a call, -1 for a put.
    """
    return _greeks(spot, strike, years, volatility, right)[0]


@nb.njit(cache=True)
def value_options(rows, spot, strike, years, volatility, right, value, greeks):
    """Value and greeks of listed instruments, in place.

    Parameters
    ----------
    rows : ndarray of int
        Which of the instruments are options.
    spot, strike, years, volatility, right : ndarray of shape (len(rows),)
        As for :func:`option_value`.
    value : ndarray of shape (n_instruments,)
        Gets the value of a unit. [USD]
    greeks : ndarray of shape (n_instruments, 4)
        Gets delta [1], gamma [1/USD], vega [USD per unit of volatility] and theta [USD per year].
    """
    for i in range(len(rows)):
        found = _greeks(spot[i], strike[i], years[i], volatility[i], right[i])
        value[rows[i]] = found[0]
        for g in range(4):
            greeks[rows[i], g] = found[g + 1]
