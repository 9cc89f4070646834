"""Phases 1-3 for prices: index paths and scheduled shocks, oracles, venue basis, funding, and the marks of a round."""

from __future__ import annotations

import math
from functools import cached_property

import numba as nb
import numpy as np

from contagion.errors import InputError
from contagion.margin.option_book import OptionBook
from contagion.margin.rules import funding_cap
from contagion.market.median_marks import MedianMarks
from contagion.market.oracles import Oracles
from contagion.market.pools import Pools
from contagion.market.stale_prices import StalePrices
from contagion.scenario.venues import Exchange
from contagion.state.codes import Cause, InstrumentKind, Phase
from contagion.state.world import World

_LINEAR, _OPTION, _INVERSE, _SPOT, _DEBT = (int(kind) for kind in InstrumentKind)
_MARK, _FUNDING = Phase.MARK, Cause.FUNDING
SECONDS_PER_YEAR = 365.0 * 86400.0
AGENT_SHOCKS = ("theft", "rescue", "slashing", "halt", "default", "withdrawal")


class Pricing:
    """Moves prices from one step to the next, and re-marks instruments between rounds.

    Marks of an exchange are ``index * exp(basis + temporary)``: `basis` is what arbitrage has not closed yet,
    `temporary` the impact that decays by itself. A venue may mark at the index or at a median instead. A protocol's
    prices are those its oracle published last.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state, scenario = world.state, world.scenario
        rows, assets = len(state.instruments.names), len(state.assets.names)
        seconds = scenario.dt.total_seconds()
        half_life = world.impact.half_life
        self.decay = math.exp(-math.log(2.0) * seconds / half_life) if half_life > 0 else 0.0
        self.arbitrage_speed = np.ones(rows)
        self.arbitrage_capacity = np.full(rows, np.inf)
        self.follows_index = np.zeros(rows, np.bool_)
        self.funding_interest, self.funding_cap = np.zeros(rows), np.zeros(rows)
        self.funding_per_step = np.zeros(rows)  # share of a funding interval
        self.volatility_factor = np.ones(assets)
        for venue in world.venues.values():
            for row in venue.instruments if isinstance(venue.spec, Exchange) else ():
                self._read_rules(venue.spec, row, seconds)
        median = [
            row for venue in world.venues.values() for row in venue.instruments
            if getattr(venue.spec, "mark", None) == "median" and state.instruments.kind[row] in (_LINEAR, _INVERSE)
        ]  # fmt: skip
        self.median = MedianMarks(world, median, seconds) if median else None
        self.has_funding = bool(self.funding_per_step.any())
        funded = [
            (venue, [row for row in venue.instruments if self.funding_per_step[row] > 0])
            for venue in world.venues.values()
        ]
        self.funded = [(venue, np.array(rows_of)) for venue, rows_of in funded if rows_of]
        self.pools = Pools(world)
        self.oracles = Oracles(world, self.pools)
        self.stale = StalePrices(world, self.pools)
        self.options = OptionBook(world) if (state.instruments.kind == _OPTION).any() else None
        self.jumps = np.zeros(assets)  # log price gaps of shocks so far
        self.extrema = np.vstack([state.assets.index, state.assets.index])  # low and high of the index so far
        self._schedule: dict[int, list] = {}
        self._undo: dict[int, list] = {}
        self._withdrawn: dict[int, tuple[np.ndarray, float]] = {}  # depth withdrawals in force
        for shock in scenario.shocks:
            if shock.at > scenario.steps:
                late = f"{shock.kind} at step {shock.at} does not strike: the run has {scenario.steps} steps"
                world.notes.append(late)
            self._schedule.setdefault(max(shock.at, 1), []).append(shock)  # due at the opening: the first step
        market = np.flatnonzero(state.assets.issuer < 0)
        self.n_market = len(market)  # USD and market assets come first

    def _read_rules(self, spec: Exchange, row: int, seconds: float) -> None:
        instruments = self.world.state.instruments
        self.arbitrage_speed[row] = spec.arbitrage.speed
        self.arbitrage_capacity[row] = math.inf if spec.arbitrage.capacity is None else spec.arbitrage.capacity
        self.follows_index[row] = spec.mark == "index" or instruments.kind[row] == _SPOT
        if spec.funding is not None and instruments.kind[row] in (_LINEAR, _INVERSE):
            self.funding_interest[row], self.funding_cap[row] = spec.funding.interest, spec.funding.cap
            if spec.funding.margin_multiple is not None:
                tier = instruments.tier_start[row]
                self.funding_cap[row] = funding_cap(
                    spec.funding.margin_multiple, float(instruments.tier_initial[tier]),
                    float(instruments.tier_rate[tier]),
                )  # fmt: skip
            self.funding_per_step[row] = seconds / spec.funding.interval.total_seconds()

    # -- phase 1 ------------------------------------------------------------------------------------------------

    def shock(self, step: int) -> bool:
        """Fire the shocks due at a step that concern prices and depth; others are returned by :meth:`due`."""
        if step in self._undo:
            for undo in self._undo.pop(step):
                undo()
        if step not in self._schedule:
            return False
        for shock in self._schedule[step]:
            getattr(self, f"_{shock.kind}", self._elsewhere)(shock, step)
        return True

    def due(self, step: int) -> list:
        """Shocks of a step that act on agents."""
        return [shock for shock in self._schedule.get(step, ()) if shock.kind in AGENT_SHOCKS]

    def _elsewhere(self, shock, step: int) -> None:
        """Shocks on agents are the model's."""

    def _later(self, shock, step: int, undo) -> None:
        if shock.lasts:
            self._undo.setdefault(step + shock.lasts, []).append(undo)

    def _rows(self, shock) -> list[int]:
        """Instruments a shock names: of its target venue if any, on its asset if any."""
        state, world = self.world.state, self.world
        found = [
            row for row in range(len(state.instruments.names))
            if (shock.target is None or int(state.instruments.venue[row]) == world.agent_rows[shock.target])
            and (shock.asset is None or state.assets.names[state.instruments.asset[row]] == shock.asset)
        ]
        if not found:
            raise InputError("shocks", f"{shock.kind} at {shock.at}", "a target and asset that some account can hold")
        return found

    def _price_gap(self, shock, step: int) -> None:
        if shock.size <= -1.0:
            raise InputError("shocks.size", shock.size, "a relative move above -1")
        self.jumps[self.world.state.assets.row(shock.asset)] += math.log1p(shock.size)

    def _depeg(self, shock, step: int) -> None:
        assets = self.world.state.assets
        assets.discount[assets.row(shock.asset)] -= math.log1p(shock.size)

    def _volatility_jump(self, shock, step: int) -> None:
        """From now on the log moves of the exogenous path are multiplied by `size`."""
        world = self.world
        columns = range(1, self.n_market) if shock.asset is None else [world.state.assets.row(shock.asset)]
        path = world.path = world.path.copy()
        end = min(step + shock.lasts, len(path) - 1) if shock.lasts else len(path) - 1
        for column in columns:
            before = path[max(step - 1, 0), column]
            tail = path[end:, column] / path[end, column]
            path[step : end + 1, column] = before * (path[step : end + 1, column] / before) ** shock.size
            path[end:, column] = path[end, column] * tail
            self.volatility_factor[column] *= shock.size
            self._later(shock, step, lambda column=column: self._restore_volatility(column, shock.size))

    def _restore_volatility(self, column: int, size: float) -> None:
        self.volatility_factor[column] /= size

    def _oracle_freeze(self, shock, step: int) -> None:
        until = step + shock.lasts - 1 if shock.lasts else len(self.world.path) + 1
        self.oracles.frozen_until[self._rows(shock)] = until

    def _oracle_manipulation(self, shock, step: int) -> None:
        rows = self._rows(shock)
        manipulated = self.oracles.manipulated
        manipulated[rows] += math.log1p(shock.size)
        self._later(shock, step, lambda: np.subtract.at(manipulated, rows, math.log1p(shock.size)))

    def _pool_push(self, shock, step: int) -> None:
        assets, row = self.world.state.assets, self.world.agent_rows[shock.target]
        self.pools.push(row, assets.row(shock.asset), shock.size, step + max(1, shock.lasts) - 1)

    def _depth_withdrawal(self, shock, step: int) -> None:
        makers = self.world.state.makers
        number = self.withdraw_depth(np.isin(makers.instrument, self._rows(shock)), shock.size)
        self._later(shock, step, lambda: self.return_depth(number))

    def withdraw_depth(self, quotes: np.ndarray, share: float) -> int:
        """Take a share of the depth of some quotes (a mask) away, on top of others; a number to undo it by."""
        number = max(self._withdrawn, default=-1) + 1
        self._withdrawn[number] = quotes, share
        self._withdraw_depth()
        return number

    def return_depth(self, number: int) -> None:
        """Undo a withdrawal of depth."""
        del self._withdrawn[number]
        self._withdraw_depth()

    def _withdraw_depth(self) -> None:
        left = np.ones(len(self.world.state.makers.withdrawn))
        for rows, share in self._withdrawn.values():
            left[rows] *= 1.0 - share
        self.world.state.makers.withdrawn[:] = 1.0 - left

    # -- phases 2 and 3 -----------------------------------------------------------------------------------------

    def advance(self, step: int) -> None:
        """Time passes: impact decays, arbitrage closes part of the basis, funding accrues, oracles publish."""
        _advance(*self.advance_columns)
        if self.has_funding:
            self._funding_row()
        self.reprice()
        if self.median is not None:
            self.median.sample()
            self.median.mark()
        if self.options is not None:
            self.options.expire()
        if len(self.pools):
            self.pools.advance(step)
            self.reprice()
        if self.oracles.any:
            self.oracles.publish(step)
            self.stale.measure()
            self.reprice()
        if len(self.pools):
            self.pools.follow_oracles()
            self.reprice()

    def _funding_row(self) -> None:
        """The step's funding as one row a venue: it passes through the venue, account by account, inside the price."""
        bookkeeper = self.world.bookkeeper
        for venue, rows in self.funded:
            total = _funding_paid(rows, *self.funding_columns)
            if total > 0.0:
                bookkeeper.ledger.append_one(_MARK, _FUNDING, venue.row, venue.row, total)
                bookkeeper.posted += 1

    def funding_rate(self, instrument: int) -> float:
        """What longs of a contract pay per interval at its basis of now, over notional. [1]"""
        instruments = self.world.state.instruments
        if not self.funding_per_step[instrument]:
            return 0.0
        premium = float(instruments.basis[instrument] + instruments.temporary[instrument])
        return _funding_rate(premium, self.funding_interest[instrument], self.funding_cap[instrument])

    # -- what the kernels read and write, put together once: tables are written to, never replaced ------------

    def scheduled_steps(self) -> list[int]:
        """Steps at which a shock strikes or ends."""
        ends = [shock.at + shock.lasts for shock in self.world.scenario.shocks if shock.lasts]
        return sorted({*self._schedule, *ends, *(end + 1 for end in ends)})

    @cached_property
    def advance_columns(self) -> tuple:
        """Arguments of the kernel that lets a step's time pass."""
        instruments = self.world.state.instruments
        return (
            self.decay, instruments.basis, instruments.temporary, instruments.flow, instruments.depth,
            self.arbitrage_speed, self.arbitrage_capacity, instruments.cumulative_funding, instruments.mark,
            instruments.sign, self.funding_interest, self.funding_cap, self.funding_per_step,
        )  # fmt: skip

    @cached_property
    def funding_columns(self) -> tuple:
        """Arguments of the kernel that adds up a step's funding, but for the rows of the venue."""
        instruments, state = self.world.state.instruments, self.world.state
        return (
            instruments.basis, instruments.temporary, instruments.mark, instruments.open_interest,
            self.funding_interest, self.funding_cap, self.funding_per_step, state.books.settle, instruments.book,
            state.assets.fundamental,
        )  # fmt: skip

    @cached_property
    def reprice_columns(self) -> tuple:
        """Arguments of the kernel that freezes marks, but for the row of the path."""
        assets, instruments = self.world.state.assets, self.world.state.instruments
        return (
            self.jumps, assets.endogenous, assets.index, assets.fundamental, assets.redemption, assets.market,
            assets.discount, self.n_market, self.extrema, instruments.asset, instruments.kind, instruments.mark,
            instruments.equity_price, instruments.value_price, instruments.basis, instruments.temporary,
            instruments.cumulative_funding, instruments.debt_index, instruments.oracle, self.follows_index,
            instruments.haircut_value,
        )  # fmt: skip

    def reprice(self) -> None:
        """Freeze the marks of a round from index, impact and oracles."""
        if len(self.pools):
            self.pools.put_prices()
        _reprice(self.world.path[self.world.step], *self.reprice_columns)
        if self.median is not None:
            self.median.mark()
        if self.options is not None:
            self.options.revalue()


@nb.njit(cache=True)
def _funding_rate(premium, interest, cap):
    """Rate per interval: interest plus premium, clamped to the cap. Positive: longs pay. [1]"""
    return min(cap, max(-cap, interest + math.expm1(premium)))


@nb.njit(cache=True)
def _funding_paid(
    rows, basis, temporary, mark, open_interest, interest, cap, per_step, settle, book, fundamental
):  # fmt: skip
    """What one side of the listed contracts pays the other this step. [USD]"""
    total = 0.0
    for k in rows:
        rate = abs(_funding_rate(basis[k] + temporary[k], interest[k], cap[k]))
        total += rate * per_step[k] * mark[k] * fundamental[settle[book[k]]] * open_interest[k]
    return total


@nb.njit(cache=True)
def _advance(
    decay, basis, temporary, flow, depth, speed, capacity, cumulative_funding, mark, sign, interest, cap, per_step
):  # fmt: skip
    for k in range(len(basis)):
        if per_step[k] > 0.0:
            rate = _funding_rate(basis[k] + temporary[k], interest[k], cap[k])
            cumulative_funding[k] += sign[k] * mark[k] * rate * per_step[k]
        temporary[k] *= decay
        flow[k] *= decay
        close = speed[k] * abs(basis[k])
        if depth[k] > 0.0 and capacity[k] < 1e300:
            close = min(close, 0.01 * capacity[k] / depth[k])
        basis[k] -= math.copysign(close, basis[k])


@nb.njit(cache=True)
def _reprice(
    path_row, jumps, endogenous, index, fundamental, redemption, market, discount, n_market, extrema, asset, kind,
    mark, equity_price, value_price, basis, temporary, cumulative_funding, debt_index, oracle, follows_index,
    haircut_value,
):  # fmt: skip
    for a in range(1, n_market):
        price = path_row[a] * math.exp(jumps[a] + endogenous[a])
        index[a] = fundamental[a] = redemption[a] = price
        market[a] = price * math.exp(-discount[a])
        extrema[0, a] = min(extrema[0, a], price)
        extrema[1, a] = max(extrema[1, a], price)
    for a in range(n_market, len(market)):
        market[a] = index[a] = redemption[a] * math.exp(-discount[a])
    for k in range(len(mark)):
        a = asset[k]
        if kind[k] == _LINEAR or kind[k] == _INVERSE:
            price = index[a] if follows_index[k] else index[a] * math.exp(basis[k] + temporary[k])
            mark[k] = price if kind[k] == _LINEAR else 1.0 / price
            equity_price[k] = value_price[k] = mark[k] - cumulative_funding[k]
        elif kind[k] == _SPOT and follows_index[k]:
            mark[k] = value_price[k] = index[a]
            equity_price[k] = haircut_value[k] * index[a]
        elif kind[k] == _OPTION:
            mark[k] = index[a]  # its notional is the underlying's; its value is set by the options themselves
        else:
            growth = debt_index[k] if kind[k] == _DEBT else 1.0
            mark[k] = equity_price[k] = oracle[k] * growth
            value_price[k] = fundamental[a] * growth
