"""Liquidation and bankruptcy prices of the positions of a run, as its own margin rules make them."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from contagion.margin.kernels import requirement_of
from contagion.margin.prices import bankruptcy_prices, tiered_liquidation_price
from contagion.state.codes import InstrumentKind
from contagion.state.tables import State

_INVERSE, _OPTION = int(InstrumentKind.INVERSE), int(InstrumentKind.OPTION)


class _Columns(NamedTuple):
    start: np.ndarray
    balance: np.ndarray
    book: np.ndarray
    instrument: np.ndarray
    units: np.ndarray
    kind: np.ndarray
    mark: np.ndarray
    equity_price: np.ndarray
    long_only: np.ndarray
    tier_start: np.ndarray
    tier_floor: np.ndarray
    tier_rate: np.ndarray
    tier_deduction: np.ndarray
    add_on: np.ndarray
    scan: np.ndarray


def _columns(state: State) -> _Columns:
    accounts, positions, table = state.accounts, state.positions, state.instruments
    return _Columns(
        accounts.start, accounts.balance, accounts.book, positions.instrument, positions.units, table.kind, table.mark,
        table.equity_price, table.long_only, table.tier_start, table.tier_floor, table.tier_rate,
        table.tier_deduction, table.add_on, state.books.scan,
    )  # fmt: skip


@nb.njit(cache=True)
def _maintenance(units, k, c):
    if c.long_only[k] and units < 0.0:
        return 0.0
    notional = abs(units) * c.mark[k]
    return requirement_of(
        notional, units, k, c.tier_start, c.tier_floor, c.tier_rate, c.tier_deduction, c.add_on
    )  # fmt: skip


@nb.njit(cache=True)
def _liquidation_prices(accounts, c, price):
    """Liquidation price of every contract position of the accounts, into `price` by row of Positions, else nan."""
    for a in accounts:
        equity, needed = c.balance[a], 0.0
        for p in range(c.start[a], c.start[a + 1]):
            k = c.instrument[p]
            equity += c.units[p] * c.equity_price[k]
            if c.units[p] != 0.0:
                needed += _maintenance(c.units[p], k, c)
        for p in range(c.start[a], c.start[a + 1]):
            k, u = c.instrument[p], c.units[p]
            plain = c.kind[k] <= _INVERSE and c.kind[k] != _OPTION and not c.scan[c.book[a], 3] > 0.0
            if u == 0.0 or not plain:
                continue
            tiers = slice(c.tier_start[k], c.tier_start[k + 1])
            extra = c.add_on[k, 0] * abs(u) + (c.add_on[k, 2] if u > 0.0 else c.add_on[k, 3])
            price[p] = tiered_liquidation_price(
                equity, u, c.mark[k], needed - _maintenance(u, k, c), c.tier_floor[tiers], c.tier_rate[tiers],
                c.tier_deduction[tiers], extra,
            )  # fmt: skip


def liquidation_prices(state: State, accounts: np.ndarray) -> np.ndarray:
    """Price of each position at which its account meets its requirement, other prices unchanged.

    Parameters
    ----------
    accounts : ndarray of int
        Rows of Accounts that are looked at.

    Returns
    -------
    ndarray of shape (n_positions,)
        In the terms of the instrument's mark (1/P for inverse); nan for positions of other accounts, without units,
        in collateral, debt or options, under portfolio margin, or that no price above zero can bring there.
        [settlement asset per unit]
    """
    price = np.full(len(state.positions.units), np.nan)
    _liquidation_prices(np.asarray(accounts, np.int64), _columns(state), price)
    return price


def account_bankruptcy(state: State, account: int) -> tuple[np.ndarray, np.ndarray]:
    """Open positions of an account and their bankruptcy prices, equity spread over them pro rata to maintenance.

    Returns
    -------
    tuple of ndarray
        Rows of Positions; prices. [settlement asset per unit]
    """
    rows = np.arange(state.accounts.start[account], state.accounts.start[account + 1])
    rows = rows[state.positions.units[rows] != 0.0]
    instrument, units = state.positions.instrument[rows], state.positions.units[rows]
    price, columns = state.instruments.equity_price[instrument], _columns(state)
    needed = np.array([_maintenance(u, k, columns) for u, k in zip(units, instrument, strict=True)])
    equity = float(state.accounts.balance[account] + units @ price)
    return rows, bankruptcy_prices(units, price, needed, equity) if len(rows) else price


def distance_to_liquidation(state: State) -> np.ndarray:
    """Smallest relative move of any one contract that would bring one of an agent's accounts to liquidation.

    Returns
    -------
    ndarray of shape (n_agents,)
        Infinite for agents without a contract that could; 0 for those that are there. [1]
    """
    price = liquidation_prices(state, np.arange(len(state.accounts.balance)))
    rows = np.flatnonzero(~np.isnan(price))
    mark = state.instruments.mark[state.positions.instrument[rows]]
    account = state.positions.account[rows]
    move = np.where(
        state.accounts.equity[account] < state.accounts.requirement[account], 0.0, np.abs(price[rows] / mark - 1.0)
    )
    nearest = np.full(state.n_agents, np.inf)
    np.minimum.at(nearest, state.accounts.owner[account], move)
    return nearest
