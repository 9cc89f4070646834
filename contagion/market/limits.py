"""Orders within the position and concentration limits of their venue."""

from __future__ import annotations

import numpy as np

from contagion.scenario.venues import Exchange
from contagion.state.codes import AccountFlag
from contagion.state.world import World


class OrderLimits:
    """Cuts orders that would leave a position above a limit; what reduces one is never cut.

    Attributes
    ----------
    active : bool
        Whether any venue has such a limit.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        count = len(world.state.instruments.names)
        self._position, self._concentration = np.full(count, np.inf), np.full(count, np.inf)
        for venue in world.venues.values():
            if isinstance(venue.spec, Exchange):
                limits = venue.spec.trading_limits
                self._position[venue.instruments] = np.inf if limits.position is None else limits.position
                share = limits.concentration
                self._concentration[venue.instruments] = np.inf if share is None else share
        self.active = bool(np.isfinite(self._position).any() or np.isfinite(self._concentration).any())

    def cut(self, rows: np.ndarray, units: np.ndarray) -> None:
        """Cut signed changes of positions in place; `rows` of Positions occur once."""
        state = self.world.state
        most = self._largest()[state.positions.instrument[rows]]
        held = state.positions.units[rows]
        after = held + units
        # A position that stands above its limit may stay, unless it changes sides.
        most = np.maximum(most, np.where(after * held > 0.0, np.abs(held), 0.0))
        above = np.abs(after) > most
        above &= (state.accounts.flags[state.positions.account[rows]] & AccountFlag.MAKER) == 0
        if above.any():
            self.world.count("orders_limited", int(above.sum()))
            units[above] = np.sign(after[above]) * most[above] - held[above]

    def _largest(self) -> np.ndarray:
        """Greatest units of a position, by instrument."""
        state, instruments = self.world.state, self.world.state.instruments
        settle = state.assets.fundamental[state.books.settle[instruments.book]]
        by_share = np.full(len(settle), np.inf)
        some = np.isfinite(self._concentration)
        by_share[some] = self._concentration[some] * instruments.open_interest[some]
        return np.minimum(self._position / (instruments.mark * settle), by_share)
