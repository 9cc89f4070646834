"""The files of a sweep's folder: written complete or not at all, and joined without holding all of them at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contagion.errors import ContagionError
from contagion.experiment.dictionary import is_amount, is_counted

KEY = "S32"
PARTIAL = ".partial"
PARTS_OPEN = 64


def write(path: Path, content: bytes) -> None:
    """Put a file there, complete or not at all.

    Raises
    ------
    ContagionError
        It cannot be written: a full disk, say.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise unwritten(path, partial, error) from error


def write_blocks(path: Path, blocks: Iterator[pa.Table]) -> int:
    """Put one Parquet file there from blocks of rows, a row group each, complete or not at all; the number of rows."""
    partial, rows = path.with_name(path.name + PARTIAL), 0
    try:
        first = next(blocks, None)
        if first is None:
            return 0
        with partial.open("wb") as file:
            with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
                for block in chain([first], blocks):
                    writer.write_table(block)
                    rows += len(block)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise unwritten(path, partial, error) from error
    return rows


def unwritten(path: Path, partial: Path, error: OSError) -> ContagionError:
    """The error of a file that could not be written, with nothing of it left."""
    partial.unlink(missing_ok=True)
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    reason = "the disk is full" if full else error.strerror or str(error)
    return ContagionError(
        f"{path} could not be written: {reason}; runs that are done are kept, the same command goes on from there"
    )


def encode(keys: Sequence[str], outcomes: Sequence[Mapping[str, float]], errors: Sequence[str | None]) -> bytes:
    """A part: one row a run with its key, its error (null if it was done) and its outcomes, as Parquet bytes.

    An outcome that a run does not report is null; one it reports as undefined is nan.
    """
    names = sorted({name for row in outcomes for name in row})
    table = {"run_key": pa.array(keys, pa.string()), "error": pa.array(errors, pa.string())}
    table |= {name: pa.array([row.get(name) for row in outcomes], pa.float64()) for name in names}
    return parquet(pa.table(table))


def parquet(table: pa.Table) -> bytes:
    """The bytes of a Parquet file; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def parts_of(folder: Path) -> list[Path]:
    """The parts of a sweep, in the order they were written."""
    return sorted((folder / "parts").glob("*.parquet"))


def plan_of(folder: Path) -> list[Path]:
    """The blocks of a sweep's plan, in order."""
    return sorted((folder / "plan").glob("*.parquet"))


class Finished:
    """Where the row of each finished run is: in which part, and at which place.

    Some 50 bytes a run; the rows themselves stay on disk.
    """

    def __init__(self, folder: Path) -> None:
        self._parts = parts_of(folder)
        keys, failed, part, row = [np.empty(0, KEY)], [np.empty(0, bool)], [np.empty(0, np.int32)], []
        for order, path in enumerate(self._parts):
            table = pq.read_table(path, columns=["run_key", "error"], use_threads=False)
            keys.append(table["run_key"].to_numpy().astype(KEY))
            failed.append(table["error"].is_valid().to_numpy())
            part.append(np.full(len(table), order, np.int32))
            row.append(np.arange(len(table), dtype=np.int32))
        key, fail = np.concatenate(keys), np.concatenate(failed)
        # A run that failed may have been repeated with success; one that was done twice is the same twice.
        order = np.lexsort((fail, key))
        self.key, first = np.unique(key[order], return_index=True)
        chosen = order[first]
        self.failed, self.part = fail[chosen], np.concatenate(part)[chosen]
        self.row = np.concatenate([np.empty(0, np.int32), *row])[chosen]
        self._table = lru_cache(PARTS_OPEN)(lambda part: pq.read_table(self._parts[part], use_threads=False))

    def places(self, keys: pa.ChunkedArray) -> np.ndarray:
        """Place of each key among the finished runs, -1 where the run is not finished."""
        if not len(self.key):
            return np.full(len(keys), -1)
        wanted = keys.to_numpy().astype(KEY)
        place = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where(self.key[place] == wanted, place, -1)

    def rows(self, places: np.ndarray) -> pa.Table:
        """Rows of finished runs, one per place; columns that a part lacks are null."""
        parts = np.unique(self.part[places])
        tables, start, offset = [], {}, 0
        for part in parts.tolist():
            tables.append(self._table(part))
            start[part], offset = offset, offset + len(tables[-1])
        offsets = np.array([start[part] for part in self.part[places].tolist()], dtype=np.int64)
        return pa.concat_tables(tables, promote_options="default").take(pa.array(offsets + self.row[places]))


def blocks(folder: Path, first: Sequence[str], *, failures: bool = False) -> Iterator[pa.Table]:
    """Blocks of rows of the runs that are done (or that failed), in the plan's order: identity, swept paths, outcomes.

    Outcomes named in `first` lead, also amounts that no run has any of; the others follow by name. An outcome that a
    run does not report is 0 if it is an amount or a count; any other, and one that is undefined, is null.
    """
    finished = Finished(folder)
    found = []
    names: set[str] = set()
    for path in plan_of(folder):
        plan = pq.read_table(path)
        places = finished.places(plan["run_key"])
        chosen = (places >= 0) & (finished.failed[places] == failures) if len(finished.key) else places >= 0
        if not chosen.any():
            continue
        found.append((path, chosen, places[chosen]))
        if not failures:
            rows = finished.rows(places[chosen])
            names |= {name for name in rows.column_names[2:] if rows[name].null_count < len(rows)}
    lead = [name for name in first if name in names or is_counted(name)]
    columns = ["error"] if failures else [*lead, *sorted(names - set(lead))]
    for path, chosen, places in found:
        plan = pq.read_table(path).filter(pa.array(chosen))
        rows = finished.rows(places)
        for name in columns:
            plan = plan.append_column(name, rows["error"] if failures else _outcome(rows, name))
        yield plan.combine_chunks()


def _outcome(rows: pa.Table, name: str) -> Any:
    if name not in rows.column_names:
        return pa.array(np.zeros(len(rows))) if is_amount(name) else pa.nulls(len(rows), pa.float64())
    column = rows[name]
    if is_amount(name):
        column = pc.fill_null(column, 0.0)
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
