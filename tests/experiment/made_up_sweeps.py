"""Sweeps whose outcomes are made up: a folder as a sweep writes it, without running the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contagion.experiment import load_experiment
from contagion.experiment.folder import encode
from contagion.experiment.plan import Run, make_plan
from contagion.experiment.store import Results, Store
from contagion.provenance import provenance

INPUTS = ("assets.BTC.volatility", "assets.ETH.volatility", "exchanges.perp.insurance_fund.size")


def made_up(
    folder: Path, outcomes: Callable[[Run], Mapping[str, float] | None], replications: int = 1, **experiment: Any
) -> Results:
    """Results of an experiment in which each run has the outcomes given; None is a run that failed."""
    loaded = load_experiment({"scenario": "quickstart", "replications": replications, **experiment})
    plan = make_plan(loaded)
    store = Store(folder)
    store.open(
        {
            "experiment": loaded.model_dump(mode="json", by_alias=True), "scenario": {}, "scenario_hash": "",
            "results_version": 0, "policies": plan.policies, "finished": False, "provenance": [provenance()],
        }
    )  # fmt: skip
    runs = list(plan.runs(range(replications)))
    store.plan([plan.row(run) for run in runs])
    found = [outcomes(run) for run in runs]
    errors = [None if row is not None else "ValueError: made up" for row in found]
    store.append(encode([run.key for run in runs], [row or {} for row in found], errors))
    return store.close()


def two_policies(
    folder: Path, outcomes: Callable[[Run], Mapping[str, float] | None], replications: int = 40, **experiment: Any
) -> Results:
    """Policies ``plain``, which overrides nothing, and ``other``."""
    levers = {"plain": {}, "other": {"exchanges.perp.equity": 1e6}}
    return made_up(folder, outcomes, replications, levers=levers, **experiment)
