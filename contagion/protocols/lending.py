"""Phases 5 and 6 for lending pools: keepers close unsafe loans when it pays, and what is left is written off."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from contagion.errors import InputError
from contagion.protocols import verbs
from contagion.protocols.keepers import Bid, Keepers
from contagion.protocols.lending_rules import largest_repayment
from contagion.scenario.schema import LendingPool
from contagion.state.codes import InstrumentKind, Phase
from contagion.state.world import World

_REST = 0.05
"""Collateral over debt below which a position that no keeper gains from counts as empty (assumed)."""


@dataclass(slots=True, frozen=True)
class Terms:
    """What a pool's rules say about one collateral instrument."""

    threshold: float  # liquidation threshold [1]
    bonus: float  # [1]


class Lending:
    """Liquidates the borrowers of all lending pools of a world.

    A position may be liquidated while its health factor at oracle prices is strictly below one. Each call is one
    round: every unsafe position is offered once, largest gain first, to keepers in the order of their latency and
    then of a keyed hash. Sales of the same asset walk down one curve, so who comes later gets less. A position nobody
    gains from stays open. Debt is written off when no collateral is left, or a rest below 5% of the debt whose bonus
    could not pay any keeper's gas even at the oracle's price; the pool keeps that rest.

    Attributes
    ----------
    toxic_loans : int
        Positions found at the last call whose liquidation would lower their health: HF < LT (1 + bonus).
    refused : int
        Positions found at the last call that no keeper took.

    Raises
    ------
    InputError
        A pool lends something other than USD.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.toxic_loans = self.refused = 0
        state, instruments = world.state, world.state.instruments
        self._pools = {venue.row: venue for venue in world.venues.values() if isinstance(venue.spec, LendingPool)}
        if not self._pools:
            return
        self._terms: dict[int, Terms] = {}
        self._threshold = np.zeros(len(instruments.names))
        for venue in self._pools.values():
            if venue.spec.asset != "USD":
                raise InputError(f"protocols.{venue.name}.asset", venue.spec.asset, "USD, the only asset pools lend")
            for row in venue.instruments:
                if instruments.kind[row] == InstrumentKind.SPOT:
                    terms = venue.spec.collateral[state.assets.names[instruments.asset[row]]]
                    self._terms[row] = Terms(terms.liquidation_threshold, terms.bonus)
                    self._threshold[row] = terms.liquidation_threshold
        venue_of = state.books.venue[state.accounts.book]
        self._accounts = np.flatnonzero(np.isin(venue_of, list(self._pools)) & (state.accounts.owner != venue_of))
        self._found = np.empty(len(self._accounts), np.int64)
        self._health = np.empty(len(self._accounts))
        self._since = np.full(len(self._accounts), -1, np.int64)  # step since when it is unsafe without a break
        self._seen = np.full(len(self._accounts), -1, np.int64)  # last step in which it was found unsafe
        self._keepers = Keepers(world)
        self._step = -1

    def liquidate(self) -> bool:
        """One round of liquidations and write-offs; whether anything was done."""
        if not self._pools:
            return False
        state, world = self.world.state, self.world
        new_step = world.step != self._step
        if new_step:
            self._step = world.step
            self._keepers.open_step()
        found = _find_unsafe(
            self._accounts, state.accounts.start, state.positions.instrument, state.positions.units,
            state.instruments.equity_price, self._threshold, self._since, self._seen, world.step, self._found,
            self._health,
        )  # fmt: skip
        if not found:
            self._report(0, 0)
            return False
        self._keepers.open_round()
        world.bookkeeper.phase = Phase.LIQUIDATE
        offers = self._offers(found)
        taken = sum(self._offer(*offer) for offer in offers)
        world.bookkeeper.phase = Phase.DEFAULT
        written_off = sum(self._write_off(account) for account, _, _, _ in offers)
        self._report(sum(self._is_toxic(account, health) for account, health, _, _ in offers), len(offers) - taken)
        return taken + written_off > 0

    def _offers(self, found: int) -> list[tuple[int, float, int, float]]:
        """Unsafe positions, (account, health, unsafe since, debt), the largest debt first, then a keyed hash."""
        state = self.world.state
        order = self._found[:found]
        accounts = self._accounts[order]
        debts = np.array([-self._debt(int(account))[1] for account in accounts])
        draw = self.world.streams.uniforms("liquidation order", state.accounts.key[accounts], self.world.step)
        ranked = np.lexsort((draw, -debts))
        return [
            (int(accounts[i]), float(self._health[i]), int(self._since[order[i]]), float(debts[i])) for i in ranked
        ]  # fmt: skip

    def _debt(self, account: int) -> tuple[int, float]:
        """Row of the debt position of an account, and its signed value at oracle prices. [USD]"""
        state = self.world.state
        for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
            instrument = state.positions.instrument[row]
            if state.instruments.kind[instrument] == InstrumentKind.DEBT and state.positions.units[row] < 0.0:
                return row, float(state.positions.units[row] * state.instruments.equity_price[instrument])
        return -1, 0.0

    def _collateral(self, account: int) -> list[tuple[int, Terms, float, float]]:
        """Collateral positions with units: row, terms, units, oracle price. [USD per unit]"""
        state, result = self.world.state, []
        for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
            instrument = int(state.positions.instrument[row])
            units = float(state.positions.units[row])
            if units > 0.0 and instrument in self._terms:
                price = float(state.instruments.equity_price[instrument])
                result.append((row, self._terms[instrument], units, price))
        return result

    def _offer(self, account: int, health: float, since: int, debt_value: float) -> bool:
        """Offer one position to the keepers; whether one took it."""
        world, state = self.world, self.world.state
        debt, _ = self._debt(account)
        pool = self._pools[int(state.books.venue[state.accounts.book[account]])]
        owed = -float(state.positions.units[debt] * state.instruments.value_price[state.positions.instrument[debt]])
        most = largest_repayment(debt_value, health, pool.spec.close_factor, pool.spec.full_close_health)
        bids = [
            Bid(row, int(state.instruments.asset[state.positions.instrument[row]]), units, price, terms.bonus,
                min(most, owed, units * price / (1.0 + terms.bonus)))
            for row, terms, units, price in self._collateral(account) if price > 0.0
        ]  # fmt: skip
        choice = self._keepers.best(bids, since)
        if choice is None:
            return False
        keeper, bid, repaid, units, price = choice
        toxic = health < self._terms[int(state.positions.instrument[bid.position])].threshold * (1.0 + bid.bonus)
        proceeds = verbs.repay_and_seize(world.bookkeeper, debt, bid.position, keeper.row, repaid, units, price)
        self._keepers.done(keeper, bid, units)
        world.count("loan_liquidations")
        world.count("liquidated_debt", repaid)
        world.count("keeper_profit", proceeds - repaid - keeper.gas)
        if toxic:
            world.count("toxic_liquidations")
        return True

    def _write_off(self, account: int) -> bool:
        """Write off a position without collateral, or with a rest of it that no keeper could ever gain from."""
        debt, owed = self._debt(account)
        rest = self._collateral(account)
        gain = max((units * price * terms.bonus / (1.0 + terms.bonus) for _, terms, units, price in rest), default=0.0)
        value = sum(units * price for _, _, units, price in rest)
        if debt < 0 or value > _REST * -owed or gain > self._keepers.least_gain:
            return False
        verbs.write_off(self.world.bookkeeper, account)
        self.world.count("loans_written_off")
        return True

    def _is_toxic(self, account: int, health: float) -> bool:
        return any(health < terms.threshold * (1.0 + terms.bonus) for _, terms, _, _ in self._collateral(account))

    def _report(self, toxic: int, refused: int) -> None:
        """Counts of what stands open: now in the step's counters, most at once in those of the run."""
        self.toxic_loans, self.refused = toxic, refused
        for name, count in (("toxic_loans", toxic), ("refused_liquidations", refused)):
            self.world.step_counters[name] = float(count)
            self.world.counters[name] = max(self.world.counters.get(name, 0.0), float(count))


@nb.njit(cache=True)
def _find_unsafe(accounts, start, instrument, units, price, threshold, since, seen, step, found, health):
    """List accounts with collateral times threshold strictly below debt, and keep since when they are.

    A step without a call is one in which nothing was unsafe.
    """
    n = 0
    for i in range(len(accounts)):
        a = accounts[i]
        weighted, debt = 0.0, 0.0
        for p in range(start[a], start[a + 1]):
            value = units[p] * price[instrument[p]]
            if value > 0.0:
                weighted += value * threshold[instrument[p]]
            else:
                debt -= value
        if weighted < debt:
            if since[i] < 0 or seen[i] < step - 1:
                since[i] = step
            seen[i] = step
            found[n], health[n] = i, weighted / debt
            n += 1
        else:
            since[i] = -1
    return n
