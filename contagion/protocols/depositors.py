"""Holders of a claim: when they take fright, what they ask back, and in which order they are paid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from contagion.protocols import verbs
from contagion.protocols.claim_market import ClaimMarket
from contagion.protocols.exit_queue import ExitQueue
from contagion.protocols.roles import groups_of
from contagion.scenario.issuers import Exit, Issuer, Turnover
from contagion.state.world import Venue, World


@dataclass(frozen=True, slots=True)
class DepositorTerms:
    """When a holder of a claim leaves; the defaults stand for all holders outside the model together."""

    tolerance: float = 0.01  # loss per unit of claim that makes it leave [1]
    utilisation: float = 0.95  # of a pool above which it leaves while it can [1]
    rumour: float = 0.5  # weight of losses of those its issuer has claims on [1]
    fraction: float = 1.0  # of its claim asked back per step [1]
    delay: int = 1  # steps between fright and asking


FEARLESS = DepositorTerms(tolerance=np.inf, utilisation=np.inf, rumour=0.0, fraction=0.0, delay=0)
"""Redeemers and other issuers: they ask for reasons of their own."""


def leaving_share(world: World) -> float:
    """Share of a crowd that acts in one step of a run on a venue: half of those who are left in an hour (assumed)."""
    return 1.0 - 0.5 ** (world.dt_years * 8760.0)


def depth_of(world: World, venue: Venue) -> float | None:
    """Depth of the market of a venue's claim; none where there is none, any where a pool of coins prices it. [USD]"""
    if any(venue.name in getattr(other.spec, "prices", ()) for other in world.venues.values()):
        return math.inf
    return venue.spec.turnover.depth if isinstance(venue.spec, Issuer) else None


class Line:
    """The holders of one claim, and the queue of those who asked.

    Arrays have shape (n_holders,).

    Attributes
    ----------
    redeemers : list of int
        Holders, by order, that buy the claim to hand it in.
    """

    def __init__(self, world: World, venue: Venue) -> None:
        state = world.state
        self.world, self.venue, self.asset = world, venue, venue.claim
        spec = venue.spec
        self.open = not (isinstance(spec, Issuer) and spec.redemption == "halted")
        self.exit: Exit = getattr(spec, "exit", Exit())
        self.turnover = spec.turnover if isinstance(spec, Issuer) else Turnover()
        self.depth = depth_of(world, venue)
        terms = {verbs.OUTSIDE: DepositorTerms(fraction=leaving_share(world))}
        for group in groups_of(world, "Depositor"):
            terms |= dict.fromkeys(range(group.agents.start, group.agents.stop), group.rule)
        buyers: dict[int, object] = {}
        for group in groups_of(world, "Redeemer"):
            buyers |= dict.fromkeys(range(group.agents.start, group.agents.stop), group.rule)
        issuers = [other.row for other in world.venues.values() if isinstance(other.spec, Issuer)]
        terms |= dict.fromkeys([*buyers, *(row for row in issuers if row != venue.row)], FEARLESS)
        if venue.spec.kind == "amm":
            terms = {}  # shares in a pool of coins are not paid out in cash
        held = np.flatnonzero(state.holdings.asset == self.asset)
        self.holdings = held[[int(owner) in terms for owner in state.holdings.owner[held]]] if len(held) else held
        self.owners = state.holdings.owner[self.holdings]
        rules = [terms[int(owner)] for owner in self.owners]
        self.tolerance = np.array([rule.tolerance for rule in rules], float)
        self.threshold = np.array([rule.utilisation for rule in rules], float)
        self.rumour = np.array([rule.rumour for rule in rules], float)
        self.fraction = np.array([rule.fraction for rule in rules], float)
        self.delay = np.array([rule.delay for rule in rules], np.int64)
        self.redeemers = [(order, buyers[int(owner)]) for order, owner in enumerate(self.owners) if owner in buyers]
        self.frightened = np.full(len(rules), -1, np.int64)  # step since when, -1 if calm
        self.stays = np.zeros(len(rules))  # units whose holders never take fright
        outside = self.owners == verbs.OUTSIDE
        self.stays[outside] = (1.0 - self.turnover.nervous) * self.held()[outside]
        self.requests = ExitQueue(self.exit, len(rules))
        self.par = float(state.assets.redemption[self.asset])  # at the opening: what holders paid [USD]
        self.waiting = self.alert = False
        self._began = False
        self.cut = False  # somebody was paid less than holders paid
        self._stopped_until = -2
        self._first = self._calmest = np.inf
        if rules:
            self._calmest, self._first = float(self.tolerance.min()), float(self.threshold.min())
            self._loudest = float(self.rumour.max())

    def loss(self) -> float:
        """Loss per unit that a holder sees: what a sale or the issuer gives now below the opening value. [1]"""
        assets = self.world.state.assets
        worth = float(min(assets.market[self.asset], assets.redemption[self.asset]))
        return max(0.0, 1.0 - worth / self.par) if self.par > 0.0 else 0.0

    def ask(self, loss: float, rumour: float, used: float) -> float:
        """New requests of this step. Returns their value. [USD]"""
        calm = not len(self.delay) or (loss + self._loudest * rumour <= self._calmest and used <= self._first)
        if calm:
            if self.alert:
                self.frightened[:] = -1
                self.alert = False
            return 0.0
        self.alert = True
        step = self.world.step
        afraid = (loss + self.rumour * rumour > self.tolerance) | (used > self.threshold)
        self.frightened = np.where(afraid, np.where(self.frightened < 0, step, self.frightened), -1)
        if not self._began and afraid.any():
            self._began = True
            self.world.counters[f"run_began.{self.venue.name}"] = float(step)
        acts = afraid & (step - self.frightened >= self.delay)
        free = self.held() - self.stays - self.requests.pending()
        units = np.where(acts, np.maximum(0.0, self.fraction * free), 0.0)
        rows = np.flatnonzero(units > 0.0)
        return self.request(rows, units[rows]) if len(rows) else 0.0

    def ask_for(self, amount: float) -> float:
        """Holders ask for an amount together, pro rata, whatever they see. Returns its value. [USD]"""
        free = np.maximum(0.0, self.held() - self.requests.pending())
        free[self.tolerance == np.inf] = 0.0  # redeemers and issuers have reasons of their own
        total, price = float(free.sum()), self.price()
        if total <= 0.0 or price <= 0.0:
            return 0.0
        units = free * min(1.0, amount / (total * price))
        rows = np.flatnonzero(units > 0.0)
        return self.request(rows, units[rows])

    def stopped(self) -> bool:
        """Whether payments are stopped because too much waits; after a stop one step's payments are made."""
        step, terms = self.world.step, self.exit
        if terms.halts_at is None or step <= self._stopped_until:
            return step <= self._stopped_until
        supply = self.supply()
        if step > self._stopped_until + 1 and float(self.requests.units.sum()) >= terms.halts_at * supply > 0.0:
            self._stopped_until = step + terms.halt - 1
            self.world.count("withdrawal_halts")
            return True
        return False

    def request(self, holders: np.ndarray, units: np.ndarray) -> float:
        """Holders, by order, ask for units to be paid. Returns their value. [USD]"""
        price = self.price()
        self.requests.add(holders, units, self.world.step, price)
        self.waiting = True
        return float(units.sum()) * price

    @property
    def free(self) -> bool:
        """Whether whoever asks is paid at once and in full while there is money: nothing to queue for."""
        return self.exit.at_once and self.exit.fee + self.exit.swing == 0.0

    def queue_for(self, holder: int, units: float) -> None:
        """A holder asks for units beyond those it has already asked for."""
        order = self.order_of(holder)
        more = units - float(self.requests.pending()[order])
        if more > 1e-9 * units:
            self.world.count("withdrawals_asked", self.request(np.array([order]), np.array([more])))

    def order_of(self, owner: int) -> int:
        """Order of an agent among the holders."""
        return int(np.flatnonzero(self.owners == owner)[0])

    def price(self) -> float:
        """What a unit gets, before a fee. [USD]"""
        return float(self.world.state.assets.redemption[self.asset])

    def supply(self) -> float:
        """Units outstanding."""
        return float(self.world.state.assets.supply[self.asset])

    def queue(self) -> float:
        """Value of what was asked for and not paid. [USD]"""
        return float(self.requests.units.sum()) * self.price() if self.waiting else 0.0

    def due(self) -> float:
        """What the terms of exit allow to be paid in this step. [USD]"""
        self.requests.fit(self.held())
        return self.requests.due(self.world.step, self.price(), self.supply())

    def pay(self, liquid: float) -> float:
        """Pay from `liquid`: who asked earlier first, then who reacts faster, then by keyed hash. Returns cash paid."""
        price, supply, step = self.price(), self.supply(), self.world.step
        if price <= 0.0 or liquid <= 0.0 or not len(self.requests.units):
            return 0.0
        draw = self.world.streams.uniforms(
            f"withdrawal order {self.venue.name}", self.world.state.agents.key[self.owners]
        )
        units = self.requests.payable(step, price, supply, liquid, (draw, self.delay))
        worth, fee = self.requests.worth(price, supply), self.requests.fee(supply)
        holders = self.requests.holder
        per_holder = np.bincount(holders, units, len(self.owners))
        cash = np.bincount(holders, units * worth, len(self.owners))
        self.requests.take(units)
        rows = np.flatnonzero(per_holder > 0.0)
        if not len(rows):
            return 0.0
        each = cash[rows] / per_holder[rows]
        fundamental = float(self.world.state.assets.fundamental[self.asset])
        paid = verbs.redeem(self.world.bookkeeper, self.asset, self.holdings[rows], per_holder[rows], each)
        self.world.count("withdrawals_paid", paid)
        full = each >= self.par * (1.0 - fee) * (1.0 - 1e-9)
        self.cut |= not full.all()
        self.world.count("paid_at_par", float(cash[rows][full].sum()))
        self.world.count("left_at_par", float(per_holder[rows] @ np.maximum(0.0, each - fundamental)))
        if fee > 0.0:
            self.world.count("exit_fees", paid * fee / (1.0 - fee))
        return paid

    def sell_instead(self, market: ClaimMarket) -> None:
        """Frightened holders who still wait sell part of it to outside; who buys outside is not afraid."""
        depth, share = self.depth, self.turnover.sells
        waiting = (self.frightened >= 0)[self.requests.holder]
        units = np.where(waiting, share * self.requests.units, 0.0)
        wanted = float(units.sum())
        if depth is None or wanted <= 0.0:
            return
        done, cash = market.trade(self.asset, -wanted, depth)
        if done == 0.0:
            return
        units *= -done / wanted
        price = cash / done
        sold = np.bincount(self.requests.holder, units, len(self.owners))
        self.requests.take(units)
        for order in np.flatnonzero(sold > 0.0).tolist():
            owner = int(self.owners[order])
            if owner != verbs.OUTSIDE:
                proceeds = float(sold[order]) * price
                verbs.trade_claim(self.world.bookkeeper, owner, verbs.OUTSIDE, self.asset, float(sold[order]), proceeds)
        outside = self.owners == verbs.OUTSIDE
        self.stays[outside] += float(sold.sum())
        self.world.count("claims_sold", -cash)

    def held(self) -> np.ndarray:
        """Units in holders' hands."""
        return self.world.state.holdings.units[self.holdings]
