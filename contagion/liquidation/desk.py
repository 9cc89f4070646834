"""Third-party liquidators: they take positions of breached accounts over at a discount to the mark."""

from __future__ import annotations

import numpy as np

from contagion.agents.liquidator import Liquidator
from contagion.liquidation.fees import discounted_price, liquidator_fee
from contagion.protocols.exchange_runs import free_margin
from contagion.state.codes import AccountFlag, Cause
from contagion.state.world import Venue, World

_HOUR = 3600.0


class LiquidatorDesk:
    """The liquidators of one venue; together they take what their free margin carries, pro rata to it."""

    def __init__(self, world: World, venue: Venue) -> None:
        self.world = world
        self.terms = venue.spec.liquidation.liquidators
        self._seconds = world.scenario.dt.total_seconds()
        groups = [group for group in world.groups if isinstance(group.rule, Liquidator)]
        accounts = np.concatenate([group.accounts for group in groups]) if groups else np.zeros(0, np.int64)
        self._least = np.concatenate([np.full(len(group.accounts), group.rule.minimum_discount) for group in groups]) \
            if groups else np.zeros(0)
        here = np.isin(world.state.accounts.book[accounts], venue.books)
        self._accounts, self._least = accounts[here].astype(np.int64), self._least[here]

    def discount(self, accounts: np.ndarray) -> np.ndarray:
        """Discount to the mark on the positions of accounts, by the time since their breach. [1]"""
        since = np.maximum(0, self.world.step - self.world.state.accounts.breached_at[accounts])
        terms = self.terms
        return liquidator_fee(
            since * self._seconds, terms.fee, terms.most, terms.grace.total_seconds(), terms.growth / _HOUR
        )

    def take(self, rows: np.ndarray, change: np.ndarray, discount: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Close positions against the liquidators.

        Parameters
        ----------
        rows, change, discount : ndarray of shape (n,)
            Rows of Positions, signed units to close, discount to the mark. [1]

        Returns
        -------
        done, price : ndarray of shape (n,)
            Signed units closed, and the price paid. [settlement asset per unit]
        """
        state = self.world.state
        instrument = state.positions.instrument[rows]
        equity_price, mark = state.instruments.equity_price[instrument], state.instruments.mark[instrument]
        price = equity_price - mark + discounted_price(-change, mark, discount)
        done = np.zeros(len(rows))
        for k in np.unique(instrument):
            for side in (1.0, -1.0):
                here = np.flatnonzero((instrument == k) & (change * side > 0.0))
                if len(here):
                    done[here] = self._take(int(k), rows[here], change[here], price[here], discount[here])
        return done, price

    def _take(self, instrument: int, rows, change, price, discount) -> np.ndarray:
        state = self.world.state
        takers, positions, room = self._capacity(instrument)
        asked = np.abs(change)
        able = np.where(discount >= self._least[takers].min(initial=np.inf), asked, 0.0)
        room = np.where(self._least[takers] <= discount.max(), room, 0.0)
        if not able.any() or not room.any():
            return np.zeros(len(rows))
        share = min(1.0, float(room.sum()) / float(able.sum()))
        done = np.sign(change) * able * share
        taken = -done.sum() * room / room.sum()
        average = float(done @ price) / float(done.sum())
        some = taken != 0.0
        self.world.bookkeeper.trade(
            Cause.LIQUIDATION, np.concatenate([rows, positions[some]]), np.concatenate([done, taken[some]]),
            np.concatenate([price, np.full(int(some.sum()), average)]),
        )  # fmt: skip
        self.world.count("taken_by_liquidators", float(np.abs(done).sum() * state.instruments.mark[instrument]))
        return done

    def _capacity(self, instrument: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Liquidators (by order) of an instrument, their rows of Positions, and the units their free margin carries."""
        state = self.world.state
        takers, rows = [], []
        for order, account in enumerate(self._accounts):
            if state.accounts.flags[account] & (AccountFlag.CLOSED | AccountFlag.TAKEN_OVER):
                continue
            for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
                if state.positions.instrument[row] == instrument:
                    takers.append(order)
                    rows.append(row)
        takers, rows = np.array(takers, np.int64), np.array(rows, np.int64)
        free = np.maximum(0.0, free_margin(self.world, self._accounts[takers]))
        first = state.instruments.tier_start[instrument]
        needed = float(state.instruments.tier_initial[first] * state.instruments.mark[instrument])
        return takers, rows, free / needed if needed > 0.0 else np.full(len(rows), np.inf)
