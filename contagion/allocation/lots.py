"""Taken-over units by the bankrupt account they came from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from contagion.state.tables import State

_EMPTY = np.zeros(0)


@dataclass(slots=True)
class Lots:
    """Units of one instrument on a takeover account, one lot per bankrupt account. Arrays of shape (n_lots,)."""

    instrument: int
    takeover: int  # account row
    units: np.ndarray = field(default_factory=lambda: _EMPTY)  # signed as the bankrupt's
    bankruptcy: np.ndarray = field(default_factory=lambda: _EMPTY)  # price of zero equity [settlement asset]
    deficit: np.ndarray = field(default_factory=lambda: _EMPTY.astype(np.int64))  # id, -1 if none

    def add(self, units: float | np.ndarray, bankruptcy: float | np.ndarray, deficit: int | np.ndarray) -> None:
        """One lot, or many."""
        self.units = np.append(self.units, units)
        self.bankruptcy = np.append(self.bankruptcy, bankruptcy)
        self.deficit = np.append(self.deficit, deficit)

    def give(self, chosen: np.ndarray, share: float) -> None:
        """Take a share of the units out of the chosen lots."""
        self.units[chosen] *= 1.0 - min(1.0, share)
        self._drop_empty()

    def reconcile(self, held: float, price: float) -> None:
        """Make the lots add up to what the takeover account holds.

        Units it sold in the market since come out of all lots of that side pro rata; units that came without a lot
        become one of no deficit at `price` [settlement asset].
        """
        excess = float(self.units.sum()) - held
        scale = abs(held) + float(np.abs(self.units).sum())
        if abs(excess) <= 1e-12 * scale:
            return
        same = self.units * excess > 0.0
        there = abs(float(self.units[same].sum()))
        if there > 0.0:
            self.units[same] *= 1.0 - min(1.0, abs(excess) / there)
        if abs(excess) > there + 1e-12 * scale:
            self.add(np.copysign(abs(excess) - there, -excess), price, -1)
        self._drop_empty()

    def _drop_empty(self) -> None:
        keep = self.units != 0.0
        if not keep.all():
            self.units, self.bankruptcy, self.deficit = self.units[keep], self.bankruptcy[keep], self.deficit[keep]


def open_positions(state: State, account: int) -> tuple[np.ndarray, np.ndarray]:
    """Instruments and signed units of an account's positions that are not flat."""
    rows = slice(int(state.accounts.start[account]), int(state.accounts.start[account + 1]))
    units = state.positions.units[rows]
    some = units != 0.0
    return state.positions.instrument[rows][some].astype(np.int64), units[some].copy()
