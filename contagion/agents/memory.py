"""What agents remember: index prices of the last steps."""

from __future__ import annotations

import numpy as np

from contagion.agents import kernels
from contagion.state.world import World


class Memory:
    """Index prices of the last steps, and what each of a list of lookbacks makes of them.

    Attributes
    ----------
    past, volatility : ndarray of shape (n_lookbacks, n_assets)
        Price `lookback` steps ago [USD]; realised volatility over it, annualised [1].
    count, step : int
        Prices taken in so far, and the step of the last.
    """

    def __init__(self, world: World, lookbacks: list[int]) -> None:
        self.world = world
        self.normal = world.state.assets.volatility.copy()
        self._lookbacks = np.array(lookbacks, np.int64)
        n_assets, depth = len(world.state.assets.index), int(self._lookbacks.max(initial=1)) + 1
        self._prices, self._squares = np.ones((depth, n_assets)), np.zeros((depth, n_assets))
        self.past = np.ones((len(lookbacks), n_assets))
        self.volatility = np.zeros((len(lookbacks), n_assets))
        self.count = 0
        self.step = -1
        self._take_in()

    def update(self) -> None:
        """Take in the prices of the current step, once."""
        if self.world.step != self.step:
            self._take_in()

    def _take_in(self) -> None:
        index, *columns = self.columns()
        kernels.remember(index, self.count, *columns)
        self.step = self.world.step
        self.count += 1

    def columns(self) -> tuple:
        """Arguments of the kernel that takes prices in, but for the count of those before."""
        return (
            self.world.state.assets.index, self._prices, self._squares, self._lookbacks, self.normal,
            self.world.dt_years, self.past, self.volatility,
        )  # fmt: skip

    def window(self, order: int, asset: int) -> np.ndarray:
        """Index prices over a lookback, oldest first, now last; read-only. [USD]"""
        known = min(int(self._lookbacks[order]) + 1, self.count)
        rows = np.arange(self.count - known, self.count) % len(self._prices)
        prices = self._prices[rows, asset]
        prices.setflags(write=False)
        return prices
