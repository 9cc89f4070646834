"""The ledger: one row for every value that passes from one agent to another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from contagion.state.codes import AgentKind, Cause, Phase
from contagion.state.posting import write_rows

ROW = np.dtype(
    [
        ("step", "i4"), ("round", "i2"), ("phase", "i1"), ("cause", "i1"), ("layer", "i2"),
        ("deficit", "i4"), ("payer", "i4"), ("payee", "i4"), ("amount", "f8"),
    ]
)  # fmt: skip


BLOCK = 1 << 16
"""Rows held before they are summed and dropped, where only sums are kept."""

MANY = 4096
"""Rows from which one compiled pass is faster than a pass for each column."""


class Ledger:
    """Rows of (step, round, phase, cause, layer, deficit, payer, payee, amount in USD); amounts are positive.

    A row says that `payer` is poorer and `payee` richer by `amount` at the marks of its round. A row whose payer is
    also its payee passes through that agent or stays on it (a venue that bears a loss with its own equity).

    Parameters
    ----------
    keep : bool
        Keep every row (``True``), or only the rows of the current step and their sums by
        (cause, layer, payer kind, payee kind), which is what a sweep needs.
    """

    def __init__(self, agent_kinds: np.ndarray, layers: list[str], keep: bool = True) -> None:
        self.layers = layers
        self.keep = keep
        self.step = self.round = 0
        self._kinds = agent_kinds
        self._rows = np.empty(1024, ROW)
        self._size = self._step_start = self._folded = self._dropped = 0
        self.absorbed = np.zeros(len(layers))  # what each layer bore of deficits [USD]
        institutions = int((agent_kinds != AgentKind.TRADER).sum())  # they come first
        self.borne = np.zeros(institutions)  # what each institution or fund bore of deficits [USD]
        self.totals = np.zeros((len(Cause), len(layers) + 1, 5, 5))
        self.listeners: list[Callable[[np.ndarray], None]] = []  # each is handed every row once, as it is counted

    def __len__(self) -> int:
        return self._size

    @property
    def listed(self) -> int:
        """Rows so far, those that were summed and dropped too."""
        return self._dropped + self._size

    def rows(self) -> np.ndarray:
        """All rows kept so far, structured array of dtype ROW."""
        return self._rows[: self._size]

    def rows_of_step(self) -> np.ndarray:
        """Rows booked since :meth:`open_step`."""
        return self._rows[self._step_start : self._size]

    def open_step(self, step: int) -> None:
        """Begin a step. Where rows are not kept, sums take them in and drop them a block at a time."""
        if not self.keep and self._size > BLOCK:
            self.fold()
            self._dropped += self._size
            self._size = self._folded = 0
        self._step_start = self._size
        self.step, self.round = step, 0

    def fold(self) -> None:
        """Count the rows not yet counted: into `totals`, `absorbed` and `borne`, and with the listeners."""
        rows = self._rows[self._folded : self._size]
        if not len(rows):
            return
        index = (rows["cause"], rows["layer"] + 1, self._kinds[rows["payer"]], self._kinds[rows["payee"]])
        np.add.at(self.totals.ravel(), np.ravel_multi_index(index, self.totals.shape), rows["amount"])
        borne = rows[(rows["cause"] == Cause.ALLOCATION) & (rows["deficit"] >= 0)]
        np.add.at(self.absorbed, borne["layer"], borne["amount"])
        by_institution = borne[borne["payer"] < len(self.borne)]
        np.add.at(self.borne, by_institution["payer"], by_institution["amount"])
        self._folded = self._size
        for listen in self.listeners:
            listen(rows)

    def append(
        self, phase: Phase, cause: Cause, payer, payee, amount: np.ndarray, layer: int = -1, deficit=-1
    ) -> np.ndarray:
        """Append rows; `payer`, `payee` and `deficit` broadcast against `amount`, which must not be negative."""
        rows = self.room(len(amount))
        if len(amount) > MANY:
            payer, payee, deficit = (np.broadcast_to(item, amount.shape) for item in (payer, payee, deficit))
            head = (self.step, self.round, int(phase), int(cause), layer)
            write_rows(rows, *head, deficit, payer, payee, amount)
            return rows
        rows["step"], rows["round"], rows["phase"], rows["cause"] = self.step, self.round, phase, cause
        rows["layer"], rows["deficit"], rows["payer"], rows["payee"] = layer, deficit, payer, payee
        rows["amount"] = amount
        return rows

    def room(self, count: int) -> np.ndarray:
        """Append rows for the caller to fill; :meth:`keep_first` gives back what it did not use."""
        self._reserve(count)
        self._size += count
        return self._rows[self._size - count : self._size]

    def keep_first(self, size: int) -> None:
        """Drop rows that were appended and not filled, so that `size` are left."""
        self._size = size

    def append_one(
        self, phase: Phase, cause: Cause, payer: int, payee: int, amount: float, layer: int = -1, deficit: int = -1
    ) -> None:
        """Append one row; the same as :meth:`append`, without the cost of arrays."""
        self._reserve(1)
        self._rows[self._size] = (self.step, self.round, phase, cause, layer, deficit, payer, payee, amount)
        self._size += 1

    def _reserve(self, count: int) -> None:
        if self._size + count > len(self._rows):
            grown = np.empty(max(2 * len(self._rows), self._size + count), ROW)
            grown[: self._size] = self._rows[: self._size]
            self._rows = grown

    def frame(self, name_of) -> pd.DataFrame:
        """Rows with names: step, round, phase, cause, layer, deficit_id, payer, payee, amount [USD].

        `name_of` maps an agent row to its name. `layer` is empty and `deficit_id` -1 where there is none.
        """
        rows = self.rows()
        nodes, inverse = np.unique(np.concatenate([rows["payer"], rows["payee"]]), return_inverse=True)
        names = pd.array([name_of(int(node)) for node in nodes], dtype="str")
        phases = {int(phase): phase.name.lower() for phase in Phase}
        causes = {int(cause): cause.name.lower() for cause in Cause}
        layers = dict(enumerate(self.layers)) | {-1: ""}
        return pd.DataFrame(
            {
                "step": rows["step"],
                "round": rows["round"],
                "phase": pd.Series(rows["phase"]).map(phases).astype("str"),
                "cause": pd.Series(rows["cause"]).map(causes).astype("str"),
                "layer": pd.Series(rows["layer"]).map(layers).astype("str"),
                "deficit_id": rows["deficit"],
                "payer": names[inverse[: len(rows)]],
                "payee": names[inverse[len(rows) :]],
                "amount": rows["amount"],
            }
        )
