"""Closing by and by: how much of the margin that is missing may be freed by now."""

from __future__ import annotations

from typing import Any

import numpy as np

from contagion.scenario.venues import Gradual
from contagion.state.world import World


def liquidatable_share(
    missing: Any, freed: Any, elapsed: Any, initial: Any, duration: Any, all_below: Any
) -> np.ndarray:
    """Share of a close that restores margin which may be executed now (Drift v2, ``math/liquidation.rs``). [1]

    Of all the margin that was missing, ``initial + elapsed / duration`` may be freed, what has been freed included.

    Parameters
    ----------
    missing, freed
        Margin that is missing now, and what closes of this episode have freed. [USD]
    elapsed, duration
        Since the breach; until everything may be closed. [s]
    initial
        Share at first. [1]
    all_below
        Missing margin below which everything may be closed at once. [USD]
    """
    missing = np.maximum(0.0, np.asarray(missing, dtype=np.float64))
    allowed = np.minimum(1.0, initial + np.asarray(elapsed) / duration) if duration > 0.0 else 1.0
    room = np.maximum(0.0, (missing + freed) * allowed - freed)
    share = np.divide(room, missing, out=np.ones(missing.shape), where=missing > 0.0)
    return np.where(missing < all_below, 1.0, np.minimum(1.0, share))


class GradualShares:
    """Remembers what margin the closes of an episode have freed, by account."""

    def __init__(self, world: World, used: bool) -> None:
        self.world = world
        self._freed = np.zeros(len(world.state.accounts.balance) if used else 0)  # [USD]

    def shares(self, terms: Gradual, accounts: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Share of each account's orders that may be executed, shape (n,)."""
        steps = self.world.step - self.world.state.accounts.breached_at[accounts]
        elapsed = np.maximum(0, steps) * self.world.scenario.dt.total_seconds()
        return liquidatable_share(
            missing, self._freed[accounts], elapsed, terms.initial, terms.duration.total_seconds(), terms.all_below
        )

    def freed(self, accounts: np.ndarray, margin: np.ndarray) -> None:
        """Closes have freed margin. [USD]"""
        self._freed[accounts] += np.maximum(0.0, margin)

    def forget(self, accounts: np.ndarray) -> None:
        """Episodes of these accounts are over."""
        if len(self._freed):
            self._freed[accounts] = 0.0
