"""Money under way to accounts: it takes steps to arrive, and some of it does not."""

from __future__ import annotations

import numpy as np

from contagion.state.codes import AccountFlag
from contagion.state.world import World

_GONE = int(AccountFlag.CLOSED | AccountFlag.TAKEN_OVER | AccountFlag.BANKRUPT)


class Transfers:
    """Top-ups of groups whose money has to cross to the venue.

    Until it arrives money is the sender's, who cannot use it twice. A transfer fails with the probability of its
    group, a draw keyed by account and step; the money is then stuck for the group's `returns` steps. What arrives
    after the account was closed stays with the sender.

    Attributes
    ----------
    slow : ndarray of shape (n_groups,)
        Groups whose transfers take time or may fail.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        terms = [group.spec.transfer for group in world.groups]
        self._steps = np.array([item.steps for item in terms], np.int64)
        self._failure = np.array([item.failure for item in terms], float)
        self._returns = np.array([item.returns for item in terms], np.int64)
        self.slow = (self._steps > 0) | (self._failure > 0.0)
        self._account, self._due = np.empty((2, 0), np.int64)
        self._units = np.empty(0)  # [settlement asset]
        self._failed = np.empty(0, np.bool_)

    @property
    def next_due(self) -> int | None:
        """Step at which the next money arrives or is free again."""
        return int(self._due.min()) if len(self._due) else None

    def send(self, accounts: np.ndarray, units: np.ndarray) -> None:
        """Money leaves for accounts. [settlement asset]"""
        state, world = self.world.state, self.world
        group = state.agents.group[state.accounts.owner[accounts]]
        draw = world.streams.uniforms("transfer", state.accounts.key[accounts], world.step)
        failed = draw < self._failure[group]
        due = world.step + self._steps[group] + np.where(failed, self._returns[group], 0)
        self._account = np.concatenate([self._account, accounts])
        self._units = np.concatenate([self._units, units])
        self._due = np.concatenate([self._due, due])
        self._failed = np.concatenate([self._failed, failed])
        self.world.count("transfers_sent", len(accounts))
        if failed.any():
            self.world.count("transfers_failed", int(failed.sum()))

    def promised(self, owners: np.ndarray, asset: int) -> np.ndarray:
        """Money of owners that is under way or stuck. Shape of `owners`. [units of the settlement asset]"""
        if not len(self._due):
            return np.zeros(len(owners))
        state = self.world.state
        under_way = state.books.settle[state.accounts.book[self._account]] == asset
        sender = state.accounts.owner[self._account[under_way]]
        return np.array([self._units[under_way][sender == owner].sum() for owner in owners])

    def arrive(self) -> bool:
        """Credit what is due; whether money moved."""
        if not len(self._due):
            return False
        state, world = self.world.state, self.world
        now = self._due <= world.step
        if not now.any():
            return False
        good = now & ~self._failed
        gone = state.accounts.flags[self._account] & _GONE != 0
        if (good & gone).any():
            world.count("transfers_too_late", int((good & gone).sum()))
        moved = False
        for place in np.flatnonzero(good & ~gone).tolist():
            moved |= self._credit(int(self._account[place]), float(self._units[place]))
        left = ~now
        self._account, self._units = self._account[left], self._units[left]
        self._due, self._failed = self._due[left], self._failed[left]
        return moved

    def _credit(self, account: int, units: float) -> bool:
        state, world = self.world.state, self.world
        owner, settle = int(state.accounts.owner[account]), int(state.books.settle[state.accounts.book[account]])
        slot = world.bookkeeper.slot(owner, settle) if settle else -1
        has = float(state.holdings.units[slot] if settle else state.agents.cash[owner])
        units = min(units, max(0.0, has))
        if units <= 0.0:
            return False
        world.bookkeeper.deposit(np.array([account]), np.array([units]))
        world.count("top_ups", units * float(state.assets.fundamental[settle]))
        return True
