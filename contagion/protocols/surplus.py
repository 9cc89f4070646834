"""Auctions in which a protocol's surplus buys its token back, which is destroyed (Maker: vow.sol, flap.sol)."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.protocols import minting
from contagion.protocols.peg import Peg
from contagion.protocols.verbs import OUTSIDE
from contagion.scenario.debt_positions import SurplusAuction
from contagion.state.codes import Cause
from contagion.state.world import Venue, World


class Surplus:
    """Sells lots of a protocol's surplus for its token whenever the buffer and a lot are there and nothing is missing.

    With a supply S at price P, a lot L buys and destroys n units at ``P' = P S / (S - n)``, ``L = n P' = S (P' - P)``:
    those who keep their units gain what the lot cost. What agents of the model gain is a row to them, the rest of the
    lot leaves to holders outside. The endogenous part of the token's price rises by ``P' / P``.
    """

    def __init__(self, world: World, venue: Venue, terms: SurplusAuction, peg: Peg) -> None:
        self.world, self.venue, self.terms, self.peg = world, venue, terms, peg
        names = world.state.assets.names
        if terms.token not in world.scenario.assets:
            where = f"protocols.{venue.name}.surplus_auction.token"
            raise InputError(where, terms.token, f"one of {', '.join(world.scenario.assets)}")
        self._asset = names.index(terms.token)
        self._slot = world.bookkeeper.slot(venue.fund, peg.claim)
        self._destroyed = 0.0

    def sell(self) -> bool:
        """Once a step; whether a lot was sold."""
        held = float(self.world.state.holdings.units[self._slot])
        if held < self.terms.buffer + self.terms.lot or self.venue.row in self.world.waterfall.carried:
            return False
        lots = int((held - self.terms.buffer) // self.terms.lot)
        self._buy(lots * self.terms.lot)
        return True

    def _buy(self, amount: float) -> None:
        """Hand out so much of the stablecoin for tokens. [units]"""
        world, state, books = self.world, self.world.state, self.world.bookkeeper
        fundamental = float(state.assets.fundamental[self.peg.claim])
        value = amount * fundamental
        price, supply = float(state.assets.fundamental[self._asset]), self.terms.supply - self._destroyed
        after = price + value / supply
        gains = np.zeros(state.n_agents)
        held = np.flatnonzero((state.holdings.asset == self._asset) & (state.holdings.units > 0.0))
        np.add.at(gains, state.holdings.owner[held], state.holdings.units[held] * (after - price))
        minting.pass_on(books, self.venue.fund, OUTSIDE, self.peg.claim, amount)
        for agent in np.flatnonzero(gains[1:] > 0.0) + 1:
            books.book(Cause.SPOT_SALE, OUTSIDE, int(agent), float(gains[agent]))
        for column in ("index", "fundamental", "redemption", "market", "audited"):
            getattr(state.assets, column)[self._asset] *= after / price
        state.assets.endogenous[self._asset] += np.log(after / price)
        self._destroyed += value / after
        world.count("surplus_auctioned", amount)
        world.count(f"tokens_destroyed.{self.venue.name}", value / after)
