"""The options of a run: what they are worth at every mark, and what they pay when they expire."""

from __future__ import annotations

from typing import Any

import numpy as np

from contagion.margin.options import value_options
from contagion.state.codes import Cause, InstrumentKind, Phase
from contagion.state.tables import Instruments
from contagion.state.world import World


class OptionBook:
    """European options at each underlying's flat implied volatility, which volatility jumps move.

    Attributes
    ----------
    rows : ndarray
        Instruments that are options.
    greeks : ndarray of shape (n_instruments, 4)
        Delta [1], gamma [1/USD], vega [USD per unit of volatility] and theta [USD per year] of a unit.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state, table = world.state, world.state.instruments
        self.rows = np.flatnonzero(table.kind == InstrumentKind.OPTION)
        self.greeks = np.zeros((len(table.names), 4))
        self._asset = table.asset[self.rows]
        self._implied = implied_volatilities(world.scenario, state.assets.names)[self._asset]
        self._strike, self._right = table.strike[self.rows], table.right[self.rows]
        self._value = np.zeros(len(table.names))
        self._dates = set(table.expiry[self.rows].tolist())

    def terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Strike [USD], years to expiry, implied volatility and right of each option now, shape (n_options,)."""
        world = self.world
        years = (world.state.instruments.expiry[self.rows] - world.step) * world.dt_years
        return self._strike, years, self._implied * world.pricing.volatility_factor[self._asset], self._right

    def revalue(self) -> None:
        """Values and deltas at the index prices of the round."""
        state, table = self.world.state, self.world.state.instruments
        value_options(self.rows, state.assets.index[self._asset], *self.terms(), self._value, self.greeks)
        table.equity_price[self.rows] = table.value_price[self.rows] = self._value[self.rows]
        table.delta[self.rows] = self.greeks[self.rows, 0]

    def expire(self) -> None:
        """Settle options that expire at this step: intrinsic value into balances, nobody quotes them again."""
        world = self.world
        if world.step not in self._dates:
            return
        state, bookkeeper = world.state, world.bookkeeper
        before, bookkeeper.phase = bookkeeper.phase, Phase.MARK
        for k in self.rows[state.instruments.expiry[self.rows] == world.step]:
            rows = np.flatnonzero((state.positions.instrument == k) & (state.positions.units != 0.0))
            if len(rows):
                units, price = state.positions.units[rows].copy(), float(state.instruments.value_price[k])
                bookkeeper.trade(Cause.SETTLEMENT, rows, -units, np.full(len(rows), price))
                owner, venue = state.accounts.owner[state.positions.account[rows]], int(state.instruments.venue[k])
                bookkeeper.book(Cause.SETTLEMENT, venue, owner, units * price)
                bookkeeper.book(Cause.EXPIRY, owner, venue, units * price)
            state.makers.base_depth[state.makers.instrument == k] = 0.0
        bookkeeper.phase = before


def open_options(instruments: Instruments, opening: np.ndarray, scenario: Any, names: list[str]) -> None:
    """Values and deltas of options before the first step; `opening` are index prices, USD first."""
    rows = np.flatnonzero(instruments.kind == InstrumentKind.OPTION)
    asset = instruments.asset[rows]
    years = instruments.expiry[rows] * scenario.dt.total_seconds() / (365.0 * 86_400.0)
    value, greeks = np.zeros(len(instruments.names)), np.zeros((len(instruments.names), 4))
    implied = implied_volatilities(scenario, names)[asset]
    terms = instruments.strike[rows], years, implied, instruments.right[rows]
    value_options(rows, opening[asset], *terms, value, greeks)
    for price in (instruments.equity_price, instruments.value_price, instruments.audited_price):
        price[rows] = value[rows]
    instruments.delta[rows] = greeks[rows, 0]


def implied_volatilities(scenario, names: list[str]) -> np.ndarray:
    """Flat implied volatility of each asset at the opening, zero where there is none. Shape (n_assets,)."""
    specs = [scenario.assets.get(name) for name in names]
    return np.array([
        0.0 if spec is None else spec.volatility if spec.implied_volatility is None else spec.implied_volatility
        for spec in specs
    ])  # fmt: skip
