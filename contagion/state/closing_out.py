"""Accounts that are closed for good: what was left goes to the venue, what is missing becomes a deficit, a root."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from contagion.state.codes import AccountFlag, Cause
from contagion.state.ledger import Ledger
from contagion.state.tables import State
from contagion.state.trades import move_to_house


@dataclass(slots=True)
class Deficits:
    """Roots: one per (venue, account, episode). `amount` is `max(0, -equity at mark)` at close or takeover [USD]."""

    venue: list[int] = field(default_factory=list)
    account: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    amount: list[float] = field(default_factory=list)
    open: list[float] = field(default_factory=list)  # not yet borne by a layer [USD]

    def __len__(self) -> int:
        return len(self.amount)


class ClosingOut:
    """The verbs of the bookkeeper that close accounts and open deficits."""

    state: State
    ledger: Ledger
    deficits: Deficits
    traded: bool
    audited_settle: np.ndarray

    def hand_over(self, accounts: np.ndarray) -> np.ndarray:
        """Move units and balance of accounts to their venue's takeover account and make their deficits final.

        The takeover account has a position row for every contract of its book. What equity was left goes to the
        venue as surplus (the caller passes it on by rule); what is missing becomes a root.

        Returns
        -------
        ndarray of shape (n,)
            Deficit id of each account, -1 where equity was not negative.
        """
        state, positions, instruments = self.state, self.state.positions, self.state.instruments
        self.traded = True
        accounts = np.asarray(accounts, dtype=np.int64)
        now, then = np.empty((2, len(accounts)))
        failed = move_to_house(
            accounts, state.accounts.book, state.accounts.start, state.books.takeover, positions.instrument,
            positions.units, positions.entry, state.accounts.balance, instruments.value_price,
            instruments.audited_price, instruments.equity_price, now, then,
        )  # fmt: skip
        if failed >= 0:
            raise KeyError(f"the takeover account cannot hold a contract of account {failed}")
        book = state.accounts.book[accounts]
        settle = state.books.settle[book]
        now *= state.assets.fundamental[settle]
        then *= self.audited_settle[settle]
        owner, venue = state.accounts.owner[accounts], state.books.venue[book]
        np.add.at(state.agents.worth, owner, now - then)
        np.subtract.at(state.agents.worth, venue, now - then)
        ids = self._close_out_many(accounts, owner, venue, now)
        state.accounts.flags[accounts] |= np.uint8(AccountFlag.TAKEN_OVER | AccountFlag.CLOSED)
        return ids

    def takeover_position(self, account: int, instrument: int) -> int:
        """Row of Positions of an account in an instrument.

        Raises
        ------
        KeyError
            The account was not built to hold this instrument.
        """
        positions, start = self.state.positions, self.state.accounts.start
        for row in range(start[account], start[account + 1]):
            if positions.instrument[row] == instrument:
                return row
        raise KeyError(f"account {account} cannot hold {self.state.instruments.names[instrument]}")

    def _close_out(self, account: int, owner: int, venue: int, equity: float) -> int:
        """The same for one account; its deficit id, or -1."""
        columns = (np.array([item]) for item in (account, owner, venue, equity))
        return int(self._close_out_many(*columns)[0])

    def _close_out_many(
        self, accounts: np.ndarray, owner: np.ndarray, venue: np.ndarray, equity: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        """Owner and account part: what limited liability had booked is reversed, the final amount is booked."""
        table = self.state.accounts
        under = (table.flags[accounts] & AccountFlag.UNDER) != 0
        if under.any():
            reversed_ = -table.value[accounts[under]]
            self.book(Cause.LIMITED_LIABILITY, owner[under], venue[under], reversed_)
            table.flags[accounts[under]] &= ~np.uint8(AccountFlag.UNDER)
        short = equity < 0.0
        self.book(Cause.SURPLUS, owner[~short], venue[~short], equity[~short])
        ids = np.full(len(accounts), -1, dtype=np.int64)
        ids[short] = self.open_deficits(venue[short], accounts[short], owner[short], -equity[short])
        self.book(Cause.DEFICIT, venue[short], owner[short], -equity[short], deficit=ids[short])
        table.flags[accounts[short]] |= np.uint8(AccountFlag.BANKRUPT)
        return ids

    # -- deficits -----------------------------------------------------------------------------------------------

    def open_deficit(self, venue: int, account: int, owner: int, amount: float) -> int:
        """Register a root and return its id. [USD]"""
        return int(self.open_deficits(*(np.array([item]) for item in (venue, account, owner, amount)))[0])

    def open_deficits(
        self, venue: np.ndarray, account: np.ndarray, owner: np.ndarray, amount: np.ndarray
    ) -> np.ndarray:  # fmt: skip
        """Register roots and return their ids. [USD]"""
        roots, count = self.deficits, len(amount)
        ids = np.arange(len(roots), len(roots) + count)
        roots.venue.extend(venue.tolist())
        roots.account.extend(account.tolist())
        roots.owner.extend(owner.tolist())
        roots.step.extend([self.ledger.step] * count)
        roots.round.extend([self.ledger.round] * count)
        roots.amount.extend(amount.tolist())
        roots.open.extend(amount.tolist())
        return ids
