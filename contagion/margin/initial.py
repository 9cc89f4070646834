"""Initial margin: what limits orders, withdrawals and what a backstop may take on. The one place it is computed."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from contagion.margin.portfolio import scan_accounts, scan_margin
from contagion.state.tables import Instruments


class InitialTerms(NamedTuple):
    """Columns that initial margin depends on."""

    mark: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    tier_start: np.ndarray
    tier_floor: np.ndarray
    tier_rate: np.ndarray
    tier_initial: np.ndarray
    add_on: np.ndarray
    delta: np.ndarray
    scan_loss: np.ndarray
    scan: np.ndarray  # by book


def initial_terms(instruments: Instruments, scan: np.ndarray) -> InitialTerms:
    """The columns as they are now, without a copy; `scan` is ``Books.scan``."""
    return InitialTerms(
        instruments.mark, instruments.asset, instruments.kind, instruments.tier_start, instruments.tier_floor,
        instruments.tier_rate, instruments.tier_initial, instruments.add_on, instruments.delta, instruments.scan_loss,
        scan,
    )  # fmt: skip


@nb.njit(cache=True)
def _rate(size, is_long, k, mark, tier_start, tier_floor, tier_rate, tier_initial, add_on):
    """Initial margin rate of a position: that of its tier and its add-ons. [1]

    An add-on to the maintenance rate raises the initial rate in proportion.
    """
    notional = size * mark[k]
    tier, last = tier_start[k], tier_start[k + 1] - 1
    while tier < last and notional >= tier_floor[tier + 1]:
        tier += 1
    rate = tier_initial[tier] + add_on[k, 1] * size
    on_side = add_on[k, 2] if is_long else add_on[k, 3]
    if on_side != 0.0:
        rate += on_side * (tier_initial[tier] / tier_rate[tier] if tier_rate[tier] > 0.0 else 1.0)
    return rate


@nb.njit(cache=True)
def initial_requirement(units, k, t):
    """Initial margin of units of an instrument on their own. [settlement asset]"""
    rate = _rate(
        abs(units), units > 0.0, k, t.mark, t.tier_start, t.tier_floor, t.tier_rate, t.tier_initial, t.add_on
    )  # fmt: skip
    return abs(units) * t.mark[k] * rate


@nb.njit(cache=True)
def initial_of(book, instrument, units, t):
    """Initial margin of an account of a book holding these units. [settlement asset]

    Under portfolio margin the scan of scenarios; else the sum over positions.
    """
    if t.scan[book, 3] > 0.0:
        out = np.empty((1, 3))
        start = np.array([0, len(units)])
        scan_accounts(
            np.zeros(1, np.int64), start, np.full(1, book), instrument, units, t.scan_loss, t.delta, t.mark, t.asset,
            t.kind, t.asset.max() + 1, t.scan, out,
        )  # fmt: skip
        return scan_margin(out[0, 0], out[0, 1], out[0, 2])
    total = 0.0
    for p in range(len(units)):
        if units[p] != 0.0:
            total += initial_requirement(units[p], np.int64(instrument[p]), t)
    return total


@nb.njit(cache=True)
def dearer_rates(notional, instrument, t):
    """Initial margin rate of each notional on its dearer side, shape (n_members, n_positions). [1]

    `notional` in the settlement asset, `instrument` the row of each column.
    """
    # Columns taken out of the tuple once: a look-up in it costs more than the rate.
    mark, start, floor, rate, initial, add_on = (
        t.mark, t.tier_start, t.tier_floor, t.tier_rate, t.tier_initial, t.add_on,
    )  # fmt: skip
    out = np.empty(notional.shape)
    for p in range(notional.shape[1]):
        k = instrument[p]
        two_sided = add_on[k, 2] != add_on[k, 3]
        for i in range(notional.shape[0]):
            size = notional[i, p] / mark[k]
            found = _rate(size, True, k, mark, start, floor, rate, initial, add_on)
            if two_sided:
                found = max(found, _rate(size, False, k, mark, start, floor, rate, initial, add_on))
            out[i, p] = found
    return out


@nb.njit(cache=True)
def initial_margins(accounts, start, book, instrument, units, t):
    """Initial margin of listed accounts as they stand. [settlement asset]"""
    out = np.empty(len(accounts))
    for i in range(len(accounts)):
        a = accounts[i]
        out[i] = initial_of(book[a], instrument[start[a] : start[a + 1]], units[start[a] : start[a + 1]], t)
    return out


@nb.njit(cache=True)
def free_margins(accounts, start, book, balance, instrument, units, equity_price, release, t):
    """Equity of listed accounts above what a withdrawal must leave, may be negative. [settlement asset]"""
    free = np.empty(len(accounts))
    for i in range(len(accounts)):
        a = accounts[i]
        rows = slice(start[a], start[a + 1])
        left = balance[a]
        for p in range(start[a], start[a + 1]):
            left += units[p] * equity_price[instrument[p]]
        free[i] = left - release[book[a]] * initial_of(book[a], instrument[rows], units[rows], t)
    return free
