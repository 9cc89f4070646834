"""What each policy is, what it makes each layer bear, and every outcome under it: tables of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from contagion.experiment.dictionary import define
from contagion.experiment.panel import OWN
from contagion.report.page import Section
from contagion.report.source import plain
from contagion.report.sweep_source import Sweep

MOST_POLICIES = 8  # columns of a table that still fit beside each other
SEVERAL_VENUES = 3


def policy_section(sweep: Sweep) -> list[Section]:
    """Fields in which policies differ, and the order in which each asks the layers of a venue."""
    if len(sweep.policies) < 2 or sweep.results is None:
        return []
    scenario, policies = sweep.results.scenario, sweep.experiment.policies
    fields = list(dict.fromkeys(path for own in policies.values() for path in own))
    rows: dict[str, list[str]] = {"policy": list(sweep.policies)}
    for path in fields:
        if not path.endswith(".waterfall"):
            rows[path] = [_said(policies[name].get(path, _at(scenario, path))) for name in sweep.policies]
    for venue in _venues(scenario, fields):
        rows[f"{plain(venue)}: layers in the order asked"] = [
            _layers(_waterfall(scenario, policies[name], venue)) for name in sweep.policies
        ]
    words = "Every policy is the base scenario with these fields; what is not listed is the same under all."
    return [Section("The policies", words, pd.DataFrame(rows))]


def _venues(scenario: Mapping[str, Any], fields: list[str]) -> list[str]:
    """Venues whose layers are worth showing: those that a policy changes, or all where they are few."""
    every = {**(scenario.get("exchanges") or {}), **(scenario.get("protocols") or {})}
    asking = [name for name, spec in every.items() if spec.get("waterfall")]
    touched = {path.split(".")[1] for path in fields if path.count(".") >= 1}
    return asking if len(asking) <= SEVERAL_VENUES else [name for name in asking if name in touched]


def _waterfall(scenario: Mapping[str, Any], own: Mapping[str, Any], venue: str) -> Any:
    for kind in ("exchanges", "protocols"):
        if venue in (scenario.get(kind) or {}):
            path = f"{kind}.{venue}.waterfall"
            return own.get(path, _at(scenario, path))
    return None


def _layers(waterfall: Any) -> str:
    names = [
        str(layer.get("name") or layer.get("layer")) if isinstance(layer, Mapping) else str(layer)
        for layer in waterfall or ()
    ]
    return ", then ".join(map(plain, names)) or "none"


def _at(values: Any, path: str) -> Any:
    """The value at a path of the scenario; None where there is none."""
    for part in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(part)
        elif isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        else:
            return None
    return values


def _said(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_said(part)}" for name, part in value.items() if part is not None)
    return ", ".join(map(_said, value)) if isinstance(value, list | tuple) else str(value)


def layer_section(sweep: Sweep) -> list[Section]:
    """Layers by policy: what each bore of deficits in the mean."""
    layers = [name for name in sweep.runs if str(name).startswith("absorbed.")]
    layers = [name for name in layers if sweep.runs[name].abs().max() > 0.0]
    shown = sweep.policies[:MOST_POLICIES]
    if len(shown) < 2 or not layers:
        return []
    more = [name for name in ("unallocated", "deficit") if name in sweep.runs]
    found = sweep.runs.groupby(sweep.runs["policy"].astype(str))[[*layers, *more]].mean()
    names = [*(plain(name.removeprefix("absorbed.")) for name in layers),
             *({"unallocated": "nobody: left with the venue", "deficit": "all deficits"}[name] for name in more)]
    table = pd.DataFrame({"layer": names} | {f"{policy} [USD]": found.loc[policy].to_numpy() for policy in shown})
    words = "Mean over runs, over all venues. The layers and what nobody bore add up to all deficits."
    return [Section("Who bears deficits under each policy", words, table)]


def column_section(sweep: Sweep) -> Section:
    """Every numeric column of the runs: its mean under each policy, or its range where there is one policy."""
    runs = sweep.runs
    names = [name for name in runs if name not in OWN and runs[name].dtype.kind in "fiu" and name not in sweep.swept]
    rows = define(names)
    shown = sweep.policies[:MOST_POLICIES]
    table: dict[str, list[Any]] = {"column": names}
    if len(shown) > 1:
        means = runs.groupby(runs["policy"].astype(str))[names].mean()
        table |= {f"mean, {policy}": means.loc[policy].tolist() for policy in shown}
    else:
        numbers = runs[names]
        table |= {"mean": numbers.mean().tolist(), "smallest": numbers.min().tolist()}
        table |= {"largest": numbers.max().tolist()}
    table |= {"unit": [row.unit for row in rows], "meaning": [row.meaning for row in rows]}
    words = "Mean over the runs of each policy." if len(shown) > 1 else "Over all runs."
    if len(sweep.policies) > len(shown):
        words += f" The first {len(shown)} of {len(sweep.policies)} policies."
    return Section("All columns", words, pd.DataFrame(table), folded=True)
