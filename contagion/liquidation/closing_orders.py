"""Orders that close positions of one venue in one round, and what they are expected to cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.liquidation.engines import Breaches, Orders
from contagion.market.flow import Market


@dataclass(slots=True)
class ClosingOrders:
    """Orders of one venue in one round. Arrays of shape (m,)."""

    rows: np.ndarray  # of Positions
    owner: np.ndarray  # which account of the breaches, by order
    instrument: np.ndarray
    change: np.ndarray  # signed units


def closing_orders(breaches: Breaches, wanted: Orders) -> ClosingOrders:
    """What an engine wants closed, position by position."""
    held = breaches.held
    share = wanted.share[held.owner] if wanted.of_positions is None else wanted.of_positions
    return ClosingOrders(held.rows, held.owner, held.instrument, -share * held.units)


def expected_loss(market: Market, orders: ClosingOrders, count: int) -> np.ndarray:
    """What orders together are expected to cost each account against the mark, shape (count,). [settlement asset]"""
    distance, value = _distance(market, orders), _value(market, orders)
    return np.bincount(orders.owner, weights=value * distance[orders.instrument], minlength=count)


def relative_loss(market: Market, orders: ClosingOrders, count: int) -> np.ndarray:
    """The same over what each account closes, shape (count,). [1]"""
    total = np.bincount(orders.owner, weights=_value(market, orders), minlength=count)
    return np.divide(expected_loss(market, orders, count), total, out=np.zeros(count), where=total > 0)


def _value(market: Market, orders: ClosingOrders) -> np.ndarray:
    return np.abs(orders.change) * market.world.state.instruments.mark[orders.instrument]


def _distance(market: Market, orders: ClosingOrders) -> np.ndarray:
    """How far from the mark the orders of each instrument together would be filled; not below zero. [1]"""
    instruments = market.world.state.instruments
    distance = np.zeros(len(instruments.names))
    units = np.bincount(orders.instrument, weights=orders.change, minlength=len(distance))
    for k in np.flatnonzero(units):
        net = float(units[k]) * market.usd_per_unit(int(k))
        _, price, _ = market.price(int(k), market.takeable(int(k), net)[0])
        gap = price - float(instruments.equity_price[k])
        side = float(np.sign(net)) * float(instruments.sign[k])
        distance[k] = max(0.0, side * gap) / float(instruments.mark[k])
    return distance
