"""Curated vaults: which pool a withdrawal is taken from, flight from pools in trouble, and supply of idle cash."""

from __future__ import annotations

import numpy as np

from contagion.protocols import verbs
from contagion.protocols.depositors import Line
from contagion.protocols.liquidity import liquidity, raise_from_coins
from contagion.scenario.curated_vaults import CuratedVault
from contagion.state.codes import InstrumentKind
from contagion.state.world import Venue, World


class Curation:
    """The curators of a world.

    Parameters
    ----------
    lines : dict of int to Line
        Holders of each claim, by asset.
    """

    def __init__(self, world: World, lines: dict[int, Line]) -> None:
        self.world, self._lines = world, lines
        self._vaults = [venue for venue in world.venues.values() if isinstance(venue.spec, CuratedVault)]
        self._claims = {
            venue.row: {name: world.venues[name].claim for name in venue.spec.caps} for venue in self._vaults
        }
        self._left: set[tuple[int, str]] = set()  # vault and pool it fled from

    def order(self, venue: Venue, holdings: list[int]) -> list[int]:
        """Rows of Holdings in the order in which a vault redeems them."""
        if not isinstance(venue.spec, CuratedVault):
            return holdings
        queue = [*venue.spec.withdraw_queue, *venue.spec.caps]
        place = {self._claims[venue.row][name]: order for order, name in reversed(list(enumerate(queue)))}
        asset = self.world.state.holdings.asset
        return sorted(holdings, key=lambda row: place.get(int(asset[row]), len(queue)))

    def flee(self) -> None:
        """Take out what there is of pools in trouble; once a step, before holders are paid."""
        for venue in self._due():
            threshold = venue.spec.flees_at
            for name, claim in self._claims[venue.row].items() if threshold is not None else ():
                if self.trouble(name) >= threshold:
                    self._left.add((venue.row, name))
                    self._take_out(venue, claim)

    def supply(self) -> None:
        """Put idle cash to work; once a step, after holders have been paid."""
        for venue in self._due():
            state, spec = self.world.state, venue.spec
            owed = self._lines[venue.claim].queue()
            free = float(state.agents.cash[venue.row]) - owed - spec.idle * self._assets(venue)
            for name in spec.supply_queue:
                claim = self._claims[venue.row][name]
                if (venue.row, name) in self._left or float(state.assets.redemption[claim]) <= 0.0:
                    continue
                amount = min(free, spec.caps[name] - self._supplied(venue, claim))
                if amount > 1e-9 * spec.caps[name]:
                    verbs.issue(self.world.bookkeeper, claim, venue.row, amount)
                    self.world.count("curators_supplied", amount)
                    free -= amount

    def trouble(self, pool: str) -> float:
        """Greatest of the loss of a pool's claim and of how far collateral in use is below the oracle's price. [1]"""
        state, venue = self.world.state, self.world.venues[pool]
        instruments = state.instruments
        worst = self._lines[venue.claim].loss()
        for row in venue.instruments:
            oracle = float(instruments.equity_price[row])
            if instruments.kind[row] == InstrumentKind.SPOT and oracle > 0.0 and instruments.customer_units[row] > 0.0:
                worst = max(worst, 1.0 - float(state.assets.market[instruments.asset[row]]) / oracle)
        return worst

    def _due(self) -> list[Venue]:
        return [venue for venue in self._vaults if self.world.step % venue.spec.every == 0]

    def _slot(self, venue: Venue, claim: int) -> int:
        return self.world.bookkeeper.slot(venue.row, claim)

    def _supplied(self, venue: Venue, claim: int) -> float:
        state = self.world.state
        return float(state.holdings.units[self._slot(venue, claim)] * state.assets.redemption[claim])

    def _assets(self, venue: Venue) -> float:
        supplied = sum(self._supplied(venue, claim) for claim in self._claims[venue.row].values())
        return float(self.world.state.agents.cash[venue.row]) + supplied

    def _take_out(self, venue: Venue, claim: int) -> None:
        state, line = self.world.state, self._lines[claim]
        halted = self.world.halted.get(line.venue.row, -1) >= self.world.step
        price, row = line.price(), self._slot(venue, claim)
        if not line.free:
            line.queue_for(venue.row, float(state.holdings.units[row]))
            return
        liquid = liquidity(self.world, line.venue) - line.queue()
        amount = min(self._supplied(venue, claim), liquid)
        if amount > 0.0 and price > 0.0 and not halted:
            raise_from_coins(self.world, line.venue, amount - float(state.agents.cash[line.venue.row]))
            paid = verbs.redeem(self.world.bookkeeper, claim, np.array([row]), np.array([amount / price]))
            self.world.count("curators_withdrew", paid)
