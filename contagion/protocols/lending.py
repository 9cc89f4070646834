"""Phases 5 and 6 for lending pools: unsafe loans are closed by each pool's design, and what is left is written off."""

from __future__ import annotations

import numpy as np

from contagion.protocols import verbs
from contagion.protocols.designs.design import Design, Loan, Pool
from contagion.protocols.keepers import Keepers
from contagion.protocols.unsafe_loans import Borrowers, UnsafeLoans
from contagion.scenario.lending import LendingPool
from contagion.state.codes import AccountFlag, InstrumentKind, Phase
from contagion.state.world import Venue, World

_DEBT = int(InstrumentKind.DEBT)
_REST = 0.05
"""Collateral over debt below which a position that no keeper gains from counts as empty (assumed)."""


class Lending:
    """Liquidates the borrowers of all lending pools of a world.

    A position may be liquidated while its health factor at oracle prices is strictly below one. Each call is one
    round: every unsafe position goes once, largest debt first, to its pool's design, which as a rule offers it to
    keepers in the order of their latency and then of a keyed hash. Sales of the same asset walk down one curve, so who
    comes later gets less. A position nobody gains from stays open. Debt is written off when no collateral is left, or
    a rest below 5% of the debt whose bonus could not pay any keeper's gas even at the oracle's price; the pool keeps
    that rest.

    Attributes
    ----------
    toxic_loans : int
        Positions found at the last call whose liquidation would lower their health: HF < LT (1 + bonus).
    refused : int
        Positions found at the last call that were not liquidated.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.toxic_loans = self.refused = 0
        state = world.state
        venues = [venue for venue in world.venues.values() if isinstance(venue.spec, LendingPool)]
        self._pools: dict[int, Pool] = {}
        self._working: list[Pool] = []
        if not venues:
            return
        count = len(state.instruments.names)
        threshold, incentive, self._by_keepers = np.zeros(count), np.zeros((count, 3)), np.ones(count, np.bool_)
        self._keepers = Keepers(world)
        for venue in venues:
            pool = self._pools[venue.row] = self._open(venue)
            self._by_keepers[venue.instruments] = pool.design.by_keepers
            for row, terms in pool.terms.items():
                threshold[row], incentive[row] = terms.liquidation_threshold, pool.incentives[row]
            pool.memory = pool.design.open(pool)
            if type(pool.design).work is not Design.work:
                self._working.append(pool)
        venue_of = state.books.venue[state.accounts.book]
        accounts = np.flatnonzero(np.isin(venue_of, list(self._pools)) & (state.accounts.owner != venue_of))
        self._borrowers = Borrowers(world, accounts, threshold, incentive)
        self._step = -1

    def _open(self, venue: Venue) -> Pool:
        spec, state = venue.spec, self.world.state
        design = spec.liquidation.build()
        terms = {
            row: spec.collateral[state.instruments.key(row)]
            for row in venue.instruments if state.instruments.kind[row] == InstrumentKind.SPOT
        }  # fmt: skip
        incentives = {row: design.incentive(item) for row, item in terms.items()}
        return Pool(self.world, venue, design, self._keepers, terms, incentives)

    @property
    def busy(self) -> bool:
        """Whether a design has something to do although no account is unsafe."""
        return any(pool.design.busy(pool) for pool in self._working)

    def liquidate(self) -> bool:
        """One round of liquidations and write-offs; whether anything was done."""
        if not self._pools:
            return False
        world = self.world
        if world.step != self._step:
            self._step = world.step
            self._keepers.open_step()
        loans = self._borrowers.unsafe()
        if loans is None and not self.busy:
            self._report(0, 0)
            return False
        self._keepers.open_round(float(self._wanted(loans)))
        world.bookkeeper.phase = Phase.LIQUIDATE
        worked = [pool.design.work(pool) for pool in self._working]
        if loans is None:
            self._report(0, 0)
            return any(worked)
        empty = (loans.collateral <= _REST * loans.debt) & (loans.bonus <= self._keepers.least_gain)
        waits = self._waits(loans)
        taken = [row for row in self._offered(loans) if self._close(loans, row)]
        world.bookkeeper.phase = Phase.DEFAULT
        empty[taken] = False
        rows = np.concatenate([np.flatnonzero(empty), np.array(taken, np.int64)])
        written_off = sum(self._write_off(int(row)) for row in self._sorted(loans, rows))
        self._report(int(loans.toxic.sum()), int(np.delete(waits, taken).sum()))
        return len(taken) + written_off > 0 or any(worked)

    def _wanted(self, loans: UnsafeLoans | None) -> int:
        """Transactions keepers want to send: one for each unsafe loan, and what designs have running."""
        running = sum(pool.design.wanted(pool) for pool in self._working)
        return running + (0 if loans is None else int(self._waits(loans).sum()))

    def _waits(self, loans: UnsafeLoans) -> np.ndarray:
        """Which loans nobody has begun to close, shape (n,): those whose collateral is for sale are closed accounts."""
        return self.world.state.accounts.flags[loans.account] & AccountFlag.CLOSED == 0

    def _offered(self, loans: UnsafeLoans) -> list[int]:
        """Loans that could pay a keeper or need none, the largest debt first, then by a keyed hash."""
        by_keepers = self._by_keepers[self.world.state.positions.instrument[loans.debt_row]]
        rows = np.flatnonzero(((loans.gain > self._keepers.least_gain) | ~by_keepers) & self._waits(loans))
        if not len(rows):
            return []
        keys = self.world.state.accounts.key[loans.account[rows]]
        draw = self.world.streams.uniforms("liquidation order", keys, self.world.step)
        return rows[np.lexsort((draw, -loans.debt[rows]))].tolist()

    def _sorted(self, loans: UnsafeLoans, rows: np.ndarray) -> np.ndarray:
        """Accounts of some loans in the order of their keys."""
        accounts = loans.account[rows]
        return accounts[np.argsort(self.world.state.accounts.key[accounts])]

    def _pool_of(self, account: int) -> Pool:
        state = self.world.state
        return self._pools[int(state.books.venue[state.accounts.book[account]])]

    def _close(self, loans: UnsafeLoans, row: int) -> bool:
        """Give one loan to its pool's design; whether anything was done."""
        state = self.world.state
        account, debt = int(loans.account[row]), int(loans.debt_row[row])
        pool = self._pool_of(account)
        instrument = state.positions.instrument[debt]
        owed = -float(state.positions.units[debt] * state.instruments.value_price[instrument])
        if state.instruments.asset[instrument] != 0:
            owed = float(loans.debt[row])  # coins are delivered, whatever they are worth
        loan = Loan(account, debt, float(loans.health[row]), float(loans.debt[row]), owed, int(loans.since[row]))
        return pool.design.close(loan, pool)

    def _write_off(self, account: int) -> bool:
        """Write off a position that still owes, without collateral or with a rest of it no keeper could gain from."""
        state, pool = self.world.state, self._pool_of(account)
        if pool.design.holds(account, pool):
            return False
        debt = 0.0
        for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
            instrument = state.positions.instrument[row]
            if state.instruments.kind[instrument] == _DEBT:
                debt -= float(state.positions.units[row] * state.instruments.equity_price[instrument])
        rest = [(posted.value, pool.incentives[posted.instrument].most) for posted in pool.posted(account)]
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
