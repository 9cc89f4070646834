"""Automated market makers in a run: reserves are an agent's holdings, and every swap is booked between two agents."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from contagion.errors import InputError
from contagion.market.curves import ConstantProduct, Curve, OraclePriced, StableSwap
from contagion.state.codes import Cause
from contagion.state.world import Venue, World

OUTSIDE = 0


class Pool:
    """One automated market maker.

    Parameters
    ----------
    world : World
        At the opening: what the pool holds then are its coins, and stable swaps count coins at prices of then.

    Attributes
    ----------
    coins : list of int
        Asset rows; prices are quoted in the first, USD if the pool has any.
    """

    def __init__(self, world: World, venue: Venue) -> None:
        self.world, self.name, self.row, self.spec = world, venue.name, venue.row, venue.spec
        state, spec = world.state, venue.spec
        named = [state.assets.row(name) for name in spec.holds]
        self.coins = ([0] if state.agents.cash[venue.row] > 0.0 else []) + named
        if len(self.coins) < 2 or (spec.curve == "constant_product" and len(self.coins) > 2):
            names = [state.assets.names[coin] for coin in self.coins]
            raise InputError(f"protocols.{self.name}.holds", names, "two coins (what deposits leave over is USD)")
        self._slots = [world.bookkeeper.slot(self.row, coin) if coin else -1 for coin in self.coins]
        self._opening_prices = state.assets.index[self.coins].copy()
        self._oracles = [_instrument(world, self.row, coin) for coin in self.coins] if spec.curve == "oracle" else []
        self.curve: Curve = {
            "constant_product": lambda: ConstantProduct(spec.fee),
            "stable_swap": lambda: StableSwap(spec.amplification, spec.fee),
            "oracle": lambda: OraclePriced(spec.fee),
        }[spec.curve]()
        self.priced = [state.assets.row(name) for name in spec.prices]
        self.opening_reserves = self.reserves()

    def reserves(self) -> np.ndarray:
        """Units of each coin in the pool, shape (n_coins,)."""
        state = self.world.state
        cash, units = state.agents.cash[self.row], state.holdings.units
        return np.array([units[slot] if slot >= 0 else cash for slot in self._slots])

    def rates(self) -> np.ndarray:
        """USD per unit at which the curve counts each coin, shape (n_coins,)."""
        if not self._oracles:
            return self._opening_prices
        published = self.world.state.instruments.oracle
        return np.array([published[row] if row >= 0 else 1.0 for row in self._oracles])

    def drained(self) -> bool:
        """Whether a coin is gone, by theft or default: no formula has a price then, and nobody swaps."""
        return not self._oracles and float(self.reserves().min()) <= 0.0

    def price(self, asset: int) -> float:
        """What the next unit sold would get before the fee, its quote coin counted at its market value. [USD]

        Of a drained pool: the market value.
        """
        quote, place = self.coins[0], self.coins.index(asset)
        if self.drained():
            return float(self.world.state.assets.market[asset])
        here = self.curve.price(self.reserves(), self.rates(), place, 0) if place else 1.0
        return here * float(self.world.state.assets.market[quote])

    def quote(self, sold: int, bought: int, amount: float) -> float:
        """Units of an asset that a sale of `amount` units of another buys."""
        if self.drained():
            return 0.0
        places = self.coins.index(sold), self.coins.index(bought)
        return self.curve.out(self.reserves(), self.rates(), *places, amount)

    def amount_to(self, sold: int, bought: int, price: float) -> float:
        """Units whose sale brings what the next unit gets, after the fee, down to `price` units of the other coin."""
        if self.drained():
            return 0.0
        places = self.coins.index(sold), self.coins.index(bought)
        return self.curve.amount_to(self.reserves(), self.rates(), *places, price)

    def amount_for(self, sold: int, bought: int, units: float) -> float:
        """Units of one coin whose sale buys `units` of another; infinite where the pool has not so many."""
        high = 1.0
        while self.quote(sold, bought, high) < units:
            high *= 2.0
            if high > 1e24:
                return math.inf
        low = 0.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (middle, high) if self.quote(sold, bought, middle) < units else (low, middle)
        return high

    def room(self, asset: int, price: float) -> float:
        """Units of a coin whose purchase, fee included, brings its price to `price` USD; negative: whose sale does."""
        quote = self.coins[0]
        here = price / float(self.world.state.assets.market[quote])
        spent = self.amount_to(quote, asset, 1.0 / here) if here > 0.0 else 0.0
        return self.quote(quote, asset, spent) if spent > 0.0 else -self.amount_to(asset, quote, here)

    def trade_for_outside(self, asset: int, units: float, most: float = math.inf) -> tuple[float, float]:
        """Outside buys units of a coin (or sells them, negative) for the quote coin, for `most` USD at most.

        Returns
        -------
        units, cash : float
            Bought (negative: sold), and its cost at the quote coin's market value (negative: proceeds). [units, USD]
        """
        quote, value = self.coins[0], float(self.world.state.assets.market[self.coins[0]])
        if units > 0.0:
            spent = min(self.amount_for(quote, asset, units), most / value)
            if not math.isfinite(spent):
                return 0.0, 0.0
            return self.swap(OUTSIDE, quote, asset, spent), spent * value
        units = min(-units, self.amount_for(asset, quote, most / value)) if most < math.inf else -units
        if not (0.0 < units < math.inf):
            return 0.0, 0.0
        return -units, -self.swap(OUTSIDE, asset, quote, units) * value

    def swap(self, trader: int, sold: int, bought: int, amount: float) -> float:
        """An agent sells units of one coin for another. Returns units bought.

        Rows: cash as it is paid, coins at fundamental value, so who trades at another price gains or loses by them.
        """
        assets, out = self.world.state.assets, self.quote(sold, bought, amount)
        self._deliver(trader, self.row, sold, amount)
        self._deliver(self.row, trader, bought, out)
        self.world.count(f"swapped.{self.name}", amount * float(assets.market[sold]))
        self.world.count(f"swap_fees.{self.name}", self.spec.fee * amount * float(assets.market[sold]))
        return out

    def _deliver(self, payer: int, payee: int, asset: int, units: float) -> None:
        books = self.world.bookkeeper
        if asset == 0:
            books.pay(Cause.SPOT_SALE, payer, payee, units)
        else:
            books.move_units(payer, payee, asset, units)
            value = units * float(self.world.state.assets.fundamental[asset])
            books.book(Cause.SPOT_DELIVERY, payer, payee, value)

    def arbitrage(self) -> float:
        """Others trade every coin towards its outside price, as far as it pays; what they gain at it. [USD]

        Coins that this pool itself prices have no outside price.
        """
        market, terms, gained = self.world.state.assets.market, self.spec.arbitrage, 0.0
        quote = self.coins[0]
        for coin in self.coins[1:]:
            if coin in self.priced or market[coin] <= 0.0 or market[quote] <= 0.0 or terms.speed == 0.0:
                continue
            outside = float(market[coin] / market[quote])
            for sold, bought, price in ((coin, quote, outside), (quote, coin, 1.0 / outside)):
                amount = terms.speed * self.amount_to(sold, bought, price)
                if terms.capacity is not None:
                    amount = min(amount, terms.capacity / float(market[sold]))
                if amount * market[sold] <= 1e-12 * self.value():
                    continue
                out = self.swap(OUTSIDE, sold, bought, amount)
                gained += out * float(market[bought]) - amount * float(market[sold])
        return gained

    def value(self) -> float:
        """Reserves at market prices. [USD]"""
        return float(self.reserves() @ self.world.state.assets.market[self.coins])

    def loss_against_holding(self) -> float:
        """What the opening reserves would be worth now, less what the reserves are. [USD]

        Impermanent loss less fees: ``1 - 2 sqrt(r) / (1 + r)`` of holding in a constant-product pool without fee whose
        coins' relative price grew by r.
        """
        market = self.world.state.assets.market[self.coins]
        return float(self.opening_reserves @ market) - self.value()


def _instrument(world: World, venue: int, asset: int) -> int:
    """Instrument in which a pool reads an asset's oracle, -1 for USD."""
    instruments = world.state.instruments
    here = np.flatnonzero((instruments.venue == venue) & (instruments.asset == asset))
    return int(here[0]) if len(here) else -1


class Pools:
    """All automated market makers of a world, in the scenario's order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.all = [Pool(world, venue) for venue in world.venues.values() if getattr(venue.spec, "kind", "") == "amm"]
        self.by_row = {pool.row: pool for pool in self.all}
        self._pricing: dict[int, Pool] = {}
        for pool in self.all:
            for asset in pool.priced:
                if asset in self._pricing:
                    name = world.state.assets.names[asset]
                    raise InputError(f"protocols.{pool.name}.prices", name, "a claim that no other pool prices")
                self._pricing[asset] = pool
        self._pushes: list[tuple[int, Pool, int, float]] = []  # last step, pool, asset, log distance

    def __len__(self) -> int:
        return len(self.all)

    @cached_property
    def _sales(self) -> dict[int, Pool]:
        found: dict[int, Pool] = {}
        for pool in self.all:
            if pool.spec.takes_sales and pool.coins[0] == 0:
                for coin in pool.coins[1:]:
                    found.setdefault(coin, pool)
        return found

    def for_sales(self, asset: int) -> Pool | None:
        """Where units of an asset are sold for USD: the first pool that pairs them and takes sales."""
        return self._sales.get(asset)

    def pricing(self, asset: int) -> Pool | None:
        """The pool whose price is a claim's market value, if there is one."""
        return self._pricing.get(asset)

    def put_prices(self) -> None:
        """Discounts of the claims that pools price: what makes their market value the pool's price."""
        assets = self.world.state.assets
        for asset, pool in self._pricing.items():
            price, redemption = pool.price(asset), float(assets.redemption[asset])
            if price > 0.0 and redemption > 0.0:
                assets.discount[asset] = math.log(redemption / price)

    def advance(self, step: int) -> None:
        """A step's arbitrage, then attackers who hold a price away from it; pools on oracle prices wait for those."""
        self._arbitrage(oracle=False)
        for last, pool, asset, distance in self._pushes:
            if step <= last:
                self._push(pool, asset, distance)
        self._pushes = [push for push in self._pushes if step <= push[0]]

    def follow_oracles(self) -> None:
        """Arbitrage against published prices, and what each pool stands at."""
        self._arbitrage(oracle=True)
        for pool in self.all:
            name = f"loss_against_holding.{pool.name}"
            self.world.step_counters[name] = self.world.counters[name] = pool.loss_against_holding()

    def _arbitrage(self, oracle: bool) -> None:
        for pool in self.all:
            gained = pool.arbitrage() if (pool.spec.curve == "oracle") == oracle else 0.0
            if gained:
                self.world.count(f"arbitrage_gain.{pool.name}", gained)

    # -- manipulation -------------------------------------------------------------------------------------------

    def push(self, pool: int, asset: int, size: float, until: int) -> None:
        """From now until a step somebody outside holds an asset's pool price away from the outside price.

        Parameters
        ----------
        pool : int
            Agent row.
        size : float
            Relative distance to the outside price. [1]
        """
        self._pushes.append((until, self.by_row[pool], asset, math.log1p(size)))

    def _push(self, pool: Pool, asset: int, distance: float) -> None:
        """Buy (or sell) up to the price; what that costs at outside prices is the cost of the manipulation.

        The fee is paid on the way: the price aimed at is the marginal one before it.
        """
        assets = self.world.state.assets
        market, quote, kept = assets.market, pool.coins[0], 1.0 - pool.spec.fee
        fair = assets.redemption if asset in pool.priced else market
        target = float(fair[asset] / market[quote]) * math.exp(distance)
        sold, bought, price = (quote, asset, 1.0 / target) if distance > 0.0 else (asset, quote, target)
        amount = pool.amount_to(sold, bought, price * kept)
        if amount <= 0.0:
            return
        out = pool.swap(OUTSIDE, sold, bought, amount)
        worth = {asset: float(fair[asset]), quote: float(market[quote])}
        self.world.count("manipulation_cost", amount * worth[sold] - out * worth[bought])
