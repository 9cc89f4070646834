"""The price of gas in a congested chain, and whose transactions get in."""

from __future__ import annotations

import numpy as np

from contagion.scenario.chain import Chain
from contagion.state.world import World


class Congestion:
    """Gas prices of the steps in which keepers want to act, as multiples of the calm one.

    A keeper offers what it knows, the price of the step before, and a little more; it gets in if that covers the price
    now. So while the price rises those who offer little are left out, and those with a limit stay out.

    Attributes
    ----------
    multiple : float
        Price of gas in this step over the calm price, at least one. [1]
    last : float
        The same for the step before: what keepers know. [1]
    """

    def __init__(self, world: World, chain: Chain) -> None:
        self.world, self.chain = world, chain
        self._window = max(1, round(chain.window / world.scenario.dt))
        self._step, self._wanted = -1, 0.0
        self.multiple = self.last = 1.0

    def open_step(self, wanted: float) -> None:
        """Keepers want so many transactions in this step."""
        step = self.world.step
        self.last = gas_multiple(self._others(step - 1) + (self._wanted if self._step == step - 1 else 0.0), self.chain)
        self._step, self._wanted = step, wanted
        self.multiple = gas_multiple(self._others(step) + wanted, self.chain)
        counters = self.world.counters
        counters["gas_multiple_peak"] = max(counters.get("gas_multiple_peak", 1.0), self.multiple)
        self.world.step_counters["gas_multiple_peak"] = self.multiple

    def admits(self, overbid: float, limit: float) -> bool:
        """Whether a keeper who offers `overbid` above the last price, and `limit` at most, gets in. [1]"""
        return min(limit, (1.0 + overbid) * self.last) >= self.multiple

    def _others(self, step: int) -> float:
        """Transactions that others want in a step."""
        path, step = self.world.path, max(step, 0)
        before = path[max(0, step - self._window), 1:]
        move = float(np.abs(np.log(path[step, 1:] / before)).max(initial=0.0))
        return self.chain.others * (1.0 + self.chain.activity * move)


def gas_multiple(wanted: float, chain: Chain) -> float:
    """Price of gas over the calm price: the price at which no more is wanted than fits. [1]"""
    return max(1.0, wanted / chain.capacity) ** chain.exponent
