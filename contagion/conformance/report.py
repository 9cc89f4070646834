"""The table of `contagion conformance`: per topic how the cases ended, then what failed and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contagion.conformance.runner import Outcome, Status
from contagion.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[2]
COLUMNS = (Status.PASSED, Status.FAILED, Status.OUT_OF_SCOPE, Status.NOT_YET, Status.SKIPPED)


def default_folder() -> Path:
    """Case files of the checkout the package runs from.

    Raises
    ------
    InputError
        The package is installed without its tests.
    """
    folder = CHECKOUT / "tests" / "conformance" / "cases"
    if not folder.is_dir():
        raise InputError("DIR", None, "a folder with case files: the installed package brings none")
    return folder


def data_folder() -> Path:
    """Where large inputs of some cases lie, beside the checkout; it need not exist."""
    return CHECKOUT.parent / "shared" / "conformance"


def report(outcomes: list[Outcome]) -> RenderableType:
    """Counts per topic, and the reasons, each once."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("topic")
    for status in COLUMNS:
        table.add_column(str(status), justify="right")
    topics = list(dict.fromkeys(outcome.topic for outcome in outcomes))
    counts = {topic: Counter(outcome.status for outcome in outcomes if outcome.topic == topic) for topic in topics}
    for topic in topics:
        table.add_row(topic, *(str(counts[topic][status]) for status in COLUMNS))
    total = Counter(outcome.status for outcome in outcomes)
    table.add_row("all", *(str(total[status]) for status in COLUMNS), style="bold")
    blocks: list[RenderableType] = [table]
    failed = [f"{outcome.case}: {outcome.detail}" for outcome in outcomes if outcome.status is Status.FAILED]
    blocks += _section("Failed", failed)
    for status in (Status.OUT_OF_SCOPE, Status.NOT_YET, Status.SKIPPED):
        models: dict[str, list[str]] = {}
        for outcome in outcomes:
            if outcome.status is status and outcome.model not in models.setdefault(outcome.detail, []):
                models[outcome.detail].append(outcome.model)
        blocks += _section(str(status).capitalize(), [f"{', '.join(names)}: {why}" for why, names in models.items()])
    return Group(*blocks)


def _section(title: str, lines: list[str]) -> list[RenderableType]:
    if not lines:
        return []
    return [Text(""), Text(title, style="bold"), *(Text(f"  {line}") for line in lines)]
