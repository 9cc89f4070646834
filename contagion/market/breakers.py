"""Circuit breakers: a venue halts when one of its marks moved too far within a window."""

from __future__ import annotations

import numpy as np

from contagion.scenario.levers import CircuitBreaker
from contagion.scenario.venues import Exchange
from contagion.state.world import Venue, World


class CircuitBreakers:
    """Watches the marks of venues that have a breaker, and halts them.

    Attributes
    ----------
    active : bool
        Whether any venue has one.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._watched = [
            (venue, venue.spec.circuit_breaker, [self._prices(venue)]) for venue in world.venues.values()
            if isinstance(venue.spec, Exchange) and venue.spec.circuit_breaker is not None
        ]  # fmt: skip
        self.active = bool(self._watched)

    def watch(self) -> None:
        """Once a step, when its marks are known: those of the window so far, and a halt if one is too far away."""
        for venue, rule, window in self._watched:
            if self.world.halted.get(venue.row, -1) >= self.world.step:
                window.clear()
                continue
            marks = self._prices(venue)
            if any((np.abs(marks / before - 1.0) >= rule.move).any() for before in window):
                self._halt(venue, rule)
                window.clear()
                continue
            window.append(marks)
            del window[: -rule.window]

    def _prices(self, venue: Venue) -> np.ndarray:
        """Marks as prices of the underlying. [USD]"""
        instruments = self.world.state.instruments
        return instruments.mark[venue.instruments] ** instruments.sign[venue.instruments]

    def _halt(self, venue: Venue, rule: CircuitBreaker) -> None:
        self.world.halted[venue.row] = self.world.step + rule.halt - 1
        self.world.count("circuit_breaker_halts")
