"""What a lending pool does with an unsafe loan: the rule every design refines, and what it is handed in a run.

`Lending` finds the unsafe loans, passes them to their pools' designs in one order, and writes off what stays owed
without collateral. By default a design offers a loan to keepers (`bids`). A design that closes loans itself replaces
`close`; one that has something to do between liquidations (auctions that run, goods on sale) also has `work` and
`busy`, and keeps what it remembers in `Pool.memory`, made by `open`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict

from contagion.protocols import minting, verbs
from contagion.protocols.keepers import Bid, Keepers
from contagion.protocols.lending_rules import health_change
from contagion.protocols.liquidity import lent_asset
from contagion.protocols.peg import Peg, pegs_of
from contagion.protocols.unsafe_loans import bonus_at
from contagion.scenario.lending import Collateral
from contagion.state.codes import InstrumentKind
from contagion.state.world import Venue, World

_SPOT = int(InstrumentKind.SPOT)


class Incentive(NamedTuple):
    """Bonus of a keeper by health: ``min(most, slope (1 - health) / health ** power)``; constant by default. [1]"""

    most: float
    slope: float = math.inf
    power: float = 0.0


class Posted(NamedTuple):
    """A collateral position of an account."""

    position: int  # row of Positions
    instrument: int
    asset: int
    units: float
    price: float  # oracle price [USD per unit]

    @property
    def value(self) -> float:
        """At the oracle price. [USD]"""
        return self.units * self.price


@dataclass(slots=True, frozen=True)
class Loan:
    """An unsafe loan."""

    account: int  # row of Accounts
    debt_row: int  # row of Positions
    health: float  # strictly below one [1]
    debt: float  # all of it, at the oracle price [USD]
    owed: float  # what repays it [USD]
    since: int  # step since when it is unsafe without a break


@dataclass(slots=True)
class Pool:
    """A lending pool in a run."""

    world: World
    venue: Venue
    design: Design
    keepers: Keepers  # of the whole world, in the order in which they reach a position
    terms: dict[int, Collateral] = field(default_factory=dict)  # by instrument
    incentives: dict[int, Incentive] = field(default_factory=dict)  # by instrument
    memory: Any = None  # the design's own

    def bonus(self, instrument: int, health: float) -> float:
        """What a keeper gets above what it repays. [1]"""
        return float(bonus_at(health, *self.incentives[instrument]))

    @property
    def peg(self) -> Peg | None:
        """The market of the stablecoin that borrowers minted, if they did."""
        return pegs_of(self.world).get(self.venue.row)

    def payable(self) -> float:
        """The most that can be repaid: what outside has of a minted stablecoin. [USD]"""
        if self.peg is None:
            return math.inf
        return float(self.world.state.holdings.units[self.world.bookkeeper.slot(verbs.OUTSIDE, self.peg.claim)])

    def priced(self, bids: list[Bid]) -> list[Bid]:
        """Bids with what a dollar of repayment costs: a stablecoin's price, or market over oracle price of a coin."""
        if self.peg:
            capped = [replace(bid, most=min(bid.most, self.payable())) for bid in bids]
            return [replace(bid, cost=self.peg.cost(bid.most)) for bid in capped]
        asset = lent_asset(self.world, self.venue)
        if asset == 0:
            return bids
        oracle = float(self.world.state.instruments.oracle[self.venue.debts[0]])
        return [replace(bid, cost=float(self.world.state.assets.market[asset]) / oracle) for bid in bids]

    def steps(self, duration: pd.Timedelta) -> int:
        """A duration in steps of the run, at least one."""
        return max(1, round(duration / self.world.scenario.dt))

    def posted(self, account: int) -> list[Posted]:
        """Collateral of an account that is worth something at the oracle's prices."""
        state, result = self.world.state, []
        for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
            instrument = int(state.positions.instrument[row])
            units, price = float(state.positions.units[row]), float(state.instruments.equity_price[instrument])
            if units * price > 0.0 and state.instruments.kind[instrument] == _SPOT:
                result.append(Posted(row, instrument, int(state.instruments.asset[instrument]), units, price))
        return result


class Design(BaseModel):
    """How a lending pool closes unsafe loans."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    by_keepers: ClassVar[bool] = True
    """A loan is closed only if a keeper gains from it; else the pool closes every unsafe loan itself."""

    def incentive(self, terms: Collateral) -> Incentive:
        """Bonus for collateral with these terms; a constant one by default."""
        return Incentive(terms.bonus)

    def open(self, pool: Pool) -> Any:
        """What it remembers in a run: the first :attr:`Pool.memory`."""
        return None

    def bids(self, loan: Loan, pool: Pool) -> list[Bid]:
        """What a keeper may do with a loan."""
        return []

    def close(self, loan: Loan, pool: Pool) -> bool:
        """Close a loan, or part of it, in this round; whether anything was done."""
        return pool.keepers.ready and liquidate_by_keeper(loan, self.bids(loan, pool), pool)

    def work(self, pool: Pool) -> bool:
        """What else it does in a round, before loans are closed; whether anything was done."""
        return False

    def busy(self, pool: Pool) -> bool:
        """Whether :meth:`work` is to be called although no account is unsafe."""
        return False

    def wanted(self, pool: Pool) -> int:
        """Transactions keepers want to send for what it remembers, besides one for each unsafe loan."""
        return 0

    def holds(self, account: int, pool: Pool) -> bool:
        """Whether an account must not be written off yet: its collateral is being sold."""
        return False


def liquidate_by_keeper(loan: Loan, bids: list[Bid], pool: Pool) -> bool:
    """The first keeper that gains takes its best bid; whether one did."""
    choice = pool.keepers.best(pool.priced(bids), loan.since)
    if choice is None:
        return False
    keeper, bid, repaid, units, price = choice
    world, peg = pool.world, pool.peg
    paid = repaid * (peg.cost(repaid) if peg else bid.cost)
    if peg:
        minting.cover(world.bookkeeper, loan.debt_row, peg.claim, keeper.row, repaid, paid / repaid)
        peg.bought(repaid)
    else:
        verbs.cover(world.bookkeeper, loan.debt_row, keeper.row, paid)
    proceeds = verbs.seize_and_sell(
        world.bookkeeper, bid.position, keeper.row, units, price, fund=pool.venue.fund, fee=units * bid.fee
    )
    pool.keepers.done(keeper, bid, units - units * bid.fee)
    world.count("loan_liquidations")
    world.count("liquidated_debt", repaid)
    world.count("keeper_profit", proceeds - paid - keeper.gas)
    threshold = pool.terms[int(world.state.positions.instrument[bid.position])].liquidation_threshold
    if health_change(loan.health, threshold, loan.debt, repaid, bid.bonus) < 0.0:
        world.count("toxic_liquidations")
    return True
