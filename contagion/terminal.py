"""What a person at a terminal sees: the summary of a run in 80 columns, and a progress bar.

Every amount in the summary is a sum of ledger rows, so that a reader can check it there.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

    from contagion.results import RunResult

WIDTH = 80
LONGEST_TABLE = 12  # rows; what is left is added up in one

# Counts worth a line of their own, where the run reports them: outcome -> words.
COUNTS = {
    "margin_calls": "margin calls",
    "liquidations": "liquidations",
    "accounts_bankrupt": "accounts below zero",
    "deleveraged_accounts": "positions deleveraged",
    "defaults.traders": "traders in default",
    "defaults.exchanges": "exchanges insolvent",
    "defaults.protocols": "protocols in default",
}


class Progress(Protocol):
    """Called with steps done and steps in all."""

    def __call__(self, done: int, total: int) -> None: ...


def stdout() -> Console:
    """Standard output: at most 80 columns, colours only on a terminal."""
    return Console(width=min(Console().width, WIDTH), highlight=False, markup=False, emoji=False)


def stderr() -> Console:
    """Standard error, as wide as it is."""
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


@contextmanager
def progress_bar(label: str, quiet: bool = False, unit: str = "steps") -> Iterator[Progress]:
    """A bar with rate and remaining time on standard error; silent when that is not a terminal, or `quiet`."""
    console = stderr()
    if quiet or not console.is_terminal:
        yield lambda done, total: None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"), progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=None, rate="")
        start = time.perf_counter()
        drawn = start - 1.0

        def advance(done: int, total: int) -> None:
            nonlocal drawn
            now = time.perf_counter()
            if now - drawn < 0.05 and done < total:  # a small model makes thousands of steps a second
                return
            drawn = now
            bar.update(task, completed=done, total=total, rate=f"{number(done / max(now - start, 1e-9))} {unit}/s")

        yield advance


@contextmanager
def stops_between_steps(progress: Progress) -> Iterator[Progress]:
    """Progress that answers Ctrl-C with KeyboardInterrupt after the step it came in; a second one is answered at once.

    A step that is cut in the middle would leave ledger rows and balances that belong to no finished step.
    """
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if asked:
            raise InterruptedError
        asked = True

    def report(done: int, total: int) -> None:
        progress(done, total)
        if asked:
            raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread, which is the one signals come to
        yield progress
        return
    try:
        yield report
    finally:
        signal.signal(signal.SIGINT, before)


def summary(result: RunResult) -> RenderableType:
    """The run in words and tables: what happened, the deficits, who paid, other rows, observed beside simulated."""
    blocks = [
        _what_happened(result),
        _deficits(result.ledger),
        _who_paid(result.ledger),
        _other_transfers(result.ledger),
        _failures(result),
        _facts(result.facts),
        _warnings(result.manifest),
    ]
    return Group(*(Padding(block, (0, 0, 1, 0)) for block in blocks if block is not None))


def amount(value: float) -> str:
    """An amount in USD with four significant digits, say 1.234 m."""
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.4g}")
    for unit, size in (("bn", 1e9), ("m", 1e6), ("k", 1e3)):
        if abs(rounded) >= size:
            digits = 3 - math.floor(math.log10(abs(rounded) / size))
            return f"{rounded / size:,.{max(digits, 0)}f} {unit}"
    return f"{rounded:.2f}"


def cut(text: str, width: int) -> str:
    """A name in `width` letters; of a path, or a path with its value, the end says more than the beginning."""
    if len(text) <= width:
        return text
    return f"…{text[1 - width :]}" if "." in text else f"{text[: width - 1]}…"


def number(value: float) -> str:
    """A number in few letters, with four significant digits where it is not large."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else str(value)
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:,.4g}"


def _what_happened(result: RunResult) -> RenderableType:
    manifest, outcomes = result.manifest, result.outcomes
    scenario = manifest.get("scenario", {})
    lines = [Text.assemble((str(scenario.get("name", "run")), "bold"), f", seed {manifest.get('seed')}")]
    if scenario.get("question"):
        lines.append(Text(str(scenario["question"]).strip(), style="italic"))
    done, asked = manifest.get("steps_done", len(result.steps)), scenario.get("steps")
    unfinished = f" of {asked:,}" if not manifest.get("finished", True) and asked else ""
    lines.append(Text(f"{done:,}{unfinished} steps, {_plural(len(result.rounds), 'cascade round')}."))
    seen = {words: outcomes[name] for name, words in COUNTS.items() if name in outcomes}
    if seen:
        lines.append(Text("; ".join(f"{words}: {count:,.0f}" for words, count in seen.items()) + "."))
    return Group(*lines)


def _deficits(ledger: pd.DataFrame) -> RenderableType:
    roots = ledger[_cause(ledger) == "deficit"]
    if roots.empty:
        return Text("No account ended below zero: there was no deficit to allocate.")
    total = roots["amount"].sum()
    paid = _allocations(ledger).groupby("layer", observed=True, sort=False)["amount"].sum()
    paid = paid.drop("unallocated", errors="ignore")
    table = _table("Deficits", "", "amount [USD]", "share")
    table.add_row(_plural(roots["deficit_id"].nunique(), "deficit"), amount(total), "", style="bold")
    for layer, absorbed in paid.items():
        table.add_row(f"  borne by {layer}", amount(absorbed), _share(absorbed, total))
    # Amounts that add up but for rounding leave nothing.
    left = total - paid.sum()
    left = 0.0 if abs(left) <= 1e-9 * total else left
    row = ("  borne by no layer (unallocated)", amount(left), _share(left, total))
    table.add_row(*row, style="red" if left > 0 else "")
    beyond = ledger.loc[(_cause(ledger) == "allocation") & (ledger["deficit_id"] < 0), "amount"].sum()
    if beyond:
        return Group(table, Text(f"Deleveraging took {amount(beyond)} more than the deficits; it went to the venue."))
    return table


def _who_paid(ledger: pd.DataFrame) -> RenderableType | None:
    rows = _allocations(ledger)
    if rows.empty:
        return None
    rows = rows.assign(layer=rows["layer"].astype(str), who=payer_type(rows["payer"]))
    grouped = rows.groupby(["layer", "who"], sort=False).agg(payers=("payer", "nunique"), amount=("amount", "sum"))
    table = _table("Who paid", "layer", "payer", "payers", "amount [USD]", "share", text_columns=2)
    _fill(table, [(layer, who, row.payers, row.amount) for (layer, who), row in grouped.iterrows()])
    return table


def _other_transfers(ledger: pd.DataFrame) -> RenderableType | None:
    cause = _cause(ledger)
    rows = ledger[~cause.isin(["deficit", "allocation"])]
    if rows.empty:
        return None
    rows = rows.assign(cause=cause[rows.index])
    grouped = rows.groupby("cause", sort=False).agg(rows=("amount", "size"), amount=("amount", "sum"))
    table = _table("Other ledger rows", "cause", "rows", "amount [USD]")
    for name, row in grouped.sort_values("amount", ascending=False, kind="stable").iterrows():
        table.add_row(str(name).replace("_", " "), f"{row['rows']:,.0f}", amount(row["amount"]))
    return table


def _failures(result: RunResult) -> RenderableType | None:
    """Who failed because of whom, each once in the order of first failures: of a recorded event, or of a chain."""
    failures = result.failures
    if failures.empty or (result.facts.empty and not failures["cause"].isin(failures["agent"]).any()):
        return None
    table = _table("Who failed because of whom", "step", "who", "how", "because of", "lost there [USD]", text_columns=4)
    agents = list(dict.fromkeys(failures["agent"]))
    for agent in agents[:LONGEST_TABLE]:
        mine = failures[failures["agent"] == agent]
        how, why = ", ".join(mine["failure"]), ", then ".join(dict.fromkeys(mine["cause"]))
        lost = mine["amount"].max()
        table.add_row(f"{mine['step'].iloc[0]:,}", agent, how, why, amount(lost) if lost else "")
    left = len(agents) - LONGEST_TABLE
    return table if left <= 0 else Group(table, Text(f"{left} more failed after them."))


def _facts(facts: pd.DataFrame) -> RenderableType | None:
    checks = facts[facts["role"].astype(str) == "check"]
    if checks.empty:
        return None
    table = _table("Observed facts that were not inputs", "fact", "observed", "simulated", "unit")
    for row in checks.itertuples():
        table.add_row(str(row.name), number(row.observed), number(row.simulated), str(row.unit))
    inputs = len(facts) - len(checks)
    return Group(table, Text(f"{_plural(inputs, 'other fact')} served as input.")) if inputs else table


def _warnings(manifest: dict) -> RenderableType | None:
    messages = list(manifest.get("warnings") or ())
    if not manifest.get("finished", True):
        messages.insert(0, "the run was interrupted: the figures cover the finished part only")
    if not messages:
        return None
    return Group(*(Text.assemble(("Note: ", "yellow"), message) for message in messages))


def payer_type(payers: pd.Series) -> pd.Series:
    """Agents of a kind share a name before the colon (``trader:123`` -> ``trader``); others stand for themselves."""
    return payers.astype(str).str.partition(":")[0]


def _cause(ledger: pd.DataFrame) -> pd.Series:
    return ledger["cause"].astype(str)


def _allocations(ledger: pd.DataFrame) -> pd.DataFrame:
    return ledger[(_cause(ledger) == "allocation") & (ledger["deficit_id"] >= 0)]


def _table(title: str, *columns: str, text_columns: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for position, column in enumerate(columns):
        is_text = position < text_columns or column == "unit"
        table.add_column(column, justify="left" if is_text else "right", overflow="fold", header_style="dim")
    return table


def _fill(table: Table, rows: list[tuple[str, str, int, float]]) -> None:
    """Rows of (layer, payer, number of payers, amount), largest amounts kept where there are too many."""
    total = sum(row[3] for row in rows)
    kept = sorted(rows, key=lambda row: -abs(row[3]))[:LONGEST_TABLE]
    for layer, who, count, value in [row for row in rows if row in kept]:
        table.add_row(layer, who, f"{count:,.0f}", amount(value), _share(value, total))
    rest = [row for row in rows if row not in kept]
    if rest:
        value = sum(row[3] for row in rest)
        table.add_row("others", "", f"{sum(row[2] for row in rest):,.0f}", amount(value), _share(value, total))


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
