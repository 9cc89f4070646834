"""Coins that customers posted as margin: sold to outside when their account is liquidated."""

from __future__ import annotations

import math

import numpy as np

from contagion.liquidation.two_tokens import asset_for, debt_for, fee_within_weights, transfer_to_cover
from contagion.protocols.spot_market import SpotMarket
from contagion.protocols.verbs import OUTSIDE, _change_units
from contagion.scenario.venues import Exchange
from contagion.state.codes import Cause, InstrumentKind
from contagion.state.world import Venue, World


class CollateralSales:
    """Sells collateral of accounts at the market, with impact; proceeds are credited to their balances."""

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
        rows, asset = self._of(accounts)
        for item in np.unique(asset):
            here = rows[asset == item]
            self._sell(int(item), here, self.world.state.positions.units[here].copy())
        return len(rows) > 0

    def cover(self, venue: Venue, accounts: np.ndarray, shortage: np.ndarray) -> bool:
        """Sell only what frees a shortage of margin, coins of the greatest haircut first; the fee goes to the fund.

        Accounts and shortages of shape (n,). [USD] Whether anything was sold.
        """
        state, rules = self.world.state, venue.spec.liquidation
        most = rules.fee if rules.surplus_to == "owner_after_fee" else 0.0
        left = dict(zip(accounts.tolist(), shortage.tolist(), strict=True))
        rows, asset = self._of(accounts)
        counted = state.instruments.haircut_value[state.positions.instrument[rows]]
        weight = {int(item): float(share) for item, share in zip(asset, counted, strict=True)}
        for item in sorted(weight, key=weight.get):
            here = rows[asset == item]
            owner, held = state.positions.account[here], state.positions.units[here].copy()
            price = self._market.quote(item, float(held.sum()), self._depth(item))[1]
            index = float(state.assets.index[item])
            # What is handed over per money received: more than it is worth, by the expected impact.
            terms = (weight[item], index / price)
            wanted, rate = np.zeros(len(here)), np.zeros(len(here))
            for order, (account, units) in enumerate(zip(owner.tolist(), held.tolist(), strict=True)):
                missing = max(0.0, left[account])
                repaid = debt_for(units, index, 1.0, terms[1])
                rate[order] = fee_within_weights(most, missing, repaid, 1.0, 1.0, *terms)
                wanted[order] = asset_for(
                    transfer_to_cover(missing, 1.0, 1.0, *terms, insurance_fee=rate[order]), 1.0, index, terms[1]
                )
                wanted[order] = min(units, wanted[order])
                repaid = debt_for(wanted[order], index, 1.0, terms[1])
                left[account] -= repaid * (1.0 - terms[0] * terms[1] - rate[order])
            fee = rate * self._sell(item, here, wanted)
            some = fee > 0.0
            if some.any():
                payee = venue.fund if venue.fund >= 0 else venue.row
                self.world.bookkeeper.charge(Cause.LIQUIDATION_FEE, owner[some], payee, fee[some])
                venue.fees += float(fee.sum())
        return len(rows) > 0

    def _of(self, accounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the collateral of accounts, and its assets."""
        state = self.world.state
        rows = np.concatenate(
            [np.arange(state.accounts.start[a], state.accounts.start[a + 1]) for a in accounts] or [np.zeros(0, int)]
        ).astype(np.int64)
        rows = rows[self._posted[state.positions.instrument[rows]] & (state.positions.units[rows] > 0.0)]
        return rows, state.instruments.asset[state.positions.instrument[rows]]

    def holds(self, accounts: np.ndarray) -> np.ndarray:
        """Whether each account still holds collateral that found no buyer."""
        state = self.world.state
        return np.array([
            bool(np.any(self._posted[state.positions.instrument[rows]] & (state.positions.units[rows] != 0.0)))
            for rows in (slice(state.accounts.start[a], state.accounts.start[a + 1]) for a in accounts)
        ], bool)  # fmt: skip

    def _sell(self, asset: int, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Sell units of rows of Positions; what each gets. [USD]"""
        depth, total = self._depth(asset), float(units.sum())
        filled, price = self._market.quote(asset, total, depth) if total > 0.0 else (0.0, 0.0)
        if filled <= 0.0:
            return np.zeros(len(rows))
        share = min(1.0, filled / total)
        units = units if share > 1.0 - 1e-12 else share * units
        self._market.sold(asset, filled, depth)
        for row, sold in zip(rows, units, strict=True):
            if sold > 0.0:
                sell_collateral(self.world.bookkeeper, int(row), sold, price)
        self.world.count("collateral_sold", filled * price)
        return units * price

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
