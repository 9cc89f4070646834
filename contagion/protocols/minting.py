"""Bookkeeping verbs of protocols whose borrowers mint the claim they owe: a debt goes when the claim is given back.

The claim is bought from outside at its market price, so whoever repays bears its premium or earns its discount.
Amounts of the claim are units, which stand for a dollar of debt each. Units that leave a holder's hands are booked as
redeemed, those that come into another's as issued, whatever was paid for them.
"""

from __future__ import annotations

from contagion.protocols.verbs import _DUST, OUTSIDE, _change_units, _place, post_collateral
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import Cause


def pass_on(books: Bookkeeper, giver: int, taker: int, claim: int, units: float) -> None:
    """Units of a claim from one agent's hands to another's."""
    state = books.state
    issuer, value = int(state.assets.issuer[claim]), units * float(state.assets.fundamental[claim])
    books.move_units(giver, taker, claim, units)
    books.book(Cause.REDEEMED, giver, issuer, value)
    books.book(Cause.ISSUED, issuer, taker, value)


def buy(books: Bookkeeper, payer: int, claim: int, units: float, price: float, holder: int) -> None:
    """Pay outside for units of a claim that go to a holder, not the payer."""
    books.pay(Cause.SPOT_SALE, payer, OUTSIDE, units * price)
    pass_on(books, OUTSIDE, holder, claim, units)


def give_back(books: Bookkeeper, holder: int, claim: int, units: float) -> None:
    """A holder's units are destroyed, and it has that much of debt to its name: a row a caller passes on."""
    state = books.state
    issuer, fundamental = int(state.assets.issuer[claim]), float(state.assets.fundamental[claim])
    slot, supply = books.slot(holder, claim), float(state.assets.supply[claim])
    held = float(state.holdings.units[slot])
    state.holdings.units[slot] = 0.0 if abs(held - units) <= _DUST * held else held - units
    state.assets.supply[claim] = 0.0 if supply - units <= _DUST * supply else supply - units
    drift = units * (float(state.assets.audited[claim]) - fundamental)
    state.agents.worth[holder] -= drift
    state.agents.worth[issuer] += drift
    books.book(Cause.REDEEMED, holder, issuer, units * fundamental)
    books.book(Cause.WITHDRAWAL, issuer, holder, units)


def buy_back(books: Bookkeeper, payer: int, claim: int, units: float, price: float) -> None:
    """Pay outside for giving units of a claim back; the payer has that much of debt to its name."""
    books.pay(Cause.SPOT_SALE, payer, OUTSIDE, units * price)
    give_back(books, OUTSIDE, claim, units)
    books.book(Cause.SPOT_DELIVERY, OUTSIDE, payer, units)


def repay(books: Bookkeeper, position: int, claim: int, units: float, price: float) -> None:
    """The owner of a debt position buys units of the claim and gives them back."""
    owner, _, debt_price = _place(books, position)
    buy_back(books, owner, claim, units, price)
    _change_units(books, position, units / debt_price)


def cover(books: Bookkeeper, position: int, claim: int, payer: int, units: float, price: float) -> None:
    """Somebody else does it: a keeper that gets collateral for it."""
    owner, _, debt_price = _place(books, position)
    buy_back(books, payer, claim, units, price)
    _change_units(books, position, units / debt_price)
    books.book(Cause.REPAYMENT, payer, owner, units)


def burn_held(books: Bookkeeper, position: int, claim: int, holder: int, units: float) -> None:
    """A holder gives back units it has for somebody's debt."""
    owner, _, debt_price = _place(books, position)
    give_back(books, holder, claim, units)
    _change_units(books, position, units / debt_price)
    books.book(Cause.REPAYMENT, holder, owner, units)


def seize(books: Bookkeeper, position: int, taker: int, units: float) -> float:
    """Collateral from an account into the hands of an agent that may hold it; its value. [USD]"""
    owner, pool, _ = _place(books, position)
    asset = int(books.state.instruments.asset[books.state.positions.instrument[position]])
    value = -_change_units(books, position, -units)
    books.move_units(pool, taker, asset, units)
    books.book(Cause.SEIZURE, owner, taker, value)
    return value


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
    pass_on(books, fund, OUTSIDE, claim, units)
    books.pay(Cause.SPOT_SALE, OUTSIDE, fund, units * price)
    books.pay(Cause.LIQUIDATION_FEE, fund, payee, units * price)
