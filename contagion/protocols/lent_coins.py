"""A pool that lends coins, not dollars: who pays it buys them at the market, and who takes from it sells them there."""

from __future__ import annotations

from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import Cause

OUTSIDE = 0


def buy_coins(books: Bookkeeper, pool: int, asset: int, cash: float) -> float:
    """A pool's cash buys coins from outside at the market price; what they are worth. Dollars stay. [USD]"""
    if asset == 0:
        return cash
    assets = books.state.assets
    units = cash / float(assets.market[asset])
    worth = units * float(assets.fundamental[asset])
    books.pay(Cause.SPOT_SALE, pool, OUTSIDE, cash)
    books.move_units(OUTSIDE, pool, asset, units)
    books.book(Cause.SPOT_DELIVERY, OUTSIDE, pool, worth)
    return worth


def sell_coins(books: Bookkeeper, pool: int, asset: int, cash: float) -> float:
    """A pool sells coins to outside at the market price for so much cash; what they were worth. [USD]"""
    if asset == 0:
        return cash
    assets = books.state.assets
    units = cash / float(assets.market[asset])
    worth = units * float(assets.fundamental[asset])
    books.move_units(pool, OUTSIDE, asset, units)
    books.pay(Cause.SPOT_SALE, OUTSIDE, pool, cash)
    books.book(Cause.SPOT_DELIVERY, pool, OUTSIDE, worth)
    return worth
