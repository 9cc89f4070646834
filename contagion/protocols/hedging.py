"""Delta-neutral issuers: shorts follow the spot in hand, and margin goes where the hedge needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.protocols import verbs
from contagion.scenario.issuers import DeltaNeutral
from contagion.state.codes import AccountFlag, Cause, InstrumentKind
from contagion.state.world import Venue, World

_BAND = 1e-3  # gap over the larger leg that is left alone [1]
_LOW = 0.5  # share of the opening margin ratio at which margin is topped up (assumed)


@dataclass(slots=True)
class _Leg:
    venue: Venue
    account: int
    position: int
    asset: int
    spot: int  # row of Holdings


class Hedging:
    """Brings shorts back to the spot and margin back to its opening ratio, once a step.

    A position that was deleveraged or closed leaves spot without a hedge; the share ``rehedges`` of the gap is sold
    short again per step, at the market, as long as the account lives. Margin that has halved against the short is
    filled up from cash, then by sales of spot.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        self._legs = [leg for venue in world.venues.values() if isinstance(venue.spec, DeltaNeutral)
                      for leg in self._legs_of(venue)]  # fmt: skip
        self._ratio: dict[int, float] = {}
        for account in {leg.account for leg in self._legs}:
            notional = self._notional(account)
            self._ratio[account] = float(state.accounts.equity[account]) / notional if notional > 0.0 else 0.0

    def _legs_of(self, venue: Venue) -> list[_Leg]:
        state, found = self.world.state, []
        for account in range(state.agents.account_start[venue.row], state.agents.account_start[venue.row + 1]):
            for position in range(state.accounts.start[account], state.accounts.start[account + 1]):
                instrument = int(state.positions.instrument[position])
                asset = int(state.instruments.asset[instrument])
                hedged = state.assets.names[asset] in venue.spec.holds
                if hedged and state.instruments.kind[instrument] == InstrumentKind.LINEAR:
                    found.append(_Leg(venue, account, position, asset, self.world.bookkeeper.slot(venue.row, asset)))
        return found

    def run(self) -> None:
        """Rehedge and top up."""
        for leg in self._legs:
            if not self.world.state.accounts.flags[leg.account] & AccountFlag.CLOSED:
                self._rehedge(leg)
        for account in self._ratio:
            self._top_up(account)

    def free(self, venue: Venue, account: int) -> float:
        """Margin above what the opening ratio asks for. [USD]"""
        equity = float(self.world.state.accounts.equity[account])
        return max(0.0, equity - self._ratio.get(account, 0.0) * self._notional(account))

    def _notional(self, account: int) -> float:
        state = self.world.state
        return sum(
            abs(float(state.positions.units[leg.position])) * float(state.assets.index[leg.asset])
            for leg in self._legs if leg.account == account
        )  # fmt: skip

    def _rehedge(self, leg: _Leg) -> None:
        world, state = self.world, self.world.state
        spot, short = float(state.holdings.units[leg.spot]), -float(state.positions.units[leg.position])
        gap = spot - short
        if abs(gap) <= _BAND * max(spot, short):
            return
        change = -gap * leg.venue.spec.rehedges
        done = world.market.execute(np.array([leg.position]), np.array([change]), Cause.EXECUTION)
        price = float(state.assets.index[leg.asset])
        world.count("rehedged_notional", abs(float(done[0])) * price)
        left = (gap + float(done[0])) * price
        world.counters["unhedged_notional"] = max(world.counters.get("unhedged_notional", 0.0), abs(gap) * price)
        world.step_counters["unhedged_notional"] = abs(left)

    def _top_up(self, account: int) -> None:
        state = self.world.state
        if state.accounts.flags[account] & AccountFlag.CLOSED:
            return
        wanted = self._ratio[account] * self._notional(account)
        equity = float(state.accounts.equity[account])
        if equity >= _LOW * wanted:
            return
        need = wanted - equity
        legs = [leg for leg in self._legs if leg.account == account]
        owner = legs[0].venue.row
        missing = need - max(0.0, float(state.agents.cash[owner]))
        for leg in legs:
            price = float(state.assets.market[leg.asset])
            units = min(float(state.holdings.units[leg.spot]), max(0.0, missing) / price) if price > 0.0 else 0.0
            if units > 0.0:
                missing -= verbs.sell_spot(self.world.bookkeeper, owner, leg.asset, units, price)
        paid = min(need, max(0.0, float(state.agents.cash[owner])))
        if paid > 0.0:
            self.world.bookkeeper.deposit(np.array([account]), np.array([paid]))
