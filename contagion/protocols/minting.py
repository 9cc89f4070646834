"""Bookkeeping verbs of protocols whose borrowers mint the claim they owe: a debt goes when the claim is given back.

The claim is bought from outside at its market price, so whoever repays bears its premium or earns its discount.
Amounts of the claim are units, which stand for a dollar of debt each.
"""

from __future__ import annotations

from contagion.protocols.verbs import _DUST, OUTSIDE, _change_units, _place, post_collateral, sell_spot
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import Cause


def buy(books: Bookkeeper, payer: int, claim: int, units: float, price: float, holder: int) -> None:
    """Pay outside for units of a claim that go to a holder, not the payer: its worth is a fee the payer gives it."""
    value = units * float(books.state.assets.fundamental[claim])
    books.move_units(OUTSIDE, holder, claim, units)
    books.pay(Cause.SPOT_SALE, payer, OUTSIDE, units * price)
    books.book(Cause.SPOT_DELIVERY, OUTSIDE, payer, value)
    books.book(Cause.LIQUIDATION_FEE, payer, holder, value)


def buy_back(books: Bookkeeper, payer: int, claim: int, units: float, price: float) -> None:
    """Pay outside for units of a claim and give them back to their issuer, who destroys them."""
    state = books.state
    fundamental, issuer = float(state.assets.fundamental[claim]), int(state.assets.issuer[claim])
    books.pay(Cause.SPOT_SALE, payer, OUTSIDE, units * price)
    books.book(Cause.SPOT_DELIVERY, OUTSIDE, payer, units * fundamental)
    destroy(books, OUTSIDE, claim, units)
    books.book(Cause.REDEEMED, payer, issuer, units * fundamental)


def destroy(books: Bookkeeper, holder: int, claim: int, units: float) -> None:
    """Units leave a holder's hands and the supply, without a row (the verb that uses it books one)."""
    state = books.state
    slot, supply = books.slot(holder, claim), float(state.assets.supply[claim])
    held = float(state.holdings.units[slot])
    state.holdings.units[slot] = 0.0 if abs(held - units) <= _DUST * held else held - units
    state.assets.supply[claim] = 0.0 if supply - units <= _DUST * supply else supply - units
    drift = units * (float(state.assets.audited[claim]) - float(state.assets.fundamental[claim]))
    state.agents.worth[holder] -= drift
    state.agents.worth[int(state.assets.issuer[claim])] += drift


def repay(books: Bookkeeper, position: int, claim: int, units: float, price: float) -> None:
    """The owner of a debt position buys units of the claim and gives them back."""
    owner, pool, debt_price = _place(books, position)
    buy_back(books, owner, claim, units, price)
    _change_units(books, position, units / debt_price)
    books.book(Cause.MARGIN_CREDIT, pool, owner, units)


def cover(books: Bookkeeper, position: int, claim: int, payer: int, units: float, price: float) -> None:
    """Somebody else does it: a keeper that gets collateral for it."""
    owner, pool, debt_price = _place(books, position)
    buy_back(books, payer, claim, units, price)
    _change_units(books, position, units / debt_price)
    books.book(Cause.REPAYMENT, pool, owner, units)


def burn_held(books: Bookkeeper, position: int, claim: int, holder: int, units: float) -> None:
    """A holder gives back units it has for somebody's debt."""
    owner, pool, debt_price = _place(books, position)
    value = units * float(books.state.assets.fundamental[claim])
    destroy(books, holder, claim, units)
    books.book(Cause.REDEEMED, holder, pool, value)
    _change_units(books, position, units / debt_price)
    books.book(Cause.REPAYMENT, pool, owner, units)


def seize(books: Bookkeeper, position: int, taker: int, units: float) -> float:
    """Collateral from an account into the hands of an agent that may hold it; its value. [USD]"""
    owner, pool, _ = _place(books, position)
    asset = int(books.state.instruments.asset[books.state.positions.instrument[position]])
    value = -_change_units(books, position, -units)
    books.move_units(pool, taker, asset, units)
    books.book(Cause.SEIZURE, owner, taker, value)
    return value


def seize_and_sell(books: Bookkeeper, position: int, keeper: int, units: float, price: float) -> float:
    """A keeper takes collateral and sells it to outside in the same breath; the proceeds. [USD]"""
    owner, pool, _ = _place(books, position)
    asset = int(books.state.instruments.asset[books.state.positions.instrument[position]])
    value = -_change_units(books, position, -units)
    books.move_units(pool, OUTSIDE, asset, units)
    books.book(Cause.SEIZURE, owner, keeper, value)
    books.book(Cause.SPOT_DELIVERY, keeper, OUTSIDE, value)
    books.pay(Cause.SPOT_SALE, OUTSIDE, keeper, units * price)
    return units * price


def hand_back(books: Bookkeeper, position: int, units: float) -> None:
    """Collateral out of an account into its owner's hands."""
    post_collateral(books, position, -units)


def take_over_debt(books: Bookkeeper, source: int, target: int, units: float) -> None:
    """Debt moves from one position to another of the same pool. [units of debt]"""
    owner, _, price = _place(books, source)
    taker, _, _ = _place(books, target)
    _change_units(books, source, units)
    _change_units(books, target, -units)
    books.book(Cause.REPAYMENT, taker, owner, units * price)


def take_over_collateral(books: Bookkeeper, source: int, target: int, units: float) -> None:
    """Collateral moves from one position to another of the same pool. [units]"""
    owner, _, _ = _place(books, source)
    taker, _, _ = _place(books, target)
    value = -_change_units(books, source, -units)
    _change_units(books, target, units)
    books.book(Cause.SEIZURE, owner, taker, value)


def pay_from(books: Bookkeeper, fund: int, claim: int, payee: int, units: float, price: float) -> None:
    """A fund sells units of a claim to outside, and the cash goes to somebody it owes."""
    sell_spot(books, fund, claim, units, price)
    books.pay(Cause.LIQUIDATION_FEE, fund, payee, units * price)
