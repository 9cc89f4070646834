"""Who can take over units, and how a ranking fills them: no pass over everybody is sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numba as nb
import numpy as np

from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import State

EXCLUDED = int(AccountFlag.HOUSE | AccountFlag.BANKRUPT)


@dataclass(slots=True)
class Candidates:
    """Positions on one side of an instrument whose accounts can bear a price. Arrays of shape (n,); USD."""

    position: np.ndarray  # row of Positions
    units: np.ndarray  # without sign
    profit: np.ndarray  # unrealised, of the position
    cost: np.ndarray  # |units| at entry
    notional: np.ndarray  # |units| at mark
    equity: np.ndarray  # of the account, now
    account_profit: np.ndarray
    account_notional: np.ndarray
    maintenance: np.ndarray  # requirement of the account at the last mark

    def __len__(self) -> int:
        return len(self.position)

    @property
    def wallet(self) -> np.ndarray:
        return self.equity - self.account_profit

    @property
    def profit_share(self) -> np.ndarray:
        return np.divide(self.profit, self.cost, out=np.zeros_like(self.cost), where=self.cost > 0.0)

    @property
    def leverage(self) -> np.ndarray:
        return _ratio(self.account_notional, self.equity)

    @property
    def position_leverage(self) -> np.ndarray:
        return _ratio(self.notional, self.equity)

    @property
    def margin_ratio(self) -> np.ndarray:
        return np.divide(self.maintenance, self.equity, out=np.zeros_like(self.equity), where=self.equity > 0.0)

    def score(self, rule: Callable, columns: tuple[str, ...]) -> np.ndarray:
        """Scores by a ranking of :mod:`contagion.allocation.rankings`."""
        with np.errstate(divide="ignore"):
            return np.asarray(rule(**{name: getattr(self, name) for name in columns}), dtype=np.float64)


class PositionIndex:
    """Rows of Positions by instrument, built at the first use (rows never change in a run)."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._rows: np.ndarray | None = None
        self._start: np.ndarray | None = None

    def rows(self, instrument: int) -> np.ndarray:
        """Rows of Positions in an instrument, ascending."""
        if self._rows is None:
            held = self.state.positions.instrument
            self._rows = np.argsort(held, kind="stable")
            counts = np.bincount(held, minlength=len(self.state.instruments.mark))
            self._start = np.concatenate([[0], np.cumsum(counts)])
        return self._rows[self._start[instrument] : self._start[instrument + 1]]

    def candidates(self, instrument: int, side: int, price: float) -> Candidates:
        """Positions with units on `side` (+1, -1) whose account would not be below zero were they valued at `price`.

        Accounts of a venue and bankrupt ones are never candidates. [settlement asset per unit]
        """
        state = self.state
        accounts, positions, instruments = state.accounts, state.positions, state.instruments
        book = int(instruments.book[instrument])
        settle = float(state.assets.fundamental[state.books.settle[book]])
        columns = _gather(
            self.rows(instrument), instrument, float(side), price, settle, EXCLUDED, contract_mask(state),
            positions.account, positions.instrument, positions.units, positions.entry, instruments.value_price,
            accounts.start, accounts.balance, accounts.flags, accounts.requirement,
        )  # fmt: skip
        return Candidates(*columns)


def contract_mask(state: State) -> np.ndarray:
    """Whether each instrument is a contract: only these have unrealised profit."""
    kind = state.instruments.kind
    return (kind == InstrumentKind.LINEAR) | (kind == InstrumentKind.INVERSE)


def fill_by_rank(score: np.ndarray, size: np.ndarray, want: float) -> np.ndarray:
    """Fill `want` from the highest score down; those of equal score at the margin give the same share of their size.

    Parameters
    ----------
    score, size : ndarray of shape (n,)
        Size is not negative. A score that is not a number ranks last.
    want : float
        Total to fill, in units of `size`.

    Returns
    -------
    ndarray of shape (n,)
        Fills, none above its size; they sum to ``min(want, sum of size)``.

    Notes
    -----
    The top is found by partial selection of a growing number; only that part is sorted.
    """
    n = len(score)
    fill = np.zeros(n)
    if n == 0 or want <= 0.0:
        return fill
    if float(size.sum()) <= want:
        return size.astype(np.float64)
    key = -score
    if np.isnan(key).any():
        key = np.where(np.isnan(key), np.inf, key)
    first = key[0]
    if (key == first).all():
        return size * (want / float(size.sum()))
    top = min(n, 256)
    while True:
        rows = np.argpartition(key, top - 1)[:top] if top < n else np.arange(n)
        if float(size[rows].sum()) >= want or top == n:
            break
        top = min(n, 8 * top) if 8 * top < n // 2 else n
    rows = rows[np.argsort(key[rows], kind="stable")]
    filled = np.cumsum(size[rows])
    margin = key[rows[min(int(np.searchsorted(filled, want)), len(rows) - 1)]]
    above = rows[key[rows] < margin]
    equal = np.flatnonzero(key == margin)
    fill[above] = size[above]
    rest = want - float(size[above].sum())
    fill[equal] = size[equal] * min(1.0, max(0.0, rest) / float(size[equal].sum()))
    return fill


def account_equity(state: State, accounts: np.ndarray) -> np.ndarray:
    """Equity of accounts at current prices, not floored, shape of `accounts`. [USD]"""
    return _equities(
        np.asarray(accounts, dtype=np.int64), state.accounts.start, state.accounts.balance, state.positions.instrument,
        state.positions.units, state.instruments.value_price,
    ) * state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]  # fmt: skip


def account_columns(state: State, books: list[int]) -> Candidates:
    """One row per account of the books that is neither of the venue nor bankrupt; `position` holds the account row."""
    chosen = np.zeros(len(state.books.venue), dtype=np.bool_)
    chosen[books] = True
    settle = state.assets.fundamental[state.books.settle]
    accounts, positions = state.accounts, state.positions
    columns = _gather_accounts(
        chosen, settle, EXCLUDED, contract_mask(state), positions.instrument, positions.units, positions.entry,
        state.instruments.value_price, accounts.book, accounts.start, accounts.balance, accounts.flags,
        accounts.requirement,
    )  # fmt: skip
    account, cost, profit, notional, equity, maintenance = columns
    return Candidates(account, notional, profit, cost, notional, equity, profit, notional, maintenance)


def _ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.divide(upper, lower, out=np.full_like(lower, np.inf), where=lower > 0.0)


@nb.njit(cache=True)
def _equities(accounts, start, balance, instrument, units, price):
    out = np.empty(len(accounts))
    for i in range(len(accounts)):
        total = balance[accounts[i]]
        for row in range(start[accounts[i]], start[accounts[i] + 1]):
            if units[row] != 0.0:
                total += units[row] * price[instrument[row]]
        out[i] = total
    return out


@nb.njit(cache=True)
def _gather(
    rows, instrument, side, price, settle, excluded, contract, account_of, instrument_of, units, entry, value, start,
    balance, flags, requirement,
):  # fmt: skip
    # two passes: who can bear the price, then the columns of those only
    kept = np.empty(len(rows), np.int64)
    count = 0
    for i in range(len(rows)):
        row = rows[i]
        held = units[row]
        if held * side <= 0.0:
            continue
        account = account_of[row]
        if flags[account] & excluded:
            continue
        equity = balance[account] + held * (price - value[instrument])
        for other in range(start[account], start[account + 1]):
            if units[other] != 0.0:
                equity += units[other] * value[instrument_of[other]]
        if equity >= 0.0:
            kept[count] = row
            count += 1
    kept = kept[:count].copy()
    size, profit, cost, notional = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    equity, all_profit, all_notional = np.empty(count), np.empty(count), np.empty(count)
    maintenance = np.empty(count)
    for i in range(count):
        row = kept[i]
        account = account_of[row]
        size[i] = abs(units[row])
        profit[i] = settle * units[row] * (value[instrument] - entry[row])
        cost[i] = settle * size[i] * entry[row]
        notional[i] = settle * size[i] * value[instrument]
        total, gain, gross = balance[account], 0.0, 0.0
        for other in range(start[account], start[account + 1]):
            held = units[other]
            if held != 0.0:
                now = value[instrument_of[other]]
                total += held * now
                if contract[instrument_of[other]]:
                    gain += held * (now - entry[other])
                    gross += abs(held) * now
        equity[i], all_profit[i], all_notional[i] = settle * total, settle * gain, settle * gross
        maintenance[i] = requirement[account]
    return kept, size, profit, cost, notional, equity, all_profit, all_notional, maintenance


@nb.njit(cache=True)
def _gather_accounts(
    chosen, settle, excluded, contract, instrument_of, units, entry, value, book, start, balance, flags, requirement
):
    n = len(book)
    kept = np.empty(n, np.int64)
    cost, profit, notional = np.empty(n), np.empty(n), np.empty(n)
    equity, maintenance = np.empty(n), np.empty(n)
    count = 0
    for account in range(n):
        if not chosen[book[account]] or flags[account] & excluded:
            continue
        scale = settle[book[account]]
        total, gain, paid, gross = balance[account], 0.0, 0.0, 0.0
        for row in range(start[account], start[account + 1]):
            held = units[row]
            if held != 0.0:
                now = value[instrument_of[row]]
                total += held * now
                if contract[instrument_of[row]]:
                    gain += held * (now - entry[row])
                    paid += abs(held) * entry[row]
                    gross += abs(held) * now
        kept[count] = account
        cost[count], profit[count], notional[count] = scale * paid, scale * gain, scale * gross
        equity[count], maintenance[count] = scale * total, requirement[account]
        count += 1
    return (
        kept[:count].copy(), cost[:count].copy(), profit[:count].copy(), notional[:count].copy(),
        equity[:count].copy(), maintenance[:count].copy(),
    )  # fmt: skip


assert len(fields(Candidates)) == 9  # the kernels return columns in the order of the fields
