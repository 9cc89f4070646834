"""Policies compared on the same worlds: what each does, whether it is chance, and who wins and loses by it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pandas as pd

from contagion.errors import InputError
from contagion.experiment import comparison_tables as tables
from contagion.experiment.compared import Comparison
from contagion.experiment.dominance import FEWEST_UNITS
from contagion.experiment.file import Experiment, load_experiment
from contagion.experiment.panel import Panel, higher_is_better, make_panel, unit_of
from contagion.experiment.statistics import RESAMPLES
from contagion.experiment.store import Results, open_results
from contagion.experiment.sweeps import sweep
from contagion.scenario.names import nearest
from contagion.streams import Streams

DEFAULT_OUTCOMES = ("system_loss", "deficit", "burden")


def compare(
    scenario: Any = None,
    policies: Mapping[str, Mapping[str, Any]] | None = None,
    runs: int = 200,
    seed: int = 1,
    *,
    uncertainties: Mapping[str, Any] | None = None,
    outcomes: Sequence[str] = DEFAULT_OUTCOMES,
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **terms: Any,
) -> Comparison:
    """Run every policy on every world, with common random numbers, and compare.

    Parameters
    ----------
    scenario
        A bundled name, the path of a YAML file, or a scenario written out.
    policies
        Name -> overrides (path -> value). The scenario as it is joins as ``base`` unless one of them overrides nothing.
    runs
        Of each policy. With uncertainties each run is a world of its own, from a Latin hypercube; its intervals are
        those of independent draws, which are no narrower.
    uncertainties
        Path -> range, as in an experiment file.
    outcomes
        Names of docs/outcomes.md.
    out
        Folder; ``results/compare_SCENARIO`` if not given. Runs it holds already are not repeated.
    **terms
        Of :func:`compare_runs`.

    Raises
    ------
    InputError
        Nothing to compare with, or what :func:`~contagion.experiment.sweeps.sweep` raises.
    """
    if not isinstance(runs, int) or runs < 2:
        raise InputError("runs", runs, "a whole number, 2 or more")
    levers = {str(name): dict(own) for name, own in (policies or {}).items()}
    if all(levers.values()):
        if "base" in levers:
            raise InputError("policies", "base", "another name: base is the scenario as it is")
        levers = {"base": {}, **levers}
    if len(levers) < 2:
        raise InputError("policies", list(levers), "one or more policies besides the scenario as it is")
    name = Path(scenario).stem if isinstance(scenario, str) else str(dict(scenario or {}).get("name", "scenario"))
    sampled = {"design": {"method": "latin_hypercube", "worlds": runs}} if uncertainties else {"replications": runs}
    experiment = load_experiment(
        {
            "name": f"compare_{name}", "scenario": scenario, "levers": levers, "seed": seed,
            "uncertainties": dict(uncertainties or {}), "outcomes": tuple(outcomes), **sampled,
        }
    )  # fmt: skip
    found = sweep(experiment, out, workers=workers, executor=executor, resume=True, progress=progress)
    return compare_runs(found, outcomes=outcomes, **terms)


def compare_runs(
    results: Results | str | os.PathLike[str],
    outcomes: Sequence[str] = (),
    *,
    base: str | None = None,
    better: Mapping[str, str] | None = None,
    confidence: float = 0.95,
    quantile: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare the policies of a sweep, and keep the tables in its folder.

    Parameters
    ----------
    results
        A sweep or its folder.
    outcomes
        Those of the experiment if not given.
    base
        The policy others are set against: by default the one that overrides nothing, else the first.
    better
        Outcome -> ``lower`` or ``higher``; :data:`~contagion.experiment.panel.HIGHER_IS_BETTER` says which outcomes
        are taken as the latter.
    confidence, quantile
        Of intervals; of the tail.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    Comparison
        Saved as ``comparison/`` in the folder.

    Raises
    ------
    InputError
        One policy only, an unknown outcome, or no world on which all policies have it.
    """
    found = results if isinstance(results, Results) else open_results(results)
    experiment, runs = found.experiment, found.runs
    policies = [name for name in experiment.policies if name in set(runs["policy"])]
    if len(policies) < 2:
        errors = found.failures["error"]
        failed = f"; {len(errors):,} runs failed: {errors.iloc[0]}" if len(errors) else ""
        raise InputError("policies", policies, f"runs of two or more policies, which levers make{failed}")
    chosen = list(outcomes or experiment.outcomes or [name for name in DEFAULT_OUTCOMES if name in runs])
    terms = tables.Terms(
        _base(base, policies, experiment), _directions(chosen, better or {}), confidence, quantile, resamples,
        Streams(seed),
    )  # fmt: skip
    panels = {outcome: make_panel(runs, experiment, outcome, policies) for outcome in chosen}
    gains = [name for name in runs if name.startswith("gain.")]
    compared = Comparison(
        table=tables.outcome_table(panels, terms),
        pairs=tables.pair_table(panels, terms),
        best=tables.best_table(panels, terms),
        dominance=tables.dominance_table(panels, terms),
        regret=tables.regret_table(panels, terms),
        winners=tables.winner_table({name: make_panel(runs, experiment, name, policies) for name in gains}, terms),
        pairing=tables.pairing_table(panels, terms),
        cells=tables.cell_table(panels, _places(found), terms) if not experiment.design.samples else pd.DataFrame(),
        notes=_notes(found, panels, policies),
        question=experiment.question,
        base=terms.base,
        policies=experiment.policies,
        unit=unit_of(experiment, runs),
        confidence=confidence,
        quantile=quantile,
    )
    compared.save(found.folder)
    return compared


def _base(base: str | None, policies: list[str], experiment: Experiment) -> str:
    if base is None:
        return next((name for name in policies if not experiment.policies[name]), policies[0])
    if base not in policies:
        raise InputError("base", base, f"one of {', '.join(policies)}{nearest(base, policies)}")
    return base


def _directions(outcomes: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    for name, way in given.items():
        if way not in ("lower", "higher") or name not in outcomes:
            raise InputError(f"better.{name}", way, f"lower or higher, for one of {', '.join(outcomes)}")
    return {name: given.get(name, "higher" if higher_is_better(name) else "lower") for name in outcomes}


def _places(found: Results) -> pd.DataFrame:
    """Values of the uncertainties by world; a policy may move what it sweeps itself."""
    swept = [path for path in found.experiment.swept if path not in found.experiment.levers]
    return found.runs.drop_duplicates("world").set_index("world")[swept]


def _notes(found: Results, panels: Mapping[str, Panel], policies: Sequence[str]) -> list[str]:
    """What a reader must know before believing the numbers."""
    experiment, notes = found.experiment, []
    unit = unit_of(experiment, found.runs)
    failed, lacking = len(found.failures), len(found.plan) - len(found.runs) - len(found.failures)
    if failed:
        notes.append(f"{failed:,} runs failed; a pair with one of them is left out for all policies.")
    if lacking:
        notes.append(f"{lacking:,} runs that were asked for are not made yet.")
    for outcome, panel in panels.items():
        asked = len(found.plan) // len(experiment.policies)
        if asked > len(panel.values):
            notes.append(f"{outcome}: {asked - len(panel.values):,} of {asked:,} pairs left out.")
        if panel.n_units < FEWEST_UNITS:
            few = f"only {panel.n_units} {unit}s; intervals and p-values are rough, dominance is not tested."
            notes.append(f"{outcome}: {few}")
        same = [name for name in policies if panel.values[name].nunique() == 1]
        if len(same) == len(policies):
            notes.append(f"{outcome} never varies, under no policy.")
    if unit == "world" and not experiment.design.samples:
        notes.append("Worlds are places to compare, each run once: intervals say how places differ, not chance.")
    if experiment.seeding == "independent":
        notes.append("Policies have independent seeds: pairs are pairs in name only.")
    if unit == "world" and experiment.seeding == "common":
        notes.append("Worlds share their seeds: intervals are over worlds, given these seeds.")
    return notes
