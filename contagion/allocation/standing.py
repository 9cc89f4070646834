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


OUT_OF_ORDER, BEYOND_RULE, UNREACHABLE, BEYOND_EQUITY, PRINCIPAL = 1, 2, 3, 4, 5
"""What can be wrong with a payer."""


@nb.njit(cache=True)
def first_fault(
    accounts, paid, limits, of_profit, profits, realised, cut, relative, flags, never, book_of, venue_of_book, venue,
    start, balance, instrument, units, entry, price, kind, settle,
):  # fmt: skip
    """What is wrong with the first payer with which something is, its place and the most it may pay; else (0, -1, 0).

    Accounts must be strictly ascending; nobody pays above its limit, from the venue's own, a bankrupt or another
    venue's account, above its equity, or, with `of_profit`, above its profit: `profits` if given, else the unrealised
    one, with `realised` beside it if given, and less what was `cut` of it before. `paid` is not negative. [USD]
    """
    before = np.int64(-1)
    for i in range(len(accounts)):
        if accounts[i] <= before:
            return OUT_OF_ORDER, i, 0.0
        before = accounts[i]
        if _above(paid[i], limits[i], relative):
            return BEYOND_RULE, i, limits[i]
        if paid[i] == 0.0:
            continue
        account = np.uint64(before)  # unsigned: a signed row is checked for counting from the end
        book = np.uint64(book_of[account])
        if flags[account] & never or venue_of_book[book] != venue:
            return UNREACHABLE, i, 0.0
        worth, gain = balance[account], 0.0
        for row in range(np.uint64(start[account]), np.uint64(start[account + np.uint64(1)])):
            held = units[row]
            if held != 0.0:
                k = np.uint64(instrument[row])
                worth += held * price[k]
                if kind[k] <= _CONTRACTS:
                    gain += held * (price[k] - entry[row])
        if _above(paid[i], settle[book] * worth, relative):
            return BEYOND_EQUITY, i, settle[book] * worth
        if of_profit:
            won = gain + (realised[account] if len(realised) else 0.0)
            most = profits[i] if len(profits) else settle[book] * won
            if len(cut):
                most -= min(max(most, 0.0), cut[account])
            if _above(paid[i], most, relative):
                return PRINCIPAL, i, most
    return 0, -1, 0.0


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
    positions, units, side, price, settle, relative, account_of, held, flags, never, start, balance, instrument_of,
    value_of, instrument,
):  # fmt: skip
    """Order of the first receiver that is not on the other side of `side`, or below zero at the price; -1 if none.

    `units` are what each receives, `price` is in the settlement asset.
    """
    value = value_of[instrument]
    for i in range(len(positions)):
        row = np.uint64(positions[i])
        before, account = held[row], np.uint64(account_of[row])
        if units[i] * side <= 0.0 or before * side >= 0.0 or abs(units[i]) > abs(before) * (1.0 + relative):
            return i
        if flags[account] & never:
            return i
        worth = balance[account]
        for other in range(np.uint64(start[account]), np.uint64(start[account + np.uint64(1)])):
            if held[other] != 0.0:
                worth += held[other] * value_of[np.uint64(instrument_of[other])]
        left = settle * (worth + before * (price - value))
        if left < -relative * max(1.0, settle * (abs(worth) + abs(before) * price)):
            return i
    return -1
