"""The pool takes unsafe accounts onto its own books at once and sells their collateral at a discount (Compound v3)."""

from __future__ import annotations

from dataclasses import dataclass

from contagion.errors import InputError
from contagion.protocols import takings, verbs
from contagion.protocols.designs.design import Design, Incentive, Loan, Pool
from contagion.protocols.keepers import Bid, Keeper
from contagion.protocols.lending_rules import absorption, store_price
from contagion.scenario.fields import Money, Share
from contagion.scenario.lending import Collateral
from contagion.state.codes import Cause


@dataclass(slots=True)
class Stock:
    """Absorbed collateral of one asset that the pool has not sold."""

    units: float = 0.0
    cost: float = 0.0  # what the pool gave up for it [USD]
    account: int = -1  # absorbed last
    since: int = 0  # step since when there is any


class Absorb(Design):
    """An unsafe account's collateral is credited at the oracle's price times one less its `bonus`, all at once.

    The `bonus` of collateral is the penalty, one less Compound's liquidation factor. What the credit exceeds the debt
    by stays in the account as a balance; what it lacks is written off. Nobody has to gain for an absorption. Keepers
    buy the stock at :func:`store_price` while the reserve is below its target; what a sale brings above the stock's
    cost goes to the reserve, what it lacks is a deficit of the pool.

    Parameters
    ----------
    store_front : float
        Share of the penalty that buyers get as their discount. [1]
    target_reserves : float, optional
        Reserve at or above which nothing is sold; none: all is sold. [USD]
    """

    by_keepers = False

    store_front: Share = 0.5
    target_reserves: Money | None = None

    def incentive(self, terms: Collateral) -> Incentive:
        return Incentive(1.0 / store_price(1.0, 1.0 - terms.bonus, self.store_front) - 1.0)

    def open(self, pool: Pool) -> dict[int, Stock]:
        if pool.peg is not None:
            where = f"protocols.{pool.venue.name}.liquidation"
            raise InputError(where, "absorb", "a lending pool: it sells collateral for dollars, not for its claims")
        return {}  # by instrument

    def close(self, loan: Loan, pool: Pool) -> bool:
        world, posted = pool.world, pool.posted(loan.account)
        factors = [1.0 - pool.terms[item.instrument].bonus for item in posted]
        taken = absorption([item.value for item in posted], factors, loan.debt)
        root, cost = takings.absorb(world.bookkeeper, loan.account, taken.balance)
        value = sum(item.value for item in posted)
        for item in posted:
            stock = pool.memory.setdefault(item.instrument, Stock(since=world.step))
            stock.units += item.units
            stock.cost += cost * item.value / value
            stock.account = loan.account
        world.count("absorbed_loans")
        world.count("absorbed_debt", loan.owed)
        if root >= 0:
            world.count("loans_written_off")
        return True

    def busy(self, pool: Pool) -> bool:
        return bool(pool.memory)

    def work(self, pool: Pool) -> bool:
        """Offer the stock to keepers until no one gains."""
        sold = False
        for instrument in sorted(pool.memory):
            while self._sells(pool) and pool.keepers.ready and self._sell(pool, instrument):
                sold = True
            if pool.memory[instrument].units <= 0.0:
                del pool.memory[instrument]
        return sold

    def _sells(self, pool: Pool) -> bool:
        reserve = float(pool.world.state.agents.cash[pool.venue.fund])
        return self.target_reserves is None or reserve < self.target_reserves

    def _sell(self, pool: Pool, instrument: int) -> bool:
        world, stock = pool.world, pool.memory[instrument]
        instruments = world.state.instruments
        asset, price = int(instruments.asset[instrument]), float(instruments.equity_price[instrument])
        stock.units = min(stock.units, verbs.own_units(world.bookkeeper, pool.venue.row, asset))  # some may be stolen
        if stock.units <= 0.0 or price <= 0.0:
            return False
        most = stock.units * store_price(price, 1.0 - pool.terms[instrument].bonus, self.store_front)
        bid = Bid(-1, asset, stock.units, price, pool.bonus(instrument, 1.0), most)
        choice = pool.keepers.best([bid], stock.since)
        if choice is None:
            return False
        keeper, _, paid, units, market = choice
        share = units / stock.units
        cost = share * stock.cost
        self._settle(pool, keeper, (asset, units, paid, market), paid - cost, stock.account)
        stock.units = 0.0 if units >= stock.units else stock.units - units
        stock.cost -= cost
        pool.keepers.done(keeper, bid, units)
        world.count("absorbed_sold", paid)
        return True

    def _settle(self, pool: Pool, keeper: Keeper, sale: tuple, gain: float, account: int) -> None:
        """A keeper pays the pool for units and sells them; the reserve gets the gain, the waterfall a loss."""
        world, row, paid = pool.world, pool.venue.row, sale[2]
        proceeds = takings.sell_to_keeper(world.bookkeeper, row, keeper.row, *sale)
        world.count("keeper_profit", proceeds - paid - keeper.gas)
        if gain > 0.0:
            world.bookkeeper.pay(Cause.SURPLUS, row, pool.venue.fund, gain)
        elif gain < -1e-9 * paid:
            root = world.bookkeeper.open_deficit(row, account, row, -gain)
            world.bookkeeper.book(Cause.DEFICIT, row, row, -gain, deficit=root)
