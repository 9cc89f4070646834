"""Marks at the median of three prices: one thin book alone then moves nobody's margin."""

from __future__ import annotations

import math

import numpy as np

from contagion.state.codes import InstrumentKind
from contagion.state.world import World

MEMORY = 150.0
"""Time constant of the average of the book's gap to the index. [s]"""


class MedianMarks:
    """Median of the index plus an average of the book's gap to it, of the book, and of other venues' books.

    The average is exponential, ``numerator <- numerator * exp(-t / 150 s) + gap * t`` over the same of the weights,
    with a sample a step (Hyperliquid documentation, robust price indices). The book is one price, which stands for
    bid, ask and last trade; where no other venue lists the asset, the index stands for their books.

    Parameters
    ----------
    rows : list of int
        Contracts that are marked so.
    seconds : float
        Length of a step.
    """

    def __init__(self, world: World, rows: list[int], seconds: float) -> None:
        self.world, self.rows, self.seconds = world, rows, seconds
        self.decay = math.exp(-seconds / MEMORY)
        self.numerator, self.weight = dict.fromkeys(rows, 0.0), 0.0
        self.off_book = np.zeros(len(world.state.instruments.names))  # log of the book's price over the mark
        instruments = world.state.instruments
        contracts = np.isin(instruments.kind, (InstrumentKind.LINEAR, InstrumentKind.INVERSE))
        self.others = {
            row: np.flatnonzero(
                contracts & (instruments.asset == instruments.asset[row])
                & (instruments.venue != instruments.venue[row])
            ).tolist()
            for row in rows
        }  # fmt: skip

    def _index(self, row: int) -> float:
        assets, instruments = self.world.state.assets, self.world.state.instruments
        return float(assets.index[instruments.asset[row]])

    def _book(self, row: int) -> float:
        instruments = self.world.state.instruments
        return self._index(row) * math.exp(float(instruments.basis[row] + instruments.temporary[row]))

    def sample(self) -> None:
        """Take the step's gaps into the averages."""
        self.weight = self.weight * self.decay + self.seconds
        for row in self.rows:
            gap = self._book(row) - self._index(row)
            self.numerator[row] = self.numerator[row] * self.decay + gap * self.seconds

    def mark(self) -> None:
        """Write marks and what follows from them."""
        instruments = self.world.state.instruments
        for row in self.rows:
            index, book = self._index(row), self._book(row)
            average = self.numerator[row] / self.weight if self.weight else 0.0
            elsewhere = float(np.median([self._book(other) for other in self.others[row]] or [index]))
            price = sorted((index + average, book, elsewhere))[1]
            self.off_book[row] = math.log(book / price)
            instruments.mark[row] = price if instruments.sign[row] > 0.0 else 1.0 / price
            instruments.equity_price[row] = instruments.mark[row] - instruments.cumulative_funding[row]
            instruments.value_price[row] = instruments.equity_price[row]
