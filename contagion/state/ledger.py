"""The ledger: one row for every value that passes from one agent to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
"""Rows of one call that are kept as columns, which is less to write than whole rows."""

_HEAD = ("step", "round", "phase", "cause", "layer")


@dataclass(frozen=True, slots=True)
class Block:
    """Many rows of one call: what they have in common once, an array for what differs. Read by column, as rows are."""

    place: int  # rows of the ledger's own table that come before it
    step: int
    round: int
    phase: int
    cause: int
    layer: int
    deficit: int | np.ndarray
    payer: int | np.ndarray
    payee: int | np.ndarray
    amount: np.ndarray  # [USD]

    def __len__(self) -> int:
        return len(self.amount)

    def __getitem__(self, column: str) -> np.ndarray:
        return np.broadcast_to(np.asarray(getattr(self, column), ROW[column]), len(self))

    def write(self, rows: np.ndarray) -> None:
        """Write them out one by one."""
        columns = (self[column] for column in ("deficit", "payer", "payee"))
        write_rows(rows, *(getattr(self, column) for column in _HEAD), *columns, self.amount)


Part = np.ndarray | Block
"""Consecutive rows: both kinds are read by column."""


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
        self._blocks: list[Block] = []
        self._size = self._in_blocks = self._dropped = 0
        self._step_start = self._folded = (0, 0)  # rows of the table and blocks before
        self.absorbed = np.zeros(len(layers))  # what each layer bore of deficits [USD]
        institutions = int((agent_kinds != AgentKind.TRADER).sum())  # they come first
        self.borne = np.zeros(institutions)  # what each institution or fund bore of deficits [USD]
        self.totals = np.zeros((len(Cause), len(layers) + 1, 5, 5))
        self.listeners: list[Callable[[np.ndarray], None]] = []  # each is handed every row once, as it is counted

    def __len__(self) -> int:
        return self._size + self._in_blocks

    @property
    def listed(self) -> int:
        """Rows so far, those that were summed and dropped too."""
        return self._dropped + self._size + self._in_blocks

    def rows(self) -> np.ndarray:
        """All rows kept so far, structured array of dtype ROW."""
        return self._written((0, 0))

    def rows_of_step(self) -> np.ndarray:
        """Rows booked since :meth:`open_step`."""
        return self._written(self._step_start)

    def parts_of_step(self, cause: Cause | None = None) -> list[Part]:
        """The same in parts, blocks as they are: all rows, or those of one cause."""
        if self._step_start == (self._size, len(self._blocks)):
            return []
        parts = self._parts(self._step_start)
        if cause is None:
            return list(parts)
        found = (part if isinstance(part, Block) else part[part["cause"] == cause] for part in parts)
        return [part for part in found if len(part) and (isinstance(part, np.ndarray) or part.cause == cause)]

    def _parts(self, start: tuple[int, int]) -> Iterator[Part]:
        at, first = start
        for block in self._blocks[first:]:
            if block.place > at:
                yield self._rows[at : block.place]
                at = block.place
            yield block
        if self._size > at:
            yield self._rows[at : self._size]

    def _written(self, start: tuple[int, int]) -> np.ndarray:
        if start[1] == len(self._blocks):
            return self._rows[start[0] : self._size]
        parts = list(self._parts(start))
        rows, at = np.empty(sum(len(part) for part in parts), ROW), 0
        for part in parts:
            room = rows[at : at + len(part)]
            if isinstance(part, Block):
                part.write(room)
            else:
                room[:] = part
            at += len(part)
        return rows

    def open_step(self, step: int) -> None:
        """Begin a step. Where rows are not kept, sums take them in and drop them a block at a time."""
        if not self.keep and len(self) > BLOCK:
            self.fold()
            self._dropped += len(self)
            self._size = self._in_blocks = 0
            self._blocks.clear()
            self._folded = (0, 0)
        self._step_start = (self._size, len(self._blocks))
        self.step, self.round = step, 0

    def fold(self) -> None:
        """Count the rows not yet counted: into `totals`, `absorbed` and `borne`, and with the listeners."""
        for part in self._parts(self._folded):
            if isinstance(part, Block):
                rows = np.empty(len(part), ROW)
                part.write(rows)
                self._count(rows)
            else:
                self._count(part)
        self._folded = (self._size, len(self._blocks))

    def _count(self, rows: np.ndarray) -> None:
        index = (rows["cause"], rows["layer"] + 1, self._kinds[rows["payer"]], self._kinds[rows["payee"]])
        np.add.at(self.totals.ravel(), np.ravel_multi_index(index, self.totals.shape), rows["amount"])
        borne = rows[(rows["cause"] == Cause.ALLOCATION) & (rows["deficit"] >= 0)]
        np.add.at(self.absorbed, borne["layer"], borne["amount"])
        by_institution = borne[borne["payer"] < len(self.borne)]
        np.add.at(self.borne, by_institution["payer"], by_institution["amount"])
        for listen in self.listeners:
            listen(rows)

    def append(
        self, phase: Phase, cause: Cause, payer, payee, amount: np.ndarray, layer: int = -1, deficit=-1
    ) -> Part:  # fmt: skip
        """Append rows; `payer`, `payee` and `deficit` broadcast against `amount`, which must not be negative."""
        if len(amount) > MANY:
            return self.keep_columns(phase, cause, _own(payer), _own(payee), amount.copy(), layer, _own(deficit))
        self._reserve(len(amount))
        rows = self._rows[self._size : self._size + len(amount)]
        self._size += len(amount)
        rows["step"], rows["round"], rows["phase"], rows["cause"] = self.step, self.round, phase, cause
        rows["layer"], rows["deficit"], rows["payer"], rows["payee"] = layer, deficit, payer, payee
        rows["amount"] = amount
        return rows

    def keep_columns(
        self, phase: Phase, cause: Cause, payer, payee, amount: np.ndarray, layer: int = -1, deficit=-1
    ) -> Part:  # fmt: skip
        """The same without a copy where they are many: the caller leaves its arrays, which are int32, to the ledger."""
        if len(amount) <= MANY:
            return self.append(phase, cause, payer, payee, amount, layer, deficit)
        block = Block(
            self._size, self.step, self.round, int(phase), int(cause), layer, deficit, payer, payee, amount
        )  # fmt: skip
        self._blocks.append(block)
        self._in_blocks += len(block)
        return block

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


def _own(column) -> int | np.ndarray:
    """One number where all rows have the same, else a copy."""
    column = np.asarray(column)
    if column.ndim == 0 or column.strides == (0,):
        return int(column.flat[0])
    return column.astype(np.int32)
