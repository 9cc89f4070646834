"""Who closes a claim's discount: redeemers buy below what the issuer pays and hand in, or have it issued above."""

from __future__ import annotations

import math

import numpy as np

from contagion.agents.redeemer import Redeemer
from contagion.protocols import verbs
from contagion.protocols.claim_market import ClaimMarket
from contagion.protocols.depositors import Line
from contagion.protocols.exchange_runs import ILLIQUID
from contagion.scenario.issuers import Issuer
from contagion.state.world import World


class Arbitrage:
    """One step of the redeemers of a claim that is traded; equals act in the order of a keyed hash."""

    def __init__(self, world: World, market: ClaimMarket) -> None:
        self.world, self.market = world, market

    def run(self, line: Line, pays: bool) -> None:
        """Buy and ask for redemption, or issue and sell, whichever gains. `pays`: the issuer pays at all."""
        depth = line.depth
        if depth is None:
            return
        assets = self.world.state.assets
        market, redemption = float(assets.market[line.asset]), float(assets.redemption[line.asset])
        # Most steps end here: no gap.
        if abs(market - redemption) <= 1e-12 * redemption or redemption <= 0.0:
            return
        if market < redemption and pays:
            self._buy(line, depth)
        elif market > redemption and pays and isinstance(line.venue.spec, Issuer):
            self._issue(line, depth)

    def _each(self, line: Line) -> list[tuple[int, Redeemer]]:
        keys = self.world.state.agents.key[line.owners[[order for order, _ in line.redeemers]]]
        draw = self.world.streams.uniforms(f"redeemers {line.venue.name}", keys, self.world.step)
        return [line.redeemers[place] for place in np.argsort(draw)]

    def worth(self, line: Line, rule: Redeemer) -> float:
        """Most a redeemer gives for a unit now. [USD]"""
        world, assets = self.world, self.world.state.assets
        wait = line.requests.wait(world.step, line.price(), line.supply())
        payoff = line.price()
        stuck = world.state.agents.status[line.venue.row] & ILLIQUID
        if stuck and line.exit.at_once:
            return 0.0  # nobody knows when
        if wait > 0.0 or stuck:
            payoff = min(payoff, float(assets.fundamental[line.asset]))
        carry = math.exp(-rule.cost_of_capital * wait * world.dt_years)
        return payoff * (1.0 - line.requests.fee(line.supply())) * carry / (1.0 + rule.minimum_profit)

    def _buy(self, line: Line, depth: float) -> None:
        world, agents = self.world, self.world.state.agents
        outside = world.bookkeeper.slot(verbs.OUTSIDE, line.asset)
        for order, rule in self._each(line):
            owner = int(line.owners[order])
            money = rule.speed * max(0.0, float(agents.cash[owner]))
            wanted = self.market.room(line.asset, self.worth(line, rule), depth)
            wanted = min(wanted, float(world.state.holdings.units[outside]))
            if wanted <= 0.0 or money <= 0.0:
                continue
            units, cost = self.market.trade(line.asset, wanted, depth, money)
            if units <= 0.0:
                continue
            verbs.trade_claim(world.bookkeeper, verbs.OUTSIDE, owner, line.asset, units, cost)
            line.request(np.array([order]), np.array([units]))
            world.count("arbitrage_bought", cost)

    def _issue(self, line: Line, depth: float) -> None:
        world, agents = self.world, self.world.state.agents
        price = line.price()
        for order, rule in self._each(line):
            owner = int(line.owners[order])
            money = rule.speed * max(0.0, float(agents.cash[owner]))
            wanted = -self.market.room(line.asset, price * (1.0 + rule.minimum_profit), depth)
            wanted = min(wanted, money / price)
            if wanted <= 0.0:
                continue
            sold, cash = self.market.trade(line.asset, -wanted, depth)
            if sold >= 0.0:
                continue
            verbs.issue(world.bookkeeper, line.asset, owner, -sold * price)
            verbs.trade_claim(world.bookkeeper, owner, verbs.OUTSIDE, line.asset, -sold, -cash)
            world.count("arbitrage_issued", -sold * price)
