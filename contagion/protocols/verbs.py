"""Bookkeeping verbs of protocols and credit: each moves something and books the rows that say who paid whom.

Like the verbs of :class:`~contagion.state.bookkeeper.Bookkeeper`, each adds to ``agents.worth`` its rows (at current
values) and the difference between audited and current prices of whatever changed hands. Amounts are in USD, debt and
collateral are positions of accounts at a lending pool, and a pool's liquidity is its cash.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from contagion.protocols.lent_coins import OUTSIDE, buy_coins, sell_coins
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import AccountFlag, Cause, InstrumentKind

_DUST = 1e-13  # units below this share of what was there are rounding


def grant(books: Bookkeeper, asset: int, holder: int, units: float) -> None:
    """New claim units for a holder; the row is their fundamental value, from issuer to holder."""
    state = books.state
    issuer = int(state.assets.issuer[asset])
    state.holdings.units[books.slot(holder, asset)] += units
    state.assets.supply[asset] += units
    drift = units * (state.assets.audited[asset] - state.assets.fundamental[asset])
    state.agents.worth[holder] += drift
    state.agents.worth[issuer] -= drift
    books.book(Cause.ISSUED, issuer, holder, units * state.assets.fundamental[asset])


def issue(books: Bookkeeper, asset: int, holder: int, cash: float) -> float:
    """A deposit: cash to the issuer for claim units at their redemption value. Returns the units."""
    assets = books.state.assets
    units = cash / float(assets.redemption[asset])
    books.pay(Cause.DEPOSIT, holder, int(assets.issuer[asset]), cash)
    grant(books, asset, holder, units)
    return units


def redeem(
    books: Bookkeeper, asset: int, holdings: np.ndarray, units: np.ndarray, price: np.ndarray | None = None
) -> float:  # fmt: skip
    """Withdrawals: claim units come back, cash goes out.

    Parameters
    ----------
    holdings : ndarray of shape (n,)
        Rows of Holdings in the claim, each at most once.
    units : ndarray of shape (n,)
        Units given back.
    price : ndarray of shape (n,), optional
        What a unit gets; default the redemption value. [USD]

    Returns
    -------
    float
        Cash paid. [USD]
    """
    state = books.state
    assets, held, agents = state.assets, state.holdings.units, state.agents
    issuer, owner = int(assets.issuer[asset]), state.holdings.owner[holdings]
    fundamental = float(assets.fundamental[asset])
    cash = units * (float(assets.redemption[asset]) if price is None else price)
    before = held[holdings]
    held[holdings] = np.where(before - units <= _DUST * before, 0.0, before - units)
    units = before - held[holdings]
    assets.supply[asset] = max(0.0, float(assets.supply[asset] - units.sum()))
    total = float(cash.sum())
    np.add.at(agents.cash, owner, cash)
    agents.cash[issuer] -= total
    drift = units * (float(assets.audited[asset]) - fundamental)
    np.subtract.at(agents.worth, owner, drift)
    agents.worth[issuer] += drift.sum()
    books.book(Cause.WITHDRAWAL, issuer, owner, cash)
    books.book(Cause.REDEEMED, owner, issuer, units * fundamental)
    return total


def trade_claim(books: Bookkeeper, seller: int, buyer: int, asset: int, units: float, cash: float) -> None:
    """Claim units from hand to hand for cash; the rows pass through the issuer, who has no part in it."""
    issuer, value = int(books.state.assets.issuer[asset]), units * float(books.state.assets.fundamental[asset])
    books.pay(Cause.SPOT_SALE, buyer, seller, cash)
    books.move_units(seller, buyer, asset, units)
    books.book(Cause.REDEEMED, seller, issuer, value)
    books.book(Cause.ISSUED, issuer, buyer, value)


def mint_and_sell(books: Bookkeeper, issuer: int, asset: int, units: float, cash: float) -> None:
    """New units of a token are sold to outside; the issuer's own count of all that circulate grows by them."""
    books.pay(Cause.SPOT_SALE, OUTSIDE, issuer, cash)
    books.move_units(OUTSIDE, issuer, asset, units)
    books.book(Cause.SPOT_DELIVERY, OUTSIDE, issuer, units * float(books.state.assets.fundamental[asset]))


def theft(books: Bookkeeper, victim: int, amount: float) -> float:
    """Something is stolen from an agent: its cash, then its own holdings pro rata, not customers' collateral.

    Returns what was there to steal, at most `amount`. [USD]
    """
    state = books.state
    taken = min(amount, max(0.0, float(state.agents.cash[victim])))
    state.agents.cash[victim] -= taken
    state.agents.cash[OUTSIDE] += taken
    books.book(Cause.THEFT, victim, OUTSIDE, taken)
    asset, own = _own_holdings(books, victim)
    value = float(own @ state.assets.fundamental[asset])
    if amount > taken and value > 0.0:
        taken += _take(books, victim, asset, own, min(1.0, (amount - taken) / value))
    return taken


def slash(books: Bookkeeper, victim: int, share: float) -> float:
    """A share of an agent's own holdings is gone; what they were worth. [USD]"""
    return _take(books, victim, *_own_holdings(books, victim), share)


def _own_holdings(books: Bookkeeper, agent: int) -> tuple[np.ndarray, np.ndarray]:
    """Assets an agent may hold, and its units of them that are not its customers' collateral."""
    agents = books.state.agents
    asset = books.state.holdings.asset[agents.holding_start[agent] : agents.holding_start[agent + 1]]
    return asset, np.array([own_units(books, agent, int(item)) for item in asset])


def _take(books: Bookkeeper, victim: int, asset: np.ndarray, own: np.ndarray, share: float) -> float:
    """Move a share of units to outside; their value. Rows of claims pass through the issuer, who is named so. [USD]"""
    taken = 0.0
    for item, units in zip(asset.tolist(), (own * share).tolist(), strict=True):
        if units <= 0.0:
            continue
        value, issuer = units * float(books.state.assets.fundamental[item]), int(books.state.assets.issuer[item])
        books.move_units(victim, OUTSIDE, item, units)
        through = [victim, OUTSIDE] if issuer < 0 else [victim, issuer, OUTSIDE]
        for payer, payee in pairwise(through):
            books.book(Cause.THEFT, payer, payee, value)
        taken += value
    return taken


def own_units(books: Bookkeeper, agent: int, asset: int) -> float:
    """Units of an asset in an agent's hands that are not its customers' collateral."""
    state = books.state
    instruments = state.instruments
    units = float(state.holdings.units[books.slot(agent, asset)])
    custody = (instruments.venue == agent) & (instruments.asset == asset) & (instruments.kind == InstrumentKind.SPOT)
    return max(0.0, units - float(instruments.customer_units[custody].sum()))


def sell_spot(books: Bookkeeper, seller: int, asset: int, units: float, price: float) -> float:
    """Units from an agent's hands to outside for cash at a price. Returns the proceeds. [USD]"""
    fundamental = float(books.state.assets.fundamental[asset])
    books.move_units(seller, OUTSIDE, asset, units)
    books.pay(Cause.SPOT_SALE, OUTSIDE, seller, units * price)
    books.book(Cause.SPOT_DELIVERY, seller, OUTSIDE, units * fundamental)
    return units * price


def buy_spot(books: Bookkeeper, buyer: int, asset: int, units: float, cash: float) -> None:
    """Units from outside into an agent's hands for cash."""
    books.pay(Cause.SPOT_SALE, buyer, OUTSIDE, cash)
    books.move_units(OUTSIDE, buyer, asset, units)
    books.book(Cause.SPOT_DELIVERY, OUTSIDE, buyer, units * float(books.state.assets.fundamental[asset]))


# -- accounts at lending pools --------------------------------------------------------------------------------------


def _change_units(books: Bookkeeper, position: int, change: float) -> float:
    """Change spot or debt units of an account; returns the change of its value at current prices. [USD]"""
    state = books.state
    books.traded = True
    account, instrument = int(state.positions.account[position]), int(state.positions.instrument[position])
    book = int(state.accounts.book[account])
    owner, venue, settle = int(state.accounts.owner[account]), int(state.books.venue[book]), state.books.settle[book]
    held = float(state.positions.units[position])
    left = held + change
    if abs(left) <= _DUST * abs(held):
        left = 0.0
    change = left - held
    state.positions.units[position] = left
    total = float(state.instruments.customer_units[instrument]) + change
    state.instruments.customer_units[instrument] = 0.0 if abs(total) <= 1e-12 * abs(change) else total
    now = change * float(state.instruments.value_price[instrument] * state.assets.fundamental[settle])
    then = change * float(state.instruments.audited_price[instrument] * books.audited_settle[settle])
    state.agents.worth[owner] += then - now
    state.agents.worth[venue] -= then - now
    return now


def _asset(books: Bookkeeper, position: int) -> int:
    """What a position is in."""
    return int(books.state.instruments.asset[books.state.positions.instrument[position]])


def _place(books: Bookkeeper, position: int) -> tuple[int, int, float]:
    """Owner, venue and value of a unit of a position. [USD]"""
    state = books.state
    account, instrument = int(state.positions.account[position]), int(state.positions.instrument[position])
    book = int(state.accounts.book[account])
    price = float(state.instruments.value_price[instrument] * state.assets.fundamental[state.books.settle[book]])
    return int(state.accounts.owner[account]), int(state.books.venue[book]), price


def borrow(books: Bookkeeper, position: int, amount: float) -> None:
    """The owner of a debt position takes cash from the pool, or coins that it sells for so much."""
    owner, pool, price = _place(books, position)
    worth = sell_coins(books, pool, _asset(books, position), amount)
    books.pay(Cause.WITHDRAWAL, pool, owner, amount)
    _change_units(books, position, -worth / price)
    books.book(Cause.MARGIN_DEBIT, owner, pool, worth)


def repay(books: Bookkeeper, position: int, amount: float) -> None:
    """The owner of a debt position gives cash back to the pool, or the coins it buys for that."""
    owner, pool, price = _place(books, position)
    books.pay(Cause.TOP_UP, owner, pool, amount)
    worth = buy_coins(books, pool, _asset(books, position), amount)
    _change_units(books, position, worth / price)
    books.book(Cause.MARGIN_CREDIT, pool, owner, worth)


def post_collateral(books: Bookkeeper, position: int, units: float) -> None:
    """The owner of a collateral position moves units from its own hands to the pool; negative units come back."""
    owner, pool, _ = _place(books, position)
    asset = int(books.state.instruments.asset[books.state.positions.instrument[position]])
    value = units * float(books.state.assets.fundamental[asset])
    books.move_units(owner, pool, asset, units)
    credit = _change_units(books, position, units)
    out = units < 0.0
    books.book(Cause.WITHDRAWAL if out else Cause.TOP_UP, owner, pool, value)
    books.book(Cause.MARGIN_DEBIT if out else Cause.MARGIN_CREDIT, pool, owner, credit)


def cover(books: Bookkeeper, position: int, payer: int, amount: float) -> None:
    """Somebody else repays part of a debt in cash, or with the coins it buys for that."""
    owner, pool, price = _place(books, position)
    asset = _asset(books, position)
    if asset == 0:
        books.state.agents.cash[payer] -= amount
        books.state.agents.cash[pool] += amount
        _change_units(books, position, amount / price)
        books.book(Cause.REPAYMENT, payer, owner, amount)
        return
    books.pay(Cause.REPAYMENT, payer, pool, amount)
    worth = buy_coins(books, pool, asset, amount)
    _change_units(books, position, worth / price)
    books.book(Cause.REPAYMENT, pool, owner, worth)


def seize_and_sell(
    books: Bookkeeper, position: int, keeper: int, units: float, price: float, *, fund: int = -1, fee: float = 0.0
) -> float:
    """A keeper takes collateral for what it repaid, and sells it to outside in the same breath.

    Parameters
    ----------
    units : float
        Collateral taken. [units]
    price : float
        What the sale gets. [USD per unit]
    fund, fee : int, float
        Agent that gets part of what is taken, in kind, and how much. [units]

    Returns
    -------
    float
        Proceeds of the sale. [USD]
    """
    borrower, pool, _ = _place(books, position)
    asset, value = _asset(books, position), -_change_units(books, position, -units)
    if fee > 0.0:
        books.move_units(pool, fund, asset, fee)
        books.book(Cause.LIQUIDATION_FEE, borrower, fund, value * fee / units)
        value, units = value * (1.0 - fee / units), units - fee
    books.move_units(pool, OUTSIDE, asset, units)
    books.book(Cause.SEIZURE, borrower, keeper, value)
    books.book(Cause.SPOT_DELIVERY, keeper, OUTSIDE, value)
    books.pay(Cause.SPOT_SALE, OUTSIDE, keeper, units * price)
    return units * price


def write_off(books: Bookkeeper, account: int) -> int:
    """Close a borrower's account whose collateral is gone; what it still owes becomes a deficit of the pool.

    Returns the deficit id, -1 if nothing was missing.
    """
    state = books.state
    book = int(state.accounts.book[account])
    owner, venue = int(state.accounts.owner[account]), int(state.books.venue[book])
    equity = 0.0
    for position in range(state.accounts.start[account], state.accounts.start[account + 1]):
        units = float(state.positions.units[position])
        if units != 0.0:
            equity -= _change_units(books, position, -units)
    root = books._close_out(account, owner, venue, equity)
    state.accounts.flags[account] |= AccountFlag.CLOSED
    return root
