"""The market of a minted stablecoin: what buying it costs, and how its price comes back to par."""

from __future__ import annotations

import math

from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.state.world import Venue, World


class Peg:
    """Purchases of one step walk up one impact curve; the whole move goes into the claim's (negative) discount.

    Between steps the discount falls by half in every `peg_half_life`: owners of positions mint above par and buy back
    below it.

    Parameters
    ----------
    venue : Venue
        Whose spec is a :class:`~contagion.scenario.debt_positions.CollateralisedDebt`.
    """

    def __init__(self, world: World, venue: Venue) -> None:
        self.world, self.claim = world, venue.claim
        spec: CollateralisedDebt = venue.spec
        self._depth = spec.depth or math.inf
        hours, step = spec.peg_half_life.total_seconds() / 3600.0, world.dt_years * 8760.0
        self._kept = 0.5 ** (step / hours) if hours > 0.0 else 0.0
        self._bought, self._step = 0.0, -1
        self._highest = f"highest_price.{venue.name}"

    def relax(self) -> bool:
        """Once a step: the gap to par closes by its part; whether there was one."""
        discount = self.world.state.assets.discount
        gap = float(discount[self.claim])
        if gap == 0.0:
            return False
        discount[self.claim] = 0.0 if abs(gap) < 1e-9 else gap * self._kept
        return True

    def price(self) -> float:
        """Of the next unit. [USD]"""
        assets = self.world.state.assets
        return float(assets.redemption[self.claim]) * math.exp(-float(assets.discount[self.claim]))

    def cost(self, units: float) -> float:
        """Average price of a purchase. [USD per unit]"""
        price = self.price()
        before = self._so_far()
        if not math.isfinite(self._depth) or units <= 0.0 or price <= 0.0:
            return price
        unmoved = price if self.world.scenario.feedback == "none" else price / (1.0 + self._move(before))
        return unmoved * (self._area(before + units) - self._area(before)) / units

    def bought(self, units: float) -> None:
        """A purchase was made: the price has moved."""
        before = self._so_far()
        self._bought = before + units
        if math.isfinite(self._depth) and self.world.scenario.feedback != "none":
            move = math.log1p(self._move(self._bought)) - math.log1p(self._move(before))
            self.world.state.assets.discount[self.claim] -= move
        counters = self.world.counters
        counters[self._highest] = max(counters.get(self._highest, 0.0), self.price())

    def _so_far(self) -> float:
        """Bought in this step. [USD at par]"""
        if self._step != self.world.step:
            self._step, self._bought = self.world.step, 0.0
        return self._bought

    def _move(self, flow: float) -> float:
        return self.world.impact.impact(flow, self._depth, 1.0) if flow > 0.0 else 0.0

    def _area(self, flow: float) -> float:
        """What buying from nothing up to a flow costs, over the price before it."""
        return flow * (1.0 + self.world.impact.average(flow, self._depth, 1.0)) if flow > 0.0 else 0.0


def pegs_of(world: World) -> dict[int, Peg]:
    """The markets of all minted stablecoins of a world, by the row of their issuer; the same ones at every call."""
    if world.pegs is None:
        world.pegs = {
            venue.row: Peg(world, venue) for venue in world.venues.values()
            if isinstance(venue.spec, CollateralisedDebt)
        }  # fmt: skip
    return world.pegs
