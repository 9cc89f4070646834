"""How a sum is shared over payers: the arithmetic of the rules, on plain arrays."""

from __future__ import annotations

import numba as nb
import numpy as np


def pro_rata(limits: np.ndarray, want: float) -> np.ndarray:
    """Share `want` over payers in proportion to `limits`, nobody above its own. [USD]

    The common rate is ``min(1, want / sum of limits)``: the variation-margin gains haircut when the limits are gains
    (ISDA 2013, "CCP Loss Allocation at the End of the Waterfall"), dynamic profit equalisation when they are profits.
    """
    total = float(limits.sum())
    return limits * min(1.0, max(0.0, want) / total) if total > 0 else np.zeros_like(limits)


def fill_by_rank(score: np.ndarray, size: np.ndarray, want: float) -> np.ndarray:
    """Fill `want` from the highest score down; those of equal score at the margin give the same share of their size.

    Parameters
    ----------
    score, size : ndarray of shape (n,)
        Size is not negative. A score that is not a number ranks last.
    want : float
        Total to fill, in units of `size`.

    Returns
    -------
    ndarray of shape (n,)
        Fills, none above its size; they sum to ``min(want, sum of size)``.

    Notes
    -----
    The margin is found by sums over bins of the leading bits of the scores, then of the next bits within one bin; only
    a few around it are sorted.
    """
    fill = np.full(len(score), 0.0)
    if len(score) and want > 0.0:
        _fill(np.ascontiguousarray(score, dtype=np.float64).view(np.uint64), size, want, fill)
    return fill


_FEW = 1024
"""So many are sorted faster than binned."""


@nb.njit(cache=True)
def _word(bits):
    """Bits of a number as an unsigned word in the order of the numbers: -0 equal to 0, no number lowest."""
    top, infinite = np.uint64(1) << np.uint64(63), np.uint64(0x7FF0000000000000)
    size = bits & ~top
    if size > infinite:
        return np.uint64(0)
    return ~bits if bits & top and size else bits | top


@nb.njit(cache=True)
def _fill(bits, size, want, fill):
    left, count, shift = want, len(bits), np.uint64(64)
    inside = np.empty(0, np.int64)  # at first all
    while shift == np.uint64(64) or (count > _FEW and shift > np.uint64(0)):
        shift -= np.uint64(16)
        bins, members = np.zeros(1 << 16), np.zeros(1 << 16, np.int64)
        for j in range(count):
            i = np.uint64(inside[j] if len(inside) else j)
            row = (_word(bits[i]) >> shift) & np.uint64(0xFFFF)
            bins[row] += size[i]
            members[row] += 1
        at = len(bins) - 1
        while at > 0 and bins[at] <= left:
            left -= bins[at]
            at -= 1
        kept, found, margin = np.empty(members[at] + 1, np.int64), 0, np.uint64(at)
        for j in range(count):  # no branches: which way each goes cannot be foreseen
            i = np.uint64(inside[j] if len(inside) else j)
            row = (_word(bits[i]) >> shift) & np.uint64(0xFFFF)
            fill[i] = size[i] * (row > margin)
            kept[found] = i
            found += row == margin
        inside, count = kept[:found], found
    order = np.empty(count, np.uint64)
    for j in range(count):
        order[j] = _word(bits[inside[j]])
    if shift > np.uint64(0):
        ranked = np.argsort(order)[::-1]
        order, inside = order[ranked], inside[ranked]
    first = 0
    while first < count and left > 0.0:
        last, together = first, 0.0
        while last < count and order[last] == order[first]:
            together += size[inside[last]]
            last += 1
        share = min(1.0, left / together) if together > 0.0 else 0.0
        for j in range(first, last):
            fill[inside[j]] = share * size[inside[j]]
        left -= share * together
        first = last


def water_fill(weights: np.ndarray, limits: np.ndarray, want: float) -> tuple[np.ndarray, float]:
    """Share `want` in proportion to `weights`; who reaches its limit pays that, and the others the rest.

    ``amount_i = min(limit_i, level * weight_i)``: capped pro rata when the weight is the profit and the limit a share
    of it, risk-aware pro rata when the weight is the profit times a power of leverage (Chitra, arXiv 2512.01112), and
    the allocation with the smallest greatest ``amount / weight``, whatever the weights: the optimum of
    ``min max_i amount_i / weight_i`` subject to ``sum amount = want`` and ``0 <= amount <= limit``.

    Parameters
    ----------
    weights, limits : ndarray of shape (n,)
        Not negative; who has no weight pays nothing.
    want : float
        Sum to share.

    Returns
    -------
    tuple of ndarray of shape (n,) and float
        Amounts, which sum to ``min(want, sum of limits with a weight)``, and the level.
    """
    weights, limits = np.asarray(weights, dtype=np.float64), np.asarray(limits, dtype=np.float64)
    amounts = np.empty(len(weights))
    level = _water_level(weights, limits, float(want), amounts)
    return amounts, level


@nb.njit(cache=True)
def _water_level(weights, limits, want, amounts):
    """Raise the level until nobody new reaches its limit: every pass settles those who do."""
    left, level, full = want, 0.0, 0.0
    while True:
        room, top = 0.0, 0.0
        full = 0.0
        for i in range(len(weights)):
            if weights[i] > 0.0:
                if level * weights[i] >= limits[i]:
                    full += limits[i]
                    if limits[i] / weights[i] > top:
                        top = limits[i] / weights[i]
                else:
                    room += weights[i]
        left = want - full
        raised = left / room if room > 0.0 and left > 0.0 else level
        if room == 0.0 and left > 0.0:
            raised = max(level, top)
        if raised <= level * (1.0 + 1e-15):
            break
        level = raised
    for i in range(len(weights)):
        amounts[i] = min(limits[i], level * weights[i]) if weights[i] > 0.0 else 0.0
    return level


def level_down(values: np.ndarray, want: float) -> tuple[np.ndarray, float]:
    """Cut the greatest values to one level, so that what is cut sums to ``min(want, sum of values)``.

    ``amount_i = max(0, value_i - level)`` leaves the smallest possible greatest survivor: the optimum of
    ``min max_i (value_i - amount_i)``.

    Returns
    -------
    tuple of ndarray of shape (n,) and float
        Amounts and the level.
    """
    values = np.maximum(0.0, np.asarray(values, dtype=np.float64))
    if want <= 0.0 or not len(values):
        return np.zeros(len(values)), float(values.max(initial=0.0))
    high = np.sort(values)[::-1]
    cut = np.cumsum(high) - np.arange(1, len(high) + 1) * np.append(high[1:], 0.0)  # down to the next value
    place = int(np.searchsorted(cut, want))
    if place == len(high):
        return values.copy(), 0.0
    level = float((high[: place + 1].sum() - want) / (place + 1))
    return np.maximum(0.0, values - level), level


def worst_survivor(profits: np.ndarray, paid: np.ndarray) -> float:
    """Greatest profit that survives a haircut; over the budget it is the ratio of Chitra, arXiv 2512.01112. [USD]"""
    return float(_greatest_rest(profits, paid))


@nb.njit(cache=True, fastmath={"nnan", "nsz"})
def _greatest_rest(profits, paid):
    greatest = 0.0
    for i in range(len(profits)):
        greatest = max(greatest, profits[i] - paid[i])
    return greatest


def unit_value(assets: float, loss: float, units: float) -> float:
    """Value of a claim unit once a loss is written off, not below zero. [USD per unit]"""
    return max(0.0, assets - loss) / units if units > 0.0 else 0.0


def per_unit(loss: float, long: float, short: float) -> float:
    """What each unit of open interest pays, both sides alike: ``loss / (long + short)``. [USD per unit]

    Drift: the loss of a bankrupt perpetual position is added to the cumulative funding of longs and taken from that
    of shorts (drift-labs/protocol-v2, controller/liquidation.rs).
    """
    units = abs(long) + abs(short)
    return loss / units if units > 0.0 else 0.0


def walk(sizes: np.ndarray, able: np.ndarray, start: int, want: float) -> np.ndarray:
    """Fill `want` from a place onwards, wrapping around: each able candidate up to its whole size, nobody ranked.

    dYdX v4 (x/clob/keeper/deleveraging.go): counterparties from a pseudo-random start; those whose bankruptcy price
    does not overlap are skipped.

    Returns
    -------
    ndarray of shape (n,)
        Fills.
    """
    fills, left = np.zeros(len(sizes)), float(want)
    for step in range(len(sizes)):
        row = (start + step) % len(sizes)
        if left <= 0.0:
            break
        if able[row]:
            fills[row] = min(left, float(sizes[row]))
            left -= fills[row]
    return fills


def whole_lots(
    fills: np.ndarray, sizes: np.ndarray, score: np.ndarray, key: np.ndarray, lot: float
) -> np.ndarray:  # fmt: skip
    """The same total in whole lots: every fill rounded down, what is left lot by lot from the highest score down.

    Equal scores go by `key`, which is the holder's and not its place.

    A fill that ends a position stays whole whatever its size, and one fill takes a rest smaller than a lot.
    """
    if lot <= 0.0 or not len(fills):
        return fills
    rounded = np.where(fills >= sizes, sizes, np.floor(fills / lot * (1.0 + 1e-12)) * lot)
    left, ranked = float(fills.sum() - rounded.sum()), np.lexsort((key, -score))
    for most in (lot, np.inf):
        for row in ranked:
            if left <= 1e-12 * lot:
                return rounded
            more = min(most, left, float(sizes[row] - rounded[row]))
            rounded[row] += more
            left -= more
    return rounded
