"""The market of a minted stablecoin: what buying it costs, and how its price comes back to par."""

from __future__ import annotations

import math

from contagion.protocols.claim_market import ClaimMarket
from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.state.world import Venue, World

_ANY_DEPTH = 1e30  # USD
_NOT_FOR_SALE = 1e12
"""Price of more units than the market has. [USD]"""


class Peg:
    """Purchases of one step walk up one curve; the move goes into the claim's (negative) discount and stays there.

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
        self._market, self._step = ClaimMarket(world), -1
        self._depth = spec.depth or _ANY_DEPTH
        self._half_life = spec.peg_half_life / world.scenario.dt
        self._highest = f"highest_price.{venue.name}"

    def relax(self) -> None:
        """Once a step: the gap to par closes by its part."""
        discount = self.world.state.assets.discount
        gap = float(discount[self.claim])
        if gap != 0.0:
            kept = 0.5 ** (1.0 / self._half_life) if self._half_life > 0.0 else 0.0
            discount[self.claim] = 0.0 if abs(gap) < 1e-9 else gap * kept

    def price(self) -> float:
        """Of the next unit. [USD]"""
        assets = self.world.state.assets
        return float(assets.redemption[self.claim]) * math.exp(-float(assets.discount[self.claim]))

    def cost(self, units: float) -> float:
        """Average price of a purchase. [USD per unit]"""
        if not units > 0.0:
            return self.price()
        return min(_NOT_FOR_SALE, self._open().cost(self.claim, units, self._depth) / units)

    def bought(self, units: float) -> None:
        """A purchase was made: the price has moved."""
        self._open().trade(self.claim, units, self._depth)
        counters = self.world.counters
        counters[self._highest] = max(counters.get(self._highest, 0.0), self.price())

    def _open(self) -> ClaimMarket:
        """The market, with a full book in a new step."""
        if self._step != self.world.step:
            self._step = self.world.step
            self._market.open_step()
        return self._market


def pegs_of(world: World) -> dict[int, Peg]:
    """The markets of all minted stablecoins of a world, by the row of their issuer; the same ones at every call."""
    if world.pegs is None:
        world.pegs = {
            venue.row: Peg(world, venue) for venue in world.venues.values()
            if isinstance(venue.spec, CollateralisedDebt)
        }  # fmt: skip
    return world.pegs
