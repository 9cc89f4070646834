"""``contagion report``."""

from __future__ import annotations

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(report)


def report(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder of a run or of a sweep.")],
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The HTML file, replaced if it exists; PATH/report.html if not given."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a report of a run, a sweep or a comparison: one HTML file that works offline and prints."""
    from contagion.report.html import write_report

    file = write_report(path, out)
    typer.echo(file)
    if show:
        typer.launch(file.resolve().as_uri())
