"""Means of outcomes and paired differences between policies, with bootstrap intervals over independent seeds."""

from __future__ import annotations

from functools import wraps

import numpy as np
import pandas as pd

from contagion.outcomes.measures import bootstrap_interval
from contagion.report.sweep_source import Sweep, lower_is_better

_DRAWS = 4_000_000  # numbers drawn for one interval at most


def interval(values: np.ndarray, clusters: np.ndarray | None = None) -> tuple[float, float, float]:
    """Mean and its 95% interval; runs that share random numbers are one cluster, which is drawn as a whole."""
    some = np.isfinite(values)
    values = values[some]
    if not len(values):
        return (np.nan,) * 3
    mean = float(values.mean())
    if clusters is not None:
        # Clusters are of one size in a complete design, where the mean of means is the mean.
        values = pd.Series(values).groupby(np.asarray(clusters)[some]).mean().to_numpy()
    if len(values) < 2:
        return mean, np.nan, np.nan
    resamples = int(np.clip(_DRAWS // len(values), 400, 2000))
    return mean, *bootstrap_interval(values, np.random.default_rng(0), resamples=resamples)


def _once(statistic):
    """Figures, sentences and tables of a page ask for the same numbers."""

    @wraps(statistic)
    def ask(sweep: Sweep, *arguments: str):
        key = (statistic.__name__, *arguments)
        if key not in sweep.found:
            sweep.found[key] = statistic(sweep, *arguments)
        return sweep.found[key]

    return ask


@_once
def means(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """Mean of an outcome by policy: policy, mean, low, high, n."""
    rows = []
    for policy in sweep.policies:
        runs = sweep.runs[sweep.runs["policy"].astype(str) == policy]
        rows.append((policy, *interval(runs[outcome].to_numpy(float), runs["seed"].to_numpy()), len(runs)))
    return pd.DataFrame(rows, columns=["policy", "mean", "low", "high", "n"])


@_once
def paired(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """One row a world and replication, a column a policy, where every policy has a finished run; indexed by them."""
    runs = sweep.runs[["world", "replication", "seed", outcome]].assign(policy=sweep.runs["policy"].astype(str))
    runs = runs.drop_duplicates(["world", "replication", "seed", "policy"])
    return (
        runs.set_index(["world", "replication", "seed", "policy"])[outcome].unstack("policy")[sweep.policies].dropna()
    )


@_once
def differences(sweep: Sweep, outcome: str, baseline: str) -> pd.DataFrame:
    """Each policy less the baseline on the same worlds and seeds: policy, mean, low, high, n, lower, higher.

    The last two are shares of pairs. [1]
    """
    table = paired(sweep, outcome)
    seeds = table.index.get_level_values("seed").to_numpy()
    rows = []
    for policy in sweep.policies:
        if policy != baseline:
            gap = (table[policy] - table[baseline]).to_numpy()
            rows.append(
                (
                    policy,
                    *interval(gap, seeds),
                    len(gap),
                    *(float(than.mean()) if len(gap) else np.nan for than in (gap < 0.0, gap > 0.0)),
                )
            )
    return pd.DataFrame(rows, columns=["policy", "mean", "low", "high", "n", "lower", "higher"])


@_once
def regrets(sweep: Sweep, outcome: str) -> pd.DataFrame:
    """How much worse than the best policy of each world, in the mean and at most: policy, mean, most, best (share)."""
    sign = 1.0 if lower_is_better(outcome) else -1.0
    by_world = sign * paired(sweep, outcome).groupby(level="world").mean()
    regret = by_world.sub(by_world.min(axis=1), axis=0)
    best = (regret <= 1e-12 * by_world.abs().max(axis=1).clip(lower=1.0).to_numpy()[:, None]).mean()
    return pd.DataFrame(
        {
            "policy": regret.columns,
            "mean": regret.mean().to_numpy(),
            "most": regret.max().to_numpy(),
            "best": best.to_numpy(),
        }
    )
