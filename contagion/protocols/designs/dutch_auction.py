"""A price that falls until somebody buys (Maker, liquidation 2.0: clip)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contagion.protocols import minting
from contagion.protocols.auction_rules import Purchase, linear_price, purchase, stairstep_price
from contagion.protocols.designs.auctions import Auction, AuctionDesign
from contagion.protocols.designs.design import Pool
from contagion.protocols.keepers import Keeper
from contagion.scenario.fields import Duration, Money, Share

_SIZES = tuple(0.5**power for power in range(6))
_NOTHING = 1e-9


class DutchAuction(AuctionDesign):
    """A lot starts above the oracle's price and gets cheaper; keepers buy as much as pays, when it pays.

    Nobody pays more than is owed; what is left of the lot then is the owner's. A purchase may not leave a rest of debt
    below dust and its penalty. An auction that has become too old or too cheap is reset by a keeper.

    Parameters
    ----------
    buffer : float
        Price at which it starts over the oracle's (buf). [1]
    curve : {"stairstep", "linear"}
        Times `cut` after every `every`; or in a straight line to zero over `duration` (tau).
    lasts : duration
        Age from which it has to be reset (tail).
    cusp : float
        Price over the price at the start below which it has to be reset. [1]
    share_to_keeper, flat_to_keeper : float
        Paid by the reserve to who starts or resets an auction: of what is owed (chip) [1], and besides (tip) [USD].
    """

    buffer: Annotated[float, Field(gt=0)] = 1.2
    curve: Literal["stairstep", "linear"] = "stairstep"
    cut: Annotated[float, Field(gt=0, lt=1)] = 0.99
    every: Duration = Field(default="90s", validate_default=True)
    duration: Duration = Field(default="6h", validate_default=True)
    lasts: Duration = Field(default="140min", validate_default=True)
    cusp: Share = 0.4
    share_to_keeper: Share = 0.0
    flat_to_keeper: Money = 0.0

    def begin(self, auction: Auction, keeper: Keeper, pool: Pool) -> None:
        super().begin(auction, keeper, pool)
        self._start(auction, keeper, pool)

    def _start(self, auction: Auction, keeper: Keeper, pool: Pool) -> None:
        """At the oracle's price now; the keeper gets what there is of its reward."""
        auction.began = pool.world.step
        auction.top = self.buffer * float(pool.world.state.instruments.equity_price[auction.posted.instrument])
        self._reward(auction, keeper, pool)

    def _reward(self, auction: Auction, keeper: Keeper, pool: Pool) -> None:
        peg = pool.peg
        reward = self.flat_to_keeper + self.share_to_keeper * auction.owed
        if peg is None or not reward > 0.0:
            return
        books = pool.world.bookkeeper
        units = min(reward, float(pool.world.state.holdings.units[books.slot(pool.venue.fund, peg.claim)]))
        if units > 0.0:
            minting.pay_from(books, pool.venue.fund, peg.claim, keeper.row, units, peg.price())
            pool.world.count("auction_rewards", units)

    def price(self, auction: Auction, pool: Pool) -> float:
        """What a unit costs now. [USD]"""
        elapsed = (pool.world.step - auction.began) * pool.world.scenario.dt.total_seconds()
        if self.curve == "linear":
            return linear_price(auction.top, self.duration.total_seconds(), elapsed)
        return stairstep_price(auction.top, self.cut, self.every.total_seconds(), elapsed)

    def work(self, pool: Pool) -> bool:
        """Keepers buy, or reset."""
        done = False
        for auction in list(pool.memory.running):
            if not pool.keepers.ready:
                break
            done |= self._serve(auction, pool)
        return done

    def _serve(self, auction: Auction, pool: Pool) -> bool:
        price, age = self.price(auction, pool), pool.world.step - auction.began
        too_old = age * pool.world.scenario.dt > self.lasts
        keepers = pool.keepers.able(auction.began)
        if too_old or price < self.cusp * auction.top:
            if keepers:
                pool.keepers.transact(keepers[0])
                pool.world.count("auctions_restarted")
                self._start(auction, keepers[0], pool)
            return False
        bought = False
        for keeper in keepers:
            deal = self._best(auction, keeper, price, pool)
            if deal is None:
                continue
            pool.keepers.transact(keeper)
            self.sell(auction, keeper, deal.bought, deal.paid, pool)
            bought = True
            if auction.units <= _NOTHING * auction.posted.units or auction.owed <= _NOTHING * deal.paid:
                self.finish(auction, pool)
                break
        return bought

    def _best(self, auction: Auction, keeper: Keeper, price: float, pool: Pool) -> Purchase | None:
        """The purchase a keeper gains most from, none if none pays."""
        least_left = getattr(pool.venue.spec, "dust", 0.0) * (1.0 + self.penalty)
        means, best, gain = pool.keepers.means(keeper), None, keeper.minimum_profit
        if not (price > 0.0 and means > 0.0):
            return None
        rate = self.unit_cost(min(auction.owed, auction.units * price), pool)
        asset = auction.posted.asset
        if price * rate >= pool.keepers.market.top(asset, pool.keepers.depth(keeper, asset)):
            return None
        most = min(auction.units, means / (price * rate), pool.payable() / price)
        for share in _SIZES:
            deal = purchase(auction.owed, auction.units, share * most, price, least_left)
            if deal is None or deal.paid * rate > means:
                continue
            filled, average = pool.keepers.proceeds(keeper, asset, deal.bought)
            if filled < deal.bought * (1.0 - 1e-12):
                continue
            profit = filled * average - deal.paid * rate - keeper.gas
            if profit > gain:
                best, gain = deal, profit
        return best
