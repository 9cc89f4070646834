"""Layers that cut accounts: profits, gains of an interval, balances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numba as nb
import numpy as np
from pydantic import Field, field_validator, model_validator

from contagion.allocation.candidates import Candidates
from contagion.allocation.layer import Case, Layer, Memory, Payment, Properties, last_step, steps_of
from contagion.allocation.rankings import ranking
from contagion.allocation.shares import (
    fill_by_rank,
    level_down,
    pro_rata,
    water_fill,
    worst_survivor,
)
from contagion.allocation.standing import equity_and_profit, settle_prices
from contagion.errors import InputError
from contagion.scenario.fields import Duration
from contagion.state.world import Venue, World

Share = Annotated[float, Field(ge=0, le=1)]


class Haircut(Layer):
    """Base of layers that cut accounts: how the need is shared over what each can lose.

    Parameters
    ----------
    order : {"pro_rata"} or name of a ranking
        All at one rate ``min(1, need / sum)``, or from the top of a ranking each up to its limit (the queue of Chitra,
        arXiv 2512.01112, section 2).
    severity : float
        Share of the need that is collected (theta of the same paper), the rest is left to later layers.
    cap : float
        Most that anyone loses, as a share of what could be cut; the others then pay more (capped pro rata).
    leverage_exponent : float
        Rates are proportional to this power of leverage (risk-aware pro rata); 0: all alike.
    """

    order: str = "pro_rata"
    severity: Share = 1.0
    cap: Share = 1.0
    leverage_exponent: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("order")
    @classmethod
    def _known(cls, name: str) -> str:
        ranking(name)
        return name

    @model_validator(mode="after")
    def _agree(self) -> Haircut:
        if self.leverage_exponent and self.order != "pro_rata":
            raise InputError("leverage_exponent", self.leverage_exponent, "0, or order: pro_rata beside it")
        return self

    def what_can_be_cut(self, case: Case, columns: Candidates) -> np.ndarray:
        """The base of the cut, by account; may be negative. [USD]"""
        raise NotImplementedError

    def bear(self, case: Case) -> Iterator[Payment]:
        columns = case.index.everybody(case.venue.books)
        base = _within(self.what_can_be_cut(case, columns), columns.equity, columns.room("base"))
        limits = base if self.cap == 1.0 else np.multiply(self.cap, base, out=columns.room("limits"))
        if self.leverage_exponent > 0.0:  # whose rate is zero has nothing to lose
            limits = np.where(columns.leverage > 0.0, limits, 0.0)
        want = min(self.severity * case.need, float(limits.sum()))
        amounts = self.share(columns, base, limits, want)
        yield Payment(amounts, limits, accounts=columns.position, capacity=want)
        self.note_cut(case, columns.position, amounts)
        counters = case.world.counters
        counters["worst_survivor"] = max(counters.get("worst_survivor", 0.0), worst_survivor(base, amounts))

    def note_cut(self, case: Case, accounts: np.ndarray, amounts: np.ndarray) -> None:
        """Remember what was cut, where a base does not fall by it. [USD]"""

    def share(self, columns: Candidates, base: np.ndarray, limits: np.ndarray, want: float) -> np.ndarray:
        """What each pays, given what can be cut of it and the most it may lose. [USD]"""
        if self.order != "pro_rata":
            score = np.where(limits > 0.0, columns.score(*ranking(self.order)), -np.inf)
            return fill_by_rank(score, limits, want)
        if self.cap == 1.0 and self.leverage_exponent == 0.0:
            return pro_rata(limits, want)
        return water_fill(risk_weights(base, columns.leverage, self.leverage_exponent), limits, want)[0]

    @property
    def properties(self) -> Properties | None:
        found = self.has
        if self.order != "pro_rata":
            found = found._replace(**QUEUES.get(self.order, UNKNOWN_QUEUE))
        elif self.leverage_exponent > 0.0:
            found = found._replace(monotone_in_profit=False, split_proof=False)
        return found


QUEUES = {
    "pro_rata": {},
    "pnl_leverage": {"split_proof": False, "monotone_in_profit": False},
    "bitmex": {"split_proof": False, "monotone_in_profit": False},
    "bybit": {"split_proof": False, "monotone_in_profit": False},
    "binance": {"split_proof": False, "scale_invariant": False},
    "okx": {"split_proof": False},
    "hyperliquid": {"split_proof": False, "monotone_in_profit": False},
}
"""What a queue by a ranking loses of the properties of the same rule pro rata."""

UNKNOWN_QUEUE = {"monotone_in_profit": None, "scale_invariant": None, "split_proof": None}


def risk_weights(base: np.ndarray, leverage: np.ndarray, exponent: float) -> np.ndarray:
    """``base * leverage ** exponent``; an account without equity weighs as the most leveraged one with some."""
    if exponent == 0.0:
        return base
    finite = np.isfinite(leverage)
    greatest = float(leverage[finite].max(initial=1.0))
    return base * np.where(finite, leverage, greatest) ** exponent


def uncut(world: World, accounts: np.ndarray, profit: np.ndarray) -> np.ndarray:
    """Profit less what earlier cuts took of it; a cut is forgotten as far as the profit it was of is gone. [USD]"""
    kept = world.waterfall.cut_profit
    if kept is None:
        return profit
    uncut_profit = np.empty(len(profit))
    _less_cut(accounts, profit, kept, uncut_profit)
    return uncut_profit


@nb.njit(cache=True)
def _within(base, equity, out):
    """Not below zero and not above equity."""
    for i in range(len(out)):
        out[i] = max(0.0, min(base[i], equity[i]))
    return out


@nb.njit(cache=True)
def _less_cut(accounts, profit, kept, left):
    for i in range(len(accounts)):
        account = np.uint64(accounts[i])
        kept[account] = min(max(profit[i], 0.0), kept[account])
        left[i] = profit[i] - kept[account]


@nb.njit(cache=True)
def _add_cut(accounts, amounts, kept):
    for i in range(len(accounts)):
        kept[np.uint64(accounts[i])] += amounts[i]


class _ProfitBase(Haircut):
    """Cuts profit. A payment lowers the balance and not the profit, so what was cut of it is kept: nothing twice."""

    def note_cut(self, case: Case, accounts: np.ndarray, amounts: np.ndarray) -> None:
        waterfall = case.world.waterfall
        if waterfall.cut_profit is None:
            waterfall.cut_profit = np.full(len(case.world.state.accounts.balance), 0.0)
        _add_cut(accounts, amounts, waterfall.cut_profit)


class ProfitHaircut(_ProfitBase):
    """Accounts in profit give up part of it; their principal is not touched (BitMEX, dynamic profit equalisation).

    Parameters
    ----------
    base : {"unrealised", "window"}
        Profit that can be cut: unrealised now, or plus what closing trades realised in the current window.

    Notes
    -----
    Nobody pays more than its equity, so an account with a profit on a position but no equity is not pushed below zero.
    """

    has: ClassVar[Properties] = Properties(True, True, True, True, True, True)

    base: Literal["unrealised", "window"] = "unrealised"

    def what_can_be_cut(self, case: Case, columns: Candidates) -> np.ndarray:
        state, accounts, profit = case.world.state, columns.position, columns.profit
        if self.base == "window":
            profit = profit + settle_prices(state)[state.accounts.book[accounts]] * state.accounts.realised[accounts]
        return uncut(case.world, accounts, profit)


class VariationMarginHaircut(Haircut):
    """Accounts that gained in the interval give up part of the gain (ISDA 2013: h = min(1, loss / sum of gains)).

    The winners of an interval share what was collected from its losers (Vega: ``gain * collected / target``). The gain
    is the change of equity net of deposits, realised and unrealised, since the last step of the interval before.

    Parameters
    ----------
    interval : duration
        Time over which gains are netted, at least a step.
    """

    has: ClassVar[Properties] = Properties(True, True, True, True, True, True)
    watches: ClassVar[bool] = True

    interval: Duration = Field(default="1s", validate_default=True)

    def begin(self, world: World, venue: Venue, memory: Memory) -> None:
        memory.opening = net_value(world)

    def watch(self, world: World, venue: Venue, memory: Memory) -> None:
        """Note where accounts stand at the end of every interval: the latest look of its last step."""
        interval = steps_of(world, self.interval)
        if memory.step != world.step and memory.latest is not None and memory.step % interval == 0:
            memory.opening, memory.latest = memory.latest, None
        memory.step = world.step
        if world.step % interval == 0:
            memory.latest = net_value(world)

    def what_can_be_cut(self, case: Case, columns: Candidates) -> np.ndarray:
        return gains(case.world, case.memory, columns.position)


class PeriodClawback(VariationMarginHaircut):
    """Net winners of a period give back part of what they won, at its close (OKEx: the week; Deribit: the day).

    Parameters
    ----------
    interval : duration
        The period; the layer acts at its close.
    """

    interval: Duration = Field(default="7D", validate_default=True)
    recognition: Literal["now", "close"] = "close"

    def due(self, case: Case) -> bool:
        at_close = case.world.step % steps_of(case.world, self.interval) == 0
        return self.recognition == "now" or at_close or last_step(case.world)


class BalanceHaircut(Haircut):
    """Everybody with money at the venue loses the same share of it, in all settlement assets (Bitfinex 2016: 36%)."""

    has: ClassVar[Properties] = Properties(True, True, True, True, True, False)

    def what_can_be_cut(self, case: Case, columns: Candidates) -> np.ndarray:
        return columns.equity


class OptimalHaircut(_ProfitBase):
    """Profits cut so that the worst-off winner is as well off as can be: the benchmark that no simple rule beats.

    Parameters
    ----------
    worst : {"share_of_equity", "amount", "survivor"}
        What is made as small as possible: the greatest loss over equity, the greatest loss, or the greatest profit
        that survives (Chitra, arXiv 2512.01112, worst-survivor ratio).
    """

    has: ClassVar[Properties] = Properties(True, True, True, True, False, True)

    @property
    def properties(self) -> Properties:
        return self.has._replace(split_proof=self.worst == "amount")

    worst: Literal["share_of_equity", "amount", "survivor"] = "share_of_equity"

    def what_can_be_cut(self, case: Case, columns: Candidates) -> np.ndarray:
        return uncut(case.world, columns.position, columns.profit)

    def share(self, columns: Candidates, base: np.ndarray, limits: np.ndarray, want: float) -> np.ndarray:
        if self.worst == "survivor":
            return level_down(limits, want)[0]
        weights = columns.equity if self.worst == "share_of_equity" else np.ones(len(limits))
        return water_fill(np.where(limits > 0.0, weights, 0.0), limits, want)[0]


def net_value(world: World) -> np.ndarray:
    """Equity less net deposits of all accounts, shape (n_accounts,). [settlement asset]"""
    state = world.state
    equity, _ = equity_and_profit(state, np.arange(len(state.accounts.owner)))
    return equity / settle_prices(state)[state.accounts.book] - state.accounts.deposits


def gains(world: World, memory: Memory, accounts: np.ndarray) -> np.ndarray:
    """What accounts gained since the interval began, deposits and withdrawals left out. [USD]"""
    state = world.state
    settle = settle_prices(state)[state.accounts.book[accounts]]
    equity, _ = equity_and_profit(state, accounts)
    return equity - settle * (state.accounts.deposits[accounts] + memory.opening[accounts])
