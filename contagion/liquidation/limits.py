"""Worst prices that liquidation orders accept, and how much of each is filled within them."""

from __future__ import annotations

import numpy as np

from contagion.liquidation.engines import Breaches
from contagion.margin.prices import bankruptcy_prices, fillable_price
from contagion.market.flow import Market

_HALVINGS = 60


def limit_prices(rule: str, breaches: Breaches) -> np.ndarray:
    """Worst price of each position of `breaches.held`. [settlement asset per unit]

    ``fillable_or_cancel``: the price that gives way as equity falls below maintenance (dYdX v4);
    ``zero_or_cancel``: equity spread over positions by maintenance, so that closing at this price leaves equity over
    maintenance what it is (Lighter); ``bankruptcy_or_cancel``: spread by notional.
    """
    held = breaches.held
    price = breaches.state.instruments.equity_price[held.instrument]
    if rule == "fillable_or_cancel":
        equity, requirement = breaches.equity[held.owner], breaches.requirement[held.owner]
        columns = zip(held.units * price, equity, requirement, held.requirement, held.units, strict=True)
        return np.array([fillable_price(*column) for column in columns])
    weight = held.notional if rule == "bankruptcy_or_cancel" else held.requirement
    return bankruptcy_prices(held.units, price, weight, breaches.equity, held.owner)


def fill_within(market: Market, instrument: np.ndarray, change: np.ndarray, worst: np.ndarray) -> np.ndarray:
    """The part of each order that fills at its worst price or better when all execute together.

    All orders of an instrument meet one average price. On the heavier side those that accept the worst price come
    first until the price is no better than what the next accepts; that one is filled in part, equals alike. Orders of
    the lighter side fill if the mark is good enough for them.

    Parameters
    ----------
    instrument, change, worst : ndarray of shape (n,)
        Instrument, signed units asked for, worst price accepted. [settlement asset per unit]

    Returns
    -------
    ndarray of shape (n,)
        Signed units.
    """
    state = market.world.state
    filled = np.zeros(len(change))
    for k in np.unique(instrument):
        here = np.flatnonzero((instrument == k) & (change != 0.0))
        mark = float(state.instruments.equity_price[k])
        side = np.sign(change[here])
        slack = side * (worst[here] - mark)  # how much worse than the mark it may be
        willing = here[slack >= 0.0]
        net = float(change[willing].sum())
        light = willing[np.sign(change[willing]) != np.sign(net)]
        heavy = willing[np.sign(change[willing]) == np.sign(net)]
        filled[light] = change[light]
        met = float(change[light].sum())
        filled[heavy] = _fill_heavy(market, int(k), change[heavy], np.abs(worst[heavy] - mark), met)
    return filled


def _fill_heavy(market: Market, instrument: int, change: np.ndarray, slack: np.ndarray, met: float) -> np.ndarray:
    """Fill one side, the greatest slack first; `met` units of the other side need no maker."""
    if not len(change):
        return change
    order = np.argsort(-slack, kind="stable")
    change, slack = change[order], slack[order]
    first = np.flatnonzero(np.diff(slack, prepend=np.inf) != 0.0)  # of each group of equal slack
    sizes = np.add.reduceat(change, first)
    before = np.cumsum(sizes) - sizes

    side = float(np.sign(change[0]))

    def dear(units: float, accepted: float) -> bool:
        return side * _away(market, instrument, units + met) > accepted

    low, high = 0, len(first)  # groups below `low` fill whole, those from `high` on not
    while low < high:
        middle = (low + high) // 2
        if dear(before[middle] + sizes[middle], slack[first[middle]]):
            high = middle
        else:
            low = middle + 1
    share = np.zeros(len(first))
    share[:low] = 1.0
    if low < len(first) and not dear(before[low], slack[first[low]]):
        bottom, top = 0.0, 1.0
        for _ in range(_HALVINGS):
            half = 0.5 * (bottom + top)
            if dear(before[low] + half * sizes[low], slack[first[low]]):
                top = half
            else:
                bottom = half
        share[low] = bottom
    filled = np.empty(len(change))
    filled[order] = change * np.repeat(share, np.diff(first, append=len(change)))
    return filled


def _away(market: Market, instrument: int, units: float) -> float:
    """Average price of a net order less the mark. [settlement asset per unit]"""
    takeable, _ = market.takeable(instrument, units * market.usd_per_unit(instrument))
    if not takeable:
        return 0.0
    _, price, _ = market.price(instrument, takeable)
    return price - float(market.world.state.instruments.equity_price[instrument])
