"""What a figure is drawn from: a run in memory or in its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.results import RunResult, load

if TYPE_CHECKING:
    from contagion.model import ContagionModel

Source = "RunResult | ContagionModel | str | os.PathLike[str]"


def run_of(source: RunResult | ContagionModel | str | os.PathLike[str]) -> RunResult:
    """The result of a run: itself, that of a model so far, or read from its folder."""
    if isinstance(source, RunResult):
        return source
    if isinstance(source, str | Path | os.PathLike):
        return load(source)
    if callable(getattr(source, "result", None)):
        return source.result()
    raise InputError("source", type(source).__name__, "a RunResult, a model, or the folder of a saved run")


def scenario_of(run: RunResult) -> dict[str, Any]:
    """The scenario as plain values; empty where the result does not say."""
    return run.manifest.get("scenario") or {}


def signature(run: RunResult, unit: str) -> str:
    """Scenario, seed, number of runs and units, for the foot of a figure."""
    name, seed = scenario_of(run).get("name", "unnamed scenario"), run.manifest.get("seed")
    part = "" if run.manifest.get("finished", True) else f", interrupted after {len(run.steps):,} steps"
    return f"Scenario {name}, seed {seed}, n = 1 run{part}. {unit}"


def clock(run: RunResult) -> tuple[np.ndarray, str]:
    """Time of each step since the opening, and its unit: minutes, hours or days, whichever reads best."""
    step = pd.Timedelta(scenario_of(run).get("dt", "PT1M"))
    hours = run.steps["step"].to_numpy(float) * step.total_seconds() / 3600.0
    longest = hours[-1] if len(hours) else 0.0
    if longest <= 3.0:
        return hours * 60.0, "minutes"
    return (hours, "hours") if longest <= 96.0 else (hours / 24.0, "days")


def time_at(run: RunResult, step: float) -> float:
    """A step in the unit of :func:`clock`."""
    times, _ = clock(run)
    return float(times[0] / run.steps["step"].iloc[0] * step) if len(times) else float(step)


def kind_of(run: RunResult) -> dict[str, str]:
    """Kind of each agent (exchange, protocol, fund, trader, outside), and ``trader`` for each group of traders."""
    agents = run.agents
    kinds = dict(zip(agents["agent"].astype(str), agents["type"].astype(str), strict=True))
    groups = agents.loc[agents["group"].astype(str) != "", "group"].astype(str).unique()
    return kinds | dict.fromkeys(groups, "trader") | {"unallocated": "nobody"}


def plain(name: str) -> str:
    """A name in words: ``auto_deleverage`` as "auto deleverage", ``perp/insurance_fund`` as "perp: insurance fund"."""
    owner, slash, part = str(name).partition("/")
    words = part if slash else owner
    return f"{owner}: {words.replace('_', ' ')}" if slash else words.replace("_", " ")


def payer_in_words(name: str, kinds: dict[str, str]) -> str:
    """One name for whoever pays: what a protocol gives is taken from those who hold its claims."""
    return ("holders of " if kinds.get(name) == "protocol" else "") + plain(name)


def market_assets(run: RunResult) -> list[str]:
    """Assets with an index price, claims of venues left out, largest fall first."""
    claims = {column.partition(".")[2] for column in run.steps if column.startswith("redemption.")}
    names = [column.partition(".")[2] for column in run.steps if column.startswith("price.")]
    return sorted((name for name in names if name not in claims), key=lambda name: (-drawdown(run, name), name))


def drawdown(run: RunResult, asset: str) -> float:
    """Fall of an index from its highest to its lowest value in the run. [1]"""
    known = run.outcomes.get(f"drawdown.{asset}")
    if known is not None:
        return float(known)
    prices = run.steps[f"price.{asset}"]
    return float(1.0 - prices.min() / prices.max()) if len(prices) else 0.0


def borne(run: RunResult) -> pd.DataFrame:
    """What layers bore of deficits, in the order of each venue's waterfall: venue, layer, payer, amount [USD].

    Rows with layer ``unallocated`` are what none bore.
    """
    ledger = run.ledger
    rows = ledger[(ledger["cause"].astype(str) == "allocation") & (ledger["deficit_id"] >= 0)]
    table = pd.DataFrame(
        {"venue": rows["payee"].astype(str), "layer": rows["layer"].astype(str),
         "payer": rows["payer"].astype(str).str.split(":", n=1).str[0], "amount": rows["amount"]}
    )  # fmt: skip
    table = table.groupby(["venue", "layer", "payer"], sort=False, as_index=False)["amount"].sum()
    place = {
        (venue, layer): number
        for venue, spec in _venues(scenario_of(run)).items()
        for number, layer in enumerate(_layers(spec))
    }
    order = [
        (row.venue, row.layer == "unallocated", place.get((row.venue, row.layer), 50)) for row in table.itertuples()
    ]
    return table.iloc[sorted(range(len(table)), key=lambda row: (order[row], row))].reset_index(drop=True)


def deficits(run: RunResult) -> pd.Series:
    """Sum of deficits by the venue in whose books they arose, largest first. [USD]"""
    rows = run.ledger[run.ledger["cause"].astype(str) == "deficit"]
    return rows.groupby(rows["payer"].astype(str))["amount"].sum().sort_values(ascending=False, kind="stable")


def _venues(scenario: dict[str, Any]) -> dict[str, Any]:
    return {**(scenario.get("exchanges") or {}), **(scenario.get("protocols") or {})}


def _layers(spec: dict[str, Any]) -> list[str]:
    return [str(layer.get("name") or layer.get("layer")) for layer in spec.get("waterfall") or ()]
