"""Bookkeeping of what a protocol takes onto its own books, and sells to keepers from there; see ``verbs``."""

from __future__ import annotations

import numpy as np

from contagion.protocols.verbs import OUTSIDE, _change_units
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import Cause


def absorb(books: Bookkeeper, account: int, balance: float) -> tuple[int, float]:
    """The pool takes all collateral and all debt of an account, and owes it a balance instead. [USD]

    Returns
    -------
    tuple of int and float
        Deficit id, -1 if nothing was missing; and what the pool gave up: debt and balance less the deficit. [USD]
    """
    state = books.state
    book = int(state.accounts.book[account])
    owner, venue = int(state.accounts.owner[account]), int(state.books.venue[book])
    equity, collateral = -balance, 0.0
    for position in range(state.accounts.start[account], state.accounts.start[account + 1]):
        units = float(state.positions.units[position])
        if units != 0.0:
            change = _change_units(books, position, -units)
            equity -= change
            collateral -= min(0.0, change)
    books._change_balance(np.array([account]), np.array([balance]))
    root = books._close_out(account, owner, venue, equity)
    return root, collateral - max(0.0, equity)


def sell_to_keeper(
    books: Bookkeeper, seller: int, keeper: int, asset: int, units: float, paid: float, price: float
) -> float:
    """A keeper buys units out of an agent's hands and sells them to outside in the same breath.

    Parameters
    ----------
    paid : float
        To the seller, for all. [USD]
    price : float
        What the sale to outside gets. [USD per unit]

    Returns
    -------
    float
        Proceeds of the sale. [USD]
    """
    value = units * float(books.state.assets.fundamental[asset])
    books.pay(Cause.SPOT_SALE, keeper, seller, paid)
    books.move_units(seller, OUTSIDE, asset, units)
    books.book(Cause.SPOT_DELIVERY, seller, keeper, value)
    books.book(Cause.SPOT_DELIVERY, keeper, OUTSIDE, value)
    books.pay(Cause.SPOT_SALE, OUTSIDE, keeper, units * price)
    return units * price
