"""Mesa agents as views: attributes read and write the agent's row of its own model's arrays.

Writing through a view is a scenario intervention: the value comes from or goes to ``outside`` and the ledger says so.
Contracts are promises between account holders, so positions cannot be written; orders are the way to change them.
"""

from __future__ import annotations

import math
from typing import Any

import mesa
import numpy as np

from contagion.agents.account_view import AccountView, Intervention, usd_amount
from contagion.agents.behaviours import Intent, Observation
from contagion.errors import InputError
from contagion.state.codes import Cause

STATUS = {1: "default", 2: "insolvent", 4: "illiquid", 8: "failed"}
"""Bits of ``Agents.status`` in words."""


class View(mesa.Agent):
    """An agent of the model.

    Parameters
    ----------
    model : ContagionModel
        Has the state in ``model.world``.
    row : int
        Row of the agent in ``state.agents``; agents come from the scenario, not from this constructor.
    """

    def __init__(self, model: Any, row: int) -> None:
        self.row = int(row)
        if not 0 <= self.row < model.world.state.n_agents:
            raise InputError("row", row, f"a row of an agent, 0 to {model.world.state.n_agents - 1}")
        super().__init__(model)

    @property
    def _state(self) -> Any:
        return self.model.world.state

    @property
    def name(self) -> str:
        """Name of an institution, ``group:ordinal`` of a trader."""
        return self._state.agent_name(self.row)

    @property
    def key(self) -> int:
        """Content key: what this agent's random numbers belong to."""
        return int(self._state.agents.key[self.row])

    @property
    def status(self) -> str:
        """``active``, or what has happened to the agent: default, insolvent, illiquid, failed."""
        bits = int(self._state.agents.status[self.row])
        return "+".join(word for bit, word in STATUS.items() if bits & bit) or "active"

    @property
    def cash(self) -> float:
        """USD in own hands; written: paid from or to outside. [USD]"""
        return float(self._state.agents.cash[self.row])

    @cash.setter
    def cash(self, value: float) -> None:
        self._receive("cash", self.row, value)

    def _receive(self, field: str, row: int, value: float) -> None:
        value = usd_amount(f"{self.name}.{field}", value)
        with Intervention(self.model) as bookkeeper:
            bookkeeper.pay(Cause.INTERVENTION, 0, row, value - float(self._state.agents.cash[row]))

    @property
    def holdings(self) -> dict[str, float]:
        """Assets and claims in own hands. [units]"""
        state = self._state
        rows = range(state.agents.holding_start[self.row], state.agents.holding_start[self.row + 1])
        found = {state.assets.names[state.holdings.asset[row]]: float(state.holdings.units[row]) for row in rows}
        return {name: units for name, units in found.items() if units != 0.0}

    @property
    def accounts(self) -> tuple[AccountView, ...]:
        """Own accounts at venues."""
        start = self._state.agents.account_start
        return tuple(AccountView(self.model, row) for row in range(start[self.row], start[self.row + 1]))

    @property
    def positions(self) -> dict[str, float]:
        """Units by instrument over all accounts, those that are not zero; long positive."""
        total: dict[str, float] = {}
        for account in self.accounts:
            for name, units in account.positions.items():
                total[name] = total.get(name, 0.0) + units
        return total

    @property
    def net_worth(self) -> float:
        """Cash, holdings, accounts at others (not below zero each) and loans, at present prices. [USD]"""
        state = self._state
        row, fundamental = self.row, state.assets.fundamental
        held = slice(state.agents.holding_start[row], state.agents.holding_start[row + 1])
        total = self.cash + float(np.sum(state.holdings.units[held] * fundamental[state.holdings.asset[held]]))
        total += sum(max(0.0, account.value) for account in self.accounts if account.venue != self.name)
        loans = state.loans
        total += float(loans.face[loans.lender == row].sum() - loans.face[loans.borrower == row].sum())
        return total

    def remove(self) -> None:
        """Take the agent out of the model; its cash goes to outside.

        Raises
        ------
        InputError
            It is an institution, or has positions, balances, holdings or loans.
        """
        state = self._state
        reasons = list(self.positions) + list(self.holdings)
        reasons += [f"balance at {account.name}" for account in self.accounts if account.balance != 0.0]
        borrowed = (state.loans.lender == self.row) | (state.loans.borrower == self.row)
        reasons += ["loans"] * bool((state.loans.face[borrowed] != 0.0).any())
        if reasons or self.row < state.first_trader:
            what = ", ".join(reasons) or "an institution"
            raise InputError(f"{self.name}.remove", what, "a trader without positions, balances, holdings or loans")
        self.cash = 0.0
        super().remove()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Trader(View):
    """A trader. Subclass it and override :meth:`decide` for a behaviour of your own."""

    @property
    def _group(self) -> Any:
        return self.model.world.groups[int(self._state.agents.group[self.row])]

    @property
    def group(self) -> str:
        """Name of its group."""
        return self._group.name

    @property
    def archetype(self) -> str:
        """Archetype as the scenario names it."""
        return self._group.spec.archetype

    @property
    def behaviour(self) -> Any:
        """The archetype with its parameters."""
        return self._group.rule

    @property
    def equity(self) -> float:
        """Margin equity over all accounts at the last mark. [USD]"""
        return sum(account.equity for account in self.accounts)

    @property
    def requirement(self) -> float:
        """Maintenance requirement over all accounts at the last mark. [USD]"""
        return sum(account.requirement for account in self.accounts)

    @property
    def leverage(self) -> float:
        """Gross notional over margin equity; infinite when there is exposure but no equity. [1]"""
        notional, equity = sum(account.notional for account in self.accounts), self.equity
        if notional == 0.0:
            return 0.0
        return notional / equity if equity > 0.0 else math.inf

    def decide(self, observation: Observation) -> list[Intent]:
        """Orders on what phase 2 let this trader see; by default those of its archetype."""
        decide = getattr(self.behaviour, "decide", None)
        return decide(observation) if decide is not None else []
