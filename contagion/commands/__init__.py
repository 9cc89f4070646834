"""Commands of the command line, by topic; :mod:`contagion.cli` puts them together."""

from __future__ import annotations

from typing import Annotated

import typer


def bundled_names(begun: str) -> list[str]:
    """Names of bundled scenarios, for the completion of a shell."""
    from contagion.scenario import bundled_scenarios

    return [name for name in bundled_scenarios() if name.startswith(begun)]


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="A bundled name, or the path of a YAML file.", autocompletion=bundled_names
    ),
]


class Interrupted(Exception):
    """The user stopped a command; the message says what was kept and where."""
