"""Passes of the bookkeeper over many rows at once; the verbs say what they mean, these only add and write."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True)
def post_rows(payer, payee, amount, worth):
    """Net worth of payers falls and of payees rises: first all payers, then all payees, in the order of the rows."""
    _add(payer, amount, -1.0, worth)
    _add(payee, amount, 1.0, worth)


@nb.njit(cache=True)
def _add(agents, amount, sign, worth):
    i, count = 0, len(amount)
    while i < count:  # a sum that stays with one agent is held in hand: memory would make every row wait for the last
        agent = agents[i]
        total = worth[agent]
        while i < count and agents[i] == agent:
            total += sign * amount[i]
            i += 1
        worth[agent] = total


@nb.njit(cache=True)
def write_rows(rows, step, round_, phase, cause, layer, deficit, payer, payee, amount):
    """Fill ledger rows; `deficit`, `payer`, `payee` and `amount` have one value per row."""
    for i in range(len(rows)):
        row = rows[i]
        row.step, row.round, row.phase, row.cause, row.layer = step, round_, phase, cause, layer
        row.deficit, row.payer, row.payee, row.amount = deficit[i], payer[i], payee[i], amount[i]


@nb.njit(cache=True)
def collect_from_accounts(
    accounts, amounts, venue, owner, book_of, balance, books_balance, settle_now, settle_then, worth, payers, paid
):
    """Lower balances of one venue's accounts and post it; `payers` and `paid` receive those who pay anything.

    `settle_now` and `settle_then` are prices by book, of the round and of the last audit [USD]. Returns the number of
    payers and the sum paid.
    """
    count, total, venue_gains = np.uint64(0), 0.0, 0.0
    book, units_of_book, now, then = -1, 0.0, 1.0, 1.0
    for i in range(len(accounts)):
        amount = amounts[i]
        if amount <= 0.0:
            continue
        account = np.uint64(accounts[i])
        if book_of[account] != book:
            if book >= 0:
                books_balance[book] -= units_of_book
            book, units_of_book = book_of[account], 0.0
            now, then = settle_now[book], settle_then[book]
        agent = owner[account]
        units = amount / now
        balance[account] -= units
        units_of_book += units
        drift = units * (now - then)
        worth[np.uint64(agent)] += drift - amount
        venue_gains += amount - drift
        payers[count], paid[count] = agent, amount
        count += np.uint64(1)
        total += amount
    if book >= 0:
        books_balance[book] -= units_of_book
    worth[venue] += venue_gains
    return count, total
