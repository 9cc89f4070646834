"""Where accounts stand at the marks of the round: the checks' own reading of the tables, apart from the layers'."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.allocation.workspace import Workspace
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import State

NEVER = int(AccountFlag.HOUSE | AccountFlag.BANKRUPT)
"""Flags of accounts that no layer may charge or hand units to."""

_CONTRACTS = int(InstrumentKind.INVERSE)
"""Kinds up to this one are contracts."""


def equity_and_profit(
    state: State, accounts: np.ndarray, workspace: Workspace | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Equity and unrealised profit on contracts of accounts, shape of `accounts`; in the workspace if given. [USD]"""
    workspace = workspace or Workspace()
    equity, profit = (workspace.array(name, len(accounts)) for name in ("equity found", "profit found"))
    _stand(
        np.asarray(accounts), state.accounts.start, state.accounts.balance, state.positions.instrument,
        state.positions.units, state.positions.entry, state.instruments.value_price, state.instruments.kind,
        settle_prices(state), state.accounts.book, equity, profit,
    )  # fmt: skip
    return equity, profit


def settle_prices(state: State) -> np.ndarray:
    """Price of the settlement asset of each book. [USD]"""
    return state.assets.fundamental[state.books.settle]


def settle_price(state: State, instrument: int) -> float:
    """Price of the settlement asset of an instrument's book. [USD]"""
    return float(state.assets.fundamental[state.books.settle[state.instruments.book[instrument]]])


@nb.njit(cache=True)
def _stand(accounts, start, balance, instrument, units, entry, price, kind, settle, book, equity, profit):
    for i in range(len(accounts)):
        account = np.uint64(accounts[i])  # unsigned: a signed row is checked for counting from the end
        worth, gain = balance[account], 0.0
        for row in range(np.uint64(start[account]), np.uint64(start[account + np.uint64(1)])):
            held = units[row]
            if held != 0.0:
                k = np.uint64(instrument[row])
                worth += held * price[k]
                if kind[k] <= _CONTRACTS:
                    gain += held * (price[k] - entry[row])
        usd = settle[np.uint64(book[account])]
        equity[i], profit[i] = usd * worth, usd * gain


@nb.njit(cache=True)
def ascending(rows):
    """Whether rows are strictly ascending: each named once."""
    wrong = 0
    for i in range(1, len(rows)):  # without a way out before the end, which would forbid looking at several at once
        wrong |= rows[i] <= rows[i - 1]
    return wrong == 0


@nb.njit(cache=True)
def first_unreachable(accounts, paid, flags, never, book_of, venue_of_book, venue):
    """Order of the first account that pays although it is the venue's own, bankrupt or another venue's; -1 if none."""
    for i in range(len(accounts)):
        account = np.uint64(accounts[i])
        if paid[i] > 0.0 and (flags[account] & never or venue_of_book[np.uint64(book_of[account])] != venue):
            return i
    return -1


@nb.njit(cache=True)
def first_above(paid, allowed, relative):
    """Order of the first payer above what it is allowed, which counts as zero where negative; -1 if none."""
    wrong = 0
    for i in range(len(paid)):
        wrong |= _above(paid[i], allowed[i], relative)
    if wrong:
        for i in range(len(paid)):
            if _above(paid[i], allowed[i], relative):
                return i
    return -1


@nb.njit(cache=True)
def _above(paid, allowed, relative):
    limit = max(0.0, allowed)
    return not paid - limit <= relative * max(1.0, limit)


@nb.njit(cache=True)
def first_no_candidate(
    positions, units, side, price, settle, relative, account_of, held, flags, never, instrument, value, equity
):
    """Order of the first receiver that is not on the other side of `side`, or below zero at the price; -1 if none.

    `units` are what each receives, `equity` is that of its account [USD], `price` in the settlement asset.
    """
    for i in range(len(positions)):
        row = positions[i]
        before = held[row]
        if units[i] * side <= 0.0 or before * side >= 0.0 or abs(units[i]) > abs(before) * (1.0 + relative):
            return i
        if flags[account_of[row]] & never:
            return i
        left = equity[i] + settle * before * (price - value)
        if left < -relative * max(1.0, abs(equity[i]) + settle * abs(before) * price):
            return i
    return -1
