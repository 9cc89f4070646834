"""Passes of the bookkeeper over many rows at once; the verbs say what they mean, these only add and write."""

from __future__ import annotations

import numba as nb


@nb.njit(cache=True)
def post_rows(payer, payee, amount, worth):
    """Net worth of payers falls and of payees rises: first all payers, then all payees, in the order of the rows."""
    for i in range(len(amount)):
        worth[payer[i]] -= amount[i]
    for i in range(len(amount)):
        worth[payee[i]] += amount[i]


@nb.njit(cache=True)
def write_rows(rows, step, round_, phase, cause, layer, deficit, payer, payee, amount):
    """Fill ledger rows; `deficit`, `payer`, `payee` and `amount` have one value per row."""
    for i in range(len(rows)):
        row = rows[i]
        row.step, row.round, row.phase, row.cause, row.layer = step, round_, phase, cause, layer
        row.deficit, row.payer, row.payee, row.amount = deficit[i], payer[i], payee[i], amount[i]


@nb.njit(cache=True)
def collect_from_accounts(
    accounts, amounts, rows, step, round_, phase, cause, layer, deficit, venue, owner, book_of, balance, books_balance,
    settle_now, settle_then, worth,
):  # fmt: skip
    """Lower balances of one venue's accounts, write the rows of those who pay anything, and post them, in one pass.

    `settle_now` and `settle_then` are prices by book, of the round and of the last audit [USD]. Returns the number of
    rows written and the sum paid.
    """
    count, total = 0, 0.0
    for i in range(len(accounts)):
        paid = amounts[i]
        if paid <= 0.0:
            continue
        account = accounts[i]
        book, agent = book_of[account], owner[account]
        now, then = settle_now[book], settle_then[book]
        units = paid / now
        balance[account] -= units
        books_balance[book] -= units
        drift = units * (now - then)
        worth[agent] += drift - paid
        worth[venue] += paid - drift
        row = rows[count]
        row.step, row.round, row.phase, row.cause, row.layer = step, round_, phase, cause, layer
        row.deficit, row.payer, row.payee, row.amount = deficit, agent, venue, paid
        count += 1
        total += paid
    return count, total
