"""A sweep: every run of a plan that is not there yet, made by any executor and kept as it comes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from contagion.errors import InputError
from contagion.experiment.file import Experiment, load_experiment
from contagion.experiment.lock import only_writer
from contagion.experiment.plan import RESULTS_VERSION, Plan, make_plan
from contagion.experiment.store import Results, Store, open_results, read_manifest
from contagion.experiment.worker import Task, work
from contagion.provenance import provenance, scenario_hash


def sweep(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    resume: bool = False,
) -> Results:
    """Run an experiment and keep what it finds."""
    loaded = load_experiment(experiment)
    plan = make_plan(loaded)
    folder = Path(out if out is not None else Path("results") / loaded.name)
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        _check_folder(folder, loaded, resume)
        store = Store(folder)
        store.describe(_manifest(plan))
        store.forget_plan()
        runs = list(plan.runs(range(loaded.replications)))
        store.plan([plan.row(run) for run in runs])
        done = store.done(failures=True)
        task = _task(plan)
        left = [run for run in runs if run.key not in done]
        for start in range(0, len(left), 50):
            store.append(work(task, left[start : start + 50]).part)
        store.finish()
    return open_results(folder)


def _task(plan: Plan) -> Task:
    experiment, scenario = plan.experiment, plan.scenario.model_dump(mode="json")
    return Task(scenario_hash(scenario), experiment.scenario, experiment.overrides, scenario, experiment.time_limit)


def _manifest(plan: Plan) -> dict[str, Any]:
    scenario = plan.scenario.model_dump(mode="json")
    return {
        "experiment": plan.experiment.model_dump(mode="json", by_alias=True),
        "scenario": scenario,
        "scenario_hash": scenario_hash(scenario),
        "results_version": RESULTS_VERSION,
        "policies": plan.policies,
        "provenance": [provenance()],
    }


def _check_folder(folder: Path, experiment: Experiment, resume: bool) -> None:
    """A sweep may write into an empty folder, go on with the same experiment, or with another one if asked."""
    manifest = read_manifest(folder)
    if manifest is None:
        if any(item.name != "lock" for item in folder.iterdir()):
            raise InputError("out", str(folder), "a folder that is new or empty, or holds a sweep")
    elif manifest.get("experiment") != experiment.model_dump(mode="json", by_alias=True) and not resume:
        accepted = "another folder, or --resume to go on here: it holds a sweep of another experiment"
        raise InputError("out", str(folder), accepted)
