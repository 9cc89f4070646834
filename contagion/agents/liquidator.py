"""Liquidators: their margin takes breached positions over at a discount, and they sell them on."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numba import njit

from contagion.agents.behaviours import Behaviour, NotNegative, Share, _vector
from contagion.agents.rules import Seen


@njit(cache=True, error_model="numpy")
def unwind(seen: Seen, p: np.ndarray) -> float:
    """Sell a share of what is held. Parameters: share per step."""
    return -p[0] * seen.units


class Liquidator(Behaviour):
    """Takes positions over where a venue's liquidation names liquidators, and sells them on in the market.

    Parameters
    ----------
    minimum_discount
        Least discount to the mark it acts for. [1]
    speed
        Share of its inventory sold per step. [1]
    """

    minimum_discount: NotNegative = 0.0
    speed: Share = 0.2

    rule: ClassVar[Any] = unwind

    def vector(self) -> np.ndarray:
        return _vector(self.speed)
