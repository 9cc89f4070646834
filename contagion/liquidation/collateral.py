"""Coins that customers posted as margin: sold to outside when their account is liquidated."""

from __future__ import annotations

import math

import numpy as np

from contagion.protocols.spot_market import SpotMarket
from contagion.protocols.verbs import OUTSIDE, _change_units
from contagion.scenario.venues import Exchange
from contagion.state.codes import Cause, InstrumentKind
from contagion.state.world import World


class CollateralSales:
    """Sells all collateral of accounts at the market, with impact; proceeds are credited to their balances."""

    def __init__(self, world: World) -> None:
        self.world = world
        table = world.state.instruments
        exchanges = [venue.row for venue in world.venues.values() if isinstance(venue.spec, Exchange)]
        self._posted = (table.kind == InstrumentKind.SPOT) & np.isin(table.venue, exchanges)
        self.active = bool(self._posted.any())
        self._market = SpotMarket(world)

    def open_step(self) -> None:
        self._market.open_step()

    def open_round(self) -> None:
        self._market.open_round()

    def sell(self, accounts: np.ndarray) -> bool:
        """Sell what the accounts hold; equals share a book that is too thin. Whether anything was sold."""
        state = self.world.state
        rows = np.concatenate(
            [np.arange(state.accounts.start[a], state.accounts.start[a + 1]) for a in accounts] or [np.zeros(0, int)]
        ).astype(np.int64)
        rows = rows[self._posted[state.positions.instrument[rows]] & (state.positions.units[rows] > 0.0)]
        asset = state.instruments.asset[state.positions.instrument[rows]]
        for item in np.unique(asset):
            self._sell(int(item), rows[asset == item])
        return len(rows) > 0

    def holds(self, accounts: np.ndarray) -> np.ndarray:
        """Whether each account still holds collateral that found no buyer."""
        state = self.world.state
        return np.array([
            bool(np.any(self._posted[state.positions.instrument[rows]] & (state.positions.units[rows] != 0.0)))
            for rows in (slice(state.accounts.start[a], state.accounts.start[a + 1]) for a in accounts)
        ], bool)  # fmt: skip

    def _sell(self, asset: int, rows: np.ndarray) -> None:
        units = self.world.state.positions.units[rows].copy()
        depth = self._depth(asset)
        filled, price = self._market.quote(asset, float(units.sum()), depth)
        if filled <= 0.0:
            return
        share = min(1.0, filled / float(units.sum()))
        self._market.sold(asset, filled, depth)
        for row, held in zip(rows, units, strict=True):
            sell_collateral(self.world.bookkeeper, int(row), held if share > 1.0 - 1e-12 else share * held, price)
        self.world.count("collateral_sold", filled * price)

    def _depth(self, asset: int) -> float:
        """Greatest depth quoted in contracts on the asset, else without limit. [USD]"""
        table = self.world.state.instruments
        quoted = table.depth[table.asset == asset]
        return float(quoted.max()) if len(quoted) and quoted.max() > 0.0 else math.inf


def sell_collateral(books, position: int, units: float, price: float) -> None:
    """Collateral of an account goes from its venue's custody to outside; what it gets is the account's. [units, USD]"""
    state = books.state
    account, instrument = int(state.positions.account[position]), int(state.positions.instrument[position])
    book, asset = int(state.accounts.book[account]), int(state.instruments.asset[instrument])
    owner, venue = int(state.accounts.owner[account]), int(state.books.venue[book])
    value = -_change_units(books, position, -units)
    books.move_units(venue, OUTSIDE, asset, units)
    books.pay(Cause.SPOT_SALE, OUTSIDE, venue, units * price)
    books.book(Cause.SPOT_DELIVERY, venue, OUTSIDE, value)
    settle = float(state.assets.fundamental[state.books.settle[book]])
    books._change_balance(np.array([account]), np.array([units * price / settle]))
    books.book(Cause.MARGIN_CREDIT, venue, owner, units * price)
    books.book(Cause.MARGIN_DEBIT, owner, venue, value)
