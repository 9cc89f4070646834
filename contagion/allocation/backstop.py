"""A vault that stands behind an exchange: it takes units and what they lack onto its own account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from contagion.allocation.candidates import account_equity
from contagion.allocation.funds import NOBODY_TRADING
from contagion.allocation.layer import Case, Layer, Payment, Properties, Transfer
from contagion.allocation.lots import Lots
from contagion.errors import InputError
from contagion.margin.initial import initial_of, initial_terms
from contagion.state.tables import State


class BackstopVault(Layer):
    """A vault takes units over at mark on its own account at the venue, and with them pays what they lack.

    It takes all of them and all open deficits, or the greatest common share that leaves its account at or above its
    initial margin. What it earns or loses on them afterwards is its own.

    Parameters
    ----------
    vault : str
        The vault; it needs an account in the book of the units.
    """

    has: ClassVar[Properties] = NOBODY_TRADING._replace(budget_balance=False)

    vault: str

    def bear(self, case: Case) -> Iterator[Payment | Transfer]:
        if self.vault not in case.world.agent_rows:
            raise InputError("backstop_vault.vault", self.vault, f"one of {', '.join(case.world.agent_rows)}")
        state, books = case.world.state, case.world.state.books
        for book in case.venue.books:
            account = self._account(case, book)
            lots = [item for item in case.lots if state.instruments.book[item.instrument] == book]
            account_of = np.array(case.world.bookkeeper.deficits.account, dtype=np.int64)
            here = state.accounts.book[account_of[case.roots]] == book
            need = float(case.open[here].sum())
            if account < 0 or (not lots and need <= 0.0) or account == books.takeover[book]:
                continue
            share = self._share(case, account, lots, need)
            if need > 0.0:
                amounts, roots = share * case.open[here], case.roots[here]
                limits = np.full(len(roots), share * need)
                yield Payment(
                    amounts, limits, accounts=np.full(len(roots), account), deficits=roots, capacity=share * need
                )
            for item in lots:
                yield from self._take(case, account, item, share)

    def _take(self, case: Case, account: int, lots: Lots, share: float) -> Iterator[Transfer]:
        state = case.world.state
        into = case.world.bookkeeper.takeover_position(account, lots.instrument)
        for side in (1, -1):
            chosen = np.flatnonzero(lots.units * side > 0.0)
            units = share * float(lots.units[chosen].sum())
            if units != 0.0:
                price = np.full(len(chosen), float(state.instruments.value_price[lots.instrument]))
                yield Transfer(lots, chosen, price, np.array([into]), np.array([units]), abs(units))

    def _account(self, case: Case, book: int) -> int:
        agents, accounts = case.world.state.agents, case.world.state.accounts
        agent = case.world.agent_rows[self.vault]
        for row in range(int(agents.account_start[agent]), int(agents.account_start[agent + 1])):
            if accounts.book[row] == book:
                return row
        return -1

    def _share(self, case: Case, account: int, lots: list[Lots], need: float) -> float:
        """Greatest share in [0, 1] of units and deficits that keeps equity at or above initial margin."""
        state = case.world.state
        equity = float(account_equity(state, np.array([account]))[0])
        change = {item.instrument: float(item.units.sum()) for item in lots}

        def fits(share: float) -> bool:
            return equity - share * need >= initial_margin(state, account, change, share)

        if fits(1.0):
            return 1.0
        low, high = 0.0, 1.0
        if not fits(low):
            return 0.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def initial_margin(state: State, account: int, change: dict[int, float], share: float) -> float:
    """Initial margin of an account once a share of `change` (units by instrument) is added to it. [USD]"""
    rows = slice(int(state.accounts.start[account]), int(state.accounts.start[account + 1]))
    instrument, units = state.positions.instrument[rows], state.positions.units[rows].copy()
    for row, held in enumerate(instrument):
        units[row] += share * change.get(int(held), 0.0)
    book = int(state.accounts.book[account])
    terms = initial_terms(state.instruments, state.books.scan)
    return initial_of(book, instrument, units, terms) * float(state.assets.fundamental[state.books.settle[book]])
