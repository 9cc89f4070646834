"""Passes over positions that change hands: what a trade and a takeover do to units, entry prices and balances."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True)
def merge_entry(units, entry, row, change, price):
    """Change a position: its entry price is the average over additions; a reduction leaves it, a turn sets it anew."""
    held = units[row]
    total = held + change
    if held == 0.0 or held * change > 0.0:
        size = abs(held) + abs(change)
        entry[row] = (entry[row] * abs(held) + price * abs(change)) / size if size != 0.0 else price
    elif held * total < 0.0:
        entry[row] = price
    units[row] = total


@nb.njit(cache=True)
def apply_trades(rows, change, price, account_of, units, entry, balance, realised):
    """Change positions at prices: balances pay for them, reductions realise profit against the entry price."""
    for i in range(len(rows)):
        row = rows[i]
        account = account_of[row]
        held = units[row]
        if held * change[i] < 0.0:
            closed = min(abs(held), abs(change[i]))
            direction = 1.0 if held > 0.0 else -1.0
            realised[account] += direction * closed * (price[i] - entry[row])
        balance[account] -= change[i] * price[i]
        merge_entry(units, entry, row, change[i], price[i])
        if abs(units[row]) < 1e-12 * (abs(held) + abs(change[i])):
            units[row] = 0.0


@nb.njit(cache=True)
def move_to_house(
    accounts, book_of, start, takeover, instrument, units, entry, balance, value_price, audited_price, equity_price,
    now, then,
):  # fmt: skip
    """Units and balance of accounts pass to the takeover account of their book.

    `now` and `then` receive what each account was worth at the marks of the round and at those of the last audit
    [settlement asset]. Returns the first account whose takeover account cannot hold one of its instruments, or -1.
    """
    for i in range(len(accounts)):
        account = accounts[i]
        house = takeover[book_of[account]]
        now[i] = then[i] = balance[account]
        for row in range(start[account], start[account + 1]):
            held = units[row]
            if held == 0.0:
                continue
            k = instrument[row]
            into = -1
            for candidate in range(start[house], start[house + 1]):
                if instrument[candidate] == k:
                    into = candidate
                    break
            if into < 0:
                return account
            now[i] += held * value_price[k]
            then[i] += held * audited_price[k]
            merge_entry(units, entry, into, held, equity_price[k])
            units[row] = 0.0
        balance[house] += balance[account]
        balance[account] = 0.0
    return np.int64(-1)
