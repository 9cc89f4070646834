"""Where seized collateral is sold: one curve per asset and step, walked in the order of the sales."""

from __future__ import annotations

import math

import numpy as np

from contagion.market.pools import OUTSIDE, Pools
from contagion.state.world import World


class SpotMarket:
    """Sales to outside at the market price of an asset, moved by what was sold before in the same step.

    Sales of one step walk down one impact curve. A market asset's index moves by the permanent share (feedback
    ``full`` only); the whole move of a claim goes into its discount. Prices of a round are frozen: a round's sales
    are in the market price of the next.

    Where an automated market maker that takes sales pairs the asset with USD, outside sells on to it at what the pool
    gives, at once and whatever the depth: outside neither gains nor loses, the pool's price is what moves.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        count = len(world.state.assets.names)
        self._sold = np.zeros(count)  # this step, at the price before the first sale [USD]
        self._shift = np.zeros(count)  # log move of the market price by this step's sales
        self._in_price = np.zeros(count)  # the part of it that the market price of this round contains
        self._any = False
        self._pools = Pools(world)

    def open_step(self) -> None:
        """A new step: the book is full again."""
        if self._any:
            self._sold[:] = self._shift[:] = self._in_price[:] = 0.0
            self._any = False

    def open_round(self) -> None:
        """Market prices contain the sales so far."""
        if self._any:
            self._in_price[:] = self._shift

    def quote(self, asset: int, units: float, depth: float) -> tuple[float, float]:
        """What a sale would meet: units the book takes, and their average price. [units, USD per unit]

        `depth` is the notional whose sale moves the price by 1%; infinite: no impact. [USD]
        """
        market = float(self.world.state.assets.market[asset])
        pool = self._pools.for_sales(asset)
        if pool is not None and units > 0.0:
            return units, pool.quote(asset, 0, units) / units
        if market <= 0.0 or not math.isfinite(depth):
            return units, market
        impact, before = self.world.impact, float(self._sold[asset])
        unmoved = market * math.exp(-float(self._in_price[asset]))
        after = -float(impact.fillable(-(before + units * unmoved), depth))
        if after <= before:
            return 0.0, market
        average = impact.average
        area = after * (1.0 + average(-after, depth, 1.0))
        area -= before * (1.0 + average(-before, depth, 1.0)) if before > 0.0 else 0.0
        filled = (after - before) / unmoved
        return filled, unmoved * area / (after - before)

    def top(self, asset: int, depth: float) -> float:
        """Price of the first unit of a sale: the most any sale can get. [USD per unit]"""
        pool = self._pools.for_sales(asset)
        if pool is not None:
            return pool.price(asset) * (1.0 - pool.spec.fee)
        market = float(self.world.state.assets.market[asset])
        if not self._any or not math.isfinite(depth) or self._sold[asset] == 0.0:
            return market
        unmoved = market * math.exp(-float(self._in_price[asset]))
        return unmoved * (1.0 + self.world.impact.impact(-float(self._sold[asset]), depth, 1.0))

    def sold(self, asset: int, units: float, depth: float) -> None:
        """A quoted sale was done: the curve and the price move."""
        pool = self._pools.for_sales(asset)
        if pool is not None:
            pool.swap(OUTSIDE, asset, 0, units)
            return
        assets = self.world.state.assets
        unmoved = float(assets.market[asset]) * math.exp(-float(self._in_price[asset]))
        self._sold[asset] += units * unmoved
        self._any = True
        if not math.isfinite(depth) or self.world.scenario.feedback == "none":
            return
        move = math.log1p(self.world.impact.impact(-float(self._sold[asset]), depth, 1.0))
        if assets.issuer[asset] >= 0:
            assets.discount[asset] -= move - self._shift[asset]
        elif self.world.scenario.feedback == "full":
            move *= self.world.impact.permanent_share
            assets.endogenous[asset] += move - self._shift[asset]
        else:
            return
        self._shift[asset] = move
