"""Venues as Mesa agents."""

from __future__ import annotations

from typing import Any

import mesa
import numpy as np

from contagion.agents.account_view import account_values
from contagion.agents.views import View
from contagion.errors import InputError
from contagion.state.codes import AgentKind, InstrumentKind


class _Institution(View):
    @property
    def net_worth(self) -> float:
        """As for any agent, less what is owed to account and claim holders. [USD]"""
        state = self._state
        owed = np.maximum(account_values(state)[self._customer_accounts()], 0.0).sum()
        issued = np.asarray(state.assets.issuer) == self.row
        claims = np.sum(state.assets.supply[issued] * state.assets.fundamental[issued])
        return super().net_worth - float(owed) - float(claims)

    @property
    def _venue(self) -> Any:
        return self.model.world.venues[self.name]

    @property
    def spec(self) -> Any:
        """What the scenario says about it."""
        return self._venue.spec

    def _customer_accounts(self) -> np.ndarray:
        """Rows of other agents' accounts at this agent."""
        state = self._state
        books = np.flatnonzero(state.books.venue == self.row)
        if not len(books):
            return books
        return np.flatnonzero(np.isin(state.accounts.book, books) & (state.accounts.owner != self.row))

    @property
    def customers(self) -> Any:
        """Agents with an account here, an AgentSet."""
        owners = np.unique(self._state.accounts.owner[self._customer_accounts()])
        views = [self.model.view(int(row)) for row in owners]
        return mesa.agent.AgentSet(views, random=self.model.random)

    @property
    def deficits(self) -> tuple[float, ...]:
        """Roots of this venue so far. [USD]"""
        roots = self.model.world.bookkeeper.deficits
        return tuple(amount for venue, amount in zip(roots.venue, roots.amount, strict=True) if venue == self.row)

    @property
    def deficit(self) -> float:
        """Sum of the roots. [USD]"""
        return float(sum(self.deficits))

    @property
    def waterfall(self) -> tuple[str, ...]:
        """Names of the layers that bear a deficit, first payer first."""
        return tuple(layer.name for layer in getattr(self.spec, "waterfall", ()))

    def _fund(self, field: str) -> int:
        if self._venue.fund < 0:
            raise InputError(f"{self.name}.{field}", None, "a venue with a fund")
        return self._venue.fund


class Exchange(_Institution):
    """A margin venue."""

    @property
    def insurance_fund(self) -> float:
        """Cash of the insurance fund; written: paid in from or out to outside. [USD]"""
        return float(self._state.agents.cash[self._fund("insurance_fund")])

    @insurance_fund.setter
    def insurance_fund(self, value: float) -> None:
        self._receive("insurance_fund", self._fund("insurance_fund"), value)

    @property
    def mark_prices(self) -> dict[str, float]:
        """Mark price of the underlying by contract. [settlement asset; USD for inverse contracts]"""
        table = self._state.instruments
        return {
            table.names[row]: float(table.mark[row] if table.sign[row] > 0 else 1.0 / table.mark[row])
            for row in self._venue.instruments
        }

    @property
    def open_interest(self) -> dict[str, float]:
        """Notional of one side by contract. [USD]"""
        state = self._state
        table, found = state.instruments, {}
        gross = np.bincount(state.positions.instrument, np.abs(state.positions.units), minlength=len(table.names))
        for row in self._venue.instruments:
            settle = float(state.assets.fundamental[state.books.settle[table.book[row]]])
            found[table.names[row]] = 0.5 * float(gross[row] * table.mark[row]) * settle
        return found


class Protocol(_Institution):
    """A lending pool or vault that issues a claim."""

    @property
    def _claim(self) -> int:
        return self._venue.claim

    @property
    def fundamental(self) -> float:
        """Value of a claim unit by the balance sheet. [USD]"""
        return float(self._state.assets.fundamental[self._claim])

    @property
    def redemption(self) -> float:
        """What a withdrawal gets per unit. [USD]"""
        return float(self._state.assets.redemption[self._claim])

    @property
    def market(self) -> float:
        """What a sale gets per unit. [USD]"""
        return float(self._state.assets.market[self._claim])

    @property
    def deposits(self) -> float:
        """Claims outstanding at redemption value. [USD]"""
        return float(self._state.assets.supply[self._claim]) * self.redemption

    @property
    def debt(self) -> float:
        """What borrowers owe. [USD]"""
        table = self._state.instruments
        rows = [row for row in self._venue.instruments if table.kind[row] == InstrumentKind.DEBT]
        return -float(np.sum(table.customer_units[rows] * table.value_price[rows])) + 0.0

    @property
    def utilisation(self) -> float:
        """Debt over debt plus cash, 0 where there is neither. [1]"""
        debt = self.debt
        return debt / (debt + self.cash) if debt > 0.0 else 0.0

    @property
    def health_factors(self) -> dict[str, float]:
        """Risk-adjusted collateral over debt by borrower, at the last mark; below 1 a loan can be liquidated. [1]"""
        state, found = self._state, {}
        kind, price = state.instruments.kind, state.instruments.equity_price
        for row in self._customer_accounts():
            held = slice(state.accounts.start[row], state.accounts.start[row + 1])
            instrument = state.positions.instrument[held]
            worth = state.positions.units[held] * price[instrument]
            debt = -float(worth[kind[instrument] == InstrumentKind.DEBT].sum())
            if debt > 0.0:
                own = float(worth[kind[instrument] == InstrumentKind.SPOT].sum()) + float(state.accounts.balance[row])
                found[state.agent_name(int(state.accounts.owner[row]))] = (
                    own - float(state.accounts.requirement[row])
                ) / debt
        return found


class Fund(View):
    """Ring-fenced money of a venue or protocol."""


class Outside(View):
    """What value enters from and leaves to."""


INSTITUTIONS: dict[AgentKind, type[View]] = {
    AgentKind.OUTSIDE: Outside,
    AgentKind.EXCHANGE: Exchange,
    AgentKind.PROTOCOL: Protocol,
    AgentKind.FUND: Fund,
}
