"""What a run leaves: its tables in memory, and the folder they are kept in.

A folder appears complete or not at all, equal tables give equal bytes, and reading checks every file against its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contagion.errors import ContagionError, InputError
from contagion.provenance import provenance, scenario_hash

TABLES = ("steps", "rounds", "ledger", "agents", "facts", "burden", "exposures", "failures")
MANIFEST = "manifest.json"
FORMAT = 1

FACT_COLUMNS = {"name": str, "observed": float, "simulated": float, "unit": str, "role": str, "source": str}
BURDEN_COLUMNS = {"origin": str, "bearer": str, "amount": float}
EXPOSURE_COLUMNS = {"when": str, "creditor": str, "debtor": str, "kind": str, "amount": float}
FAILURE_COLUMNS = {"step": int, "agent": str, "failure": str, "cause": str, "amount": float}
FREE_FOLDER = "a folder that is new or empty"


def _no_rows(columns: Mapping[str, type]) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


_LATER_TABLES = {
    "burden": _no_rows(BURDEN_COLUMNS),
    "exposures": _no_rows(EXPOSURE_COLUMNS),
    "failures": _no_rows(FAILURE_COLUMNS),
}
"""Tables that folders written by earlier versions lack."""


@dataclass(frozen=True, eq=False, repr=False)
class RunResult:
    """What one run found.

    Attributes
    ----------
    outcomes : dict of str to float
        The row this run contributes to a sweep.
    steps, rounds : DataFrame
        One row a step; one row a cascade round.
    ledger : DataFrame
        One row a transfer: step, round, phase, cause, layer, deficit_id, payer, payee, amount paid [USD].
    agents : DataFrame
        Final state, one row an agent.
    facts : DataFrame
        Observed facts of the event beside simulated values: name, observed, simulated, unit, role (``input`` or
        ``check``), source.
    burden : DataFrame
        Socialised losses from the venue where they arose to who bore them in the end: origin, bearer, amount [USD].
    exposures : DataFrame
        The exposure graph at the opening and at the end: when (``start`` or ``end``), creditor, debtor, kind, amount
        [USD]. Empty where ledger rows were not kept.
    failures : DataFrame
        Who failed because of whom, in order: step, agent, failure (the first time it is ``illiquid``, in ``default``,
        ``insolvent``, ``failed``, ``halted``, has ``bad debt``, its claim is ``worth less`` than at the opening or
        traded ``below its value``), cause (an institution, group, asset, ``itself``, ``withdrawals`` or ``outside``)
        and amount: what it had lost there by then, recognised or not, or what had been withdrawn [USD].
    manifest : dict
        What ran: scenario as plain values, its hash, seed, steps done, whether the run finished, warnings.
    """

    outcomes: dict[str, float]
    steps: pd.DataFrame
    rounds: pd.DataFrame
    ledger: pd.DataFrame
    agents: pd.DataFrame
    facts: pd.DataFrame = field(default_factory=_no_rows(FACT_COLUMNS))
    manifest: dict[str, Any] = field(default_factory=dict)
    burden: pd.DataFrame = field(default_factory=_LATER_TABLES["burden"])
    exposures: pd.DataFrame = field(default_factory=_LATER_TABLES["exposures"])
    failures: pd.DataFrame = field(default_factory=_LATER_TABLES["failures"])

    def __repr__(self) -> str:
        name, seed = self.manifest.get("scenario", {}).get("name", "unnamed"), self.manifest.get("seed")
        state = "" if self.manifest.get("finished", True) else ", interrupted"
        return f"<RunResult {name}, seed {seed}: {len(self.steps)} steps, {len(self.ledger)} ledger rows{state}>"


def describe_run(
    scenario: Mapping[str, Any], seed: int, steps_done: int, finished: bool, warnings: list[str] | None = None
) -> dict[str, Any]:
    """The manifest of a run, without where and when it ran: `save` adds that.

    Parameters
    ----------
    scenario : mapping
        The scenario as plain JSON values, every default filled in.
    seed : int
        Root of every random draw.
    steps_done : int
        Steps whose rows are in the result.
    finished : bool
        False if the run was interrupted.
    warnings : list of str, optional
        What a reader of the numbers has to know (a bound on rounds that was hit, gaps in a price file).
    """
    return {
        "scenario": dict(scenario),
        "scenario_hash": scenario_hash(scenario),
        "seed": seed,
        "steps_done": steps_done,
        "finished": finished,
        "warnings": list(warnings or ()),
    }


def require_free(out_dir: str | os.PathLike[str]) -> Path:
    """The folder, made absolute, if results can be saved there; `InputError` if it is taken or cannot be written."""
    out = Path(out_dir).resolve()
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError("out", str(out_dir), f"{FREE_FOLDER}; this one exists and is not empty")
        with tempfile.TemporaryDirectory(prefix=".contagion-", dir=_nearest_folder(out)):
            pass
    except OSError as error:
        raise InputError("out", str(out_dir), f"{FREE_FOLDER} that can be written ({_reason(error)})") from error
    return out


def save(result: RunResult, out_dir: str | os.PathLike[str]) -> Path:
    """Write a result into a new or empty folder, complete or not at all.

    The Parquet files of equal tables are equal byte for byte; time, versions and commit go into ``manifest.json`` only.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        The folder is not new or empty, or cannot be written; or a table has an index of its own.
    ContagionError
        Writing failed on the way (a full disk, say). Nothing is left behind.
    """
    out = require_free(out_dir)
    tables = {"outcomes": _outcome_table(result.outcomes)}
    tables |= {name: _arrow_table(name, getattr(result, name)) for name in TABLES}
    with _appearing_at_once(out) as folder:
        files = {}
        for name, table in tables.items():
            path = folder / f"{name}.parquet"
            pq.write_table(table, path, compression="zstd")
            files[path.name] = {"rows": table.num_rows, "sha256": _sha256_on_disk(path)}
        manifest = {"format": FORMAT, **provenance(), **result.manifest, "files": files}
        path = folder / MANIFEST
        path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        _sha256_on_disk(path)
    return out


def load(folder: str | os.PathLike[str]) -> RunResult:
    """Read a saved result: the same frames, dtypes included.

    Raises
    ------
    InputError
        The folder holds no result, or one whose files are missing or are not the ones that were written.
    """
    folder = Path(folder)
    accepted = "a folder written by a run"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        if manifest["format"] != FORMAT:
            raise InputError("results", str(folder), f"format {FORMAT}; the manifest says {manifest['format']!r}")
    except OSError as error:
        raise InputError("results", str(folder), f"{accepted} ({MANIFEST}: {_reason(error)})") from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("results", str(folder), f"{accepted}; its {MANIFEST} is damaged") from error
    frames = {
        name: _LATER_TABLES[name]()
        if name in _LATER_TABLES and f"{name}.parquet" not in files
        else _read_table(folder / f"{name}.parquet", files)
        for name in ("outcomes", *TABLES)
    }
    outcomes = frames.pop("outcomes")
    return RunResult(outcomes=dict(zip(outcomes["name"], outcomes["value"], strict=True)), manifest=manifest, **frames)


def _outcome_table(outcomes: Mapping[str, float]) -> pa.Table:
    return pa.table({"name": pa.array(list(outcomes), pa.string()), "value": pa.array(outcomes.values(), pa.float64())})


def _arrow_table(name: str, frame: pd.DataFrame) -> pa.Table:
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        raise InputError(f"{name}.index", type(frame.index).__name__, "rows numbered from 0; use reset_index()")
    return pa.Table.from_pandas(frame, preserve_index=False)


def _read_table(path: Path, files: Mapping[str, Any]) -> pd.DataFrame:
    accepted = "the file the run wrote"
    try:
        if _sha256(path) != files[path.name]["sha256"]:
            raise InputError("results", str(path), f"{accepted}; its content does not match the hash in {MANIFEST}")
        table = pq.read_table(path, use_threads=False)
    except OSError as error:
        raise InputError("results", str(path), f"{accepted} ({_reason(error)})") from error
    except (KeyError, TypeError) as error:
        raise InputError("results", str(path), f"{accepted}; {MANIFEST} does not list it") from error
    frame = table.to_pandas()
    for column in table.schema.pandas_metadata["columns"] if table.schema.pandas_metadata else ():
        if column["numpy_type"] == "object":  # pandas 3 would read text in such a column as its own text dtype
            frame[column["name"]] = pd.Series(table[column["field_name"]].to_pylist(), dtype=object)
    return frame


@contextmanager
def _appearing_at_once(out: Path) -> Iterator[Path]:
    """A staging folder that becomes `out` at the end, or vanishes."""
    # An existing empty folder may be a mount point or have a parent that cannot be written: it is filled from inside.
    inside = out.exists()
    stage = (out if inside else _nearest_folder(out)) / f".{out.name}.{os.urandom(4).hex()}.partial"
    made: list[Path] = []
    moved: list[Path] = []
    try:
        stage.mkdir()
        yield stage
        if inside:
            # The manifest goes last: without it a folder is no result.
            for path in sorted(stage.iterdir(), key=lambda path: path.name == MANIFEST):
                moved.append(out / path.name)
                path.rename(moved[-1])
            stage.rmdir()
        else:
            for path in [path for path in reversed(out.parents) if not path.exists()]:
                path.mkdir()
                made.append(path)
            stage.rename(out)
    except BaseException as error:
        shutil.rmtree(stage, ignore_errors=True)
        for path in moved:
            path.unlink(missing_ok=True)
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            message = f"results could not be written to {out}: {_reason(error)}; nothing is left there"
            raise ContagionError(message) from error
        raise
    _sync_folder(out if inside else out.parent)


def _nearest_folder(out: Path) -> Path:
    """`out` itself or its nearest ancestor that exists."""
    return next(folder for folder in (out, *out.parents) if folder.exists())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_on_disk(path: Path) -> str:
    """Hash of a file just written, once it has reached the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return _sha256(path)


def _sync_folder(folder: Path) -> None:
    """Make new names in a folder outlast a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
