"""Portfolio margin: the worst of weighted scenarios over an account's positions, with a floor per underlying.

``IM = max(worst weighted loss, sum over assets of (net rate |net delta| + hedged rate hedged delta) spot) + fees`` with
hedged delta = (gross - |net|) / 2 and ``MM = ratio * IM`` (Paradex, docs.paradex.trade/risk/portfolio-margin). All
assets move together in a scenario, so positions in different assets offset each other but for the floor.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from contagion.margin.options import YEAR, option_value
from contagion.state.codes import InstrumentKind


class ScanScenario(NamedTuple):
    """One scenario of the scan."""

    spot: float  # relative move of the underlying
    volatility: float  # relative move of implied volatility, before the scaling by time to expiry
    weight: float  # share of the loss that counts


def term_scaling(shock: float, days: float, exponent: float, reference: float = 30.0) -> float:
    """Volatility shock of an option by its time to expiry: ``shock * (reference / max(1, days)) ** exponent``. [1]"""
    return shock * (reference / max(1.0, days)) ** exponent


@nb.njit(cache=True)
def min_delta_charge(net, hedged, net_rate, hedged_rate):
    """Least margin of an underlying: ``net_rate * |net| + hedged_rate * hedged``, deltas times spot. [USD]"""
    return net_rate * abs(net) + hedged_rate * hedged


@nb.njit(cache=True)
def scan_margin(loss, floor, fees):
    """Initial margin from the parts of a scan: ``max(loss, floor) + fees``. [settlement asset]"""
    return np.maximum(loss, floor) + fees


def loss_table(
    price: np.ndarray, sign: np.ndarray, scenarios: tuple[ScanScenario, ...],
) -> np.ndarray:
    """Weighted loss of one unit of linear (sign +1, price P) and inverse (-1, price 1/P) contracts.

    Returns
    -------
    ndarray of shape (n, n_scenarios)
        Positive is a loss of a long unit. [settlement asset]
    """
    moves = np.array([scenario.spot for scenario in scenarios])
    weight = np.array([scenario.weight for scenario in scenarios])
    growth = np.where(sign[:, None] > 0.0, 1.0 + moves, 1.0 / np.maximum(1.0 + moves, 1e-12))
    return price[:, None] * (1.0 - growth) * weight


def option_losses(
    spot: np.ndarray, strike: np.ndarray, years: np.ndarray, volatility: np.ndarray, right: np.ndarray,
    scenarios: tuple[ScanScenario, ...], exponents: tuple[float, float] = (0.30, 0.13),
) -> np.ndarray:
    """Weighted loss of one option, shape (n, n_scenarios). [USD]

    Parameters
    ----------
    exponents : tuple of float
        Of the scaling of volatility shocks by time to expiry, below and from 30 days on.
    """
    days = years * YEAR
    factor = np.array([term_scaling(1.0, day, exponents[0] if day < 30.0 else exponents[1]) for day in days])
    now = option_value(spot, strike, years, volatility, right)
    table = np.empty((len(spot), len(scenarios)))
    for column, scenario in enumerate(scenarios):
        shocked = volatility * np.maximum(0.0, 1.0 + scenario.volatility * factor)
        moved = option_value(spot * (1.0 + scenario.spot), strike, years, shocked, right)
        table[:, column] = scenario.weight * (now - moved)
    return table


_CONTRACTS = int(InstrumentKind.INVERSE)
"""Kinds up to this one are contracts."""

_BLOCK = 256
"""Accounts scanned together: their units and losses stay in the second cache."""


@nb.njit(cache=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def scan_accounts(accounts, start, book, instrument, units, loss, delta, mark, asset, kind, n_assets, scan, out):
    """Worst weighted loss, floor and fees of listed accounts, into ``out`` of shape (n, 3). [settlement asset]

    :func:`scan_margin` of them is initial margin. Losses of a block of accounts are one matrix product.

    Parameters
    ----------
    loss : ndarray of shape (n_instruments, n_scenarios)
        Weighted loss of a unit. [settlement asset]
    delta, mark, asset, kind : ndarray of shape (n_instruments,)
        Delta of a unit, price of the underlying in the settlement asset (``delta * mark`` is the exposure of a unit,
        ``mark`` its notional), row of the underlying, and kind: fees are for contracts, not for posted coins.
    scan : ndarray of shape (n_books, 4)
        Rates of net delta, hedged delta and fee by book.
    """
    width, count = loss.shape
    held, found = np.empty((_BLOCK, width)), np.empty((_BLOCK, count + n_assets))
    # What a unit of each instrument adds: its losses, then its exposure in the column of its underlying.
    effect = np.zeros((width, count + n_assets))
    effect[:, :count] = loss
    for k in range(width):
        effect[k, count + asset[k]] = delta[k] * mark[k]
    exposure, charged = np.abs(delta * mark), np.where(kind <= _CONTRACTS, mark, 0.0)
    for first in range(0, len(accounts), _BLOCK):
        block = min(_BLOCK, len(accounts) - first)
        held[:] = 0.0
        for i in range(block):
            a = np.uint64(accounts[first + i])
            for p in range(np.uint64(start[a]), np.uint64(start[a + np.uint64(1)])):
                held[i, np.uint64(instrument[p])] += units[p]
        np.dot(held, effect, found)
        for i in range(block):
            worst, one_way, gross, size = 0.0, 0.0, 0.0, 0.0
            for s in range(count):
                worst = max(worst, found[i, s])
            for s in range(count, count + n_assets):
                one_way += abs(found[i, s])
            for k in range(width):
                gross += abs(held[i, k]) * exposure[k]
                size += abs(held[i, k]) * charged[k]
            b = book[accounts[first + i]]
            out[first + i, 0] = worst
            # Rates are the same for every underlying, so the charge of the sums is the sum of the charges.
            out[first + i, 1] = min_delta_charge(one_way, 0.5 * (gross - one_way), scan[b, 0], scan[b, 1])
            out[first + i, 2] = scan[b, 2] * size
