"""Who can be asked for money or units. A column of a million of them is worked out only when a rule asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from contagion.allocation import columns
from contagion.allocation.columns import bears
from contagion.allocation.shares import fill_by_rank
from contagion.allocation.standing import settle_price
from contagion.allocation.workspace import Workspace
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import State

COLUMNS = (
    "account_notional", "account_profit", "cost", "equity", "leverage", "maintenance", "margin_ratio", "notional",
    "position_leverage", "profit", "profit_share", "units", "wallet",
)  # fmt: skip
"""What a ranking can ask for."""

EXCLUDED = int(AccountFlag.HOUSE | AccountFlag.BANKRUPT)


class Candidates:
    """Accounts that can be asked, at current prices. Columns are arrays of shape (n,), gone with the next call; USD.

    Attributes
    ----------
    position : ndarray of int
        Rows of Accounts; of Positions for :class:`Holders`.
    equity, account_profit, account_notional, maintenance : ndarray
        Of the account; profit is unrealised, maintenance as of the last audit.
    profit, cost, notional, units : ndarray
        Of what is asked for, here the account: unrealised, at entry, at mark, and again at mark.
    """

    def __init__(
        self, state: State, workspace: Workspace, accounts: np.ndarray, equity: np.ndarray, profit: np.ndarray
    ) -> None:
        self.state, self.workspace = state, workspace
        self.position, self.equity, self.account_profit = accounts, equity, profit

    def __len__(self) -> int:
        return len(self.position)

    def room(self, name: str, dtype: type = np.float64) -> np.ndarray:
        """A column to be written."""
        return self.workspace.array(name, len(self), dtype)

    @property
    def accounts(self) -> np.ndarray:
        return self.position

    @cached_property
    def _contracts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Profit, cost and notional of the accounts."""
        state, found = self.state, tuple(self.room(name) for name in ("account profit", "account cost", "notional"))
        columns.of_contracts(
            self.accounts, state.accounts.start, state.positions.instrument, state.positions.units,
            state.positions.entry, state.instruments.value_price, contract_mask(state), state.accounts.book,
            state.assets.fundamental[state.books.settle], *found,
        )  # fmt: skip
        return found

    @property
    def profit(self) -> np.ndarray:
        return self.account_profit

    @property
    def cost(self) -> np.ndarray:
        return self._contracts[1]

    @property
    def account_notional(self) -> np.ndarray:
        return self._contracts[2]

    notional = units = account_notional

    @property
    def maintenance(self) -> np.ndarray:
        return self.state.accounts.requirement[self.accounts]

    @property
    def wallet(self) -> np.ndarray:
        return self.equity - self.account_profit

    @property
    def profit_share(self) -> np.ndarray:
        return columns.ratio(self.profit, self.cost, 0.0, self.room("profit share"))

    @property
    def leverage(self) -> np.ndarray:
        return columns.ratio(self.account_notional, self.equity, np.inf, self.room("leverage"))

    @property
    def position_leverage(self) -> np.ndarray:
        return columns.ratio(self.notional, self.equity, np.inf, self.room("position leverage"))

    @property
    def margin_ratio(self) -> np.ndarray:
        return columns.ratio(self.maintenance, self.equity, 0.0, self.room("margin ratio"))

    def score(self, rule: Callable, columns: tuple[str, ...]) -> np.ndarray:
        """Scores by a ranking of :mod:`contagion.allocation.rankings`."""
        with np.errstate(divide="ignore", invalid="ignore"):  # an account without positions has no ratio
            return np.asarray(rule(**{name: getattr(self, name) for name in columns}), dtype=np.float64)


class Holders(Candidates):
    """Positions on one side of an instrument whose accounts can bear a price; `units` are without sign."""

    def __init__(
        self, state: State, workspace: Workspace, instrument: int, position: np.ndarray, units: np.ndarray,
        equity: np.ndarray,
    ) -> None:  # fmt: skip
        self.state, self.workspace, self.instrument = state, workspace, instrument
        self.position, self.equity, self._units = position, equity, units

    @property
    def units(self) -> np.ndarray:
        return self._units

    @cached_property
    def accounts(self) -> np.ndarray:
        return np.take(self.state.positions.account, self.position, out=self.room("accounts", np.int32), mode="clip")

    @property
    def _settle(self) -> float:
        return settle_price(self.state, self.instrument)

    @cached_property
    def _own(self) -> tuple[np.ndarray, np.ndarray]:
        """Profit and cost of the positions."""
        state, profit, cost = self.state, self.room("profit"), self.room("cost")
        now = float(state.instruments.value_price[self.instrument])
        held, entry = state.positions.units, state.positions.entry
        columns.of_positions(self.position, held, entry, now, self._settle, profit, cost)
        return profit, cost

    @property
    def profit(self) -> np.ndarray:
        return self._own[0]

    @property
    def cost(self) -> np.ndarray:
        return self._own[1]

    @cached_property
    def notional(self) -> np.ndarray:
        return self._settle * self._units * float(self.state.instruments.value_price[self.instrument])

    @property
    def account_profit(self) -> np.ndarray:
        return self._contracts[0]

    def receivers(self, fills: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions that are filled, and the signed units each receives."""
        rows, units = self.room("receivers", np.int64), self.room("received")
        count = columns.receivers(self.position, fills, float(side), rows, units)
        return rows[:count], units[:count]


class PositionIndex:
    """Rows of Positions by instrument, found at the first use (rows never change in a run)."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.workspace = Workspace()
        self._rows: dict[int, np.ndarray] = {}

    def rows(self, instrument: int) -> np.ndarray:
        """Rows of Positions in an instrument, ascending."""
        found = self._rows.get(instrument)
        if found is None:
            found = self._rows[instrument] = np.flatnonzero(self.state.positions.instrument == instrument)
        return found

    def everybody(self, books: list[int]) -> Candidates:
        """The same as :func:`account_columns`."""
        return account_columns(self.state, books, self.workspace)

    def candidates(self, instrument: int, side: int, price: float) -> Holders:
        """Positions with units on `side` (+1, -1) whose account would not be below zero were they valued at `price`.

        Accounts of a venue and bankrupt ones are never candidates. [settlement asset per unit]
        """
        state = self.state
        accounts, positions, instruments = state.accounts, state.positions, state.instruments
        settle = settle_price(state, instrument)
        rows = self.rows(instrument)
        position = self.workspace.array("position", len(rows), np.int64)
        units, equity = (self.workspace.array(name, len(rows)) for name in ("units", "equity"))
        count = columns.hold(
            rows, instrument, float(side), price, settle, EXCLUDED, positions.account, positions.instrument,
            positions.units, instruments.value_price, accounts.start, accounts.balance, accounts.flags, position,
            units, equity,
        )  # fmt: skip
        return Holders(state, self.workspace, instrument, position[:count], units[:count], equity[:count])


def contract_mask(state: State) -> np.ndarray:
    """Whether each instrument is a contract: only these have unrealised profit."""
    kind = state.instruments.kind
    return kind <= InstrumentKind.INVERSE


def account_equity(state: State, accounts: np.ndarray) -> np.ndarray:
    """Equity of accounts at current prices, not floored, shape of `accounts`. [USD]"""
    return columns.equities(
        np.asarray(accounts, dtype=np.int64), state.accounts.start, state.accounts.balance, state.positions.instrument,
        state.positions.units, state.instruments.value_price,
    ) * state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]  # fmt: skip


def account_columns(state: State, books: list[int], workspace: Workspace | None = None) -> Candidates:
    """One row per account of the books that is neither of the venue nor bankrupt; `position` holds the account row."""
    chosen = np.zeros(len(state.books.venue), dtype=np.bool_)
    chosen[books] = True
    accounts, positions = state.accounts, state.positions
    workspace, size = workspace or Workspace(), len(accounts.owner)
    rows = workspace.array("position", size, np.int64)
    equity, profit = (workspace.array(name, size) for name in ("equity", "profit"))
    count = columns.stand(
        chosen, state.assets.fundamental[state.books.settle], EXCLUDED, contract_mask(state), positions.instrument,
        positions.units, positions.entry, state.instruments.value_price, accounts.book, accounts.start,
        accounts.balance, accounts.flags, rows, equity, profit,
    )  # fmt: skip
    return Candidates(state, workspace, rows[:count], equity[:count], profit[:count])


__all__ = [
    "EXCLUDED",
    "Candidates",
    "Holders",
    "PositionIndex",
    "account_columns",
    "account_equity",
    "bears",
    "contract_mask",
    "fill_by_rank",
]
