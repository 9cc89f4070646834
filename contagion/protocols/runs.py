"""Phase 9: holders of claims ask for their money back, and issuers pay until nothing is liquid."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import numpy as np

from contagion.protocols import verbs
from contagion.protocols.claim_market import ClaimMarket
from contagion.protocols.curation import Curation
from contagion.protocols.depositors import Line
from contagion.protocols.disclosure import Disclosure
from contagion.protocols.exchange_runs import ILLIQUID, ExchangeRuns, free_margin, liquid_settlement
from contagion.protocols.hedging import Hedging
from contagion.protocols.interest import utilisation
from contagion.protocols.lenders import call_for
from contagion.protocols.liquidity import raise_from_coins
from contagion.protocols.redeemers import Arbitrage
from contagion.protocols.rumours import Rumours
from contagion.scenario.issuers import DeltaNeutral, Issuer, Reflexive
from contagion.state.codes import AccountFlag
from contagion.state.world import Venue, World


def redeemable(venue: Venue) -> bool:
    """Whether the issuer of a claim pays its holders: a stablecoin that borrowers mint is only traded."""
    return venue.claim >= 0 and getattr(venue.spec, "redeemable", True)


class Runs:
    """Withdrawals from all issuers of claims, and from exchanges in distress.

    A holder is frightened by a loss it sees, which depends on what its issuer discloses, plus what it hears: losses
    at those its issuer has money with, weighted with their share of the issuer's liabilities and with the holder's
    weight of rumours; or by the utilisation of a pool. It asks back a fraction of
    its units each step while frightened, and may sell on the market what it has to wait for. A pool pays from its
    cash; an issuer short of cash first redeems claims it holds (where those have terms of exit it joins their queue),
    then withdraws free margin where it has an account, then sells market assets at market, then mints. What is not
    paid waits; an issuer that could not pay what its terms allow is illiquid until it has. Redeemers buy and hand in
    before anybody is paid, and hedges are brought back to what is left.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._disclosure = Disclosure(world)
        self.exchanges = ExchangeRuns(world, self._disclosure)
        self.lines = [Line(world, venue) for venue in world.venues.values() if redeemable(venue)]
        self._market = ClaimMarket(world)
        self._arbitrage = Arbitrage(world, self._market)
        self._hedging = Hedging(world)
        self._redeemed = [line for line in self.lines if line.redeemers]
        self._sold = [line for line in self.lines if line.turnover.sells > 0.0]
        self._line_of = {line.asset: line for line in self.lines}
        self._venue_of = {
            venue.row: venue for venue in world.venues.values() if isinstance(venue.spec, Issuer)
        }  # fmt: skip
        self._curation = Curation(world, self._line_of)
        self._held = [self._claims_held(line) for line in self.lines]
        self._order = self._deepest_first()
        self._rumours = Rumours(world, {line.asset: line.par for line in self.lines})
        self._silence = np.zeros(world.state.first_trader)
        self._losses = self._silence.copy()  # that show at each venue, by agent row [1]
        self._step = -1

    def run(self) -> bool:
        """One step's requests and payments; whether anything was paid."""
        if not self.lines:
            return self.exchanges.run(self._silence)
        if self._step == self.world.step:
            return False
        self._step = self.world.step
        for line in self.lines:
            self._losses[line.venue.row] = self._disclosure.of_claim(line)
        self.exchanges.show(self._losses)
        heard = self._rumours.spread(self._losses)
        paid = self.exchanges.run(heard)
        self._market.open_step()
        for line in self.lines:
            row = line.venue.row
            asked = line.ask(float(self._losses[row]), float(heard[row]), utilisation(self.world, line.venue))
            if row in self.world.asked:
                asked += line.ask_for(self.world.asked.pop(row))
            if asked > 0.0:
                self.world.count("withdrawals_asked", asked)
        self._curation.flee()
        for line in self._redeemed:
            self._arbitrage.run(line, self._pays(line))
        for line in self._order:
            if line.waiting:
                paid |= self._serve(line)
        for line in self._sold:
            if line.waiting:
                line.sell_instead(self._market)
        self._curation.supply()
        self._hedging.run()
        queued = sum(line.queue() for line in self.lines)
        if queued or "withdrawals_queued" in self.world.counters:
            self.world.step_counters["withdrawals_queued"] = self.world.counters["withdrawals_queued"] = queued
        return paid

    def _serve(self, line: Line) -> bool:
        """Pay a queue as far as money goes; whether anything was paid."""
        status, row = self.world.state.agents.status, line.venue.row
        pays, paid, due = self._pays(line), 0.0, line.due()
        if pays:
            need = due - self._liquid(line.venue)
            if need > 0.0:
                self._raise_cash(line.venue, need, {line.asset})
            paid = line.pay(self._liquid(line.venue))
        line.waiting = len(line.requests.units) > 0
        if line.waiting and (not pays or paid < due * (1.0 - 1e-9)):
            status[row] |= ILLIQUID
        else:
            status[row] &= ~np.uint8(ILLIQUID)
        return paid > 0.0

    def _pays(self, line: Line) -> bool:
        return line.open and self.world.halted.get(line.venue.row, -1) < self.world.step and not line.stopped()

    def _liquid(self, venue: Venue) -> float:
        return max(0.0, float(self.world.state.agents.cash[venue.row]))

    def raise_cash(self, agent: int, need: float) -> float:
        """An issuer sells and redeems to pay `need`; what came in. Others have their cash only. [USD]"""
        venue, cash = self._venue_of.get(agent), self.world.state.agents.cash
        if venue is None:
            return 0.0
        before = float(cash[agent])
        self._raise_cash(venue, need, {venue.claim})
        return float(cash[agent]) - before

    def _raise_cash(self, venue: Venue, need: float, visited: set[int]) -> None:
        """An issuer turns what it has into cash: claims, free margin, market assets, new tokens; what is
        missing then it calls from those it lent to."""
        if not isinstance(venue.spec, Issuer):
            raise_from_coins(self.world, venue, need)
            return
        target = float(self.world.state.agents.cash[venue.row]) + need
        for step in (self._redeem_claims, self._withdraw_margin, self._sell_assets, self._mint):
            missing = target - float(self.world.state.agents.cash[venue.row])
            if missing > 1e-9 * need:
                step(venue, missing, visited)
        missing = target - float(self.world.state.agents.cash[venue.row])
        if missing > 1e-9 * need:
            call_for(self.world, venue.row, missing)

    def _redeem_claims(self, venue: Venue, need: float, visited: set[int]) -> None:
        """Redeem other issuers' claims from what they have left beyond their own queue."""
        state = self.world.state
        for row in self._curation.order(venue, self._claim_rows(venue.row)):
            line = self._line_of[int(state.holdings.asset[row])]
            price = line.price()
            if line.asset in visited or not self._pays(line) or price <= 0.0 or need <= 0.0:
                continue
            wanted = min(need, float(state.holdings.units[row]) * price)
            if not line.free:
                line.queue_for(venue.row, wanted / price)
                continue
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
            if isinstance(venue.spec, DeltaNeutral):
                free = min(free, self._hedging.free(venue, account))
            amount = min(need, free, liquid_settlement(self.world, book))
            if amount > 0.0:
                self.world.bookkeeper.withdraw(np.array([account]), np.array([amount]))
                need -= amount

    def _sell_assets(self, venue: Venue, need: float, visited: set[int]) -> None:
        state = self.world.state
        for row in range(state.agents.holding_start[venue.row], state.agents.holding_start[venue.row + 1]):
            asset = int(state.holdings.asset[row])
            price = float(state.assets.market[asset])
            minted = isinstance(venue.spec, Reflexive) and state.assets.names[asset] == venue.spec.mints
            if state.assets.issuer[asset] >= 0 or minted or price <= 0.0 or need <= 0.0:
                continue
            units = min(float(state.holdings.units[row]), need / price)
            if units > 0.0:
                need -= verbs.sell_spot(self.world.bookkeeper, venue.row, asset, units, price)

    def _mint(self, venue: Venue, need: float, visited: set[int]) -> None:
        """Sell new tokens until what is needed has come in, or the book ends."""
        if not isinstance(venue.spec, Reflexive):
            return
        world, state = self.world, self.world.state
        asset = state.assets.row(venue.spec.mints)
        price = float(state.assets.index[asset])
        circulating = float(state.holdings.units[world.bookkeeper.slot(venue.row, asset)])
        depth = venue.spec.depth_share * circulating * price
        if price <= 0.0 or depth <= 0.0:
            return
        sold, cash = self._market.trade(asset, -np.inf, depth, need)
        if sold < 0.0:
            verbs.mint_and_sell(world.bookkeeper, venue.row, asset, -sold, -cash)
            world.count("minted_value", -cash)

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
