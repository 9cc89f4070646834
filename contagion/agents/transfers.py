"""Money under way to accounts: it takes steps to arrive, and some of it does not."""

from __future__ import annotations

import numpy as np

from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.world import World

_GONE = int(AccountFlag.CLOSED | AccountFlag.TAKEN_OVER | AccountFlag.BANKRUPT)


class Transfers:
    """What groups send whose money has to cross to the venue: answers to margin calls, repayments, collateral of loans.

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
        self._account, self._position, self._due, self._asset = np.empty((4, 0), np.int64)
        self._units = np.empty(0)  # of the asset
        self._failed = np.empty(0, np.bool_)

    @property
    def next_due(self) -> int | None:
        """Step at which the next money arrives or is free again."""
        return int(self._due.min()) if len(self._due) else None

    def send(self, accounts: np.ndarray, units: np.ndarray, positions: np.ndarray | None = None) -> None:
        """Money leaves for accounts, for certain positions of theirs if given; collateral for those that hold it.

        Units are of the settlement asset, or of the collateral.
        """
        state, world = self.world.state, self.world
        group = state.agents.group[state.accounts.owner[accounts]]
        draw = world.streams.uniforms("transfer", state.accounts.key[accounts], world.step)
        failed = draw < self._failure[group]
        due = world.step + self._steps[group] + np.where(failed, self._returns[group], 0)
        self._account = np.concatenate([self._account, accounts])
        positions = accounts * 0 - 1 if positions is None else positions
        self._position = np.concatenate([self._position, positions])
        instruments, row = state.instruments, state.positions.instrument[positions]
        posts = (positions >= 0) & (instruments.kind[row] == InstrumentKind.SPOT)
        settle = state.books.settle[state.accounts.book[accounts]]
        self._asset = np.concatenate([self._asset, np.where(posts, instruments.asset[row], settle)])
        self._units = np.concatenate([self._units, units])
        self._due = np.concatenate([self._due, due])
        self._failed = np.concatenate([self._failed, failed])
        self.world.count("transfers_sent", len(accounts))
        if failed.any():
            self.world.count("transfers_failed", int(failed.sum()))

    def promised(self, owners: np.ndarray, asset: int) -> np.ndarray:
        """What owners have of an asset that is under way or stuck. Shape of `owners`. [units]"""
        if not len(self._due):
            return np.zeros(len(owners))
        state = self.world.state
        under_way = self._asset == asset
        sender = state.accounts.owner[self._account[under_way]]
        return np.array([self._units[under_way][sender == owner].sum() for owner in owners])

    def under_way(self, accounts: np.ndarray) -> np.ndarray:
        """What was sent to accounts and has not come, or is stuck. Shape of `accounts`. [units]"""
        if not len(self._due):
            return np.zeros(len(accounts))
        return np.array([self._units[self._account == account].sum() for account in accounts])

    def arrive(self) -> list[tuple[int, int, float]]:
        """What is due now: account, position (-1: none) and how much was sent. [units]"""
        if not len(self._due):
            return []
        state, world = self.world.state, self.world
        now = self._due <= world.step
        if not now.any():
            return []
        good = now & ~self._failed
        gone = state.accounts.flags[self._account] & _GONE != 0
        if (good & gone).any():
            world.count("transfers_too_late", int((good & gone).sum()))
        here = good & ~gone
        found = list(zip(self._account[here].tolist(), self._position[here].tolist(), self._units[here].tolist(),
                         strict=True))  # fmt: skip
        left = ~now
        self._account, self._position, self._units = self._account[left], self._position[left], self._units[left]
        self._due, self._failed, self._asset = self._due[left], self._failed[left], self._asset[left]
        return found
