"""A sweep: every run of a plan that is not there yet, made by any executor and kept as it comes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from contagion.errors import InputError
from contagion.experiment.file import Experiment, load_experiment
from contagion.experiment.lock import NAME as LOCK
from contagion.experiment.lock import only_writer
from contagion.experiment.plan import RESULTS_VERSION, Plan, Run, make_plan
from contagion.experiment.pools import DaskPool, GivenPool, LocalPool, Pool
from contagion.experiment.progress import sweep_bar
from contagion.experiment.runner import Runner
from contagion.experiment.store import Results, Store, open_results, read_manifest
from contagion.experiment.worker import Task
from contagion.provenance import provenance, scenario_hash

COMPILING = 300.0
"""More time that the first run of a process has. [s]"""
MAY_CHANGE = ("name", "question", "finding", "outcomes", "replications", "stopping", "time_limit")
"""Keys of an experiment that may change from one start to the next."""
BLOCK = 20_000
"""Runs whose keys are in memory at a time."""


class Planner(Protocol):
    """Decides how many replications there are, a batch at a time."""

    def __call__(self, plan: Plan, results: Results) -> range:
        """Replications to add to those before; empty to stop. `results` holds all runs of earlier batches."""


def sweep(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    executor: Executor | None = None,
    resume: bool = False,
    retry: bool = False,
    progress: bool = False,
) -> Results:
    """Run an experiment: every policy on every world, as often as it says.

    Runs that the folder already holds are not repeated, whichever experiment they were made for: a sweep that was
    killed goes on, and one whose replications were raised is topped up.

    Parameters
    ----------
    experiment
        Path of an experiment file, plain data, or an experiment.
    out
        Folder of the results; ``results/NAME`` if not given.
    workers
        Processes on this machine; by default one a core.
    scheduler
        Address of a Dask scheduler, whose workers make the runs instead.
    executor
        Any ``concurrent.futures`` executor instead; it stays open.
    resume
        Go on in a folder that holds a sweep with other worlds, policies, fields or seeds. More replications, another
        text or other outcomes do not need it.
    retry
        Repeat runs that failed before.
    progress
        Show a bar with rate, remaining time and failures on standard error.

    Returns
    -------
    Results
        ``runs`` is a table with a row a run, ``failures`` one of those that failed.

    Raises
    ------
    InputError
        The experiment is not valid, or the folder is not for it.
    ContagionError
        Another sweep writes there; the disk is full; the workers are gone. Runs that are done are kept.
    """
    loaded = load_experiment(experiment)
    planner = planner_of(loaded)
    plan = make_plan(loaded)
    folder = folder_of(loaded, out)
    _make(folder)
    with only_writer(folder):
        _check_folder(folder, loaded, resume)
        store = Store(folder)
        store.open(_manifest(plan))
        with _pool(workers, scheduler, executor) as pool, sweep_bar(loaded.name, not progress) as bar:
            _batches(plan, planner, store, Runner(pool, store, _task(plan), bar.advance), bar, retry)
        return store.close()


def folder_of(experiment: str | Path | Mapping[str, Any] | Experiment, out: str | os.PathLike[str] | None) -> Path:
    """Where the results of an experiment go."""
    return Path(out) if out is not None else Path("results") / load_experiment(experiment).name


def planner_of(experiment: Experiment) -> Planner:
    """All replications at once, or batches until intervals are narrow enough."""
    if experiment.stopping is not None:
        from contagion.experiment.stopping import until_precise

        return until_precise(experiment)
    batches = iter([range(experiment.replications)])
    return lambda plan, results: next(batches, range(0))


def _batches(plan: Plan, planner: Planner, store: Store, runner: Runner, bar: Any, retry: bool) -> None:
    done = store.done(failures=not retry)
    while batch := planner(plan, open_results(store.folder)):
        left = 0
        for runs in _blocks(plan.runs(batch)):
            store.plan([plan.row(run) for run in runs])
            left += len({run.key for run in runs} - done)
        bar.expect(left, len(plan) * len(batch) - left)
        for runs in _blocks(plan.runs(batch)) if left else ():
            # Neighbours in world and policy share a loaded scenario; equal runs are made once.
            new = {run.key: run for run in sorted(runs, key=lambda run: run.place) if run.key not in done}
            runner.run(new.values(), len(new))
            done.update(new)


def _blocks(runs: Iterator[Run]) -> Iterator[list[Run]]:
    while block := list(islice(runs, BLOCK)):
        yield block


@contextmanager
def _pool(workers: int | None, scheduler: str | None, executor: Executor | None) -> Iterator[Pool]:
    if scheduler is not None and (workers, executor) != (None, None):
        raise InputError("scheduler", scheduler, "a scheduler alone, without workers or an executor of this machine")
    if executor is not None:
        pool: Pool = GivenPool(executor, workers)
    else:
        pool = DaskPool(scheduler) if scheduler is not None else LocalPool(workers)
    try:
        yield pool
    except BaseException:
        pool.close(now=True)
        raise
    pool.close()


def _task(plan: Plan) -> Task:
    experiment, scenario = plan.experiment, plan.scenario.model_dump(mode="json")
    key = hashlib.sha256(repr((scenario, experiment.scenario, experiment.overrides)).encode()).hexdigest()
    return Task(key, experiment.scenario, experiment.overrides, scenario, experiment.time_limit, COMPILING)


def _manifest(plan: Plan) -> dict[str, Any]:
    scenario = plan.scenario.model_dump(mode="json")
    return {
        "experiment": plan.experiment.model_dump(mode="json", by_alias=True),
        "scenario": scenario,
        "scenario_hash": scenario_hash(scenario),
        "results_version": RESULTS_VERSION,
        "policies": plan.policies,
        "finished": False,
        "provenance": [provenance()],
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("out", str(folder), f"a folder that can be made ({error.strerror or error})") from None


def _runs_of(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which runs there are: not what is said of them, how many are made and how long one may take."""
    return {key: value for key, value in experiment.items() if key not in MAY_CHANGE}


def _check_folder(folder: Path, experiment: Experiment, resume: bool) -> None:
    """A sweep may write into an empty folder, go on with the same experiment, or with another one if asked."""
    manifest, asked = read_manifest(folder), experiment.model_dump(mode="json", by_alias=True)
    if manifest is None:
        taken = [item.name for item in folder.iterdir() if item.name != LOCK and not item.name.endswith(".partial")]
        if set(taken) - {"plan", "parts"}:
            raise InputError("out", str(folder), "a folder that is new or empty, or holds a sweep")
    elif not resume and _runs_of(manifest.get("experiment", {})) != _runs_of(asked):
        accepted = "another folder, or --resume to go on here: it holds a sweep of another experiment"
        raise InputError("out", str(folder), accepted)
