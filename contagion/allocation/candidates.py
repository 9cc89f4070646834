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
        with np.errstate(divide="ignore", invalid="ignore"):  # an account without positions has no ratio
            return np.asarray(rule(**{name: getattr(self, name) for name in columns}), dtype=np.float64)


class PositionIndex:
    """Rows of Positions by instrument, built at the first use (rows never change in a run)."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._rows: np.ndarray | None = None
        self._start: np.ndarray | None = None
        self._kept = np.empty(0, dtype=np.int64)
        self._columns = np.empty((8, 0))  # kept between calls: fresh memory costs more than the pass itself
        self._accounts = np.empty(0, dtype=np.int64)
        self._account_columns = np.empty((5, 0))

    def rows(self, instrument: int) -> np.ndarray:
        """Rows of Positions in an instrument, ascending."""
        if self._rows is None:
            held = self.state.positions.instrument
            self._rows = np.argsort(held, kind="stable")
            counts = np.bincount(held, minlength=len(self.state.instruments.mark))
            self._start = np.concatenate([[0], np.cumsum(counts)])
        return self._rows[self._start[instrument] : self._start[instrument + 1]]

    def everybody(self, books: list[int]) -> Candidates:
        """The same as :func:`account_columns`, in arrays that the next call writes over."""
        count = len(self.state.accounts.owner)
        if len(self._accounts) != count:
            self._accounts, self._account_columns = np.empty(count, dtype=np.int64), np.empty((5, count))
        return account_columns(self.state, books, self._accounts, self._account_columns)

    def candidates(self, instrument: int, side: int, price: float) -> Candidates:
        """Positions with units on `side` (+1, -1) whose account would not be below zero were they valued at `price`.

        Accounts of a venue and bankrupt ones are never candidates. [settlement asset per unit] The arrays are views
        that the next call writes over.
        """
        state = self.state
        accounts, positions, instruments = state.accounts, state.positions, state.instruments
        book = int(instruments.book[instrument])
        settle = float(state.assets.fundamental[state.books.settle[book]])
        rows = self.rows(instrument)
        if len(rows) > self._columns.shape[1]:
            self._columns, self._kept = np.empty((8, len(rows))), np.empty(len(rows), dtype=np.int64)
        columns = _gather(
            self._kept, self._columns, rows, instrument, float(side), price, settle, EXCLUDED, contract_mask(state),
            positions.account, positions.instrument, positions.units, positions.entry, instruments.value_price,
            accounts.start, accounts.balance, accounts.flags, accounts.requirement,
        )  # fmt: skip
        return Candidates(*columns)


def contract_mask(state: State) -> np.ndarray:
    """Whether each instrument is a contract: only these have unrealised profit."""
    kind = state.instruments.kind
    return kind <= InstrumentKind.INVERSE


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
    The margin is found by sums over bins of the leading bits of the scores, and a sort of one bin only.
    """
    fill = np.zeros(len(score))
    if len(score) and want > 0.0:
        _fill(_ordered(np.ascontiguousarray(score, dtype=np.float64)), size, want, fill)
    return fill


@nb.njit(cache=True)
def _ordered(score):
    """Unsigned words in the order of the scores: -0 equal to 0, no number lowest."""
    words = score.view(np.uint64)
    out = np.empty(len(words), np.uint64)
    top = np.uint64(1) << np.uint64(63)
    for i in range(len(words)):
        if np.isnan(score[i]):
            out[i] = np.uint64(0)
        elif score[i] == 0.0:
            out[i] = top
        elif words[i] & top:
            out[i] = ~words[i]
        else:
            out[i] = words[i] | top
    return out


@nb.njit(cache=True)
def _fill(order, size, want, fill):
    bins = np.zeros(1 << 16)
    for i in range(len(order)):
        bins[order[i] >> np.uint64(48)] += size[i]
    left, at = want, len(bins) - 1
    while at > 0 and bins[at] <= left:
        left -= bins[at]
        at -= 1
    inside = np.empty(len(order), np.int64)
    count = 0
    for i in range(len(order)):
        row = order[i] >> np.uint64(48)
        if row > at:
            fill[i] = size[i]
        elif row == at:
            inside[count] = i
            count += 1
    inside = inside[:count]
    ranked = inside[np.argsort(order[inside])[::-1]]
    first = 0
    while first < count and left > 0.0:
        last, together = first, 0.0
        while last < count and order[ranked[last]] == order[ranked[first]]:
            together += size[ranked[last]]
            last += 1
        share = min(1.0, left / together) if together > 0.0 else 0.0
        for i in range(first, last):
            fill[ranked[i]] = share * size[ranked[i]]
        left -= share * together
        first = last


def account_equity(state: State, accounts: np.ndarray) -> np.ndarray:
    """Equity of accounts at current prices, not floored, shape of `accounts`. [USD]"""
    return _equities(
        np.asarray(accounts, dtype=np.int64), state.accounts.start, state.accounts.balance, state.positions.instrument,
        state.positions.units, state.instruments.value_price,
    ) * state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]  # fmt: skip


def account_columns(
    state: State, books: list[int], kept: np.ndarray | None = None, memory: np.ndarray | None = None
) -> Candidates:
    """One row per account of the books that is neither of the venue nor bankrupt; `position` holds the account row."""
    chosen = np.zeros(len(state.books.venue), dtype=np.bool_)
    chosen[books] = True
    settle = state.assets.fundamental[state.books.settle]
    accounts, positions = state.accounts, state.positions
    count = len(accounts.owner)
    columns = _gather_accounts(
        np.empty(count, dtype=np.int64) if kept is None else kept, np.empty((5, count)) if memory is None else memory,
        chosen, settle, EXCLUDED, contract_mask(state), positions.instrument, positions.units, positions.entry,
        state.instruments.value_price, accounts.book, accounts.start, accounts.balance, accounts.flags,
        accounts.requirement,
    )  # fmt: skip
    account, cost, profit, notional, equity, maintenance = columns
    return Candidates(account, notional, profit, cost, notional, equity, profit, notional, maintenance)


def _ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.divide(upper, lower, out=np.full_like(lower, np.inf), where=lower > 0.0)


@nb.njit(cache=True)
def bears(equity, units, now, price):
    """Whether an account whose equity is stated at `now` is not below zero were its units valued at `price`.

    Its own bankruptcy price then does not lie between the two: bankruptcy prices of the two sides overlap.
    """
    return equity + units * (price - now) >= 0.0


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
    kept, columns, rows, instrument, side, price, settle, excluded, contract, account_of, instrument_of, units, entry,
    value, start, balance, flags, requirement,
):  # fmt: skip
    size, profit, cost, notional = columns[0], columns[1], columns[2], columns[3]
    equity, all_profit, all_notional, maintenance = columns[4], columns[5], columns[6], columns[7]
    count, now = 0, value[instrument]
    for i in range(len(rows)):
        row = rows[i]
        held = units[row]
        if held * side <= 0.0:
            continue
        account = account_of[row]
        if flags[account] & excluded:
            continue
        total, gain, gross = balance[account], 0.0, 0.0
        for other in range(start[account], start[account + 1]):
            if units[other] != 0.0:
                worth = units[other] * value[instrument_of[other]]
                total += worth
                if contract[instrument_of[other]]:
                    gain += worth - units[other] * entry[other]
                    gross += abs(worth)
        if not bears(total, held, now, price):
            continue
        kept[count], size[count], maintenance[count] = row, abs(held), requirement[account]
        profit[count] = settle * held * (now - entry[row])
        cost[count], notional[count] = settle * abs(held) * entry[row], settle * abs(held) * now
        equity[count], all_profit[count], all_notional[count] = settle * total, settle * gain, settle * gross
        count += 1
    return (
        kept[:count], size[:count], profit[:count], cost[:count], notional[:count], equity[:count],
        all_profit[:count], all_notional[:count], maintenance[:count],
    )  # fmt: skip


@nb.njit(cache=True)
def _gather_accounts(
    kept, memory, chosen, settle, excluded, contract, instrument_of, units, entry, value, book, start, balance, flags,
    requirement,
):  # fmt: skip
    cost, profit, notional, equity, maintenance = memory[0], memory[1], memory[2], memory[3], memory[4]
    count = 0
    for account in range(len(book)):
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
    return kept[:count], cost[:count], profit[:count], notional[:count], equity[:count], maintenance[:count]


assert len(fields(Candidates)) == 9  # the kernels return columns in the order of the fields
