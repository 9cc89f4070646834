"""Phases 5 and 6 on exchanges: close accounts in breach, take over what cannot be closed above bankruptcy.

Three prices are kept apart. The *trigger* is the mark at which equity met the requirement (the account is in the list
of breaches). The *execution* price is what depth gives (:meth:`Market.execute`), or a liquidator's. The *bankruptcy*
price is where equity is zero (:func:`bankruptcy_lots`).
"""

from __future__ import annotations

import numpy as np

from contagion.liquidation.caps import StepCaps, first_in_line
from contagion.liquidation.closing_orders import ClosingOrders, closing_orders, expected_loss, relative_loss
from contagion.liquidation.collateral import CollateralSales
from contagion.liquidation.desk import LiquidatorDesk
from contagion.liquidation.disposal import TakeoverSales
from contagion.liquidation.engines import Breaches, Orders, contracts_of
from contagion.liquidation.fees import insurance_fee_within
from contagion.liquidation.gradual import GradualShares
from contagion.liquidation.handover import bankruptcy_lots, stop_quoting, without_units
from contagion.liquidation.limits import fill_within, limit_prices
from contagion.liquidation.proceeds import Fills, collect_fees
from contagion.market.flow import Market
from contagion.scenario.venues import Exchange
from contagion.state.codes import AccountFlag, Cause, Phase
from contagion.state.world import Venue, World


class Liquidation:
    """Closes accounts venue by venue; every venue acts on the marks of the round."""

    def __init__(self, world: World, market: Market, waterfall) -> None:
        self.world = world
        self.market = market
        self.waterfall = waterfall
        self.exchanges = [venue for venue in world.venues.values() if isinstance(venue.spec, Exchange)]
        self._used: dict[int, int] = {}  # venue row -> accounts handled this step
        self._taken: dict[int, int] = {}  # venue row -> accounts taken over this step
        state = world.state
        self._collateral = CollateralSales(world)
        self._attempts = np.zeros(len(state.accounts.balance), np.int16)  # orders in this episode, by account
        self._sales = TakeoverSales(world, market)
        self._caps = StepCaps(world, any(venue.spec.liquidation.caps for venue in self.exchanges))
        self._gradual = GradualShares(world, any(venue.spec.liquidation.gradual for venue in self.exchanges))
        self._desks = {
            venue.row: LiquidatorDesk(world, venue) for venue in self.exchanges if venue.spec.liquidation.liquidators
        }

    def open_step(self) -> None:
        if self._used:
            self._used.clear()
            self._taken.clear()
            self._caps.open_step()
        self._sales.open_step()
        if self._collateral.active:
            self._collateral.open_step()

    @property
    def has_inventory(self) -> bool:
        """Whether a takeover account may hold units that nobody took."""
        return bool(self._sales)

    def run(self, breached: np.ndarray) -> bool:
        """Close and take over; returns whether anything happened."""
        if self._collateral.active:
            self._collateral.open_round()  # sales of earlier rounds are in the market price by now
        happened = False
        if self._sales:
            self.world.bookkeeper.phase = Phase.LIQUIDATE
            happened = self._sales.run()
            if happened:
                self._settle_lots()
        if not len(breached):
            return happened
        state = self.world.state
        venue_of = state.books.venue[state.accounts.book[breached]]
        for venue in self.exchanges:
            here = breached[venue_of == venue.row]
            if len(here) and self.world.halted.get(venue.row, -1) < self.world.step:
                happened |= self._venue(venue, here)
        return happened

    def _settle_lots(self) -> None:
        """Take what was sold out of the lots it came from, before accounts taken over now bring theirs."""
        state = self.world.state
        for lots in self.waterfall.lots.values():
            held = state.positions.units[self.world.bookkeeper.takeover_position(lots.takeover, lots.instrument)]
            lots.reconcile(float(held), float(state.instruments.value_price[lots.instrument]))

    # -- one venue ----------------------------------------------------------------------------------------------

    def _venue(self, venue: Venue, accounts: np.ndarray) -> bool:
        state, step, rules = self.world.state, self.world.step, venue.spec.liquidation
        equity, requirement, notional = self.world.margin.of(accounts)
        still = equity < requirement  # a top-up or a reduction in phase 4 may have cured it
        accounts, equity = accounts[still], equity[still]
        requirement, notional = requirement[still], notional[still]
        new = state.accounts.breached_at[accounts] < 0
        state.accounts.breached_at[accounts[new]] = step
        state.accounts.flags[accounts[new]] |= int(AccountFlag.BREACHED)
        ready = state.accounts.breached_at[accounts] + rules.latency <= step
        ready &= ~((self._attempts[accounts] > 0) & (state.accounts.due[accounts] > step))
        doomed = equity < rules.takeover_below * requirement
        if rules.limit != "market":
            doomed |= equity < 0.0
        chosen = np.flatnonzero(ready | doomed)
        chosen = chosen[self._admit(venue, accounts[chosen], equity[chosen], requirement[chosen], notional[chosen])]
        if not len(chosen):
            return bool(new.any())
        self._used.setdefault(venue.row, 0)
        self.world.bookkeeper.phase = Phase.LIQUIDATE
        if self._collateral.active and self._sell_collateral(
            venue, accounts[chosen], equity[chosen], requirement[chosen], notional[chosen], doomed[chosen]
        ):
            equity, requirement, notional = self.world.margin.of(accounts)
        breaches = self._breaches(
            venue, accounts[chosen], equity[chosen], requirement[chosen], notional[chosen], doomed[chosen]
        )
        missing = (venue.engine.goal(breaches.requirement, breaches.notional) - breaches.equity) * breaches.settle
        wanted = venue.engine.orders(breaches)
        taking = doomed[chosen] if wanted.take_over is None else doomed[chosen] | wanted.take_over
        order = self._orders(venue, breaches, wanted, taking)
        if rules.gradual is not None:
            order.change *= self._gradual.shares(rules.gradual, breaches.accounts, missing)[order.owner]
        closed = self._close(venue, breaches, order)
        if rules.gradual is not None:
            equity, requirement, notional = self.world.margin.of(breaches.accounts)
            left = (venue.engine.goal(requirement, notional) - equity) * breaches.settle
            self._gradual.freed(breaches.accounts, missing - left)
        state.accounts.due[breaches.accounts] = step + wanted.wait
        tried = np.zeros(len(chosen), bool)
        tried[order.owner[order.change != 0.0]] = True
        self._attempts[breaches.accounts[tried]] += 1
        self.world.bookkeeper.phase = Phase.DEFAULT
        taken = self._finish(venue, breaches.accounts, wanted.take_over)
        return bool(closed or taken or new.any())

    def _admit(self, venue: Venue, accounts, equity, requirement, notional) -> np.ndarray:
        """Those a venue's throughput lets through this step."""
        rules = venue.spec.liquidation
        rows = np.arange(len(accounts))
        if rules.throughput is None:
            return rows
        left = max(rules.throughput - self._used.get(venue.row, 0), 0)
        if len(rows) > left:
            self.world.count("throughput_waits", len(rows) - left)
            rows = np.sort(first_in_line(self.world, rules.order, accounts, equity, requirement, notional)[:left])
        self._used[venue.row] = self._used.get(venue.row, 0) + len(rows)
        return rows

    def _sell_collateral(self, venue: Venue, accounts, equity, requirement, notional, doomed) -> bool:
        """Sell posted coins before any contract is closed; whether anything was sold."""
        if venue.spec.liquidation.collateral == "all":
            return self._collateral.sell(accounts)
        shortage = venue.engine.goal(requirement, notional) - equity
        whole = self._collateral.sell(accounts[doomed])
        return self._collateral.cover(venue, accounts[~doomed], shortage[~doomed]) | whole

    def _breaches(self, venue: Venue, accounts, equity, requirement, notional, doomed) -> Breaches:
        """What the engine is shown: margin, and what closing is expected to cost."""
        state, rules = self.world.state, venue.spec.liquidation
        settle = state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]
        breaches = Breaches(
            state, accounts, equity, requirement, notional, settle, self._attempts[accounts].astype(np.int64),
            np.zeros(len(accounts)), np.full(len(accounts), rules.fee),
        )  # fmt: skip
        ratio = np.divide(requirement, notional, out=np.zeros(len(accounts)), where=notional > 0.0)
        if venue.row in self._desks:
            breaches.distance[:] = self._desks[venue.row].discount(accounts)
        else:
            every = closing_orders(breaches, Orders(np.where(doomed, 0.0, 1.0)))
            breaches.distance[:] = np.minimum(relative_loss(self.market, every, len(accounts)), 1.0)
        if rules.fee_base == "maintenance":
            breaches.fee[:] *= ratio
        if rules.fee_within_margin is not None:
            goal = venue.engine.goal(requirement, notional)
            goal_ratio = np.divide(goal, notional, out=np.zeros(len(accounts)), where=notional > 0.0)
            breaches.fee[:] = insurance_fee_within(
                breaches.fee, goal - equity, np.maximum(notional, 1e-300), 1.0, goal_ratio, breaches.distance,
                rules.fee_within_margin,
            )  # fmt: skip
        breaches.fee[:] = np.minimum(breaches.fee, np.maximum(0.0, 1.0 - breaches.distance))
        return breaches

    # -- orders -------------------------------------------------------------------------------------------------

    def _orders(self, venue: Venue, breaches: Breaches, wanted: Orders, taking: np.ndarray) -> ClosingOrders:
        """What the engine wants closed, within the caps and the worst price an order accepts."""
        rules, state = venue.spec.liquidation, self.world.state
        order = closing_orders(breaches, wanted)
        cured = breaches.equity >= breaches.requirement  # by what its collateral brought
        order.change = np.where((taking | cured)[order.owner], 0.0, order.change)
        if rules.caps is not None:
            settle = breaches.settle[order.owner]
            value = np.abs(order.change) * state.instruments.mark[order.instrument]
            closing = np.bincount(order.owner, weights=value, minlength=len(breaches.accounts))
            beyond = np.maximum(0.0, closing * breaches.distance - breaches.equity) * breaches.settle
            order.change = self._caps.cut(
                rules.caps, breaches.accounts, order.rows, order.owner, order.change,
                state.instruments.mark[order.instrument] * settle, beyond,
            )  # fmt: skip
        if rules.limit == "bankruptcy":
            # A second look at the price without the accounts it would bankrupt: they wait, or are taken over instead.
            for _ in range(2):
                lost = expected_loss(self.market, order, len(breaches.accounts))
                order.change = np.where((breaches.equity - lost < 0.0)[order.owner], 0.0, order.change)
        elif rules.limit != "market" and venue.row not in self._desks:
            worst = limit_prices(rules.limit, breaches)
            order.change = fill_within(self.market, order.instrument, order.change, worst)
        return order

    # -- execution ----------------------------------------------------------------------------------------------

    def _close(self, venue: Venue, breaches: Breaches, order: ClosingOrders) -> bool:
        """Execute the orders, take the fee from what equity is left, count; whether anything was executed."""
        world, state, rules = self.world, self.world.state, venue.spec.liquidation
        some = order.change != 0.0
        if not some.any():
            return False
        rows, owner, change = order.rows[some], order.owner[some], order.change[some]
        instrument = order.instrument[some]
        start = state.instruments.equity_price[instrument]
        reference = limit_prices("zero_or_cancel", breaches)[some]
        if venue.row in self._desks:
            done, price = self._desks[venue.row].take(rows, change, breaches.distance[owner])
        else:
            done = self.market.execute(rows, change, Cause.LIQUIDATION)
            price = np.where(done != 0.0, self.market.paid[instrument], start)
        mark = state.instruments.mark[instrument]
        usd = np.abs(done) * mark * breaches.settle[owner]
        notional = np.bincount(owner, weights=usd, minlength=len(breaches.accounts))
        if rules.caps is not None:
            self._caps.record(breaches.accounts, rows, owner, done, mark * breaches.settle[owner])
        world.count("liquidated_notional", float(notional.sum()))
        world.count("liquidations", int((notional > 0).sum()))
        closed = self._flat(breaches.accounts)
        equity, _, _ = self.world.margin.of(breaches.accounts)
        collect_fees(world, venue, breaches, Fills(owner, done, price, reference, notional), equity, closed)
        state.accounts.flags[breaches.accounts[closed & (notional > 0)]] |= int(AccountFlag.CLOSED)
        return bool(done.any())

    def _flat(self, accounts: np.ndarray) -> np.ndarray:
        state = self.world.state
        return without_units(accounts, state.accounts.start, state.positions.units)

    # -- the end of an episode ----------------------------------------------------------------------------------

    def _finish(self, venue: Venue, accounts: np.ndarray, take_over: np.ndarray | None) -> bool:
        """Take over what is below zero (or below the takeover share); end the episodes that are over."""
        state, rules = self.world.state, venue.spec.liquidation
        equity, requirement, _ = self.world.margin.of(accounts)
        flat = self._flat(accounts)
        below = np.where(flat, equity < 0.0, equity < np.maximum(rules.takeover_below * requirement, 0.0))
        if take_over is not None:
            below |= take_over & ~flat & (equity < requirement)
        if self._collateral.active:
            below &= ~self._collateral.holds(accounts)
        if rules.takeovers is not None:
            below = self._first_taken(venue, accounts, below)
        taken = accounts[below]
        if len(taken):
            owner = contracts_of(
                taken, state.accounts.start, state.positions.units, state.positions.instrument, state.instruments.kind
            )[1]  # fmt: skip
            lots = bankruptcy_lots(state, taken)
            roots = self.world.bookkeeper.hand_over(taken)
            self.waterfall.add_lots_of(taken[owner], *lots, roots[owner])
            self._sales.add(np.unique(state.books.takeover[state.accounts.book[taken]]))
            stop_quoting(state, taken)
            self.world.count("takeovers", len(taken))
            self.world.count("accounts_bankrupt", int((roots >= 0).sum()))
        over = accounts[below | flat | (equity >= requirement)]
        state.accounts.breached_at[over] = -1
        self._attempts[over] = 0
        self._gradual.forget(over)
        return bool(len(taken))

    def _first_taken(self, venue: Venue, accounts: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Those of the accounts to take over that a venue can take in this step: the earliest breaches."""
        done = self._taken.get(venue.row, 0)
        rows, nothing = np.flatnonzero(below), np.zeros(int(below.sum()))
        rows = rows[first_in_line(self.world, "arrival", accounts[rows], nothing, nothing, nothing)]
        rows = rows[: max(0, venue.spec.liquidation.takeovers - done)]
        self._taken[venue.row] = done + len(rows)
        below = np.zeros(len(accounts), bool)
        below[rows] = True
        return below
