"""Marks every account and holds the books to account: the checks of docs/model.md section 6, in every round.

The audit does three things in one pass over memory: it marks accounts (equity, requirement), lists those in
breach or below the warning level, and recomputes every agent's net worth from state to compare it with what opening
units, receipts and payments say it must be. A difference stops the run.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from contagion.errors import InvariantError
from contagion.margin.kernels import (
    audit_agents,
    improper_row,
    out_of_range,
    settle_suspects,
    sum_accounts,
)
from contagion.margin.requirements import Requirements
from contagion.state.codes import OUTSIDE_CAUSES, Cause, InstrumentKind, Phase
from contagion.state.world import World

TOLERANCE = 1e-9
"""Of an agent's gross: assets, liabilities, and what it paid and received in the step."""
_LISTED = np.array([cause in OUTSIDE_CAUSES for cause in Cause])


class Audit:
    """Marking and checking, with the lists it finds.

    Attributes
    ----------
    breached, warned : ndarray
        Rows of accounts strictly below their requirement; below the warning level but not in breach.
    rows_seen : int
        Rows the ledger had at the last audit: as long as it has no more, nothing has changed.
    warned_rows : ndarray of shape (n_accounts,)
        Where the pass writes the latter.
    """

    def __init__(self, world: World) -> None:
        state = world.state
        self.world = world
        world.margin = Requirements(world)
        accounts, agents = len(state.accounts.balance), state.n_agents
        self._breached = np.empty(accounts, np.int32)
        self.warned_rows = np.empty(accounts, np.int32)
        self._limited = np.empty(accounts, np.int32)
        self._limited_change = np.empty(accounts)
        self._suspects = np.empty(agents, np.int32)
        self._suspect_worth, self._suspect_gross = np.empty(agents), np.empty(agents)
        self.counts = np.zeros(6, np.int64)
        self._largest_gross = np.zeros(agents)  # of those compared one by one, so far [USD]
        self._largest = np.full(len(state.instruments.names), 1e-12)  # gross units so far
        self._largest_balances = np.ones(len(state.books.venue))
        self._settle = np.empty(len(state.books.venue))
        self._settle_audited = np.empty(len(state.books.venue))
        self.rows_seen = 0
        self.breached = self._breached[:0]
        self.warned = self.warned_rows[:0]
        instruments, positions = state.instruments, state.positions
        self._agent_columns = (
            state.agents.account_start, state.agents.holding_start, state.holdings.asset, state.holdings.units,
            state.assets.fundamental, state.assets.audited,
        )  # fmt: skip
        self._account_columns = (
            state.accounts.book, state.accounts.start, state.accounts.balance, state.accounts.equity,
            state.accounts.requirement, state.accounts.value, state.accounts.flags,
        )  # fmt: skip
        self._tiers = (
            instruments.long_only, instruments.tier_start, instruments.tier_floor, instruments.tier_rate,
            instruments.tier_deduction, instruments.add_on,
        )  # fmt: skip
        self._position_columns = (positions.instrument, positions.units)

    # -- the audit ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Mark, list and check; moves the audited prices to the current ones.

        Raises
        ------
        InvariantError
            Names phase, step, round, agent and amount.
        """
        if self.world.margin.moves:
            self.world.margin.refresh()
        audit_agents(*self.columns)
        self.conclude()

    @cached_property
    def columns(self) -> tuple:
        """Arguments of the pass over agents, put together once: tables are written to, never replaced."""
        world, state = self.world, self.world.state
        agents, instruments, books = state.agents, state.instruments, state.books
        return (
            0, state.n_agents, agents.cash, agents.worth, *self._agent_columns, *self._account_columns,
            books.settle, world.bookkeeper.audited_settle, books.warning, self._settle, self._settle_audited,
            books.venue, *self._position_columns,
            instruments.mark, instruments.equity_price, instruments.value_price, instruments.audited_price,
            *self._tiers, world.margin.scan, books.owed, books.shortfall, self._breached, self.warned_rows,
            self._limited, self._limited_change, self._suspects, self._suspect_worth, self._suspect_gross, self.counts,
            TOLERANCE, state.first_trader,
        )  # fmt: skip

    def conclude(self) -> None:
        """What follows the pass: lists, limited liability, checks."""
        world, state = self.world, self.world.state
        instruments, margin = state.instruments, world.margin
        n_breached, n_warned, n_limited, n_suspects, _, _ = self.counts.tolist()
        self.breached, self.warned = self._breached[:n_breached], self.warned_rows[:n_warned]
        if margin.moves:
            margin.count_calls(np.concatenate((self.breached, self.warned)))
        if n_limited:
            self._book_limited_liability(n_limited)
        self._settle_suspects(n_suspects)
        if world.bookkeeper.traded:
            self._check_sums()
        self._check_ranges()
        instruments.audited_price[:] = instruments.value_price
        state.assets.audited[:] = state.assets.fundamental
        world.bookkeeper.audited_settle[:] = state.assets.fundamental
        self.rows_seen = len(world.bookkeeper.ledger)

    def _book_limited_liability(self, count: int) -> None:
        """A non-recourse account below zero costs its owner nothing more: its venue carries the difference."""
        state = self.world.state
        accounts = self._limited[:count]
        venue = state.books.venue[state.accounts.book[accounts]]
        owner = state.accounts.owner[accounts]
        self.world.bookkeeper.book(Cause.LIMITED_LIABILITY, venue, owner, self._limited_change[:count])

    def _settle_suspects(self, count: int) -> None:
        """Compare the agents the pass could not settle by itself."""
        columns = (count, *self.settle_columns)
        rows = self._suspects[:count]
        self._largest_gross[rows] = np.maximum(self._largest_gross[rows], self._suspect_gross[:count])
        wrong = settle_suspects(*columns, 0)
        while wrong >= 0:
            self.accept(wrong)
            wrong = settle_suspects(*columns, wrong + 1)

    def accept(self, suspect: int) -> None:
        """Take a suspect's net worth from state if it differs by rounding of what passed through it; else stop the run.

        Raises
        ------
        InvariantError
        """
        state, agent = self.world.state, int(self._suspects[suspect])
        found, gross = float(self._suspect_worth[suspect]), float(self._suspect_gross[suspect])
        expected = float(state.agents.worth[agent])
        # What has paid everything out keeps the rounding of what it had.
        if not abs(found - expected) <= TOLERANCE * max(1.0, gross + self._flows(agent), self._largest_gross[agent]):
            self._fail(
                f"net worth of {state.agent_name(agent)} is {found:.9g} USD from state but {expected:.9g} USD from "
                "revaluation, receipts and payments", found - expected,
            )  # fmt: skip
        state.agents.worth[agent] = found

    @cached_property
    def settle_columns(self) -> tuple:
        """Arguments of the comparison of suspects, but for their count."""
        state = self.world.state
        assets, instruments, loans, books = state.assets, state.instruments, state.loans, state.books
        return (
            state.first_trader, state.agents.worth, self._suspects, self._suspect_worth, self._suspect_gross,
            books.venue, books.balance, self._settle, self._settle_audited, books.owed, assets.issuer, assets.supply,
            assets.fundamental, assets.audited, instruments.venue, instruments.kind, instruments.customer_units,
            instruments.value_price, instruments.audited_price, instruments.book, loans.lender, loans.borrower,
            loans.face, TOLERANCE,
        )  # fmt: skip

    def _flows(self, agent: int) -> float:
        """What an agent paid and received this step: its gross, where it has nothing left. [USD]"""
        parts = self.world.bookkeeper.ledger.parts_of_step()
        return sum(float(part["amount"][(part["payer"] == agent) | (part["payee"] == agent)].sum()) for part in parts)

    def _check_sums(self) -> None:
        """Contracts add to zero, spot and debt add to what the venue's books say, balances add to the book's."""
        world, state = self.world, self.world.state
        instruments, accounts, books = state.instruments, state.accounts, state.books
        net, gross, customers, long = np.zeros((4, len(instruments.names)))
        total, size = np.zeros((2, len(books.venue)))
        sum_accounts(
            accounts.book, accounts.start, accounts.balance, accounts.flags, *self._position_columns, net, gross,
            customers, long, total, size,
        )  # fmt: skip
        contract = instruments.kind <= InstrumentKind.INVERSE
        target = np.where(contract, 0.0, instruments.customer_units)
        found = np.where(contract, net, customers)
        np.maximum(self._largest, gross, out=self._largest)  # a closed market keeps the rounding of the open one
        wrong = ~(np.abs(found - target) <= TOLERANCE * self._largest)
        if wrong.any():
            worst = int(np.flatnonzero(wrong)[0])
            self._fail(
                f"units of {instruments.names[worst]} add to {found[worst]:.9g}, not {target[worst]:.9g}",
                float(found[worst] - target[worst]),
            )
        np.maximum(self._largest_balances, size, out=self._largest_balances)
        wrong = ~(np.abs(total - books.balance) <= TOLERANCE * self._largest_balances)
        if wrong.any():
            worst = int(np.flatnonzero(wrong)[0])
            self._fail(f"balances of {books.names[worst]} do not add up", float(total[worst] - books.balance[worst]))
        instruments.open_interest[:] = long
        world.bookkeeper.traded = False

    def _check_ranges(self) -> None:
        """No negative cash or holdings of institutions, no negative price or depth, no NaN."""
        state, instruments = self.world.state, self.world.state.instruments
        agent = int(self.counts[4])
        if agent >= 0:
            cash = float(state.agents.cash[agent])
            self._fail(f"cash of {state.agent_name(agent)} is negative or not a number", cash)
        if self.counts[5] >= 0:
            self._check_holdings()
        what, row = out_of_range(instruments.mark, instruments.depth)
        if what:
            column = instruments.mark if what == 1 else instruments.depth
            self._fail(f"{('mark', 'depth')[what - 1]} of {instruments.names[row]}", float(column[row]))
        self._check_rows()

    def _check_holdings(self) -> None:
        """Below zero by more than the rounding of what an agent had."""
        state = self.world.state
        holdings = state.holdings
        value = holdings.units * state.assets.fundamental[holdings.asset]
        wrong = ~(value >= -TOLERANCE * np.maximum(1.0, self._largest_gross[holdings.owner])) & (holdings.owner > 0)
        if wrong.any():
            worst = int(np.flatnonzero(wrong)[0])
            self._fail(f"holdings of {state.agent_name(int(holdings.owner[worst]))} are negative", float(value[worst]))

    def _check_rows(self) -> None:
        """Rows are positive and finite, and value crosses the border of the model only for listed reasons."""
        state, book = self.world.state, self.world.bookkeeper
        for part in book.ledger.parts_of_step():
            columns = (part["amount"], part["payer"], part["payee"], part["cause"])
            wrong = improper_row(*columns, _LISTED)
            if wrong >= 0:
                amount, payer, payee, cause = (column[wrong] for column in columns)
                self._fail(
                    f"ledger row {Cause(int(cause)).name.lower()} from {state.agent_name(int(payer))} to "
                    f"{state.agent_name(int(payee))}", float(amount),
                )  # fmt: skip
        if book.ledger.listed != book.posted:
            self._fail("the ledger lists other rows than were posted to net worths", book.ledger.listed - book.posted)

    def _fail(self, what: str, amount: float) -> None:
        book = self.world.bookkeeper
        phase = Phase(int(book.phase)).name.lower()
        raise InvariantError(
            f"{what} (phase {phase}, step {book.ledger.step}, round {book.ledger.round}; difference {amount:.6g})"
        )
