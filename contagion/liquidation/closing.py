"""Phases 5 and 6 on exchanges: close accounts in breach, take over what cannot be closed above bankruptcy.

Three prices are kept apart. The *trigger* is the mark at which equity met the requirement (the account is in the list
of breaches). The *execution* price is what depth gives (:meth:`Market.execute`). The *bankruptcy* price is where equity
is zero (:func:`bankruptcy_lots`).
"""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.liquidation.engines import Breaches
from contagion.margin.kernels import margin_of
from contagion.market.flow import Market
from contagion.scenario.schema import Exchange
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
        self._attempts: dict[int, int] = {}  # account -> orders in this episode
        self._houses: set[int] = set()  # takeover accounts that may hold units
        state = world.state
        instruments, positions = state.instruments, state.positions
        self._margin_columns = (
            state.accounts.start, state.accounts.balance, positions.instrument, positions.units, instruments.mark,
            instruments.equity_price, instruments.long_only, instruments.tier_start, instruments.tier_floor,
            instruments.tier_rate, instruments.tier_deduction,
        )  # fmt: skip

    def open_step(self) -> None:
        if self._used:
            self._used.clear()

    @property
    def has_inventory(self) -> bool:
        """Whether a takeover account may hold units that nobody took."""
        return bool(self._houses)

    def run(self, breached: np.ndarray) -> bool:
        """Close and take over; returns whether anything happened."""
        state = self.world.state
        happened = self._dispose() if self._houses else False
        if not len(breached):
            return happened
        venue_of = state.books.venue[state.accounts.book[breached]]
        for venue in self.exchanges:
            here = breached[venue_of == venue.row]
            if len(here) and self.world.halted.get(venue.row, -1) < self.world.step:
                happened |= self._venue(venue, here)
        return happened

    def margin(self, accounts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Equity, requirement and gross notional at the marks of the round. [settlement asset]"""
        equity, requirement, notional = np.empty((3, len(accounts)))
        margin_of(accounts, *self._margin_columns, equity, requirement, notional)
        return equity, requirement, notional

    # -- one venue ----------------------------------------------------------------------------------------------

    def _venue(self, venue: Venue, accounts: np.ndarray) -> bool:
        state, step, rules = self.world.state, self.world.step, venue.spec.liquidation
        equity, requirement, notional = self.margin(accounts)
        still = equity < requirement  # a top-up or a reduction in phase 4 may have cured it
        accounts, equity = accounts[still], equity[still]
        requirement, notional = requirement[still], notional[still]
        new = state.accounts.breached_at[accounts] < 0
        state.accounts.breached_at[accounts[new]] = step
        state.accounts.flags[accounts[new]] |= int(AccountFlag.BREACHED)
        ready = state.accounts.breached_at[accounts] + rules.latency <= step
        waiting = np.fromiter((self._attempts.get(int(a), 0) > 0 for a in accounts), bool, len(accounts))
        ready &= ~(waiting & (state.accounts.due[accounts] > step))
        doomed = equity < rules.takeover_below * requirement
        if rules.limit == "bankruptcy":
            doomed |= equity < 0.0
        chosen = self._admit(venue, accounts, np.flatnonzero(ready | doomed))
        if not len(chosen):
            return bool(new.any())
        accounts, equity, requirement, notional = (
            column[chosen] for column in (accounts, equity, requirement, notional)
        )
        self.world.bookkeeper.phase = Phase.LIQUIDATE
        settle = state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]
        attempts = np.array([self._attempts.get(int(account), 0) for account in accounts])
        share, wait = self._order(venue, accounts, equity, requirement, notional, settle, attempts, doomed[chosen])
        closed = self._close(venue, accounts, share, settle)
        state.accounts.due[accounts] = step + wait
        for account in accounts[share > 0.0]:
            self._attempts[int(account)] = self._attempts.get(int(account), 0) + 1
        self.world.bookkeeper.phase = Phase.DEFAULT
        taken = self._finish(venue, accounts)
        return bool(closed or taken or new.any())

    def _dispose(self) -> bool:
        """Sell what no position layer took off the takeover accounts, at the market."""
        state, market = self.world.state, self.market
        self.world.bookkeeper.phase = Phase.LIQUIDATE
        happened = False
        for account in sorted(self._houses):
            rows = np.arange(state.accounts.start[account], state.accounts.start[account + 1])
            rows = rows[state.positions.units[rows] != 0.0]
            if not len(rows):
                self._houses.discard(account)
                continue
            done = market.execute(rows, -state.positions.units[rows], Cause.LIQUIDATION)
            happened |= bool(done.any())
        return happened

    def _admit(self, venue: Venue, accounts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The rows a venue's throughput lets through this step: first come, then by keyed hash."""
        limit = venue.spec.liquidation.throughput
        if limit is None:
            return rows
        left = limit - self._used.get(venue.row, 0)
        if len(rows) > left:
            table = self.world.state.accounts
            order = np.lexsort((table.key[accounts[rows]], table.breached_at[accounts[rows]]))
            self.world.count("throughput_waits", len(rows) - max(left, 0))
            rows = rows[order[: max(left, 0)]]
        self._used[venue.row] = self._used.get(venue.row, 0) + len(rows)
        return rows

    def _order(self, venue, accounts, equity, requirement, notional, settle, attempts, doomed):
        """Share to close by account and the wait after, respecting the worst price an order accepts."""
        rules = venue.spec.liquidation
        distance = self._expected_distance(accounts, np.where(doomed, 0.0, 1.0))
        cost = np.minimum(distance + rules.fee, 1.0)
        wanted = venue.engine.orders(
            Breaches(accounts, equity, requirement, notional, notional * settle, cost, attempts)
        )
        share = np.where(doomed, 0.0, wanted.share)
        if rules.limit == "bankruptcy":
            # A second look at the price without the accounts it would bankrupt: they are taken over instead.
            for _ in range(2):
                distance = self._expected_distance(accounts, share)
                share = np.where(equity - share * notional * distance < 0.0, 0.0, share)
        return share, wanted.wait

    def _expected_distance(self, accounts: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Loss per notional that closing these shares together would cost each account, against the mark. [1]"""
        state = self.world.state
        rows, owner, change = _orders_of(accounts, share, state.accounts.start, state.positions.units)
        instrument = state.positions.instrument[rows]
        distance = np.zeros(len(state.instruments.names))
        for k in np.unique(instrument):
            per_unit = self.market.usd_per_unit(int(k))
            net = float(change[instrument == k].sum()) * per_unit
            if net:
                _, price, _ = self.market.price(int(k), self.market._takeable(int(k), net)[0])
                gap = price - float(state.instruments.equity_price[k])
                side = float(np.sign(net)) * float(state.instruments.sign[k])
                distance[k] = max(0.0, side * gap) / float(state.instruments.mark[k])
        weight = np.abs(state.positions.units[rows]) * state.instruments.mark[instrument]
        loss = np.bincount(owner, weights=weight * distance[instrument], minlength=len(accounts))
        total = np.bincount(owner, weights=weight, minlength=len(accounts))
        return np.divide(loss, total, out=np.zeros(len(accounts)), where=total > 0)

    def _close(self, venue: Venue, accounts: np.ndarray, share: np.ndarray, settle: np.ndarray) -> bool:
        """Execute the orders, take the fee from what equity is left, count; whether anything was executed."""
        world, state = self.world, self.world.state
        rows, owner, change = _orders_of(accounts, share, state.accounts.start, state.positions.units)
        if not len(rows):
            return False
        done = self.market.execute(rows, change, Cause.LIQUIDATION)
        instrument = state.positions.instrument[rows]
        usd = np.abs(done) * state.instruments.mark[instrument] * settle[owner]
        notional = np.bincount(owner, weights=usd, minlength=len(accounts))
        world.count("liquidated_notional", float(notional.sum()))
        world.count("liquidations", int((notional > 0).sum()))
        equity, _, _ = self.margin(accounts)
        rules = venue.spec.liquidation
        closed = self._flat(accounts)
        fee = np.minimum(rules.fee * notional, np.maximum(equity * settle, 0.0))
        if rules.surplus_to == "fund":
            fee = np.where(closed, np.maximum(equity * settle, 0.0), fee)
        elif rules.surplus_to == "owner":
            fee = np.zeros(len(accounts))
        payee = venue.fund if venue.fund >= 0 else venue.row
        if fee.any():
            world.bookkeeper.charge(Cause.LIQUIDATION_FEE, accounts[fee > 0], payee, fee[fee > 0])
            venue.fees += float(fee.sum())
        state.accounts.flags[accounts[closed & (notional > 0)]] |= int(AccountFlag.CLOSED)
        return bool(done.any())

    def _flat(self, accounts: np.ndarray) -> np.ndarray:
        state = self.world.state
        return _without_units(accounts, state.accounts.start, state.positions.units)

    def _finish(self, venue: Venue, accounts: np.ndarray) -> bool:
        """Take over what is below zero (or below the takeover share); end the episodes that are over."""
        state, rules = self.world.state, venue.spec.liquidation
        equity, requirement, _ = self.margin(accounts)
        flat = self._flat(accounts)
        below = np.where(flat, equity < 0.0, equity < np.maximum(rules.takeover_below * requirement, 0.0))
        taken = accounts[below]
        if len(taken):
            lots = [bankruptcy_lots(state, int(account)) for account in taken]
            roots = self.world.bookkeeper.hand_over(taken)
            for account, (instrument, units, price), root in zip(taken, lots, roots, strict=True):
                self.waterfall.add_lots(venue.row, int(account), instrument, units, price, int(root))
            self._houses.update(state.books.takeover[state.accounts.book[taken]].tolist())
            self.world.count("takeovers", len(taken))
            self.world.count("accounts_bankrupt", int((roots >= 0).sum()))
        over = below | flat | (equity >= requirement)
        state.accounts.breached_at[accounts[over]] = -1
        for account in accounts[over]:
            self._attempts.pop(int(account), None)
        return bool(len(taken))


def bankruptcy_lots(state, account: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Instruments, signed units and bankruptcy prices of an account's open positions.

    The bankruptcy price of one position is where equity is zero; with several, equity is spread over them in
    proportion to notional. [settlement asset per unit]
    """
    rows = np.arange(state.accounts.start[account], state.accounts.start[account + 1])
    rows = rows[state.positions.units[rows] != 0.0]
    instrument, units = state.positions.instrument[rows], state.positions.units[rows].copy()
    price = state.instruments.equity_price[instrument]
    if not len(rows):
        return instrument, units, price
    notional = np.abs(units) * state.instruments.mark[instrument]
    equity = state.accounts.balance[account] + float(units @ price)
    return instrument, units, price - equity * notional / notional.sum() / units


@nb.njit(cache=True)
def _orders_of(accounts, share, start, units):
    """Rows of the positions to close, which account (by order) they belong to, and the signed change of units."""
    count = 0
    for i in range(len(accounts)):
        if share[i] > 0.0:
            for p in range(start[accounts[i]], start[accounts[i] + 1]):
                if units[p] != 0.0:
                    count += 1
    rows, owner, change = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
    n = 0
    for i in range(len(accounts)):
        if share[i] > 0.0:
            for p in range(start[accounts[i]], start[accounts[i] + 1]):
                if units[p] != 0.0:
                    rows[n], owner[n], change[n] = p, i, -share[i] * units[p]
                    n += 1
    return rows, owner, change


@nb.njit(cache=True)
def _without_units(accounts, start, units):
    """Whether each listed account holds nothing."""
    flat = np.ones(len(accounts), np.bool_)
    for i in range(len(accounts)):
        for p in range(start[accounts[i]], start[accounts[i] + 1]):
            if units[p] != 0.0:
                flat[i] = False
    return flat
