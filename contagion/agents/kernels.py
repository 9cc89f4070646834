"""Compiled passes of phase 4: what is seen, what rules want, what initial margin allows, what makers quote."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from contagion.agents import rules
from contagion.agents.rules import Seen
from contagion.margin.initial import InitialTerms, initial_of, initial_terms
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import State

OUT = int(AccountFlag.CLOSED | AccountFlag.TAKEN_OVER | AccountFlag.BANKRUPT | AccountFlag.HOUSE)
"""An account with one of these flags trades no more."""

SEEN_OF_MARKET = 8
"""How many fields of `Seen` are the same for everybody who looks at an instrument."""

_OPTION, _INVERSE = int(InstrumentKind.OPTION), int(InstrumentKind.INVERSE)
_SPOT = int(InstrumentKind.SPOT)


class Frozen(NamedTuple):
    """The columns of the state that deciding reads; nothing is written while agents decide."""

    instrument: np.ndarray
    units: np.ndarray
    start: np.ndarray
    owner: np.ndarray
    equity: np.ndarray
    requirement: np.ndarray
    flags: np.ndarray
    account_start: np.ndarray
    holding_start: np.ndarray
    holding_asset: np.ndarray
    holding_units: np.ndarray
    kind: np.ndarray
    asset: np.ndarray
    book: np.ndarray
    sign: np.ndarray
    mark: np.ndarray
    basis: np.ndarray
    depth: np.ndarray
    settle: np.ndarray
    fundamental: np.ndarray
    index: np.ndarray
    normal: np.ndarray  # volatility in calm by asset
    interest: np.ndarray  # funding rate at no basis, by instrument
    cap: np.ndarray  # of the funding rate
    blocked: np.ndarray  # instruments of halted venues
    opening: np.ndarray  # exposure over equity at the start, by position
    terms: InitialTerms  # of initial margin


def freeze(
    state: State, normal: np.ndarray, funding: np.ndarray, blocked: np.ndarray, opening: np.ndarray
) -> Frozen:
    """The columns as they are now, without a copy."""
    positions, accounts, agents, holdings = state.positions, state.accounts, state.agents, state.holdings
    instruments, assets = state.instruments, state.assets
    return Frozen(
        positions.instrument, positions.units, accounts.start, accounts.owner, accounts.equity, accounts.requirement,
        accounts.flags, agents.account_start, agents.holding_start, holdings.asset, holdings.units, instruments.kind,
        instruments.asset, instruments.book, instruments.sign, instruments.mark, instruments.basis, instruments.depth,
        state.books.settle, assets.fundamental, assets.index, normal, funding[0], funding[1], blocked, opening,
        initial_terms(instruments, state.books.scan),
    )  # fmt: skip


@nb.njit(cache=True, inline="always")
def exposure_of_unit(s: Any, instrument: int) -> float:
    """Economic exposure of one unit, negative where a unit is short the asset. [USD]"""
    size = s.sign[instrument] * s.mark[instrument] * s.fundamental[s.settle[s.book[instrument]]]
    return size * s.terms.delta[instrument]


@nb.njit(cache=True, inline="always")
def other_legs(s: Any, owner: int, asset: int, own_row: int) -> tuple[float, float]:
    """Exposure of an owner to an asset outside one position [USD], and the number of legs that can trade."""
    exposure, contracts, tradable = 0.0, 0, 0
    for h in range(s.holding_start[owner], s.holding_start[owner + 1]):
        if s.holding_asset[h] == asset:
            exposure += s.holding_units[h] * s.index[asset]
    for account in range(s.account_start[owner], s.account_start[owner + 1]):
        for row in range(s.start[account], s.start[account + 1]):
            k = s.instrument[row]
            if s.asset[k] != asset:
                continue
            if s.kind[k] <= _INVERSE and s.kind[k] != _OPTION:
                contracts += 1
                if not s.flags[account] & OUT and not s.blocked[k]:
                    tradable += 1
            elif s.kind[k] != _SPOT and s.kind[k] != _OPTION:
                continue
            if row != own_row:
                exposure += s.units[row] * exposure_of_unit(s, k)
    return exposure, float(tradable) if contracts > 1 or exposure != 0.0 else 0.0


@nb.njit(cache=True)
def look_at(s: Any, past: np.ndarray, volatility: np.ndarray, market: np.ndarray) -> None:
    """What everybody with one lookback sees of each instrument: the first fields of `Seen`, a row per instrument."""
    for k in range(len(market)):
        asset = s.asset[k]
        market[k, 0], market[k, 1], market[k, 2] = s.index[asset], past[asset], s.basis[k]
        market[k, 3] = min(max(s.interest[k] + s.basis[k], -s.cap[k]), s.cap[k])
        market[k, 4], market[k, 5], market[k, 6] = volatility[asset], s.normal[asset], s.depth[k]
        market[k, 7] = exposure_of_unit(s, k)


@nb.njit(cache=True, inline="always")
def see(s: Any, market: np.ndarray, row: int, account: int, hedge: float, legs: float) -> Seen:
    """What the owner of a position sees of it."""
    k = s.instrument[row]
    return Seen(
        market[k, 0], market[k, 1], market[k, 2], market[k, 3], market[k, 4], market[k, 5], market[k, 6],
        market[k, 7], s.units[row], s.equity[account], s.requirement[account], float(s.opening[row]), hedge, legs,
    )  # fmt: skip


def loop_over(rule: Callable, with_legs: bool) -> Callable:
    """Compile the loop of one rule over accounts `first`..`last`; orders go to `rows` and `units` from `found` on.

    The loop returns the number of orders, which may exceed the room given: then the caller gives more and asks again.
    One loop per rule, because a rule the compiler knows is inlined: 3 ns per position in place of 17.
    """

    @nb.njit(error_model="numpy")
    def loop(s, first, last, p, market, rows, units, found):
        for account in range(first, last):
            if s.flags[account] & OUT:
                continue
            for row in range(s.start[account], s.start[account + 1]):
                k = s.instrument[row]
                if s.kind[k] > _INVERSE or s.kind[k] == _OPTION or s.blocked[k]:
                    continue  # options are held until they expire or are closed
                hedge, legs = other_legs(s, s.owner[account], s.asset[k], row) if with_legs else (0.0, 0.0)
                wanted = rule(see(s, market, row, account, hedge, legs), p)
                if wanted != 0.0:
                    if found < len(rows):
                        rows[found] = row
                        units[found] = wanted
                    found += 1
        return found

    return loop


_directional, _hedger, _rebalancer, _fund = (
    loop_over(rule, rule is rules.hedger) for rule in (rules.directional, rules.hedger, rules.rebalancer, rules.fund)
)


@nb.njit(cache=True)
def decide_built_in(s, first, last, codes, parameters, past, volatility, rows, units) -> int:
    """Ask groups g of accounts ``first[g]``..``last[g]`` under built-in rules; returns the number of orders."""
    found = 0
    market = np.empty((len(s.kind), SEEN_OF_MARKET))
    for g in range(len(codes)):
        look_at(s, past[g], volatility[g], market)
        if codes[g] == rules.DIRECTIONAL:
            found = _directional(s, first[g], last[g], parameters[g], market, rows, units, found)
        elif codes[g] == rules.HEDGER:
            found = _hedger(s, first[g], last[g], parameters[g], market, rows, units, found)
        elif codes[g] == rules.REBALANCER:
            found = _rebalancer(s, first[g], last[g], parameters[g], market, rows, units, found)
        elif codes[g] == rules.FUND:
            found = _fund(s, first[g], last[g], parameters[g], market, rows, units, found)
    return found


@nb.njit(cache=True)
def opening_leverage(s, balance, equity_price, first, last, opening) -> None:
    """Exposure over equity of each contract position of accounts ``first``..``last``, signed; 0 without equity. [1]"""
    for account in range(first, last):
        held = balance[account]
        for row in range(s.start[account], s.start[account + 1]):
            held += s.units[row] * equity_price[s.instrument[row]]
        for row in range(s.start[account], s.start[account + 1]):
            k = s.instrument[row]
            equity = held * s.fundamental[s.settle[s.book[k]]]
            if equity > 0.0 and s.kind[k] <= _INVERSE:
                opening[row] = s.units[row] * exposure_of_unit(s, k) / equity


@nb.njit(cache=True)
def _initial_margin(s, account, rows, kept, added, share, at, end, scratch) -> float:
    """Initial margin of an account whose position ``rows[i]`` is ``kept[i] + share * added[i]``. [USD]"""
    first, last = s.start[account], s.start[account + 1]
    units = scratch[: last - first]
    units[:] = s.units[first:last]
    for i in range(at, end):
        units[rows[i] - first] = kept[i] + share * added[i]
    book = s.book[s.instrument[first]]
    return initial_of(book, s.instrument[first:last], units, s.terms) * s.fundamental[s.settle[book]]


@nb.njit(cache=True)
def cut_to_initial_margin(s, account_of, rows, units) -> None:
    """Cut orders in place so that no account's initial margin exceeds its equity by what they add.

    `rows` are sorted and occur once. What brings a position towards zero is never cut; what adds is cut by one share
    for all orders of an account.
    """
    kept, added, scratch = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(s.kind))
    at = 0
    while at < len(rows):
        account = account_of[rows[at]]
        end, adds = at, False
        while end < len(rows) and account_of[rows[end]] == account:
            held, change = s.units[rows[end]], units[end]
            if held * change >= 0.0:
                kept[end], added[end] = held, change
            elif abs(change) <= abs(held):
                kept[end], added[end] = held + change, 0.0
            else:
                kept[end], added[end] = 0.0, held + change
            adds = adds or added[end] != 0.0
            end += 1
        equity = s.equity[account]
        if adds and _initial_margin(s, account, rows, kept, added, 1.0, at, end, scratch) > equity:
            low, high = 0.0, 1.0
            if _initial_margin(s, account, rows, kept, added, 0.0, at, end, scratch) < equity:
                for _ in range(60):
                    middle = 0.5 * (low + high)
                    if _initial_margin(s, account, rows, kept, added, middle, at, end, scratch) <= equity:
                        low = middle
                    else:
                        high = middle
            for i in range(at, end):
                units[i] = kept[i] - s.units[rows[i]] + low * added[i]
        at = end


@nb.njit(cache=True)
def remember(index, count, prices, squares, lookbacks, normal, step_years, past, volatility) -> None:
    """Take in the index prices of a step; per group, the price `lookback` steps ago and realised volatility.

    `prices` and `squares` are rings of prices and squared log returns, `count` the prices taken in before. Volatility
    is the root mean square of the last `lookback` log returns, annualised; returns from before the run count as normal.
    """
    size = len(prices)
    now = count % size
    for asset in range(len(index)):
        before = prices[(count - 1) % size, asset] if count > 0 else index[asset]
        change = np.log(index[asset] / before) if before > 0.0 and index[asset] > 0.0 else 0.0
        prices[now, asset] = index[asset]
        squares[now, asset] = change * change
    for g in range(len(lookbacks)):
        known = min(lookbacks[g], count)
        for asset in range(len(index)):
            total = (lookbacks[g] - known) * normal[asset] * normal[asset] * step_years
            for lag in range(known):
                total += squares[(count - lag) % size, asset]
            past[g, asset] = prices[(count - known) % size, asset]
            volatility[g, asset] = sqrt(total / (lookbacks[g] * step_years))


@nb.njit(cache=True)
def requote(
    instrument, units, start, owner_of, balance, flags, account_start, asset, equity_price, total, book, settle,
    fundamental, normal, volatility, position, account, base, depth, capital, withdrawn, behaviour, stress, recovery,
) -> None:  # fmt: skip
    """Depth of each quote: base * capital factor * (1 - withdrawn) / (1 + stress * (realised / normal - 1)+). [USD]

    The capital factor is equity over all venues per opening capital, between 0 and 1. Depth falls to that at once and
    rises to it by `recovery` of the gap per step. `total` gets the sums of the instruments quoted.
    """
    for q in range(len(position)):
        total[instrument[position[q]]] = 0.0
    for q in range(len(position)):
        k, owner, g = instrument[position[q]], owner_of[account[q]], behaviour[q]
        equity = 0.0
        for a in range(account_start[owner], account_start[owner + 1]):
            held, price = balance[a], 0.0
            for row in range(start[a], start[a + 1]):
                held += units[row] * equity_price[instrument[row]]
                price = fundamental[settle[book[instrument[row]]]]
            equity += max(0.0, held * price)
        factor = min(1.0, equity / capital[q]) if capital[q] > 0.0 else 0.0
        calm, realised = normal[asset[k]], volatility[g, asset[k]]
        excess = max(0.0, realised / calm - 1.0) if calm > 0.0 else 0.0
        goal = base[q] * factor * max(0.0, 1.0 - withdrawn[q]) / (1.0 + stress[g] * excess)
        if flags[account[q]] & OUT:
            goal = depth[q] = 0.0
        depth[q] = goal if goal < depth[q] else depth[q] + recovery[g] * (goal - depth[q])
        total[k] += depth[q]
