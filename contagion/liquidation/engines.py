"""How a venue closes an account in breach: which units it orders to be closed, and when it stops trying.

An engine is a small frozen class with one method, :meth:`orders`. A new one is named ``module:Class`` in a scenario.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated

import numba as nb
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagion.liquidation.shares import share_to_target, smallest_share
from contagion.margin.kernels import requirement_of
from contagion.state.codes import InstrumentKind
from contagion.state.tables import State

_CONTRACTS = int(InstrumentKind.INVERSE)


@dataclass(frozen=True, slots=True)
class Held:
    """Open contracts of the accounts of a :class:`Breaches`. Arrays of shape (m,)."""

    rows: np.ndarray  # of Positions
    owner: np.ndarray  # which account, by order
    instrument: np.ndarray
    units: np.ndarray  # signed
    notional: np.ndarray  # [settlement asset]
    requirement: np.ndarray  # maintenance of the position alone [settlement asset]
    tier: np.ndarray  # 0 is the lowest
    floor: np.ndarray  # lower notional of that tier [settlement asset]


@dataclass(frozen=True)
class Breaches:
    """Accounts of one venue that are to be closed now, at the marks of the round. Arrays of shape (n,)."""

    state: State
    accounts: np.ndarray  # rows of Accounts
    equity: np.ndarray  # margin equity [settlement asset]
    requirement: np.ndarray  # maintenance [settlement asset]
    notional: np.ndarray  # gross notional [settlement asset]
    settle: np.ndarray  # price of the settlement asset [USD]
    attempts: np.ndarray  # earlier orders in this episode (0 for a new breach)
    distance: np.ndarray  # loss against the mark per notional closed: expected slippage, or the liquidator's discount
    fee: np.ndarray  # to the fund per notional closed [1]

    @cached_property
    def held(self) -> Held:
        """Their open contracts, account by account."""
        return holdings_of(self.state, self.accounts)


@dataclass(frozen=True, slots=True)
class Orders:
    """What to close. Arrays of shape (n,), `of_positions` of shape (m,) as `Breaches.held`."""

    share: np.ndarray | None = None  # of every position of the account, 0..1
    of_positions: np.ndarray | None = None  # in place of `share`: of each position, 0..1
    wait: np.ndarray | int = 0  # steps until the next order of this account
    take_over: np.ndarray | None = None  # accounts the venue takes over as they are


class Engine(BaseModel):
    """Base of liquidation engines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def goal(self, requirement: np.ndarray, notional: np.ndarray) -> np.ndarray:
        """Equity that a liquidation aims at for the whole account. [settlement asset]"""
        return requirement

    def orders(self, breaches: Breaches) -> Orders:
        """Share of each account's positions to close now, and how long to wait after."""
        raise NotImplementedError


class FullClose(Engine):
    """Close everything at once."""

    def orders(self, breaches: Breaches) -> Orders:
        return Orders(np.ones(len(breaches.accounts)))


class PartialToTarget(Engine):
    """Close the smallest share that brings equity back to what is required of the rest and a margin of safety.

    Closing a share s costs ``s * notional * (distance + fee)`` of equity and leaves ``(1 - s) * goal`` with
    ``goal = target * requirement + buffer * notional``; the whole account where that cannot help. Tiers make the
    requirement fall at least in proportion, so the share is never too small.

    Parameters
    ----------
    target
        Multiple of the requirement. [1]
    buffer
        Added to the margin ratio (Drift v2: maintenance plus a buffer). [1]
    """

    target: Annotated[float, Field(ge=1)] = 1.2
    buffer: Annotated[float, Field(ge=0)] = 0.0

    def goal(self, requirement: np.ndarray, notional: np.ndarray) -> np.ndarray:
        return self.target * requirement + self.buffer * notional

    def orders(self, breaches: Breaches) -> Orders:
        goal = self.goal(breaches.requirement, breaches.notional)
        return Orders(share_to_target(breaches.equity, goal, breaches.notional, breaches.distance, breaches.fee))


class SmallestShare(Engine):
    """Close the same share of all positions, the smallest of a grid that brings requirement over equity below a target.

    Paradex: multiples of 20%, below 90% (docs.paradex.trade, liquidations).
    """

    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (0.2, 0.4, 0.6, 0.8)
    target: Annotated[float, Field(gt=0, le=1)] = 0.9

    @model_validator(mode="after")
    def _increasing(self) -> SmallestShare:
        if any(after <= before for before, after in pairwise(self.shares)):
            raise ValueError(f"shares must increase, got {list(self.shares)}")
        return self

    def orders(self, breaches: Breaches) -> Orders:
        cost = breaches.notional * (breaches.distance + breaches.fee)
        return Orders(smallest_share(breaches.equity, breaches.requirement, cost, self.target, self.shares))


class StagedClose(Engine):
    """Large accounts first close a share, wait, then close the rest; small ones close at once.

    Hyperliquid: above 100,000 USD first 20%, then 30 seconds (hyperliquid.gitbook.io, liquidations).
    """

    above: Annotated[float, Field(ge=0)] = 100_000.0  # gross notional [USD]
    first_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    cooldown: Annotated[int, Field(ge=0)] = 30  # steps

    def orders(self, breaches: Breaches) -> Orders:
        staged = (breaches.notional * breaches.settle > self.above) & (breaches.attempts == 0)
        share = np.where(staged, self.first_share, 1.0)
        return Orders(share, wait=np.where(staged, self.cooldown, 0))


class OnePosition(Engine):
    """Close one position at a time, the one with the greatest maintenance (Lighter, dYdX v4)."""

    def orders(self, breaches: Breaches) -> Orders:
        held = breaches.held
        greatest = np.zeros(len(held.rows))
        order = np.lexsort((held.rows, -held.requirement, held.owner))
        greatest[order[np.flatnonzero(np.diff(held.owner[order], prepend=-1))]] = 1.0
        return Orders(of_positions=greatest)


class TierDown(Engine):
    """Bring positions one risk tier down; an account in the lowest tier is taken over at its bankruptcy price.

    BitMEX: partial fills lower the risk limit first, the rest goes to the liquidation engine
    (testnet.bitmex.com/app/liquidationExamples).
    """

    def orders(self, breaches: Breaches) -> Orders:
        held = breaches.held
        keep = np.divide(held.floor, held.notional, out=np.zeros(len(held.rows)), where=held.notional > 0.0)
        # A notional at the floor of a tier is in it.
        share = np.where(held.tier > 0, 1.0 - keep * (1.0 - 1e-12), 0.0)
        higher = np.bincount(held.owner, weights=held.tier > 0, minlength=len(breaches.accounts)) > 0
        return Orders(of_positions=share, take_over=~higher)


class TakeOver(Engine):
    """The venue takes positions and margin over at once and sells them by its disposal rule (Vega's network)."""

    def orders(self, breaches: Breaches) -> Orders:
        nothing = np.zeros(len(breaches.accounts))
        return Orders(nothing, take_over=np.ones(len(nothing), bool))


def holdings_of(state: State, accounts: np.ndarray) -> Held:
    """Open contracts of accounts at the marks of the round, account by account."""
    positions, instruments = state.positions, state.instruments
    rows, owner = contracts_of(
        accounts, state.accounts.start, positions.units, positions.instrument, instruments.kind
    )  # fmt: skip
    units, instrument = positions.units[rows], positions.instrument[rows]
    notional = np.abs(units) * instruments.mark[instrument]
    requirement, tier, floor = _in_tiers(
        notional, units, instrument, instruments.tier_start, instruments.tier_floor, instruments.tier_rate,
        instruments.tier_deduction, instruments.add_on,
    )  # fmt: skip
    return Held(rows, owner, instrument, units, notional, requirement, tier, floor)


@nb.njit(cache=True)
def contracts_of(accounts, start, units, instrument, kind):
    """Rows of the open contracts of listed accounts, and which account (by order) each belongs to."""
    count = 0
    for i in range(len(accounts)):
        for p in range(start[accounts[i]], start[accounts[i] + 1]):
            count += units[p] != 0.0 and kind[instrument[p]] <= _CONTRACTS
    rows, owner = np.empty(count, np.int64), np.empty(count, np.int64)
    n = 0
    for i in range(len(accounts)):
        for p in range(start[accounts[i]], start[accounts[i] + 1]):
            if units[p] != 0.0 and kind[instrument[p]] <= _CONTRACTS:
                rows[n], owner[n] = p, i
                n += 1
    return rows, owner


@nb.njit(cache=True)
def _in_tiers(notional, units, instrument, tier_start, tier_floor, tier_rate, tier_deduction, add_on):
    requirement, floor = np.empty(len(notional)), np.empty(len(notional))
    number = np.empty(len(notional), np.int64)
    for i in range(len(notional)):
        k = instrument[i]
        tier, last = tier_start[k], tier_start[k + 1] - 1
        while tier < last and notional[i] >= tier_floor[tier + 1]:
            tier += 1
        number[i], floor[i] = tier - tier_start[k], tier_floor[tier]
        requirement[i] = requirement_of(
            notional[i], units[i], k, tier_start, tier_floor, tier_rate, tier_deduction, add_on
        )
    return requirement, number, floor
