"""Compiled passes that work out columns of candidates.

Rows are counted in unsigned words: a signed one is checked, at every use, for counting from the end.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True)
def ratio(upper, lower, otherwise, out):
    for i in range(len(out)):
        out[i] = upper[i] / lower[i] if lower[i] > 0.0 else otherwise
    return out


@nb.njit(cache=True)
def bears(equity, units, now, price):
    """Whether an account whose equity is stated at `now` is not below zero were its units valued at `price`.

    Its own bankruptcy price then does not lie between the two: bankruptcy prices of the two sides overlap.
    """
    return equity + units * (price - now) >= 0.0


@nb.njit(cache=True)
def equities(accounts, start, balance, instrument, units, price):
    out = np.empty(len(accounts))
    for i in range(len(accounts)):
        total = balance[accounts[i]]
        for row in range(start[accounts[i]], start[accounts[i] + 1]):
            if units[row] != 0.0:
                total += units[row] * price[instrument[row]]
        out[i] = total
    return out


@nb.njit(cache=True)
def receivers(positions, fills, side, rows, units):
    count = 0
    for i in range(len(fills)):
        rows[count], units[count] = positions[i], side * fills[i]
        count += fills[i] > 0.0
    return count


@nb.njit(cache=True)
def hold(
    rows, instrument, side, price, settle, excluded, account_of, instrument_of, units, value, start, balance, flags,
    kept, size, equity,
):  # fmt: skip
    count, now = np.uint64(0), value[instrument]
    for i in range(len(rows)):
        row = np.uint64(rows[i])
        held = units[row]
        account = np.uint64(account_of[row])
        if held * side <= 0.0 or flags[account] & excluded:
            continue
        total = balance[account]
        for other in range(np.uint64(start[account]), np.uint64(start[account + np.uint64(1)])):
            if units[other] != 0.0:
                total += units[other] * value[np.uint64(instrument_of[other])]
        if bears(total, held, now, price):
            kept[count], size[count], equity[count] = rows[i], abs(held), settle * total
            count += np.uint64(1)
    return count


@nb.njit(cache=True)
def of_positions(rows, units, entry, now, settle, profit, cost):
    for i in range(len(rows)):
        row = np.uint64(rows[i])
        held = units[row]
        profit[i], cost[i] = settle * held * (now - entry[row]), settle * abs(held) * entry[row]


@nb.njit(cache=True)
def of_contracts(accounts, start, instrument_of, units, entry, value, contract, book, settle, profit, cost, notional):
    for i in range(len(accounts)):
        account = np.uint64(accounts[i])
        gain, paid, gross = 0.0, 0.0, 0.0
        for row in range(np.uint64(start[account]), np.uint64(start[account + np.uint64(1)])):
            held, k = units[row], np.uint64(instrument_of[row])
            if held != 0.0 and contract[k]:
                gain += held * (value[k] - entry[row])
                paid += abs(held) * entry[row]
                gross += abs(held * value[k])
        scale = settle[np.uint64(book[account])]
        profit[i], cost[i], notional[i] = scale * gain, scale * paid, scale * gross


@nb.njit(cache=True)
def stand(
    chosen, settle, excluded, contract, instrument_of, units, entry, value, book, start, balance, flags, kept, equity,
    profit,
):  # fmt: skip
    count = np.uint64(0)
    for account in range(np.uint64(len(book))):
        its = np.uint64(book[account])
        if not chosen[its] or flags[account] & excluded:
            continue
        total, gain = balance[account], 0.0
        for row in range(np.uint64(start[account]), np.uint64(start[account + np.uint64(1)])):
            held = units[row]
            if held != 0.0:
                k = np.uint64(instrument_of[row])
                total += held * value[k]
                if contract[k]:
                    gain += held * (value[k] - entry[row])
        kept[count], equity[count], profit[count] = account, settle[its] * total, settle[its] * gain
        count += np.uint64(1)
    return count
