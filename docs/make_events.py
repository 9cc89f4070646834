"""Writes docs/events.md from runs of the events: ``python docs/make_events.py``. A test holds the page to runs."""

from __future__ import annotations

import math
from pathlib import Path

from contagion.model import ContagionModel
from contagion.results import RunResult
from contagion.scenario import load_scenario
from contagion.terminal import amount

PAGE = Path(__file__).parent / "events.md"
SEED = 7
EVENTS = (
    "black_thursday", "terra_2022", "credit_2022", "ftx_2022", "crv_2022", "svb_usdc_2023", "october_2025", "xusd_2025",
)  # fmt: skip

INTRODUCTION = f"""# Events

<!-- Written by docs/make_events.py from runs of the bundled scenarios; edit those. -->

What was observed of a crisis stands in its scenario as facts, each with its source. Some are inputs: they set a size, a
date or a price. The others are checks, which are set beside the run as it comes out, also where it misses them. Sizes
that rest on no fact are assumed; the head of each file says which. Where an assumption was chosen with a check in view,
the text under *Not captured* says so: agreement is no evidence there. Runs are those of seed {SEED}:
`contagion run terra_2022 --seed {SEED}` prints the same, `contagion show terra_2022` the whole scenario.

*Who failed* lists institutions in the order in which they first failed, with all ways in which they did, the causes,
and the most that was lost there by then (`result.failures` has every failure by itself). *itself* is what was stolen
from an institution or lost by it before anybody else, *outside* a decision, *withdrawals* those who left.
"""


def page(results: dict[str, RunResult]) -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(section(name, results[name]) for name in EVENTS)])


def runs() -> dict[str, RunResult]:
    """A run of every event."""
    return {name: ContagionModel(name, rng=SEED).run() for name in EVENTS}


def section(name: str, result: RunResult) -> str:
    """One event: question, checks, chain, inputs, limits."""
    scenario = load_scenario(name)
    hours = scenario.dt.total_seconds() / 3600.0
    lines = [f"## {name}", "", " ".join(scenario.question.split()), ""]
    lines += ["| observed, no input | observed | simulated | unit | source |", "|---|---|---|---|---|"]
    for row in result.facts[result.facts["role"] == "check"].itertuples():
        lines.append(f"| {row.name} | {number(row.observed)} | {number(row.simulated)} | {row.unit} | {row.source} |")
    if len(result.failures):
        lines += ["", "| hour | who failed | how | because of | lost there [USD] |", "|---|---|---|---|---|"]
    for agent in dict.fromkeys(result.failures["agent"]):
        mine = result.failures[result.failures["agent"] == agent]
        lost = amount(mine["amount"].max()) if mine["amount"].max() else ""
        how, why = ", ".join(mine["failure"]), ", then ".join(dict.fromkeys(mine["cause"]))
        lines.append(f"| {mine['step'].iloc[0] * hours:.3g} | {agent} | {how} | {why} | {lost} |")
    lines += ["", "| input | value | unit | source |", "|---|---|---|---|"]
    for row in result.facts[result.facts["role"] == "input"].itertuples():
        lines.append(f"| {row.name} | {number(row.observed)} | {row.unit} | {row.source} |")
    return "\n".join([*lines, "", "Not captured: " + " ".join(scenario.limits.split()), ""])


def number(value: float) -> str:
    """Four significant digits, or all of those of a number below a million."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 1e6:
        return amount(value)
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:,.4g}"


if __name__ == "__main__":
    PAGE.write_text(page(runs()), encoding="utf-8")
