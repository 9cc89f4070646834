"""Phases 5 and 6 for lending pools: keepers close unsafe loans when it pays, and what is left is written off."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.protocols import verbs
from contagion.protocols.keepers import Bid, Keepers
from contagion.protocols.lending_rules import largest_repayment
from contagion.protocols.unsafe_loans import Borrowers, UnsafeLoans
from contagion.scenario.lending import LendingPool
from contagion.state.codes import InstrumentKind, Phase
from contagion.state.world import World

_SPOT, _DEBT = int(InstrumentKind.SPOT), int(InstrumentKind.DEBT)
_REST = 0.05
"""Collateral over debt below which a position that no keeper gains from counts as empty (assumed)."""


class Lending:
    """Liquidates the borrowers of all lending pools of a world.

    A position may be liquidated while its health factor at oracle prices is strictly below one. Each call is one
    round: every unsafe position is offered once, largest debt first, to keepers in the order of their latency and
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
        self._bonus, threshold = np.zeros(len(instruments.names)), np.zeros(len(instruments.names))
        for venue in self._pools.values():
            if venue.spec.asset != "USD":
                raise InputError(f"protocols.{venue.name}.asset", venue.spec.asset, "USD, the only asset pools lend")
            for row in venue.instruments:
                if instruments.kind[row] == InstrumentKind.SPOT:
                    terms = venue.spec.collateral[state.assets.names[instruments.asset[row]]]
                    self._bonus[row], threshold[row] = terms.bonus, terms.liquidation_threshold
        venue_of = state.books.venue[state.accounts.book]
        accounts = np.flatnonzero(np.isin(venue_of, list(self._pools)) & (state.accounts.owner != venue_of))
        self._borrowers = Borrowers(world, accounts, threshold, self._bonus)
        self._keepers = Keepers(world)
        self._step = -1

    def liquidate(self) -> bool:
        """One round of liquidations and write-offs; whether anything was done."""
        if not self._pools:
            return False
        world = self.world
        if world.step != self._step:
            self._step = world.step
            self._keepers.open_step()
        loans = self._borrowers.unsafe()
        if loans is None:
            self._report(0, 0)
            return False
        self._keepers.open_round()
        world.bookkeeper.phase = Phase.LIQUIDATE
        empty = (loans.collateral <= _REST * loans.debt) & (loans.bonus <= self._keepers.least_gain)
        taken = [row for row in self._offered(loans) if self._offer(loans, row)]
        world.bookkeeper.phase = Phase.DEFAULT
        empty[taken] = False
        rows = np.concatenate([np.flatnonzero(empty), np.array(taken, np.int64)])
        written_off = sum(self._write_off(int(row)) for row in self._sorted(loans, rows))
        self._report(int(loans.toxic.sum()), len(loans.account) - len(taken))
        return len(taken) + written_off > 0

    def _offered(self, loans: UnsafeLoans) -> list[int]:
        """Loans that could pay a keeper, the largest debt first, then by a keyed hash."""
        rows = np.flatnonzero(loans.gain > self._keepers.least_gain)
        if not len(rows):
            return []
        keys = self.world.state.accounts.key[loans.account[rows]]
        draw = self.world.streams.uniforms("liquidation order", keys, self.world.step)
        return rows[np.lexsort((draw, -loans.debt[rows]))].tolist()

    def _sorted(self, loans: UnsafeLoans, rows: np.ndarray) -> np.ndarray:
        """Accounts of some loans in the order of their keys."""
        accounts = loans.account[rows]
        return accounts[np.argsort(self.world.state.accounts.key[accounts])]

    def _collateral(self, account: int) -> list[tuple[int, int, float, float]]:
        """Collateral of worth: row, instrument, units, oracle price. [USD per unit]"""
        state, result = self.world.state, []
        for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
            instrument = int(state.positions.instrument[row])
            units, price = float(state.positions.units[row]), float(state.instruments.equity_price[instrument])
            if units * price > 0.0 and state.instruments.kind[instrument] == _SPOT:
                result.append((row, instrument, units, price))
        return result

    def _offer(self, loans: UnsafeLoans, row: int) -> bool:
        """Offer one loan to the keepers; whether one took it."""
        world, state = self.world, self.world.state
        if not self._keepers.ready:
            return False
        account, debt, health = int(loans.account[row]), int(loans.debt_row[row]), float(loans.health[row])
        pool = self._pools[int(state.books.venue[state.accounts.book[account]])]
        owed = -float(state.positions.units[debt] * state.instruments.value_price[state.positions.instrument[debt]])
        most = largest_repayment(float(loans.debt[row]), health, pool.spec.close_factor, pool.spec.full_close_health)
        bids = []
        for position, instrument, units, price in self._collateral(account):
            bonus = float(self._bonus[instrument])
            limit = min(most, owed, units * price / (1.0 + bonus))
            bids.append(Bid(position, int(state.instruments.asset[instrument]), units, price, bonus, limit))
        choice = self._keepers.best(bids, int(loans.since[row]))
        if choice is None:
            return False
        keeper, bid, repaid, units, price = choice
        proceeds = verbs.repay_and_seize(world.bookkeeper, debt, bid.position, keeper.row, repaid, units, price)
        self._keepers.done(keeper, bid, units)
        world.count("loan_liquidations")
        world.count("liquidated_debt", repaid)
        world.count("keeper_profit", proceeds - repaid - keeper.gas)
        if loans.toxic[row]:
            world.count("toxic_liquidations")
        return True

    def _write_off(self, account: int) -> bool:
        """Write off a position that still owes, without collateral or with a rest of it no keeper could gain from."""
        state = self.world.state
        debt = 0.0
        for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
            instrument = state.positions.instrument[row]
            if state.instruments.kind[instrument] == _DEBT:
                debt -= float(state.positions.units[row] * state.instruments.equity_price[instrument])
        rest = [(units * price, float(self._bonus[k])) for _, k, units, price in self._collateral(account)]
        gain = max((value * bonus / (1.0 + bonus) for value, bonus in rest), default=0.0)
        if debt <= 0.0 or sum(value for value, _ in rest) > _REST * debt or gain > self._keepers.least_gain:
            return False
        verbs.write_off(self.world.bookkeeper, account)
        self.world.count("loans_written_off")
        return True

    def _report(self, toxic: int, refused: int) -> None:
        """Counts of what stands open: now in the step's counters, most at once in those of the run."""
        self.toxic_loans, self.refused = toxic, refused
        for name, count in (("toxic_loans", toxic), ("refused_liquidations", refused)):
            self.world.step_counters[name] = float(count)
            self.world.counters[name] = max(self.world.counters.get(name, 0.0), float(count))
