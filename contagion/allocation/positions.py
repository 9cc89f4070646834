"""Layers that pass taken-over units on: auto-deleveraging of the other side, and a backstop vault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import field_validator

from contagion.allocation.candidates import account_equity, fill_by_rank
from contagion.allocation.layer import Case, Layer, Payment, Transfer
from contagion.allocation.lots import Lots
from contagion.allocation.rankings import ranking
from contagion.errors import InputError
from contagion.state.tables import State


class AutoDeleverage(Layer):
    """Holders on the other side close against the units of bankrupt accounts whose deficit is still open.

    Parameters
    ----------
    ranking : str
        Who goes first: a name in :mod:`contagion.allocation.rankings` or ``module:function``; equals give the same
        share of their size.
    price : {"bankruptcy", "mark", "previous_mark"}
        At the bankruptcy price (Binance, BitMEX, Bybit) the other side bears the deficit; at mark (OKX) it gives up
        only what the position might still have earned; the previous mark (Hyperliquid), that of the round before, may
        collect less than the deficit or more. Lots of one instrument and side are filled at their average price.
    """

    ranking: str = "pnl_leverage"
    price: Literal["bankruptcy", "mark", "previous_mark"] = "bankruptcy"

    @field_validator("ranking")
    @classmethod
    def _known(cls, name: str) -> str:
        ranking(name)
        return name

    def bear(self, case: Case) -> Iterator[Transfer]:
        rule, columns = ranking(self.ranking)
        for lots in case.lots:
            for side in (1, -1):
                chosen = np.flatnonzero((lots.units * side > 0.0) & (case.open_of(lots.deficit) > 0.0))
                if len(chosen) == 0:
                    continue
                units = float(np.abs(lots.units[chosen]).sum())
                transfer = Transfer(lots, chosen, self.prices(case, lots, chosen), *_NOBODY)
                found = case.index.candidates(lots.instrument, -side, transfer.price)
                fills = fill_by_rank(found.score(rule, columns), found.units, units)
                some = fills > 0.0
                transfer.positions, transfer.units = found.position[some], side * fills[some]
                transfer.available = float(found.units.sum())
                yield transfer

    def prices(self, case: Case, lots: Lots, chosen: np.ndarray) -> np.ndarray:
        """The rule's price of each chosen lot. [settlement asset per unit]"""
        if self.price == "bankruptcy":
            return lots.bankruptcy[chosen]
        source = case.world.state.instruments.value_price if self.price == "mark" else case.previous_marks
        return np.full(len(chosen), float(source[lots.instrument]))


class BackstopVault(Layer):
    """A vault takes units over at mark on its own account at the venue, and with them pays what they lack.

    It takes all of them and all open deficits, or the greatest common share that leaves its account at or above its
    initial margin. What it earns or loses on them afterwards is its own.

    Parameters
    ----------
    vault : str
        The vault; it needs an account in the book of the units.
    """

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
    """Initial margin of an account once a share of `change` (units by instrument) is added to it. [USD]

    Notional at mark times the initial rate of the tier it falls in, summed over positions.
    """
    instruments, total = state.instruments, 0.0
    for row in range(int(state.accounts.start[account]), int(state.accounts.start[account + 1])):
        instrument = int(state.positions.instrument[row])
        units = float(state.positions.units[row]) + share * change.get(instrument, 0.0)
        notional = abs(units) * float(instruments.mark[instrument])
        tiers = slice(int(instruments.tier_start[instrument]), int(instruments.tier_start[instrument + 1]))
        if notional > 0.0 and tiers.stop > tiers.start:
            tier = int(np.searchsorted(instruments.tier_floor[tiers], notional, side="right")) - 1
            total += notional * float(instruments.tier_initial[tiers][tier])
    return total * float(state.assets.fundamental[state.books.settle[state.accounts.book[account]]])


_NOBODY = (np.zeros(0, dtype=np.int64), np.zeros(0))
