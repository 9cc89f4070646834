"""What a venue closes in one step: whom its throughput lets through, and caps per position and account."""

from __future__ import annotations

import numpy as np

from contagion.scenario.venues import Caps
from contagion.state.world import World


def first_in_line(
    world: World, rule: str, accounts: np.ndarray, equity: np.ndarray, requirement: np.ndarray, notional: np.ndarray
) -> np.ndarray:
    """Order in which accounts are liquidated where not all can be: positions in the arrays given, shape (n,).

    ``arrival``: earliest breach; ``worst_first``: least equity over maintenance; ``largest_first``: greatest notional;
    ``random``: drawn anew each step. Equals in the order of their keys.
    """
    table = world.state.accounts
    key = table.key[accounts]
    if rule == "random":
        return np.lexsort((key, world.streams.uniforms("liquidation order", key, world.step)))
    if rule == "worst_first":
        first = np.divide(equity, requirement, out=np.full(len(equity), -np.inf), where=requirement > 0.0)
    elif rule == "largest_first":
        first = -notional
    else:
        first = table.breached_at[accounts]
    return np.lexsort((key, first))


class StepCaps:
    """What has been closed in this step, by position and account, where a venue caps it."""

    def __init__(self, world: World, used: bool) -> None:
        self.world = world
        state = world.state
        self._units = np.zeros(len(state.positions.units) if used else 0)  # closed, without sign
        self._usd = np.zeros(len(state.accounts.balance) if used else 0)
        self._rows: list[np.ndarray] = []
        self._accounts: list[np.ndarray] = []

    def open_step(self) -> None:
        """A new block."""
        for rows in self._rows:
            self._units[rows] = 0.0
        for accounts in self._accounts:
            self._usd[accounts] = 0.0
        self._rows.clear()
        self._accounts.clear()

    def cut(
        self, caps: Caps, accounts: np.ndarray, rows: np.ndarray, owner: np.ndarray, change: np.ndarray,
        usd_per_unit: np.ndarray, shortfall: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Orders within the caps.

        Parameters
        ----------
        accounts, shortfall : ndarray of shape (n,)
            Rows of Accounts; expected loss beyond its equity if all its orders fill. [USD]
        rows, owner, change, usd_per_unit : ndarray of shape (m,)
            Rows of Positions, which account (by order), signed units, and notional of one unit. [USD]
        """
        held = np.abs(self.world.state.positions.units[rows]) + self._units[rows]
        most = np.maximum(caps.share * held, np.minimum(held, caps.least / usd_per_unit)) - self._units[rows]
        size = np.minimum(np.abs(change), np.maximum(most, 0.0))
        share = np.ones(len(accounts))
        if caps.notional is not None:
            wanted = np.bincount(owner, weights=size * usd_per_unit, minlength=len(accounts))
            left = np.maximum(caps.notional - self._usd[accounts], 0.0)
            share = np.divide(left, wanted, out=share, where=wanted > left)
        if caps.insurance is not None:
            lost = shortfall > caps.insurance
            share = np.minimum(share, np.divide(caps.insurance, shortfall, out=np.ones(len(share)), where=lost))
        return np.sign(change) * size * share[owner]

    def record(self, accounts: np.ndarray, rows: np.ndarray, owner: np.ndarray, done: np.ndarray, usd_per_unit) -> None:
        """What was executed."""
        self._units[rows] += np.abs(done)
        self._usd += np.bincount(accounts[owner], weights=np.abs(done) * usd_per_unit, minlength=len(self._usd))
        self._rows.append(rows)
        self._accounts.append(accounts)
