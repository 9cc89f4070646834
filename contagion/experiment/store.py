"""The folder of a sweep: what was planned, what has been done, and reading both. See docs/results_format.md.

Files appear complete or not at all and are never changed; a run counts as done when a part that holds its key is there.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contagion.errors import ContagionError, InputError
from contagion.experiment.dictionary import define, is_amount
from contagion.experiment.file import Experiment

FORMAT = 1
MANIFEST, RUNS, FAILURES, DICTIONARY = "manifest.json", "runs.parquet", "failures.parquet", "dictionary.csv"
IDENTITY = ("run_key", "policy", "world", "replication", "seed", "mirrored")
_TYPES = {
    "run_key": pa.string(), "policy": pa.string(), "world": pa.int64(), "replication": pa.int64(),
    "seed": pa.int64(), "mirrored": pa.bool_(),
}  # fmt: skip


class Results:
    """Results of a sweep, finished or not.

    Attributes
    ----------
    folder : Path
    manifest : dict
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _manifest(folder)

    def __repr__(self) -> str:
        return f"<Results of {self.experiment.name}: {len(self.runs):,} runs, {len(self.failures):,} failures>"

    @property
    def experiment(self) -> Experiment:
        """The experiment as it was last started."""
        return Experiment.model_validate(self.manifest["experiment"])

    @property
    def scenario(self) -> dict[str, Any]:
        """The base scenario as plain values, overrides included."""
        return self.manifest["scenario"]

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Software and machine of every start, the first one first."""
        return self.manifest["provenance"]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run that was done: ``run_key``, ``policy``, ``world`` (number of the draw of uncertainties),
        ``replication``, ``seed``, ``mirrored``, a column per swept path, a column per outcome."""
        return self._joined.drop(columns="error")[self._joined["error"].isna()].reset_index(drop=True)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """One row a run that failed: the same columns without outcomes, and ``error``."""
        failed = self._joined[self._joined["error"].notna()]
        return failed[[*self.plan.columns, "error"]].reset_index(drop=True)

    @cached_property
    def plan(self) -> pd.DataFrame:
        """One row a run that was asked for, done or not."""
        tables = [pq.read_table(path) for path in sorted((self.folder / "plan").glob("*.parquet"))]
        if not tables:
            return pd.DataFrame({name: pd.Series(dtype=kind.to_pandas_dtype()) for name, kind in _TYPES.items()})
        return pa.concat_tables(tables, promote_options="permissive").to_pandas()

    @property
    def dictionary(self) -> pd.DataFrame:
        """One row a column of `runs`: name, meaning, unit, denominator."""
        return pd.DataFrame(define([*self.runs.columns, "error"], self.experiment.swept))

    @cached_property
    def _joined(self) -> pd.DataFrame:
        parts = [pq.read_table(path) for path in sorted((self.folder / "parts").glob("*.parquet"))]
        done = pa.concat_tables(parts, promote_options="default") if parts else pa.table(
            {"run_key": pa.array([], pa.string()), "error": pa.array([], pa.string())})
        return joined(self.plan, done, self.experiment.outcomes)


def open_results(path: str | os.PathLike[str]) -> Results:
    """Results of a sweep, also of one that is still going on or was killed.

    Raises
    ------
    InputError
        The folder holds no sweep.
    """
    return Results(Path(path))


class Store:
    """The writer's side: one process at a time, which holds the folder's lock.

    Parameters
    ----------
    folder : Path
        Made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("plan", "parts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for left in folder.rglob("*.partial"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        self._number = 1 + max((int(path.stem) for path in (folder / "parts").glob("*.parquet")), default=-1)
        self._batches = 0

    def done(self, *, failures: bool) -> set[str]:
        """Keys of the runs that are there; with those that failed, or without."""
        keys: set[str] = set()
        for path in sorted((self.folder / "parts").glob("*.parquet")):
            table = pq.read_table(path, columns=["run_key", "error"])
            chosen = table if failures else table.filter(table["error"].is_null())
            keys.update(chosen["run_key"].to_pylist())
        return keys

    def describe(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest; earlier provenance is kept."""
        before = read_manifest(self.folder)
        history = (before or {}).get("provenance", [])
        full = {"format": FORMAT, **manifest, "provenance": [*history, *manifest["provenance"]]}
        self.write(self.folder / MANIFEST, (json.dumps(full, indent=2, ensure_ascii=False) + "\n").encode())

    def update(self, **fields: Any) -> None:
        """Change fields of the manifest."""
        full = {**_manifest(self.folder), **fields}
        self.write(self.folder / MANIFEST, (json.dumps(full, indent=2, ensure_ascii=False) + "\n").encode())

    def forget_plan(self) -> None:
        """The plan is written anew at every start; runs that are done stay."""
        for path in (self.folder / "plan").glob("*.parquet"):
            path.unlink()
        for name in (RUNS, FAILURES):
            (self.folder / name).unlink(missing_ok=True)
        self._batches = 0

    def plan(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append a batch of runs that are asked for."""
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        arrays = {name: pa.array(values, _TYPES[name]) if name in _TYPES else _array(values)
                  for name, values in columns.items()}  # fmt: skip
        self.write(self.folder / "plan" / f"{self._batches:06d}.parquet", parquet(pa.table(arrays)))
        self._batches += 1

    def append(self, part: bytes) -> None:
        """Keep a part, as :func:`encode` made it."""
        self.write(self.folder / "parts" / f"{self._number:08d}.parquet", part)
        self._number += 1

    def write(self, path: Path, content: bytes) -> None:
        """A file that appears complete or not at all.

        Raises
        ------
        ContagionError
            It cannot be written: a full disk, say.
        """
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or error
            raise ContagionError(
                f"{path} could not be written: {reason}; finished runs are kept, the same command goes on from there"
            ) from error

    def finish(self) -> None:
        """Write everything in one file, in the plan's order, and what its columns mean."""
        results = open_results(self.folder)
        for name, frame in ((RUNS, results.runs), (FAILURES, results.failures)):
            if name == RUNS or len(frame):
                table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
                self.write(self.folder / name, parquet(table))
        self.write(self.folder / DICTIONARY, results.dictionary.to_csv(index=False).encode())


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


def joined(plan: pd.DataFrame, done: pa.Table, first: Sequence[str] = ()) -> pd.DataFrame:
    """Runs of the plan that are done or failed, in the plan's order, with their outcomes; `first` names lead."""
    done = done.filter(pc.is_in(done["run_key"], pa.array(plan["run_key"], pa.string())))
    fine = done.filter(done["error"].is_null())
    reported = [name for name in done.column_names[2:] if fine[name].null_count < len(fine)]
    frame = done.select(["run_key", "error", *reported]).to_pandas()
    # A run that failed may have been repeated; one that was done twice is the same twice.
    frame = frame.sort_values("error", na_position="first", kind="stable").drop_duplicates("run_key")
    frame = frame.set_index("run_key")
    plan = plan[plan["run_key"].isin(frame.index)].reset_index(drop=True)
    rows = frame.loc[plan["run_key"]].reset_index(drop=True)
    amounts = [name for name in reported if is_amount(name)]
    rows.loc[rows["error"].isna(), amounts] = rows.loc[rows["error"].isna(), amounts].fillna(0.0)
    lead = [name for name in first if name in reported]
    return pd.concat([plan, rows[[*lead, *sorted(set(reported) - set(lead)), "error"]]], axis=1)


def _array(values: list[Any]) -> pa.Array:
    """Values of a swept path: numbers and truth values as they are, anything else as text."""
    if all(isinstance(value, bool) for value in values):
        return pa.array(values, pa.bool_())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return pa.array(values, pa.float64())
    texts = [value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str) for value in values]
    return pa.array(texts, pa.string())


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a sweep; None where there is none."""
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _manifest(folder: Path) -> dict[str, Any]:
    accepted = "the folder of a sweep"
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError) as error:
        raise InputError("results", str(folder), f"{accepted}; its {MANIFEST} cannot be read ({error})") from error
    if manifest is None or "experiment" not in manifest:
        raise InputError("results", str(folder), accepted)
    if manifest["format"] != FORMAT:
        raise InputError("results", str(folder), f"format {FORMAT}; this one has {manifest['format']}")
    return manifest
