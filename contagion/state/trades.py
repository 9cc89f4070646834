"""Passes over positions that change hands: what a trade and a takeover do to units, entry prices and balances."""

from __future__ import annotations

import numba as nb
import numpy as np

# These take numbers and no arrays: compiled, an array costs a call more than what the call does.


@nb.njit(cache=True)
def merged(held, entry, change, price):
    """Units and entry price of a position after a change: the average over additions; a reduction leaves the entry
    price, a turn sets it anew."""
    total = held + change
    if held == 0.0 or held * change > 0.0:
        size = abs(held) + abs(change)
        entry = (entry * abs(held) + price * abs(change)) / size if size != 0.0 else price
    elif held * total < 0.0:
        entry = price
    return total, entry


@nb.njit(cache=True)
def traded(held, entry, change, price):
    """The same without a rest that is only rounding, and the profit that a reduction realises [settlement asset]."""
    profit = 0.0
    if held * change < 0.0:
        direction = 1.0 if held > 0.0 else -1.0
        profit = direction * min(abs(held), abs(change)) * (price - entry)
    total, entry = merged(held, entry, change, price)
    if abs(total) < 1e-12 * (abs(held) + abs(change)):
        total = 0.0
    return total, entry, profit


@nb.njit(cache=True)
def apply_trades(rows, change, price, account_of, units, entry, balance, realised):
    """Change positions at prices: balances pay for them, reductions realise profit against the entry price."""
    for i in range(len(rows)):
        row = rows[i]
        account = account_of[row]
        units[row], entry[row], profit = traded(units[row], entry[row], change[i], price[i])
        realised[account] += profit
        balance[account] -= change[i] * price[i]


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
            units[into], entry[into] = merged(units[into], entry[into], held, equity_price[k])
            units[row] = 0.0
        balance[house] += balance[account]
        balance[account] = 0.0
    return np.int64(-1)
