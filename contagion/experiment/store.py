"""The folder of a sweep: what was planned, what has been done, and reading both. See docs/results_format.md.

A run counts as done when a part that holds its key is there.
"""

from __future__ import annotations

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

from contagion.errors import InputError
from contagion.experiment.dictionary import define
from contagion.experiment.file import Experiment
from contagion.experiment.folder import PARTIAL, blocks, parquet, parts_of, plan_of, write, write_blocks

FORMAT = 1
MANIFEST, RUNS, FAILURES, DICTIONARY = "manifest.json", "runs.parquet", "failures.parquet", "dictionary.csv"
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

    @cached_property
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
        return self._frame(failures=False)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """One row a run that failed: the same columns without outcomes, and ``error``."""
        return self._frame(failures=True)

    @cached_property
    def plan(self) -> pd.DataFrame:
        """One row a run that was asked for, done or not."""
        tables = [pq.read_table(path) for path in plan_of(self.folder)]
        return (pa.concat_tables(tables) if tables else pa.schema(_TYPES.items()).empty_table()).to_pandas()

    @property
    def dictionary(self) -> pd.DataFrame:
        """One row a column: name, meaning, unit, denominator."""
        return pd.DataFrame(define([*self.runs.columns, "error"], self.experiment.swept))

    def _frame(self, *, failures: bool) -> pd.DataFrame:
        tables = list(blocks(self.folder, self.experiment.outcomes, failures=failures))
        if tables:
            return pa.concat_tables(tables).to_pandas()
        return self.plan.iloc[:0].assign(**({"error": pd.Series(dtype="str")} if failures else {}))


def open_results(path: str | os.PathLike[str]) -> Results:
    """Results of a sweep, also of one that is still going on or was killed.

    Raises
    ------
    InputError
        The folder holds no sweep.
    """
    return Results(Path(path))


class Store:
    """The writer's side of a folder, which must be locked by this process (:func:`contagion.experiment.lock`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("plan", "parts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for left in folder.rglob(f"*{PARTIAL}"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
        self._part = 1 + max((int(path.stem) for path in parts_of(folder)), default=-1)
        self._batch = 0

    def done(self, *, failures: bool) -> set[str]:
        """Keys of the runs that are there: with those that failed, or without."""
        keys: set[str] = set()
        for path in parts_of(self.folder):
            table = pq.read_table(path, columns=["run_key", "error"], use_threads=False)
            chosen = table if failures else table.filter(pc.is_null(table["error"]))
            keys.update(chosen["run_key"].to_pylist())
        return keys

    def open(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest of a start, keeping the provenance of earlier ones, and make room for its plan."""
        history = (read_manifest(self.folder) or {}).get("provenance", [])
        self._describe({"format": FORMAT, **manifest, "provenance": [*history, *manifest["provenance"]]})
        for path in [*plan_of(self.folder), *(self.folder / name for name in (RUNS, FAILURES, DICTIONARY))]:
            path.unlink(missing_ok=True)
        self._batch = 0

    def plan(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append a block of runs that are asked for."""
        arrays = {name: pa.array([row[name] for row in rows], _TYPES.get(name)) for name in rows[0]}
        write(self.folder / "plan" / f"{self._batch:06d}.parquet", parquet(pa.table(arrays)))
        self._batch += 1

    def append(self, part: bytes) -> None:
        """Keep a part, as :func:`~contagion.experiment.folder.encode` made it."""
        write(self.folder / "parts" / f"{self._part:08d}.parquet", part)
        self._part += 1

    def close(self) -> Results:
        """Write everything in one file, in the plan's order, and what its columns mean."""
        first = open_results(self.folder).experiment.outcomes
        counts = {}
        for name, failures in ((RUNS, False), (FAILURES, True)):
            counts[name] = write_blocks(self.folder / name, blocks(self.folder, first, failures=failures))
        results = open_results(self.folder)
        names = pq.read_schema(self.folder / RUNS).names if counts[RUNS] else list(_TYPES)
        table = pd.DataFrame(define([*names, "error"], results.experiment.swept))
        write(self.folder / DICTIONARY, table.to_csv(index=False, lineterminator="\n").encode())
        self._describe({**results.manifest, "runs": counts[RUNS], "failures": counts[FAILURES], "finished": True})
        return open_results(self.folder)

    def _describe(self, manifest: Mapping[str, Any]) -> None:
        write(self.folder / MANIFEST, (json.dumps(manifest, indent=2, ensure_ascii=False, default=str) + "\n").encode())


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
