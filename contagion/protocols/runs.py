"""Phase 9: holders of claims ask for their money back, and issuers pay until nothing is liquid."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import numpy as np

from contagion.protocols import verbs
from contagion.protocols.depositors import Line
from contagion.protocols.exchange_runs import ILLIQUID, ExchangeRuns, free_margin, liquid_settlement
from contagion.protocols.interest import utilisation
from contagion.scenario.issuers import Vault
from contagion.state.codes import AccountFlag
from contagion.state.world import Venue, World


class Runs:
    """Withdrawals from all issuers of claims, and from exchanges in distress.

    A holder is frightened by a loss it sees (the market value of its claim below its redemption value at the opening)
    plus what it hears: losses of the claims its own issuer holds, weighted with their share of the issuer's
    liabilities and with the holder's weight of rumours; or by the utilisation of a pool. It asks back a fraction of
    its units each step while frightened. A pool pays from its cash; a vault short of cash first redeems claims it
    holds, then withdraws free margin where it has an account, then sells market assets at market. What is not paid
    waits, and the issuer is illiquid until the queue is empty.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.exchanges = ExchangeRuns(world)
        self.lines = [Line(world, venue) for venue in world.venues.values() if venue.claim >= 0]
        self._line_of = {line.asset: line for line in self.lines}
        self._held = [self._claims_held(line) for line in self.lines]
        self._order = self._deepest_first()
        self._losses = np.zeros(len(world.state.assets.names))
        self._step = -1

    def run(self) -> bool:
        """One step's requests and payments; whether anything was paid."""
        paid = self.exchanges.run()
        if not self.lines or self._step == self.world.step:
            return paid
        self._step = self.world.step
        for line in self.lines:
            self._losses[line.asset] = line.loss()
        for line, held in zip(self.lines, self._held, strict=True):
            asked = line.ask(self._losses[line.asset], self._rumour(line, held), utilisation(self.world, line.venue))
            if asked > 0.0:
                self.world.count("withdrawals_asked", asked)
        for line in self._order:
            if line.waiting:
                paid |= self._serve(line)
        queued = sum(line.queue() for line in self.lines)
        if queued or "withdrawals_queued" in self.world.counters:
            self.world.step_counters["withdrawals_queued"] = self.world.counters["withdrawals_queued"] = queued
        return paid

    def _serve(self, line: Line) -> bool:
        """Pay a queue as far as money goes; whether anything was paid."""
        status, row = self.world.state.agents.status, line.venue.row
        paid = 0.0
        if self._pays(line):
            need = line.queue() - self._liquid(line.venue)
            if need > 0.0:
                self._raise_cash(line.venue, need, {line.asset})
            paid = line.pay(self._liquid(line.venue))
        line.waiting = bool((line.pending > 1e-12 * (1.0 + line.pending.max())).any())
        if line.waiting:
            status[row] |= ILLIQUID
        else:
            line.pending[:] = 0.0
            status[row] &= ~np.uint8(ILLIQUID)
        return paid > 0.0

    def _pays(self, line: Line) -> bool:
        return line.open and self.world.halted.get(line.venue.row, -1) < self.world.step

    def _liquid(self, venue: Venue) -> float:
        return max(0.0, float(self.world.state.agents.cash[venue.row]))

    def _raise_cash(self, venue: Venue, need: float, visited: set[int]) -> None:
        """A vault turns what it has into cash: claims, free margin, market assets, in this order."""
        if not isinstance(venue.spec, Vault):
            return
        target = float(self.world.state.agents.cash[venue.row]) + need
        for step in (self._redeem_claims, self._withdraw_margin, self._sell_assets):
            missing = target - float(self.world.state.agents.cash[venue.row])
            if missing > 1e-9 * need:
                step(venue, missing, visited)

    def _redeem_claims(self, venue: Venue, need: float, visited: set[int]) -> None:
        """Redeem other issuers' claims from what they have left beyond their own queue."""
        state = self.world.state
        for row in self._claim_rows(venue.row):
            line = self._line_of[int(state.holdings.asset[row])]
            price = line.price()
            if line.asset in visited or not self._pays(line) or price <= 0.0 or need <= 0.0:
                continue
            wanted = min(need, float(state.holdings.units[row]) * price)
            short = wanted + line.queue() - self._liquid(line.venue)
            if short > 0.0:
                self._raise_cash(line.venue, short, visited | {line.asset})
            paid = min(wanted, max(0.0, self._liquid(line.venue) - line.queue()))
            self.world.count("withdrawals_asked", wanted)
            if paid > 0.0:
                need -= verbs.redeem(self.world.bookkeeper, line.asset, np.array([row]), np.array([paid / price]))
                self.world.count("withdrawals_paid", paid)

    def _withdraw_margin(self, venue: Venue, need: float, visited: set[int]) -> None:
        """Withdraw free margin of USD accounts at exchanges that still pay."""
        state = self.world.state
        for account in range(state.agents.account_start[venue.row], state.agents.account_start[venue.row + 1]):
            book = int(state.accounts.book[account])
            exchange = int(state.books.venue[book])
            if exchange == venue.row or self.world.halted.get(exchange, -1) >= self.world.step:
                continue
            closed = state.accounts.flags[account] & AccountFlag.CLOSED
            if closed or state.books.settle[book] != 0 or state.agents.status[exchange] & ILLIQUID:
                continue
            free = float(free_margin(self.world, np.array([account]))[0])
            amount = min(need, free, liquid_settlement(self.world, book))
            if amount > 0.0:
                self.world.bookkeeper.withdraw(np.array([account]), np.array([amount]))
                need -= amount

    def _sell_assets(self, venue: Venue, need: float, visited: set[int]) -> None:
        state = self.world.state
        for row in range(state.agents.holding_start[venue.row], state.agents.holding_start[venue.row + 1]):
            asset = int(state.holdings.asset[row])
            price = float(state.assets.market[asset])
            if state.assets.issuer[asset] >= 0 or price <= 0.0 or need <= 0.0:
                continue
            units = min(float(state.holdings.units[row]), need / price)
            if units > 0.0:
                need -= verbs.sell_spot(self.world.bookkeeper, venue.row, asset, units, price)

    def _rumour(self, line: Line, held: list[int]) -> float:
        """Losses of claims the issuer holds or has as collateral, over its liabilities. [1]"""
        if not held:
            return 0.0
        state = self.world.state
        owed = float(state.assets.supply[line.asset]) * line.par
        at_risk = 0.0
        for row in held:
            asset = int(state.holdings.asset[row])
            loss = self._losses[asset]
            if loss > 0.0:
                at_risk += float(state.holdings.units[row]) * self._line_of[asset].par * loss
        return min(1.0, at_risk / owed) if owed > 0.0 else 0.0

    def _claim_rows(self, agent: int) -> list[int]:
        state = self.world.state
        rows = range(state.agents.holding_start[agent], state.agents.holding_start[agent + 1])
        return [row for row in rows if int(state.holdings.asset[row]) in self._line_of]

    def _claims_held(self, line: Line) -> list[int]:
        return [row for row in self._claim_rows(line.venue.row) if self.world.state.holdings.asset[row] != line.asset]

    def _deepest_first(self) -> list[Line]:
        """Issuers whose claims others hold come before those others; in a cycle by content key."""
        asset_of = self.world.state.holdings.asset
        needs = {
            line.asset: {int(asset_of[row]) for row in held} for line, held in zip(self.lines, self._held, strict=True)
        }
        keys = {line.asset: int(self.world.state.agents.key[line.venue.row]) for line in self.lines}
        ranked = sorted(needs, key=keys.__getitem__)
        try:
            order = list(TopologicalSorter({asset: sorted(needs[asset], key=keys.__getitem__) for asset in ranked})
                         .static_order())  # fmt: skip
        except CycleError:
            order = ranked
        return [self._line_of[asset] for asset in order]
