"""Steps in which nothing happens, without leaving compiled code.

Most steps of most runs only move prices and mark accounts. Where a world allows it, :meth:`ContagionModel.run` goes
through such steps here: the same kernels in the same order as :meth:`ContagionModel.step`, so the numbers are the same
to the last bit, without the cost of calling them one by one from Python. The stretch ends before the next scheduled
shock, or inside the first step in which an account is called, is back above the level, breaches, or falls below zero;
the model goes on there.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.agents.calls import HEARD
from contagion.agents.kernels import remember, requote
from contagion.margin.audit import TOLERANCE
from contagion.margin.kernels import audit_agents, out_of_range, settle_suspects
from contagion.market.pricing import _advance, _funding_paid, _reprice
from contagion.scenario.venues import Exchange
from contagion.state.codes import Cause, InstrumentKind, Phase

MARKS_A_STRETCH = 5_000_000
"""Accounts times steps after which Python is given a turn: for the progress bar, and for Ctrl-C."""


class QuietSteps:
    """Goes through quiet steps of a model in which only exchanges and traders without a rule of their own act.

    Attributes
    ----------
    possible : bool
        Whether this world has phases that are all compiled: no protocols, credit, oracles, trading rules, moving margin
        terms, circuit breakers or options.
    """

    def __init__(self, model) -> None:
        self.model = model
        world, decisions = model.world, model.decisions
        kinds = world.state.instruments.kind
        self.possible = (
            all(isinstance(venue.spec, Exchange) for venue in world.venues.values())
            and not len(world.state.loans.face)
            and not decisions.trades
            and bool((kinds <= InstrumentKind.INVERSE).all())
            and not world.margin.moves
            and not model.breakers.active
            and model.pricing.median is None
            and not model.waterfall.watches
            and not model.runs.exchanges.watched
            and len(world.state.makers.position) > 0
        )
        self._scheduled = sorted(model.pricing.scheduled_steps())
        self._end = np.zeros(3, np.int64)  # last step, 1 if it needs more (2: a net worth differs), which suspect
        rows = [rows for _, rows in model.pricing.funded]
        self._funded = np.concatenate([np.empty(0, np.int64), *rows])
        self._offsets = np.cumsum([0, *map(len, rows)])

    def run(self) -> bool:
        """Go on; whether the model now stands inside a step: marked, and still to be traded and finished."""
        model = self.model
        world, first = model.world, model.step_number
        last = self._last_quiet(first)
        if not self.possible or last <= first or not self._calm():
            return False
        funding = np.zeros((last - first, len(model.pricing.funded)))
        self._go(first, last, funding)
        done, inside = int(self._end[0]), bool(self._end[1])
        model.step_number = world.step = done
        model.steps = done
        self._book_funding(first, done, funding)
        model.recorder.skip(done - first - inside)
        world.bookkeeper.ledger.open_step(done)
        world.step_counters.clear()
        world.bookkeeper.phase = Phase.MARK
        if self._end[1] == 2:
            model.audit.accept(int(self._end[2]))
        if inside:
            model.liquidation.open_step()
            model.audit.conclude()
        return inside

    def _last_quiet(self, first: int) -> int:
        """Last step before something is scheduled, or an answer to a margin call is due."""
        while self._scheduled and self._scheduled[0] <= first:
            self._scheduled.pop(0)
        due = self.model.calls.next_due
        longest = first + 1 + MARKS_A_STRETCH // (1 + len(self.model.world.state.accounts.balance))
        ends = [self.model.scenario.steps, longest, *(step - 1 for step in self._scheduled[:1])]
        return min(ends if due is None else [*ends, due - 1])

    def _calm(self) -> bool:
        """Nothing is left over from earlier steps that later steps have to deal with."""
        model = self.model
        return (
            not len(model.world.bookkeeper.deficits)
            and not model.liquidation.has_inventory
            and not model.world.bookkeeper.traded
        )

    def _go(self, first: int, last: int, funding: np.ndarray) -> None:
        model, world = self.model, self.model.world
        pricing, audit, recorder = model.pricing, model.audit, model.recorder
        state, memory = world.state, model.decisions.memory
        memory.count = _quiet_steps(
            first, last, world.path, pricing.advance_columns, pricing.reprice_columns, memory.columns(),
            memory.count, model.decisions.quote_columns(), audit.columns, audit.settle_columns, TOLERANCE,
            audit.counts, state.instruments.flow, model.market.flow_at_mark, model.waterfall.marks,
            state.instruments.value_price, state.instruments.audited_price, state.assets.fundamental,
            state.assets.audited, world.bookkeeper.audited_settle, state.instruments.mark, state.instruments.depth,
            recorder.columns(), self._funded, self._offsets, pricing.funding_columns, funding,
            audit.warned_rows, np.asarray(model.calls.answered, np.int64), self._call_columns(), self._end,
        )  # fmt: skip
        memory.step = int(self._end[0])

    def _call_columns(self) -> tuple:
        state = self.model.world.state
        accounts = state.accounts
        return (
            accounts.equity, accounts.requirement, accounts.book, state.books.warning, accounts.flags, accounts.owner,
            state.agents.group,
        )  # fmt: skip

    def _book_funding(self, first: int, done: int, funding: np.ndarray) -> None:
        """The rows :meth:`Pricing.advance` would have booked, step by step and venue by venue."""
        bookkeeper = self.model.world.bookkeeper
        bookkeeper.ledger.round = 0
        for offset in range(done - first):
            for (venue, _), total in zip(self.model.pricing.funded, funding[offset].tolist(), strict=True):
                if total > 0.0:
                    bookkeeper.ledger.step = first + offset + 1
                    bookkeeper.ledger.append_one(Phase.MARK, Cause.FUNDING, venue.row, venue.row, total)
                    bookkeeper.posted += 1


@nb.njit(cache=True)
def _calls_change(warned, count, answered, equity, requirement, book, warning, flags, owner, group):
    """Whether an account is to be called for the first time, or one that has answered is back above the level."""
    for i in range(count):
        a = warned[i]
        if not flags[a] & HEARD and group[owner[a]] >= 0:
            return True
    for a in answered:
        level = warning[book[a]] * requirement[a]
        if not (equity[a] < level and level > 0.0):
            return True
    return False


@nb.njit(cache=True)
def _quiet_steps(
    step, last, path, advance, reprice, memory, remembered, quotes, audit, settle, tolerance, counts, flow,
    flow_at_mark, marks, value_price, audited_price, fundamental, audited, audited_settle, mark, depth, record, funded,
    offsets, funding_columns, funding, warned, answered, calls, end,
):  # fmt: skip
    first = step
    values, tracked, worth, index, owed, shortfall, row, quoted = record
    while step < last:
        step += 1
        marks[:] = value_price
        _advance(*advance)
        for v in range(funding.shape[1]):
            funding[step - first - 1, v] = _funding_paid(
                funded[offsets[v] : offsets[v + 1]], *funding_columns
            )
        _reprice(path[step], *reprice)
        remember(memory[0], remembered, *memory[1:])
        remembered += 1
        requote(*quotes)
        flow_at_mark[:] = flow
        audit_agents(*audit)
        bad, _ = out_of_range(mark, depth)
        news = _calls_change(warned, counts[1], answered, *calls)
        if news or counts[0] or counts[2] or bad or counts[4] >= 0 or counts[5] >= 0:
            end[0], end[1] = step, 1
            return remembered
        wrong = settle_suspects(counts[3], *settle, 0)
        if wrong >= 0:
            end[0], end[1], end[2] = step, 2, wrong
            return remembered
        audited_price[:] = value_price
        audited[:] = fundamental
        audited_settle[:] = fundamental
        here = row + step - first - 1
        values[here, 0], values[here, 1] = 1.0, 0.0
        values[here, 2], values[here, 3] = owed.sum(), shortfall.sum()
        n = len(index) - 1
        values[here, 4 : 4 + n] = index[1:]
        for t in range(len(tracked)):
            values[here, 4 + n + t] = worth[tracked[t]]
        n += 4 + len(tracked)
        for q in range(len(quoted)):
            values[here, n + q] = mark[quoted[q]]
            values[here, n + len(quoted) + q] = depth[quoted[q]]
    marks[:] = value_price
    end[0], end[1] = step, 0
    return remembered
