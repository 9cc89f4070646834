"""Safety pools: what stakers have put up bears the deficits of several venues before others lose anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagion.allocation.funds import NOBODY_TRADING, Cap
from contagion.allocation.layer import Case, Layer, Memory, Payment, Properties
from contagion.allocation.shares import pro_rata
from contagion.allocation.transfers import claims_of, means_of
from contagion.errors import InputError
from contagion.protocols import verbs
from contagion.scenario.fields import Duration
from contagion.state.codes import Cause
from contagion.state.world import Venue, World


@dataclass(slots=True)
class Cover:
    """One safety pool, and what each venue it covers may draw in a round."""

    agent: int
    covered: set[int] = field(default_factory=set)  # venue rows
    round: tuple[int, int] = (-1, -1)
    common: float = 0.0  # what any of them may have, when the round's first one asked [USD]
    missing: dict[int, float] = field(default_factory=dict)  # by venue row, at the same time [USD]

    def share(self, case: Case) -> float:
        """Part of what is common, pro rata to the deficits that all covered venues had when the first one asked. [USD]

        What a venue then does not need of its part stays in the pool: nobody's part depends on who is asked first.
        """
        world, row = case.world, case.venue.row
        now = (world.bookkeeper.ledger.step, world.bookkeeper.ledger.round)
        if now != self.round:
            self.round, self.common = now, self.sellable(world) + float(world.state.agents.cash[self.agent])
            roots = world.bookkeeper.deficits
            self.missing = dict.fromkeys(self.covered, 0.0)
            for venue, left in zip(roots.venue, roots.open, strict=True):
                if venue in self.missing:
                    self.missing[venue] += left
        # A takeover account can fall short while its own waterfall is at work.
        self.missing[row] = max(self.missing[row], case.need)
        total = sum(self.missing.values())
        return self.common * self.missing[row] / total if total > 0.0 else 0.0

    def sellable(self, world: World) -> float:
        """Market value of its assets that are nobody's claim. [USD]"""
        return sum(units * price for _, units, price in self._assets(world))

    def sell(self, world: World, need: float) -> None:
        """Sell assets to outside at market until `need` has come in. [USD]"""
        for asset, units, price in self._assets(world):
            if need > 0.0 and price > 0.0:
                need -= verbs.sell_spot(world.bookkeeper, self.agent, asset, min(units, need / price), price)

    def _assets(self, world: World) -> list[tuple[int, float, float]]:
        state = world.state
        rows = range(int(state.agents.holding_start[self.agent]), int(state.agents.holding_start[self.agent + 1]))
        held = ((int(state.holdings.asset[row]), float(state.holdings.units[row])) for row in rows)
        return [
            (asset, units, float(state.assets.market[asset])) for asset, units in held
            if state.assets.issuer[asset] < 0 and units > 0.0
        ]  # fmt: skip


class SafetyPool(Layer):
    """A safety pool pays: claims on the venue are burned first, then comes its cash, then what its assets bring.

    Its holders, the stakers, bear it pro rata, those who wait to leave as well. With claims on the lending pool it
    stands before this is Aave's Umbrella, with a token of the protocol its older safety module.

    Parameters
    ----------
    pool : str
        Protocol of kind ``safety_pool``; several venues may name the same one, and share it pro rata to their deficits
        of a round.
    most : float
        Share of what it had for this venue at the opening that the venue can take in a run. [1]
    cap_per_window : float, optional
        The most it pays for this venue in `window`. [USD]
    window : duration
    premium : float
        What the venue's fund pays to the stakers for the cover, as far as it can. [share of their money per year]
    """

    has: ClassVar[Properties] = NOBODY_TRADING
    watches: ClassVar[bool] = True  # what it can take is a share of what there is at the opening

    pool: str
    most: Annotated[float, Field(gt=0, le=1)] = 1.0
    cap_per_window: Cap = None
    window: Duration = Field(default="24h", validate_default=True)
    premium: Annotated[float, Field(ge=0)] = 0.0

    @property
    def properties(self) -> Properties:
        free = self.cap_per_window is None
        return self.has._replace(budget_balance=self.most == 1.0 and free, scale_invariant=free)

    def begin(self, world: World, venue: Venue, memory: Memory) -> None:
        agent = world.agent_rows.get(self.pool, -1)
        if agent < 0 or agent == venue.row:
            raise InputError(f"{venue.name}.waterfall.safety_pool.pool", self.pool, "another protocol of the scenario")
        cover = world.covers.setdefault(agent, Cover(agent))
        cover.covered.add(venue.row)
        memory.by_agent[agent] = self.most * (means_of(world.state, venue, agent) + cover.sellable(world))

    def bear(self, case: Case) -> Iterator[Payment]:
        world, venue = case.world, case.venue
        cover = world.covers[world.agent_rows[self.pool]]
        if case.need <= 0.0:
            return
        own = claims_of(world.state, venue, cover.agent)
        room = min(own + cover.share(case), case.memory.by_agent[cover.agent] - case.borne)
        if self.cap_per_window is not None:
            room = min(room, self.cap_per_window - case.memory.paid_within(world.step, case.steps(self.window)))
        cover.sell(world, min(room, case.need) - means_of(world.state, venue, cover.agent))
        limits = np.array([max(0.0, min(room, means_of(world.state, venue, cover.agent)))])
        payment = Payment(pro_rata(limits, case.need), limits, agents=np.array([cover.agent]), claims_first=True)
        paid = float(payment.amounts.sum())
        yield payment
        case.memory.recent.append((world.step, paid))
        world.count("stakes_slashed", paid)


class Premiums:
    """What covered venues pay to the stakers, once a step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._terms = [
            (venue, world.venues[layer.pool], layer.premium)
            for venue in world.venues.values() for layer in venue.layers
            if isinstance(layer, SafetyPool) and layer.premium > 0.0 and venue.fund >= 0
        ]  # fmt: skip

    def pay(self) -> None:
        """From each venue's fund in cash; a lending pool's reserve redeems claims for it while there is liquidity."""
        for venue, pool, rate in self._terms:
            state, books = self.world.state, self.world.bookkeeper
            stakes = float(state.assets.supply[pool.claim] * state.assets.redemption[pool.claim])
            due = rate * self.world.dt_years * stakes
            short = due - float(state.agents.cash[venue.fund])
            if short > 0.0 and venue.claim >= 0:
                self._redeem(venue, short)
            paid = min(due, float(state.agents.cash[venue.fund]))
            if paid > 0.0:
                books.pay(Cause.FEE, venue.fund, pool.row, paid)
                self.world.count("premiums", paid)

    def _redeem(self, venue: Venue, need: float) -> None:
        state, row = self.world.state, self.world.bookkeeper.slot(venue.fund, venue.claim)
        price = float(state.assets.redemption[venue.claim])
        amount = min(need, float(state.holdings.units[row]) * price, max(0.0, float(state.agents.cash[venue.row])))
        if amount > 0.0:
            verbs.redeem(self.world.bookkeeper, venue.claim, np.array([row]), np.array([amount / price]))
