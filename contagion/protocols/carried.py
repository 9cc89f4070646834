"""Deficits that a pool has recorded and not recognised: until then holders are paid as if nothing were missing."""

from __future__ import annotations

import numpy as np

from contagion.state.world import World


class CarriedDeficits:
    """Open deficits of issuers with a layer that waits for a close, by claim. [USD]"""

    def __init__(self, world: World, issuers: np.ndarray) -> None:
        self.world = world
        waiting = {
            venue.row for venue in world.venues.values()
            if any(getattr(layer, "recognition", "now") == "close" for layer in venue.layers)
        }  # fmt: skip
        self._order = {int(issuer): order for order, issuer in enumerate(issuers) if int(issuer) in waiting}
        self._amounts = np.zeros(len(issuers))

    def now(self) -> np.ndarray:
        """What is open, shape (n_claims,)."""
        deficits = self.world.bookkeeper.deficits
        if self._order and len(deficits):
            self._amounts[:] = 0.0
            for venue, left in zip(deficits.venue, deficits.open, strict=True):
                if venue in self._order:
                    self._amounts[self._order[venue]] += left
        return self._amounts
