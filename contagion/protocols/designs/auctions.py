"""What auctions of collateral have in common: a vault is put up in lots, and each lot is sold by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from contagion.protocols import minting, verbs
from contagion.protocols.auction_rules import lot_of
from contagion.protocols.designs.design import Design, Loan, Pool, Posted
from contagion.protocols.keepers import Keeper
from contagion.scenario.fields import Money
from contagion.state.codes import AccountFlag, Cause, Phase

NEAR_ZERO = 0.01
"""A lot was sold at (near) zero if less than this part of its market value was paid. [1]"""


@dataclass(slots=True)
class Auction:
    """One lot that is for sale."""

    account: int  # row of Accounts
    debt_row: int  # row of Positions
    posted: Posted  # collateral when it was put up
    units: float  # still on offer
    debt: float  # to be covered, before penalty [units of the debt instrument]
    owed: float  # to be covered, with penalty [USD]
    began: int  # step
    top: float = 0.0  # price at which a falling price starts [USD per unit]
    bid: float = 0.0  # standing bid [USD]
    asked: float = 0.0  # collateral asked for it [units]
    bidder: Keeper | None = None
    pledge: float = 0.0  # cash of the bidder behind it [USD]
    expires: int = 0  # step in which the standing bid wins
    ends: int = 0  # step after which no bid is accepted


@dataclass(slots=True)
class Book:
    """Auctions of one pool."""

    running: list[Auction] = field(default_factory=list)
    units: dict[int, float] = field(default_factory=dict)  # by position: collateral in auction
    debt: dict[int, float] = field(default_factory=dict)  # by account: debt in auction [units of the debt instrument]
    whole: set[int] = field(default_factory=set)  # accounts of which everything was put up
    step: int = -1


class AuctionDesign(Design):
    """Unsafe loans are sold at auction; what keepers bid pays the debt and a penalty, the rest goes to the owner.

    A keeper's transaction starts an auction. While everything of a loan is in auction its owner can do nothing. What
    is still owed when its last lot is sold is a deficit of the pool.

    Parameters
    ----------
    penalty : float
        Owed on top of the debt, to the pool's reserve (chop - 1). [1]
    hole : float
        Most debt with penalty in auction at a time; none: no bound (Hole). [USD]
    hole_each : float
        The same for each collateral asset (hole). [USD]
    """

    by_keepers: ClassVar[bool] = False

    penalty: Annotated[float, Field(ge=0)] = 0.13
    hole: Money | None = None
    hole_each: Money | None = None

    def open(self, pool: Pool) -> Book:
        return Book()

    def busy(self, pool: Pool) -> bool:
        return bool(pool.memory.running)

    def wanted(self, pool: Pool) -> int:
        return len(pool.memory.running)

    def holds(self, account: int, pool: Pool) -> bool:
        return account in pool.memory.debt

    # -- put up -------------------------------------------------------------------------------------------------

    def close(self, loan: Loan, pool: Pool) -> bool:
        """Put up what is not in auction yet, as far as keepers and the limits on debt in auction allow."""
        book: Book = pool.memory
        if loan.account in book.whole:
            return False
        started, posted = False, pool.posted(loan.account)
        value = sum(item.value for item in posted)
        for item in posted:
            while keepers := pool.keepers.able(loan.since):
                auction = self._cut(loan, item, item.value / value, pool)
                if auction is None:
                    break
                pool.keepers.transact(keepers[0])
                self.begin(auction, keepers[0], pool)
                started = True
        if started and self._all_up(loan, posted, book):
            book.whole.add(loan.account)
            pool.world.state.accounts.flags[loan.account] |= AccountFlag.CLOSED
        return started

    def most_units(self, item: Posted) -> float:
        """Largest lot. [units]"""
        return item.units

    def begin(self, auction: Auction, keeper: Keeper, pool: Pool) -> None:
        """A keeper's transaction has started an auction."""
        pool.memory.running.append(auction)
        pool.world.count("auctions_started")

    def _cut(self, loan: Loan, item: Posted, share: float, pool: Pool) -> Auction | None:
        """The next lot of a loan's collateral, with its part of the debt."""
        book: Book = pool.memory
        free = item.units - book.units.get(item.position, 0.0)
        if not free > 1e-9 * item.units:
            return None
        debt = share * loan.owed * free / item.units
        units = min(free, self.most_units(item))
        if units < free * (1.0 - 1e-9):
            debt *= units / free
        else:
            units = free
        dust = getattr(pool.venue.spec, "dust", 0.0)
        lot = lot_of(units, debt, self._room(item, pool), 1.0 + self.penalty, dust=dust)
        if lot is None:
            return None
        price = self._debt_price(loan.debt_row, pool)
        book.units[item.position] = book.units.get(item.position, 0.0) + lot.collateral
        book.debt[loan.account] = book.debt.get(loan.account, 0.0) + lot.debt / price
        return Auction(
            loan.account, loan.debt_row, item, lot.collateral, lot.debt / price, lot.owed, pool.world.step,
            asked=lot.collateral,
        )  # fmt: skip

    def _room(self, item: Posted, pool: Pool) -> float:
        """What the limits on debt in auction leave. [USD]"""
        room, running = float("inf"), pool.memory.running
        if self.hole is not None:
            room = self.hole - sum(auction.owed for auction in running)
        if self.hole_each is not None:
            room = min(room, self.hole_each - sum(one.owed for one in running if one.posted.asset == item.asset))
        return max(0.0, room)

    def _all_up(self, loan: Loan, posted: list[Posted], book: Book) -> bool:
        return all(book.units.get(item.position, 0.0) >= item.units * (1.0 - 1e-9) for item in posted)

    # -- sell ---------------------------------------------------------------------------------------------------

    def sell(self, auction: Auction, keeper: Keeper, units: float, paid: float, pool: Pool) -> None:
        """A keeper pays for part of a lot, the debt falls, and it sells what it got. [units, USD]"""
        world, books = pool.world, pool.world.bookkeeper
        books.phase = Phase.LIQUIDATE
        state, peg = world.state, pool.peg
        market = float(state.assets.market[auction.posted.asset])
        cash = float(state.agents.cash[keeper.row])
        price = self.unit_cost(paid, pool)
        paid = min(paid, cash / price, pool.payable())
        unit = self._debt_price(auction.debt_row, pool)
        owed = -float(state.positions.units[auction.debt_row]) * unit
        covered = min(paid, auction.debt * unit, owed)
        if covered > 0.0:
            if peg:
                minting.cover(books, auction.debt_row, peg.claim, keeper.row, covered, price)
            else:
                verbs.cover(books, auction.debt_row, keeper.row, covered)
        if paid > covered:
            if peg:
                minting.buy(books, keeper.row, peg.claim, paid - covered, price, pool.venue.fund)
            else:
                books.pay(Cause.LIQUIDATION_FEE, keeper.row, pool.venue.fund, paid - covered)
            world.count("auction_penalties", paid - covered)
        if peg:
            peg.bought(paid)
        proceeds = self._dispose(auction, keeper, units, pool)
        self._take(auction, units, covered / unit, pool)
        auction.owed = max(0.0, auction.owed - paid)
        world.count("auction_sales")
        world.count("auctioned_collateral", units * market)
        world.count("auction_payments", paid)
        world.count("liquidated_debt", covered)
        world.count("keeper_profit", proceeds - paid * price)
        if paid < NEAR_ZERO * units * market:
            world.count("auctions_at_zero")
            world.count("collateral_at_zero", units * market)

    def _dispose(self, auction: Auction, keeper: Keeper, units: float, pool: Pool) -> float:
        """A keeper gets collateral and sells what the market takes; the proceeds. [USD]"""
        asset, position = auction.posted.asset, auction.posted.position
        filled, price = pool.keepers.proceeds(keeper, asset, units)
        filled = units if filled >= units * (1.0 - 1e-12) else filled
        proceeds = 0.0
        if filled > 0.0:
            proceeds = verbs.seize_and_sell(pool.world.bookkeeper, position, keeper.row, filled, price)
            pool.keepers.sold(keeper, asset, filled)
        if units > filled:
            minting.seize(pool.world.bookkeeper, position, keeper.row, units - filled)
        return proceeds

    def finish(self, auction: Auction, pool: Pool) -> None:
        """An auction is over: what was not sold goes to the owner; after the last, what is owed is a deficit."""
        books, book = pool.world.bookkeeper, pool.memory
        book.running.remove(auction)
        if auction.units > 0.0:
            minting.hand_back(books, auction.posted.position, auction.units)
        self._take(auction, auction.units, auction.debt, pool)
        account = auction.account
        if any(other.account == account for other in book.running):
            return
        book.debt.pop(account, None)
        book.units.pop(auction.posted.position, None)
        if account not in book.whole:
            return
        books.phase = Phase.DEFAULT
        position = auction.debt_row
        left = -float(pool.world.state.positions.units[position]) * self._debt_price(position, pool)
        if verbs.write_off(books, account) >= 0 and left > 0.0:
            pool.world.count("loans_written_off")

    def _take(self, auction: Auction, units: float, debt: float, pool: Pool) -> None:
        """Collateral and debt that are no longer in auction."""
        book, position = pool.memory, auction.posted.position
        auction.units = max(0.0, auction.units - units)
        auction.debt = max(0.0, auction.debt - debt)
        book.units[position] = max(0.0, book.units[position] - units)
        book.debt[auction.account] = max(0.0, book.debt[auction.account] - debt)

    def _debt_price(self, debt_row: int, pool: Pool) -> float:
        """What a unit of debt is. [USD]"""
        state = pool.world.state
        return float(state.instruments.value_price[state.positions.instrument[debt_row]])

    # -- bids ---------------------------------------------------------------------------------------------------

    def unit_cost(self, amount: float, pool: Pool) -> float:
        """Cash for a dollar of debt: the price of the stablecoin it is paid in. [USD]"""
        return pool.peg.cost(amount) if pool.peg else 1.0
