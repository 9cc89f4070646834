"""Keepers: who may act, in which order, with how much, and whether it pays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from contagion.protocols.congestion import Congestion
from contagion.protocols.roles import groups_of
from contagion.protocols.spot_market import SpotMarket
from contagion.protocols.verbs import OUTSIDE
from contagion.state.codes import Cause
from contagion.state.world import World

_SIZES = tuple(0.5**power for power in range(8))
"""Shares of the largest repayment a keeper considers, where slippage makes less pay better."""


@dataclass(slots=True, frozen=True)
class Bid:
    """A liquidation on offer: debt for one collateral position of an account."""

    position: int  # row of Positions of the collateral
    asset: int
    units: float  # collateral there
    price: float  # oracle price of it [USD per unit]
    bonus: float  # [1]
    most: float  # largest repayment [USD]
    fee: float = 0.0  # share of what is seized that goes to the pool's reserve [1]
    partial: float = math.inf  # largest repayment below `most` [USD]
    cost: float = 1.0  # what a dollar of repayment costs: market over oracle price of what is owed [1]


@dataclass(slots=True)
class Keeper:
    """One keeper agent and its terms."""

    row: int  # agent
    gas: float  # of one liquidation [USD]
    minimum_profit: float  # after gas [USD]
    latency: int  # steps it reacts after
    per_step: int  # liquidations it can do in a step
    depth: float | None  # of the market it sells in, for 1%; None: as quoted [USD]
    calm_gas: float = 0.0  # `gas` where the chain is not congested [USD]
    overbid: float = 0.0  # what it offers for gas above the last price [1]
    gas_limit: float = math.inf  # most it offers, over the calm price [1]
    opening: float = 1.0  # first bid at an auction over what the lot is worth to it [1]
    raises: float = 0.5  # share of the gap between a rival's bid and that worth which a bid closes [1]
    left: int = 0  # liquidations it can still do in this step
    pledged: float = 0.0  # cash behind its bids at auctions that still run [USD]


class Keepers:
    """All keepers of a world in the order in which they reach a position: latency, then a keyed hash of the step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.market = SpotMarket(world)
        self._members: list[Keeper] = []
        self._ordered = False
        for group in groups_of(world, "Keeper"):
            rule = group.rule
            self._members += [
                Keeper(
                    row, rule.gas, rule.minimum_profit, rule.latency, rule.per_step, rule.spot_depth, rule.gas,
                    rule.overbid, rule.gas_limit, rule.opening_bid, rule.raises,
                )
                for row in range(group.agents.start, group.agents.stop)
            ]  # fmt: skip
        chain = world.scenario.chain
        self._room = math.inf
        self.congestion = None if chain is None else Congestion(world, chain)

    @property
    def least_gain(self) -> float:
        """Gas and profit below which no keeper acts; zero without keepers. [USD]"""
        return min((keeper.gas + keeper.minimum_profit for keeper in self._members), default=0.0)

    @property
    def ready(self) -> bool:
        """Whether any keeper can still act in this step."""
        return any(keeper.left > 0 for keeper in self._members)

    def open_step(self) -> None:
        """New blocks: every keeper has its full throughput."""
        self.market.open_step()
        self._ordered = False

    def open_round(self, wanted: float = 0.0) -> None:
        """Order the keepers (evaluated only in steps with something to liquidate) and let prices contain past sales.

        In a congested chain the step's price of gas follows from the transactions `wanted` in its first round.
        """
        self.market.open_round()
        if self._ordered or not self._members:
            return
        self._ordered = True
        keys = self.world.state.agents.key[[keeper.row for keeper in self._members]]
        draw = self.world.streams.uniforms("keeper order", keys, self.world.step)
        ranked = np.lexsort((draw, [keeper.latency for keeper in self._members]))
        self._members = [self._members[i] for i in ranked]
        for keeper in self._members:
            keeper.left = keeper.per_step
        if self.congestion is not None:
            self._send(wanted)

    def _send(self, wanted: float) -> None:
        """Who offers too little for gas does nothing in this step; the others pay its price."""
        self.congestion.open_step(wanted)
        self._room = self.world.scenario.chain.capacity
        for keeper in self._members:
            keeper.gas = keeper.calm_gas * self.congestion.multiple
            if not self.congestion.admits(keeper.overbid, keeper.gas_limit):
                keeper.left = 0
                self.world.count("keepers_left_out")
        self.world.count("keepers_sending", len(self._members))

    def able(self, since: int) -> list[Keeper]:
        """Keepers that can still act, and pay for it, in this step on what is open since a step, in their order."""
        waited = self.world.step - since
        members = (keeper for keeper in self._members if keeper.left > 0 and waited >= keeper.latency)
        return [keeper for keeper in members if self.means(keeper) >= 0.0]

    def means(self, keeper: Keeper) -> float:
        """Cash that is neither pledged nor needed for the next transaction. [USD]"""
        return float(self.world.state.agents.cash[keeper.row]) - keeper.pledged - keeper.gas

    def proceeds(self, keeper: Keeper, asset: int, units: float) -> tuple[float, float]:
        """What a sale would meet: units the book takes, and their average price. [units, USD per unit]"""
        return self.market.quote(asset, units, self.depth(keeper, asset))

    def sold(self, keeper: Keeper, asset: int, units: float) -> None:
        """A keeper sold what it got."""
        self.market.sold(asset, units, self.depth(keeper, asset))

    def transact(self, keeper: Keeper) -> None:
        """One transaction of a keeper: its gas, and a place in the step's blocks."""
        keeper.left -= 1
        if keeper.gas > 0.0:
            self.world.bookkeeper.pay(Cause.GAS, keeper.row, OUTSIDE, keeper.gas)
        if self.congestion is not None:
            self._room -= 1.0
            if self._room < 1.0:
                for other in self._members:
                    other.left = 0

    def best(self, bids: list[Bid], since: int) -> tuple[Keeper, Bid, float, float, float] | None:
        """The first keeper who gains, with its best bid: keeper, bid, debt repaid, units seized, sale price.

        `since` is the step since when the position is unsafe.
        """
        declined: dict[tuple[float, float, float], float] = {}  # terms -> most means that found no gain
        for keeper in self._members:
            if keeper.left <= 0 or self.world.step - since < keeper.latency:
                continue
            means = self.means(keeper)
            terms = (keeper.gas, keeper.minimum_profit, keeper.depth)
            if means <= declined.get(terms, 0.0):
                continue  # the same sum with no more money
            gain, choice = keeper.minimum_profit, None
            for bid in bids:
                most = min(bid.most, means / bid.cost)
                if self._most_gain(keeper, bid, most) <= gain:
                    continue
                for share in _SIZES:
                    offer = self._evaluate(keeper, bid, _allowed(bid, share * most))
                    if offer is not None and offer[0] > gain:
                        gain, choice = offer[0], (keeper, bid, *offer[1:])
            if choice is not None:
                return choice
            declined[terms] = means
        return None

    def _most_gain(self, keeper: Keeper, bid: Bid, most: float) -> float:
        """No repayment gains more than this: all of it sold at the price of the first unit. [USD]"""
        price = self.market.top(bid.asset, self.depth(keeper, bid.asset))
        return most * ((1.0 + bid.bonus) * (1.0 - bid.fee) * price / bid.price - bid.cost) - keeper.gas

    def done(self, keeper: Keeper, bid: Bid, units: float) -> None:
        """A keeper did what :meth:`best` said."""
        self.sold(keeper, bid.asset, units)
        self.transact(keeper)

    def _evaluate(self, keeper: Keeper, bid: Bid, repaid: float) -> tuple[float, float, float, float] | None:
        """Gain after gas, debt repaid, units seized and sale price of a repayment; less if the book takes less."""
        kept = 1.0 - bid.fee
        units = min(bid.units, repaid * (1.0 + bid.bonus) / bid.price)
        filled, price = self.market.quote(bid.asset, units * kept, self.depth(keeper, bid.asset))
        if filled <= 0.0:
            return None
        if filled < units * kept * (1.0 - 1e-12):
            units = filled / kept
            repaid = units * bid.price / (1.0 + bid.bonus)
            if repaid > bid.partial:
                return None
        elif units > bid.units * (1.0 - 1e-12):
            units = bid.units
        return units * kept * price - repaid * bid.cost - keeper.gas, repaid, units, price

    def depth(self, keeper: Keeper, asset: int) -> float:
        """Stated, else the greatest depth quoted in contracts on the asset, else without limit. [USD]"""
        if keeper.depth is not None:
            return keeper.depth
        instruments = self.world.state.instruments
        quoted = instruments.depth[instruments.asset == asset]
        return float(quoted.max()) if len(quoted) and quoted.max() > 0.0 else math.inf


def _allowed(bid: Bid, repaid: float) -> float:
    """The largest repayment of at most this size that the bid allows. [USD]"""
    return repaid if repaid >= bid.most else min(repaid, bid.partial)
