"""What the columns of results mean: the definitions of docs/outcomes.md, and those of a sweep's own columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import contagion

OWN = {
    "run_key": ("hash of the run's scenario, seed, mirroring and the version of results", "", ""),
    "policy": ("name of the policy", "", ""),
    "world": ("number of the draw of all uncertainties", "", ""),
    "replication": ("number of the repetition of a policy on a world", "", ""),
    "seed": ("root of the run's random draws", "", ""),
    "mirrored": ("whether the run has the antithetic draws of its seed", "", ""),
    "error": ("why the run failed; empty if it did not", "", ""),
}
AMOUNTS = ("USD", "count", "steps")
"""Units of outcomes that are zero where a scenario has nothing that they could count."""


@dataclass(frozen=True)
class Definition:
    """One column: what it is, its unit, and what it is divided by (empty where nothing)."""

    name: str
    meaning: str
    unit: str = ""
    denominator: str = ""


def define(columns: Iterable[str], swept: Iterable[str] = ()) -> list[Definition]:
    """Definitions of columns, in their order."""
    fields = set(swept)
    return [_define(column, column in fields) for column in columns]


def is_amount(outcome: str) -> bool:
    """Whether a run that does not report this outcome has none of it, so that it is 0 there."""
    return _define(outcome, False).unit in AMOUNTS


def is_known(outcome: str) -> bool:
    """Whether the page has this outcome, or a pattern that it fits."""
    return any(_matches(row.name, outcome) for row in defined())


def is_counted(outcome: str) -> bool:
    """Whether it is an amount that the page has by this very name: where no run reports it, all have none of it."""
    return any(row.name == outcome and row.unit in AMOUNTS for row in defined())


@cache
def _define(column: str, swept: bool) -> Definition:
    if column in OWN:
        return Definition(column, *OWN[column])
    if swept:
        return Definition(column, "field of the scenario that is swept, in its unit there")
    exact = [row for row in defined() if row.name == column]
    alike = [row for row in defined() if _matches(row.name, column)]
    found = next(iter(exact or sorted(alike, key=lambda row: -len(row.name.partition("<")[0]))), None)
    if found is None:
        return Definition(column, "counter of a rule or scenario of one's own")
    return Definition(column, found.meaning, found.unit, found.denominator)


def _matches(pattern: str, column: str) -> bool:
    expression = re.sub(r"<\w+>", "(.+)", re.escape(pattern).replace(r"\<", "<").replace(r"\>", ">"))
    return re.fullmatch(expression, column) is not None


@cache
def defined() -> tuple[Definition, ...]:
    """The rows of docs/outcomes.md; a name may have places to fill in, like ``<venue>``."""
    rows = []
    for line in _text().split("## Beyond the row")[0].splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) >= 3:
            rows.append(Definition(cells[0], cells[1], cells[2], cells[3] if len(cells) > 3 else ""))
    return tuple(rows)


def _text() -> str:
    """The page, which a wheel carries inside the package."""
    package = Path(contagion.__file__).parent
    places = [package / "outcomes" / "outcomes.md", package.parent / "docs" / "outcomes.md"]
    return next(place.read_text(encoding="utf-8") for place in places if place.is_file())
