"""An account as an object, and what writing through a view means for the books."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from contagion.errors import ContagionError, InputError
from contagion.margin.position_prices import account_bankruptcy, liquidation_prices
from contagion.state.codes import AccountFlag, Cause, InstrumentKind, Phase
from contagion.state.tables import State


class Intervention:
    """Books what happens inside as a shock from outside; refused while agents decide."""

    def __init__(self, model: Any) -> None:
        if model.deciding:
            raise ContagionError("agents act by returning intents: nothing can be written while they decide")
        self._bookkeeper = model.world.bookkeeper

    def __enter__(self) -> Any:
        self._before = self._bookkeeper.phase
        self._bookkeeper.phase = Phase.SHOCK
        return self._bookkeeper

    def __exit__(self, *_: object) -> None:
        self._bookkeeper.phase = self._before


def usd_amount(field: str, value: float) -> float:
    if not (isinstance(value, int | float | np.floating | np.integer) and math.isfinite(value) and value >= 0.0):
        raise InputError(field, value, "a finite amount of USD, at least 0")
    return float(value)


def account_values(state: State) -> np.ndarray:
    """What each account is worth at present prices, not floored at zero, shape (n_accounts,). [USD]"""
    table, positions = state.accounts, state.positions
    worth = positions.units * state.instruments.value_price[positions.instrument]
    held = table.balance + np.bincount(positions.account, weights=worth, minlength=len(table.balance))
    return held * state.assets.fundamental[state.books.settle[table.book]]


class AccountView:
    """One account: an owner at a book of a venue."""

    __slots__ = ("_model", "row")

    def __init__(self, model: Any, row: int) -> None:
        self._model, self.row = model, int(row)

    @property
    def _state(self) -> Any:
        return self._model.world.state

    @property
    def name(self) -> str:
        """Name of the book, venue:settlement asset."""
        return self._state.books.names[self._state.accounts.book[self.row]]

    @property
    def venue(self) -> str:
        """Name of the venue."""
        return self._state.agents.names[self._state.books.venue[self._state.accounts.book[self.row]]]

    @property
    def _settle_price(self) -> float:
        state = self._state
        return float(state.assets.fundamental[state.books.settle[state.accounts.book[self.row]]])

    @property
    def balance(self) -> float:
        """Balance; written: paid in from or out to outside, through the venue. [settlement asset]"""
        return float(self._state.accounts.balance[self.row])

    @balance.setter
    def balance(self, value: float) -> None:
        state, row = self._state, self.row
        if not math.isfinite(value):
            raise InputError("balance", value, "a finite amount of the settlement asset")
        book = int(state.accounts.book[row])
        change = value - self.balance
        with Intervention(self._model) as bookkeeper:
            bookkeeper._move_settlement(0, int(state.books.venue[book]), int(state.books.settle[book]), change)
            bookkeeper._change_balance(np.array([row]), np.array([change]))
            state.accounts.deposits[row] += change
            bookkeeper.book(Cause.INTERVENTION, 0, int(state.accounts.owner[row]), change * self._settle_price)

    @property
    def equity(self) -> float:
        """Margin equity at the last mark. [USD]"""
        return float(self._state.accounts.equity[self.row])

    @property
    def requirement(self) -> float:
        """Maintenance requirement at the last mark. [USD]"""
        return float(self._state.accounts.requirement[self.row])

    @property
    def value(self) -> float:
        """What the account is worth at present prices, not floored at zero. [USD]"""
        state = self._state
        rows = slice(state.accounts.start[self.row], state.accounts.start[self.row + 1])
        price = state.instruments.value_price[state.positions.instrument[rows]]
        return self._settle_price * (self.balance + float(np.sum(state.positions.units[rows] * price)))

    @property
    def notional(self) -> float:
        """Gross notional of contracts, or debt. [USD]"""
        state = self._state
        rows = slice(state.accounts.start[self.row], state.accounts.start[self.row + 1])
        held = state.positions.instrument[rows]
        size = np.abs(state.positions.units[rows]) * state.instruments.mark[held]
        return self._settle_price * float(size[state.instruments.kind[held] != InstrumentKind.SPOT].sum())

    @property
    def positions(self) -> dict[str, float]:
        """Units by instrument, those that are not zero."""
        state = self._state
        return {
            state.instruments.names[state.positions.instrument[row]]: float(state.positions.units[row])
            for row in range(state.accounts.start[self.row], state.accounts.start[self.row + 1])
            if state.positions.units[row] != 0.0
        }

    @property
    def liquidation_prices(self) -> dict[str, float]:
        """Price by instrument at which equity meets the requirement, other prices unchanged; none where no price does.

        In the terms of the instrument's mark: 1/P for inverse contracts. [settlement asset per unit]
        """
        state = self._state
        price = liquidation_prices(state, np.array([self.row]))
        return {
            state.instruments.names[state.positions.instrument[row]]: float(price[row])
            for row in range(state.accounts.start[self.row], state.accounts.start[self.row + 1])
            if not np.isnan(price[row])
        }

    @property
    def bankruptcy_prices(self) -> dict[str, float]:
        """Price by instrument at which closing all positions leaves nothing. [settlement asset per unit]"""
        state = self._state
        rows, price = account_bankruptcy(state, self.row)
        names = (state.instruments.names[k] for k in state.positions.instrument[rows])
        return dict(zip(names, price.tolist(), strict=True))

    @property
    def flags(self) -> tuple[str, ...]:
        """What has happened to the account: called, breached, closed, taken_over, bankrupt; maker and house say what
        it is."""
        bits = int(self._state.accounts.flags[self.row])
        return tuple(flag.name.lower() for flag in AccountFlag if bits & flag)

    def __repr__(self) -> str:
        return f"Account({self._state.agent_name(int(self._state.accounts.owner[self.row]))!r} at {self.name!r})"
