"""Verbs of the waterfall: each changes state, books who bore what, and keeps `agents.worth` true (see Bookkeeper)."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.errors import InvariantError
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import Cause
from contagion.state.tables import State
from contagion.state.trades import apply_trades, traded
from contagion.state.world import Venue


@nb.njit(cache=True)
def pair(payments, claims):
    """Match payments with claims in their order: at most n + m pieces, each payment split exactly.

    Returns
    -------
    tuple of ndarray
        Row of the payment, row of the claim, amount of each piece. A claim that a payment meets but for the rounding of
        the total is met exactly; the last claim takes what is left.
    """
    size = len(payments) + len(claims)
    payer, claim, amount = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    count, j = 0, 0
    room = claims[0]
    rounding = 1e-13 * payments.sum()
    for i in range(len(payments)):
        left = payments[i]
        while left > 0.0:
            while room <= 0.0 and j < len(claims) - 1:
                j += 1
                room = claims[j]
            if abs(left - room) <= rounding:
                part, left = room, 0.0
            else:
                part = left if j == len(claims) - 1 else min(left, room)
                left -= part
            payer[count], claim[count], amount[count] = i, j, part
            count += 1
            room -= part
    return payer[:count].copy(), claim[:count].copy(), amount[:count].copy()


def means_of(state: State, venue: Venue, agent: int) -> float:
    """What an agent has in hand to pay a venue with: cash, then the assets of :func:`surrender`. [USD]"""
    return float(state.agents.cash[agent]) + sum(units * price for _, units, price in _kind(state, venue, agent))


def contributions_of(state: State, venue: Venue) -> tuple[np.ndarray, np.ndarray]:
    """Members of a venue's default fund and what is left of their contributions, shape (n_members,). [USD]

    A contribution is a loan to the venue that falls due after the run.
    """
    if venue.contributions is None:
        return np.zeros(0, np.int64), np.zeros(0)
    return state.loans.lender[venue.contributions], state.loans.face[venue.contributions].copy()


def use_contributions(bookkeeper: Bookkeeper, venue: Venue, members: np.ndarray, amounts: np.ndarray) -> None:
    """The venue owes members less of their contributions, without a row. [USD]"""
    loans = bookkeeper.state.loans
    row_of = {int(loans.lender[row]): int(row) for row in venue.contributions}
    rows = np.array([row_of[int(member)] for member in members], dtype=np.int64)
    np.subtract.at(loans.face, rows, amounts)
    small = loans.face[venue.contributions] <= 1e-12 * venue.contributed
    loans.face[venue.contributions[small]] = np.maximum(0.0, loans.face[venue.contributions[small]])


def replenish(bookkeeper: Bookkeeper, venue: Venue, amounts: np.ndarray) -> None:
    """Members pay into the default fund out of their wallets, in the order of its members. [USD]"""
    state, some = bookkeeper.state, amounts > 0.0
    rows = venue.contributions[some]
    members, paid = state.loans.lender[rows], amounts[some]
    if not len(rows):
        return
    np.subtract.at(state.agents.cash, members, paid)
    state.agents.cash[venue.row] += paid.sum()
    state.loans.face[rows] += paid
    bookkeeper.book(Cause.DEPOSIT, members, venue.row, paid)
    bookkeeper.book(Cause.ISSUED, venue.row, members, paid)


def _kind(state: State, venue: Venue, agent: int) -> list[tuple[int, float, float]]:
    """Assets other than cash that count: claims on the pool itself, settlement assets of an exchange's books."""
    wanted = {venue.claim} if venue.claim >= 0 else set()
    wanted |= {int(state.books.settle[book]) for book in venue.books if state.books.takeover[book] >= 0} - {0}
    rows = range(int(state.agents.holding_start[agent]), int(state.agents.holding_start[agent + 1]))
    held = ((int(state.holdings.asset[row]), float(state.holdings.units[row])) for row in rows)
    assets = state.assets
    return [
        (asset, units, float((assets.redemption if asset == venue.claim else assets.fundamental)[asset]))
        for asset, units in held if asset in wanted
    ]  # fmt: skip


def claims_of(state: State, venue: Venue, agent: int) -> float:
    """What an agent's claims on a venue stand for. [USD]"""
    return sum(units * price for asset, units, price in _kind(state, venue, agent) if asset == venue.claim)


def surrender(bookkeeper: Bookkeeper, venue: Venue, agent: int, amount: float, claims_first: bool = False) -> None:
    """An agent gives a venue value out of its own hands, without a row: cash, then in kind, or the other way round.

    Claim units on the venue itself are burned at what they stood for, their redemption value: others then have what
    they had before the loss. Units of a settlement asset change hands at fundamental value. [USD]

    Raises
    ------
    InvariantError
        The agent has less than that.
    """
    state = bookkeeper.state
    in_kind = claims_of(state, venue, agent) if claims_first else 0.0
    cash = min(max(0.0, amount - in_kind), float(state.agents.cash[agent]))
    state.agents.cash[agent] -= cash
    state.agents.cash[venue.row] += cash
    rest = amount - cash
    if rest <= 0.0:
        return
    for asset, units, price in _kind(state, venue, agent):
        part = min(rest, units * price) / price if price > 0.0 else 0.0
        if asset == venue.claim:
            _burn(bookkeeper, venue, agent, asset, min(part, units))
        else:
            bookkeeper.move_units(agent, venue.row, asset, min(part, units))
        rest -= part * price
    if rest > 1e-9 * max(1.0, amount):
        raise InvariantError(
            f"phase allocate, step {bookkeeper.ledger.step}, round {bookkeeper.ledger.round}: "
            f"{state.agent_name(agent)} is asked for {rest:g} USD more than it has in hand"
        )


def _burn(bookkeeper: Bookkeeper, venue: Venue, agent: int, asset: int, units: float) -> None:
    state = bookkeeper.state
    state.holdings.units[bookkeeper.slot(agent, asset)] -= units
    state.assets.supply[asset] -= units
    drift = units * float(state.assets.audited[asset] - state.assets.redemption[asset])
    state.agents.worth[agent] -= drift
    state.agents.worth[venue.row] += drift


def credit_takeover(bookkeeper: Bookkeeper, targets: np.ndarray, amounts: np.ndarray) -> None:
    """Raise balances of takeover accounts, one target per amount. [USD]"""
    settle = bookkeeper._settle_price(bookkeeper.state.accounts.book[targets])
    bookkeeper._change_balance(targets, amounts / settle)


def debit_accounts(bookkeeper: Bookkeeper, accounts: np.ndarray, amounts: np.ndarray) -> None:
    """Lower customers' balances. [USD]"""
    credit_takeover(bookkeeper, accounts, -amounts)


def move_positions(
    bookkeeper: Bookkeeper, positions: np.ndarray, units: np.ndarray, takeover_position: int, price: float
) -> np.ndarray:
    """Units from a takeover account to position holders at one price, without rows.

    Parameters
    ----------
    positions, units : ndarray of shape (n,)
        Rows of Positions and the signed units each receives.
    price : float
        Price in the settlement asset per unit.

    Returns
    -------
    ndarray of shape (n,)
        What each holder loses against the current price; negative: gains. [USD]
    """
    state = bookkeeper.state
    bookkeeper.traded = True
    instrument = int(state.positions.instrument[takeover_position])
    book = int(state.instruments.book[instrument])
    settle = int(state.books.settle[book])
    now, then = float(state.assets.fundamental[settle]), float(bookkeeper.audited_settle[settle])
    losses = np.empty(len(units))
    drift = _receive(
        positions, units, price, now, float(state.instruments.value_price[instrument]) - price, then,
        float(state.instruments.audited_price[instrument]) - price, state.positions.account, state.positions.units,
        state.positions.entry, state.accounts.balance, state.accounts.realised, state.accounts.owner,
        state.agents.worth, losses,
    )  # fmt: skip
    apply_trades(
        np.array([takeover_position]), np.array([-units.sum()]), np.array([price]), state.positions.account,
        state.positions.units, state.positions.entry, state.accounts.balance, state.accounts.realised,
    )  # fmt: skip
    state.agents.worth[int(state.books.venue[book])] -= drift
    return losses


@nb.njit(cache=True)
def _receive(
    rows, change, price, settle, gap, audited_settle, audited_gap, account_of, units, entry, balance, realised, owner,
    worth, losses,
):  # fmt: skip
    """Units to position holders; `losses` receives what each loses [USD]. Returns the drift of their worth."""
    total = 0.0
    for i in range(len(rows)):
        row = np.uint64(rows[i])
        account = np.uint64(account_of[row])
        units[row], entry[row], profit = traded(units[row], entry[row], change[i], price)
        realised[account] += profit
        balance[account] -= change[i] * price
        gain = settle * change[i] * gap
        drift = audited_settle * change[i] * audited_gap - gain
        worth[np.uint64(owner[account])] += drift
        total += drift
        losses[i] = -gain
    return total


def book_losses(
    bookkeeper: Bookkeeper, owners: np.ndarray, venue: int, losses: np.ndarray, claims: np.ndarray,
    deficits: np.ndarray, layer: int,
) -> np.ndarray:  # fmt: skip
    """Rows for what holders lost in a transfer, attributed to deficits up to `claims`, beyond them to none.

    Gains (a price better for the holder than the mark) are execution rows of no deficit.

    Returns
    -------
    ndarray of shape of `claims`
        What was attributed to each deficit. [USD]
    """
    gains = losses < 0.0
    if gains.any():
        bookkeeper.book(Cause.EXECUTION, owners[gains], venue, losses[gains], layer)
        owners, losses = owners[~gains], losses[~gains]
    total = float(losses.sum())
    if total <= 0.0:
        return np.zeros_like(claims)
    beyond = max(0.0, total - float(claims.sum()))
    if np.count_nonzero(claims) == 1 and beyond <= 1e-12 * total:
        claim = int(np.argmax(claims))
        bookkeeper.book(Cause.ALLOCATION, owners, venue, losses, layer, int(deficits[claim]))
        paid = np.zeros_like(claims)
        paid[claim] = total
        return paid
    with_rest = np.append(claims, beyond) if beyond > 1e-12 * total else claims
    payer, claim, amount = pair(losses, with_rest)
    ids = np.append(deficits, -1)
    bookkeeper.book(Cause.ALLOCATION, owners[payer], venue, amount, layer, ids[claim])
    return np.bincount(claim, weights=amount, minlength=len(claims) + 1)[: len(claims)]
