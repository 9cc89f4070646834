"""Interest of lending pools: by utilisation, folded into the debt index, the reserve's share in new claim units."""

from __future__ import annotations

from contagion.protocols import verbs
from contagion.protocols.liquidity import liquidity
from contagion.protocols.rates import BorrowRate
from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.scenario.lending import LendingPool
from contagion.state.codes import Cause
from contagion.state.world import Venue, World


class Interest:
    """Accrues one step's interest on every lending pool."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._pools = [
            (venue, venue.debts[0], BorrowRate(venue.spec.rate))
            for venue in world.venues.values() if isinstance(venue.spec, LendingPool)
        ]  # fmt: skip

    def accrue(self) -> bool:
        """Grow debt by the rate at the pool's utilisation now; once a step, in its first round.

        A row pool -> pool holds the step's interest, which reaches borrowers and suppliers as revaluation. The reserve
        gets its share as claim units, so suppliers are diluted by it (Aave's accrual to its treasury).
        """
        if not self._pools:
            return False
        grown = False
        for venue, debt, rate in self._pools:
            grown |= self._grow(venue, debt, rate)
        return grown

    def _grow(self, venue: Venue, debt: int, rate: BorrowRate) -> bool:
        state = self.world.state
        instruments = state.instruments
        owed = borrowed(self.world, debt)
        if owed <= 0.0:
            return False
        used = owed / (owed + liquidity(self.world, venue))
        yearly = rate.over(used, self.world.dt_years)
        growth = yearly * self.world.dt_years
        if growth <= 0.0:
            return False
        instruments.debt_index[debt] *= 1.0 + growth
        books = self.world.bookkeeper
        books.book(Cause.INTEREST, venue.row, venue.row, owed * growth)
        self.world.count("interest", owed * growth)
        share, price = owed * growth * rate.reserve_share(yearly, used), float(state.assets.redemption[venue.claim])
        if share > 0.0 and venue.fund >= 0 and price > 0.0:
            verbs.grant(books, venue.claim, venue.fund, share / price)
        return True


def borrowed(world: World, debt: int) -> float:
    """What a pool's customers owe it, at face. [USD]"""
    instruments = world.state.instruments
    price = world.state.assets.index.item(instruments.asset.item(debt)) * instruments.debt_index.item(debt)
    return -instruments.customer_units.item(debt) * price


def utilisation(world: World, venue: Venue) -> float:
    """Borrowed over borrowed plus liquid cash of a lending pool, 0 for issuers who lend no deposits out. [1]"""
    if not isinstance(venue.spec, LendingPool) or isinstance(venue.spec, CollateralisedDebt):
        return 0.0
    owed = sum([borrowed(world, row) for row in venue.debts])
    return owed / (owed + liquidity(world, venue)) if owed > 0.0 else 0.0
