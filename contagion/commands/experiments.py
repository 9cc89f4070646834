"""``contagion sweep`` and ``contagion results``."""

from __future__ import annotations

import json
import operator
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from contagion.commands import Interrupted
from contagion.errors import ContagionError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from contagion.experiment.store import Results

COMPARISONS = {
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
ROWS_SHOWN = 20
POLICY_SHOWN, VALUE_SHOWN = 14, 14  # letters


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(sweep)
    app.command()(results)


def sweep(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An experiment file; see contagion schema --experiment.")],
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder; results/NAME if not given.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine; by default all cores.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers make the runs instead.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in a folder of a changed experiment.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Repeat runs that failed before.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary: the folder only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Folder, runs and failures as JSON.")] = False,
) -> None:
    """Run an experiment; what is done already is not repeated, so a sweep that was stopped goes on."""
    from contagion.experiment.sweeps import folder_of
    from contagion.experiment.sweeps import sweep as run

    folder = folder_of(file, out)
    try:
        found = run(
            file, folder, workers=workers, scheduler=scheduler, resume=resume, retry=retry, progress=not quiet
        )
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; runs that are done are in {folder}, the same command goes on") from None
    if as_json:
        typer.echo(json.dumps({"folder": str(found.folder), "runs": len(found.runs), "failed": len(found.failures)}))
        return
    if quiet:
        typer.echo(found.folder)
        return
    typer.echo(_headline(found))
    if found.experiment.stopping is not None:
        from contagion.experiment.stopping import reached

        typer.echo(reached(found))
    for error, rows in found.failures.groupby("error", sort=False):
        first = rows.iloc[0]
        typer.echo(f"{len(rows):,} failed: {error} (policy {first.policy}, world {first.world}, seed {first.seed})")


def results(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder of a sweep, finished or not.")],
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write the rows there; - is standard output.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Rows to keep: 'policy=none', 'deficit>1e6'.")
    ] = None,
    failures: Annotated[bool, typer.Option("--failures", help="Runs that failed instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The rows as JSON.")] = False,
) -> None:
    """List, filter and export the runs of a sweep; rows always come in the same order."""
    from contagion.experiment.store import open_results

    found = open_results(path)
    frame = found.failures if failures else found.runs
    for condition in where or ():
        frame = frame[_holds(frame, condition)]
    if as_json:
        typer.echo(frame.to_json(orient="records", double_precision=15))
    elif csv == "-":
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
    elif csv is not None:
        try:
            frame.to_csv(csv, index=False, lineterminator="\n")
        except OSError as error:
            raise ContagionError(f"{csv} could not be written: {error.strerror or error}") from error
        typer.echo(f"{len(frame):,} rows: {csv}")
    else:
        _show(found, frame)


def _headline(found: Results) -> str:
    asked, done, failed = len(found.plan), len(found.runs), len(found.failures)
    state = "" if done + failed == asked else f" of {asked:,}"
    return f"{found.experiment.name}: {done:,}{state} runs done, {failed:,} failed. Tables and manifest: {found.folder}"


def _show(found: Results, frame: pd.DataFrame) -> None:
    from rich.table import Table

    from contagion.terminal import cut, number, stdout

    typer.echo(_headline(found))
    chosen = [name for name in found.experiment.outcomes if name in frame]
    chosen = chosen or [name for name in ("system_loss", "deficit", "error") if name in frame]
    levers = found.experiment.levers  # the name of a policy has their values
    swept = [path for path in found.experiment.swept if path not in levers]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    columns = ["policy", "world", "replication", *swept, *chosen]
    for name in columns:
        heading = "run" if name == "replication" else cut(name, POLICY_SHOWN if name == "policy" else VALUE_SHOWN)
        table.add_column(heading, overflow="fold", justify="left" if frame[name].dtype.kind not in "if" else "right")
    for policy, *values in frame[columns].head(ROWS_SHOWN).itertuples(index=False):
        cells = (number(value) if isinstance(value, float) else cut(str(value), VALUE_SHOWN) for value in values)
        table.add_row(cut(policy, POLICY_SHOWN), *cells)
    stdout().print(table)
    if len(frame) > ROWS_SHOWN:
        typer.echo(f"... and {len(frame) - ROWS_SHOWN:,} more rows and all columns: --csv FILE")


def _holds(frame: pd.DataFrame, condition: str) -> pd.Series:
    from contagion.scenario.check import nearest

    parts = re.fullmatch(r"(.*?)\s*(!=|<=|>=|=|<|>)\s*(.*)", condition.strip())
    if parts is None:
        raise InputError("--where", condition, "COLUMN=VALUE, or with !=, <, <=, > or >=")
    name, sign, text = parts.groups()
    if name not in frame:
        raise InputError("--where", name, f"a column: {', '.join(frame.columns)}{nearest(name, frame.columns)}")
    column = frame[name]
    if column.dtype.kind in "if":
        try:
            return COMPARISONS[sign](column, float(text))
        except ValueError:
            raise InputError("--where", text, f"a number, as in column {name}") from None
    return COMPARISONS[sign](column.astype(str), text)
