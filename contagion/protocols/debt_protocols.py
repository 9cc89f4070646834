"""Phase 2 for protocols that mint a stablecoin: its price returns to par, surplus is sold, system debt is counted."""

from __future__ import annotations

from contagion.protocols.peg import pegs_of
from contagion.protocols.surplus import Surplus
from contagion.state.world import World


class DebtProtocols:
    """All protocols of kind collateralised_debt of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._pegs = list(pegs_of(world).values())
        self._minting = [venue for venue in world.venues.values() if venue.row in pegs_of(world)]
        self._surplus = [
            Surplus(world, venue, venue.spec.surplus_auction, pegs_of(world)[venue.row])
            for venue in self._minting if venue.spec.surplus_auction
        ]  # fmt: skip

    def run(self) -> None:
        """Once a step."""
        for peg in self._pegs:
            peg.relax()
        for surplus in self._surplus:
            surplus.sell()
        if self._minting and self.world.waterfall.carried:
            self._count_system_debt()

    def _count_system_debt(self) -> None:
        """Deficits that wait for a layer: now in the step's counters, most at once in those of the run."""
        for venue in self._minting:
            waiting, name = self.world.waterfall.carried_by(venue.row), f"system_debt.{venue.name}"
            self.world.step_counters[name] = waiting
            self.world.counters[name] = max(self.world.counters.get(name, 0.0), waiting)
