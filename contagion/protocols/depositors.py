"""Holders of a claim: when they take fright, what they ask back, and the queue in which they are paid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.protocols import verbs
from contagion.protocols.roles import groups_of
from contagion.scenario.issuers import Vault
from contagion.state.world import Venue, World


@dataclass(frozen=True, slots=True)
class DepositorTerms:
    """When a holder of a claim leaves; the defaults stand for all holders outside the model together."""

    tolerance: float = 0.01  # loss per unit of claim that makes it leave [1]
    utilisation: float = 0.95  # of a pool above which it leaves while it can [1]
    rumour: float = 0.5  # weight of losses of those its issuer has claims on [1]
    fraction: float = 1.0  # of its claim asked back per step [1]
    delay: int = 1  # steps between fright and asking


def leaving_share(world: World) -> float:
    """Share of a crowd that acts in one step of a run on a venue: half of those who are left in an hour (assumed)."""
    return 1.0 - 0.5 ** (world.dt_years * 8760.0)


class Line:
    """The holders of one claim, and the queue of those who asked.

    Arrays have shape (n_holders,).
    """

    def __init__(self, world: World, venue: Venue) -> None:
        state = world.state
        self.world, self.venue, self.asset = world, venue, venue.claim
        self.open = not (isinstance(venue.spec, Vault) and venue.spec.redemption == "halted")
        terms = {verbs.OUTSIDE: DepositorTerms(fraction=leaving_share(world))}
        for group in groups_of(world, "Depositor"):
            terms |= dict.fromkeys(range(group.agents.start, group.agents.stop), group.rule)
        held = np.flatnonzero(state.holdings.asset == self.asset)
        self.holdings = held[[int(owner) in terms for owner in state.holdings.owner[held]]] if len(held) else held
        self.owners = state.holdings.owner[self.holdings]
        rules = [terms[int(owner)] for owner in self.owners]
        self.tolerance = np.array([rule.tolerance for rule in rules], float)
        self.threshold = np.array([rule.utilisation for rule in rules], float)
        self.rumour = np.array([rule.rumour for rule in rules], float)
        self.fraction = np.array([rule.fraction for rule in rules], float)
        self.delay = np.array([rule.delay for rule in rules], np.int64)
        self.frightened = np.full(len(rules), -1, np.int64)  # step since when, -1 if calm
        self.asked = np.full(len(rules), -1, np.int64)  # step of the open request
        self.pending = np.zeros(len(rules))  # units asked for and not paid
        self.par = float(state.assets.redemption[self.asset])  # at the opening: what holders paid [USD]
        self.waiting = self.alert = False
        self._first = self._calmest = np.inf
        if rules:
            self._calmest, self._first = float(self.tolerance.min()), float(self.threshold.min())
            self._loudest = float(self.rumour.max())

    def loss(self) -> float:
        """Loss per unit that a holder sees: what a sale gets now below the opening value. [1]"""
        market = float(self.world.state.assets.market[self.asset])
        return max(0.0, 1.0 - market / self.par) if self.par > 0.0 else 0.0

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
        acts = afraid & (step - self.frightened >= self.delay)
        units = np.where(acts, self.fraction * (self._held() - self.pending), 0.0)
        units = np.maximum(units, 0.0)
        new = units > 0.0
        self.asked = np.where(new & (self.pending == 0.0), step, self.asked)
        self.pending += units
        self.waiting |= bool(new.any())
        return float(units.sum()) * self.price()

    def price(self) -> float:
        """What a unit gets. [USD]"""
        return float(self.world.state.assets.redemption[self.asset])

    def queue(self) -> float:
        """Value of what was asked for and not paid. [USD]"""
        return float(self.pending.sum()) * self.price() if self.waiting else 0.0

    def pay(self, liquid: float) -> float:
        """Pay from `liquid`: who asked earlier first, then who reacts faster, then by keyed hash. Returns cash paid."""
        self.pending = np.minimum(self.pending, self._held())
        rows = np.flatnonzero(self.pending > 0.0)
        price = self.price()
        if not len(rows) or price <= 0.0 or liquid <= 0.0:
            return 0.0
        draw = self.world.streams.uniforms(
            f"withdrawal order {self.venue.name}", self.world.state.agents.key[self.owners[rows]]
        )
        rows = rows[np.lexsort((draw, self.delay[rows], self.asked[rows]))]
        before = np.cumsum(self.pending[rows]) - self.pending[rows]
        units = np.clip(liquid / price - before, 0.0, self.pending[rows])
        some = units > 0.0
        rows, units = rows[some], units[some]
        self.pending[rows] -= units
        paid = verbs.redeem(self.world.bookkeeper, self.asset, self.holdings[rows], units)
        fundamental = float(self.world.state.assets.fundamental[self.asset])
        self.world.count("withdrawals_paid", paid)
        self.world.count("left_at_par", float(units.sum()) * max(0.0, price - fundamental))
        return paid

    def _held(self) -> np.ndarray:
        return self.world.state.holdings.units[self.holdings]
