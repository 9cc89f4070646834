"""Rising bids for a lot, then falling lots for a fixed bid (Maker, liquidation 1.2: flip)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contagion.protocols.designs.auctions import Auction, AuctionDesign
from contagion.protocols.designs.design import Pool, Posted
from contagion.protocols.keepers import Keeper
from contagion.scenario.fields import Duration, Positive


class EnglishAuction(AuctionDesign):
    """Keepers outbid each other until nobody does for `bid_lasts`, or the auction has run `auction_lasts`.

    In the first phase (tend) bids rise up to debt and penalty, in the second (dent) a keeper wins who is content with
    less collateral; the rest is the owner's. A bid nobody answers wins, at whatever price: at zero where other
    keepers are out of money or their transactions do not get in. Bids are settled, and what was won is sold, when the
    auction ends.

    Parameters
    ----------
    lot : float
        Most collateral in one auction; a larger loan is put up in several (lump). [units]
    least_raise : float
        A bid is at least this part above the one before, or asks for that much less (beg - 1). [1]
    bid_lasts : duration
        After which a standing bid wins (ttl).
    auction_lasts : duration
        After which no bid is accepted; an auction without any is then put up again (tau).
    """

    lot: Positive | None = None
    least_raise: Annotated[float, Field(ge=0)] = 0.05
    bid_lasts: Duration = Field(default="10min", validate_default=True)
    auction_lasts: Duration = Field(default="6h", validate_default=True)

    def most_units(self, item: Posted) -> float:
        return item.units if self.lot is None else self.lot

    def begin(self, auction: Auction, keeper: Keeper, pool: Pool) -> None:
        auction.ends = pool.world.step + pool.steps(self.auction_lasts)
        super().begin(auction, keeper, pool)

    def work(self, pool: Pool) -> bool:
        """Once a step: bids that stood long enough win; then keepers bid."""
        book, step = pool.memory, pool.world.step
        if book.step == step or not book.running:
            return False
        book.step = step
        over = [auction for auction in book.running if self._is_over(auction, pool)]
        for auction in over:
            self._deal(auction, pool)
        for auction in book.running:
            for keeper in pool.keepers.able(auction.began):
                self._bid(auction, keeper, pool)
            if not pool.keepers.ready:
                break
        return bool(over)

    def _is_over(self, auction: Auction, pool: Pool) -> bool:
        step = pool.world.step
        if auction.bidder is not None:
            return step >= min(auction.expires, auction.ends)
        if step >= auction.ends:
            auction.ends = step + pool.steps(self.auction_lasts)
            pool.world.count("auctions_restarted")
        return False

    def _deal(self, auction: Auction, pool: Pool) -> None:
        """The standing bid wins."""
        keeper, bid, asked = auction.bidder, auction.bid, auction.asked
        keeper.pledged -= auction.pledge
        self.sell(auction, keeper, min(asked, auction.units), bid, pool)
        self.finish(auction, pool)

    def _bid(self, auction: Auction, keeper: Keeper, pool: Pool) -> None:
        """A keeper answers the standing bid where a better one pays."""
        if auction.bidder is keeper:
            return
        filled, price = pool.keepers.proceeds(keeper, auction.posted.asset, auction.asked)
        cost = keeper.gas + keeper.minimum_profit
        rate, means = self.unit_cost(auction.owed, pool), pool.keepers.means(keeper)
        if auction.bid < auction.owed:
            offer = tend(
                auction.bid if auction.bidder else None,
                min((filled * price - cost) / rate, means / rate, pool.payable()),
                auction.owed, self.least_raise, keeper.opening, keeper.raises,
            )  # fmt: skip
            if offer is not None:
                self._place(auction, keeper, offer, auction.asked, rate, pool)
        elif means >= auction.owed * rate and price > 0.0:
            needed = (auction.owed * rate + cost) / price
            asked = dent(auction.asked, needed, self.least_raise, keeper.raises)
            if asked is not None:
                self._place(auction, keeper, auction.owed, asked, rate, pool)

    def _place(
        self, auction: Auction, keeper: Keeper, offer: float, asked: float, rate: float, pool: Pool
    ) -> None:
        """A bid replaces the one before, whose money is free again."""
        if auction.bidder is not None:
            auction.bidder.pledged -= auction.pledge
        auction.pledge = offer * rate
        keeper.pledged += auction.pledge
        auction.bidder, auction.bid, auction.asked = keeper, offer, asked
        auction.expires = pool.world.step + pool.steps(self.bid_lasts)
        pool.keepers.transact(keeper)
        pool.world.count("auction_bids")


def tend(
    standing: float | None, worth: float, owed: float, least_raise: float, opening: float, raises: float
) -> float | None:
    """Next bid of a keeper in the first phase, none if it does not bid. [USD]

    The first bid is `opening` of what the lot is worth to the keeper, any other closes the share `raises` of the gap
    between the standing bid and that worth. It must be `least_raise` above the standing bid, or all that is owed.
    """
    if not worth > 0.0:
        return None
    if standing is None:
        return min(opening * worth, owed)
    offer = min(standing + raises * (worth - standing), owed)
    if not offer > standing or (offer < owed and offer < standing * (1.0 + least_raise)):
        return None
    return offer


def dent(asked: float, needed: float, least_raise: float, raises: float) -> float | None:
    """Collateral a keeper asks for in the second phase, none if it does not bid. [units]

    It gives up the share `raises` of what the standing bid asks for beyond the collateral it needs itself, which must
    leave at most ``1 / (1 + least_raise)`` of the lot.
    """
    wanted = asked - raises * (asked - needed)
    return wanted if wanted < asked and wanted * (1.0 + least_raise) <= asked else None
