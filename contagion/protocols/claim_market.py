"""Where holders trade claims, and where an issuer sells what it mints: one curve per asset and step."""

from __future__ import annotations

import math

import numpy as np

from contagion.market.pools import Pools
from contagion.state.world import World

_HALVINGS = 60


class ClaimMarket:
    """Trades against outside by the scenario's impact law; all flow of a step walks one curve, either way.

    The move of a claim's price goes into its discount and stays there until flow in the other direction closes it.
    A market asset's goes into its index. With feedback ``none`` trades pay for their impact and move nothing.
    Where an automated market maker prices a claim, outside passes every trade on to it, and depth does not matter.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._flow = np.zeros(len(world.state.assets.names))  # this step, bought less sold, at the price before [USD]
        self._moved: set[int] = set()
        self._pools = Pools(world)

    def open_step(self) -> None:
        """A new step: the book is full again."""
        for asset in self._moved:
            self._flow[asset] = 0.0
        self._moved.clear()

    def room(self, asset: int, price: float, depth: float) -> float:
        """Units whose purchase brings the price to `price`; negative: whose sale does. [units]"""
        if (pool := self._pools.pricing(asset)) is not None:
            return pool.room(asset, price)
        unmoved = self._unmoved(asset, depth)
        if unmoved <= 0.0:
            return 0.0
        impact, move = self.world.impact, price / unmoved - 1.0
        move = max(-impact.largest_move, min(impact.largest_move, move))
        target = impact.quantity(move, depth, 1.0) if move else 0.0
        return (target - float(self._flow[asset])) / unmoved

    def trade(self, asset: int, units: float, depth: float, most: float = math.inf) -> tuple[float, float]:
        """Buy units from outside, or sell them to it (negative), as far as the book goes, for `most` USD at most.

        Returns
        -------
        units, cash : float
            Bought (negative: sold), and what it cost (negative: brought in). [units, USD]
        """
        if (pool := self._pools.pricing(asset)) is not None:
            return pool.trade_for_outside(asset, units, most) if units else (0.0, 0.0)
        unmoved, before = self._unmoved(asset, depth), float(self._flow[asset])
        if unmoved <= 0.0 or units == 0.0:
            return 0.0, 0.0
        after = float(self.world.impact.fillable(before + units * unmoved, depth, 1.0))
        if (after - before) * units <= 0.0:
            return 0.0, 0.0
        cash = self._area(after, depth) - self._area(before, depth)
        if abs(cash) > most:
            low, high = before, after
            for _ in range(_HALVINGS):
                after = 0.5 * (low + high)
                too_much = abs(self._area(after, depth) - self._area(before, depth)) > most
                low, high = (low, after) if too_much else (after, high)
            after = low
            cash = self._area(after, depth) - self._area(before, depth)
        self._move(asset, before, after, depth)
        return (after - before) / unmoved, cash

    def cost(self, asset: int, units: float, depth: float) -> float:
        """What buying units would cost; infinite where there are not so many. [USD]"""
        if (pool := self._pools.pricing(asset)) is not None:
            value = float(self.world.state.assets.market[pool.coins[0]])
            return pool.amount_for(pool.coins[0], asset, units) * value
        before = float(self._flow[asset])
        return self._area(before + units * self._unmoved(asset, depth), depth) - self._area(before, depth)

    def _unmoved(self, asset: int, depth: float) -> float:
        """Price before the step's first trade. [USD]"""
        assets = self.world.state.assets
        if assets.issuer[asset] < 0:
            return float(assets.index[asset])
        price = float(assets.redemption[asset]) * math.exp(-float(assets.discount[asset]))
        feels = self.world.scenario.feedback != "none"
        return price * math.exp(-self._shift(float(self._flow[asset]), depth)) if feels else price

    def _shift(self, flow: float, depth: float) -> float:
        return math.log1p(self.world.impact.impact(flow, depth, 1.0)) if flow else 0.0

    def _area(self, flow: float, depth: float) -> float:
        return flow * (1.0 + self.world.impact.average(flow, depth, 1.0)) if flow else 0.0

    def _move(self, asset: int, before: float, after: float, depth: float) -> None:
        self._flow[asset] = after
        self._moved.add(asset)
        if self.world.scenario.feedback == "none":
            return
        assets = self.world.state.assets
        change = self._shift(after, depth) - self._shift(before, depth)
        if assets.issuer[asset] < 0:
            assets.endogenous[asset] += change
        else:
            assets.discount[asset] -= change
