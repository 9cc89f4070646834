"""What a figure of many runs is drawn from: a sweep in its folder, in memory, or a plain table of runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from contagion.errors import InputError
from contagion.experiment.dictionary import define
from contagion.experiment.file import Experiment
from contagion.experiment.panel import higher_is_better

USUAL = ("burden.traders", "deficit", "system_loss")
PLAN = ("run_key", "policy", "world", "replication", "seed", "mirrored", "error")


@dataclass(eq=False)
class Sweep:
    """Runs of a sweep, and what is needed to name them.

    Attributes
    ----------
    runs : DataFrame
        One row a run: ``policy``, ``world``, ``replication``, ``seed``, swept paths, outcomes.
    name, question : str
    outcomes : tuple of str
        What the experiment is about.
    swept : tuple of str
        Paths of scenario fields that differ between runs.
    results : object
        The :class:`contagion.experiment.store.Results` it was read from, if any.
    """

    runs: pd.DataFrame
    name: str = "sweep"
    question: str = ""
    outcomes: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    results: Any = None
    found: dict[tuple, Any] = field(default_factory=dict, repr=False)  # statistics asked for before

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment; for a plain table one that says no more than that replications are draws."""
        if self.results is not None:
            return self.results.experiment
        return Experiment(name=self.name, scenario="", levers={policy: {} for policy in self.policies})

    @cached_property
    def policies(self) -> list[str]:
        """Names of policies in the experiment's order; the first is what others are compared with."""
        return list(dict.fromkeys(self.runs["policy"].astype(str)))


def sweep_of(source: Sweep | pd.DataFrame | Any | str | os.PathLike[str]) -> Sweep:
    """A sweep from its folder, from :func:`contagion.experiment.open_results`, or from a table of runs.

    A table needs a column for each outcome; ``policy``, ``world``, ``replication`` and ``seed`` are filled in where
    they are missing: one policy, and a world for each run.
    """
    if isinstance(source, Sweep):
        return source
    if isinstance(source, pd.DataFrame):
        runs = source.reset_index(drop=True)
        if "policy" not in runs:
            runs = runs.assign(policy="base")
        if "replication" not in runs:
            runs = runs.assign(replication=0)
        if "world" not in runs:
            runs = runs.assign(world=runs.groupby(["policy", "replication"]).cumcount())
        if "seed" not in runs:
            runs = runs.assign(seed=runs["replication"])
        rest = [name for name in runs if name not in PLAN]
        known = [name for name in rest if define([name])[0].unit]
        return Sweep(runs, outcomes=tuple(known or rest), swept=tuple(name for name in rest if name not in known))
    if isinstance(source, str | os.PathLike):
        from contagion.experiment.store import open_results

        source = open_results(source)
    if not hasattr(source, "experiment"):
        raise InputError("source", type(source).__name__, "a table of runs, the results of a sweep, or their folder")
    experiment, runs = source.experiment, source.runs
    if runs.empty:
        raise InputError("source", str(getattr(source, "folder", "")), "a sweep with at least one finished run")
    wanted = experiment.outcomes or USUAL
    swept = tuple(path for path in experiment.swept if path in runs and runs[path].nunique() > 1)
    outcomes = tuple(name for name in wanted if name in runs)
    return Sweep(runs, experiment.name, experiment.question, outcomes, swept, source)


def chosen(sweep: Sweep, outcome: str | None) -> str:
    """The outcome asked for, or the first that the experiment is about."""
    name = outcome or next(iter(sweep.outcomes), None)
    if name is None or name not in sweep.runs:
        raise InputError("outcome", name, f"one of the runs' columns, such as {', '.join(sweep.outcomes) or 'deficit'}")
    return name


def unit_of(outcome: str) -> str:
    """Unit of an outcome; ``1`` where the dictionary has none."""
    return define([outcome])[0].unit or "1"


def with_unit(outcome: str) -> str:
    """An outcome's name and unit, for an axis."""
    return f"{outcome} [{unit_of(outcome)}]"


def lower_is_better(outcome: str) -> bool:
    """Whether less of it is wanted: true of losses, deficits, burdens and failures."""
    return not higher_is_better(outcome)


def signature(sweep: Sweep, unit: str) -> str:
    """Experiment, seeds, numbers of runs and units, for the foot of a figure."""
    runs = sweep.runs
    seeds = runs["seed"].nunique()
    return (
        f"Experiment {sweep.name}: n = {_count(len(runs), 'run')}, "
        f"{_count(len(sweep.policies), 'policy', 'policies')}, "
        f"{_count(runs['world'].nunique(), 'world')}, {_count(seeds, 'seed')}. {unit}"
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
