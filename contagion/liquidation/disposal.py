"""How a venue sells what it has taken over."""

from __future__ import annotations

import numpy as np

from contagion.market.flow import Market
from contagion.scenario.venues import Disposal, Exchange
from contagion.state.codes import Cause
from contagion.state.world import World


def disposal_size(position: float, share: float, all_below: float, of_book: float | None, book: float) -> float:
    """Part of a taken-over position that is sold in one step, signed as the position.

    A share of what is left, all of it once it is small, and never more than a share of the book (Vega,
    ``0012-POSR``).

    Parameters
    ----------
    position, all_below, book : float
        Signed position, size up to which all of it goes at once, what the book can take; in one unit.
    share, of_book : float
        Of the position; of the book, None: without that bound. [1]
    """
    size = abs(position)
    wanted = size if size <= all_below else share * size
    if of_book is not None:
        wanted = min(wanted, of_book * book)
    return float(np.copysign(wanted, position))


def book_volume(market: Market, instrument: int, direction: float) -> float:
    """Notional that the book and its makers can take of buys (+1) or sells (-1) now. [USD]"""
    takeable, _ = market.takeable(instrument, direction * 1e30)
    return abs(market.price(instrument, takeable)[0]) if takeable else 0.0


class TakeoverSales:
    """Sells what no position layer took off the takeover accounts, each by its venue's rule.

    A rule that sells in parts acts once a step, one that sells all at once acts in every round.
    """

    def __init__(self, world: World, market: Market) -> None:
        self.world, self.market = world, market
        self._houses: set[int] = set()  # takeover accounts that may hold units
        self._sold: set[int] = set()  # those that have sold their part in this step
        self._rules: dict[int, Disposal] = {
            venue.row: venue.spec.liquidation.disposal
            for venue in world.venues.values() if isinstance(venue.spec, Exchange)
        }  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self._houses)

    def open_step(self) -> None:
        if self._sold:
            self._sold.clear()

    def add(self, houses: np.ndarray) -> None:
        """Takeover accounts that have received units."""
        self._houses.update(houses.tolist())

    def run(self) -> bool:
        """Sell; whether anything was sold."""
        state = self.world.state
        happened = False
        for account in sorted(self._houses - self._sold):
            rows = np.arange(state.accounts.start[account], state.accounts.start[account + 1])
            rows = rows[state.positions.units[rows] != 0.0]
            if not len(rows):
                self._houses.discard(account)
                continue
            rule = self._rules[int(state.books.venue[state.accounts.book[account]])]
            if rule.share < 1.0 or rule.of_book is not None:
                self._sold.add(account)
            done = self.market.execute(rows, -self._sizes(rows, rule), Cause.LIQUIDATION)
            happened |= bool(done.any())
        return happened

    def _sizes(self, rows: np.ndarray, rule: Disposal) -> np.ndarray:
        held = self.world.state.positions.units[rows]
        sizes = np.empty(len(rows))
        for place, instrument in enumerate(self.world.state.positions.instrument[rows]):
            usd = self.market.usd_per_unit(int(instrument))
            exposure = float(held[place]) * usd
            book = 0.0 if rule.of_book is None else book_volume(self.market, int(instrument), -np.sign(exposure))
            sizes[place] = disposal_size(exposure, rule.share, rule.all_below, rule.of_book, book) / usd
        return sizes
