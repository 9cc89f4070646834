"""Statistics of a sweep as its figures and sentences ask for them; each is worked out once a page."""

from __future__ import annotations

from functools import wraps

import numpy as np
import pandas as pd

from contagion.experiment import comparison_tables as tables
from contagion.experiment.panel import Panel, make_panel, unit_of
from contagion.experiment.sensitivity import Sensitivity, sensitivity
from contagion.experiment.statistics import mean_interval
from contagion.report.sweep_source import Sweep, lower_is_better
from contagion.streams import Streams

CONFIDENCE = QUANTILE = 0.95
RESAMPLES = 1000
FEWER = 300  # for dominance, where each resample is a whole distribution


def _once(statistic):
    @wraps(statistic)
    def ask(sweep: Sweep, *arguments: str):
        key = (statistic.__name__, *arguments)
        if key not in sweep.found:
            sweep.found[key] = statistic(sweep, *arguments)
        return sweep.found[key]

    return ask


@_once
def panel(sweep: Sweep, outcome: str) -> Panel:
    """The outcome of every policy on the pairs of world and replication where all have one."""
    return make_panel(sweep.runs, sweep.experiment, outcome, sweep.policies)


@_once
def means(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """By policy: mean and expected shortfall with intervals (:func:`~.comparison_tables.outcome_table`)."""
    return _table(tables.outcome_table, sweep, outcome)


@_once
def differences(sweep: Sweep, outcome: str, base: str) -> pd.DataFrame:
    """By policy but the base: mean paired difference, interval, p-values (:func:`~.comparison_tables.pair_table`)."""
    return _table(tables.pair_table, sweep, outcome, base)


@_once
def regrets(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """By policy: what it gives away against the best one of each world (:func:`~.comparison_tables.regret_table`)."""
    return _table(tables.regret_table, sweep, outcome)


@_once
def chances(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """By policy: the probability that its mean is the best (:func:`~.comparison_tables.best_table`)."""
    return _table(tables.best_table, sweep, outcome)


@_once
def dominance(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """By pair of policies and order: whether one dominates (:func:`~.comparison_tables.dominance_table`)."""
    return _table(tables.dominance_table, sweep, outcome)


@_once
def winners(sweep: Sweep) -> pd.DataFrame:
    """Change of net worth by agents, policy less the first one (:func:`~.comparison_tables.winner_table`). [USD]"""
    gains = [name for name in sweep.runs if str(name).startswith("gain.")]
    terms = tables.Terms(sweep.policies[0], {}, CONFIDENCE, QUANTILE, RESAMPLES, Streams(0))
    return tables.winner_table({name: panel(sweep, name) for name in gains}, terms)


@_once
def sensitivities(sweep: Sweep, outcome: str) -> Sensitivity | None:
    """Indices of the uncertainties under the first policy; None where the design gives none."""
    if sweep.results is None or len(sweep.experiment.uncertainties) < 2:
        return None
    try:
        return sensitivity(sweep.results, outcome, policy=sweep.policies[0], resamples=RESAMPLES // 10)
    except ValueError:  # worlds that were not sampled, too few of them or a number that SALib cannot slice, no variance
        return None


def _table(make, sweep: Sweep, outcome: str, base: str = "") -> pd.DataFrame:
    better = {outcome: "lower" if lower_is_better(outcome) else "higher"}
    resamples = FEWER if make is tables.dominance_table else RESAMPLES
    terms = tables.Terms(base or sweep.policies[0], better, CONFIDENCE, QUANTILE, resamples, Streams(0))
    found = make({outcome: panel(sweep, outcome)}, terms)
    return found.set_index("policy") if "over" not in found else found


def interval(sweep: Sweep, runs: pd.DataFrame, outcome: str) -> tuple[float, float, float]:
    """Mean of some of a sweep's runs and its 95% interval over independent units."""
    runs = runs[np.isfinite(runs[outcome].to_numpy(float))]
    if runs.empty:
        return (np.nan,) * 3
    unit = unit_of(sweep.experiment, runs)
    # Where a world is a place it is no draw; runs of one that is drawn may depend on each other.
    by_unit = runs.groupby(unit)[outcome].mean()
    _, low, high = mean_interval(by_unit, np.random.default_rng(0), CONFIDENCE, RESAMPLES)
    return float(runs[outcome].mean()), low, high
