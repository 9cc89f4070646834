"""Sequential stopping: replications are added until intervals are narrow enough, by a rule that allows for looking.

The rule is the fixed-width procedure of Chow and Robbins (1965): stop at the first n, of those looked at, with
``n >= (z / d)^2 (s^2 + d^2 / n)``, where z is Student's quantile, s the standard deviation so far and d the half-width
asked for. The last term keeps a few runs that happen to agree from ending it. Its coverage is the nominal one in the
limit of small d, with fewest replications `FEWEST` besides, because the limit is far away at the start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from contagion.errors import InputError
from contagion.experiment.file import Experiment, Stopping
from contagion.experiment.panel import with_outcome
from contagion.experiment.plan import Plan
from contagion.experiment.store import Results

FEWEST = 10


def until_precise(experiment: Experiment) -> UntilPrecise:
    """The planner of an experiment with a ``stopping`` section.

    Raises
    ------
    InputError
        There is none.
    """
    if experiment.stopping is None:
        raise InputError("stopping", None, "precision and budget, to run until intervals are narrow enough")
    return UntilPrecise(experiment, experiment.stopping)


class UntilPrecise:
    """Adds batches of replications until every outcome is precise under every policy, or the budget ends."""

    def __init__(self, experiment: Experiment, stopping: Stopping) -> None:
        self._experiment, self._stopping = experiment, stopping
        self._asked = 0

    def __call__(self, plan: Plan, results: Results) -> range:
        """Replications to add; empty to stop."""
        affordable = self._stopping.budget // len(plan)
        if self._asked == 0:
            return self._next(max(self._experiment.replications, min(FEWEST, affordable)), affordable, len(plan))
        if precision(results)["reached"].all():
            return range(0)
        return self._next(self._stopping.batch, affordable, len(plan))

    def _next(self, count: int, affordable: int, each: int) -> range:
        start = self._asked
        count = min(count, affordable - start)
        if self._experiment.antithetic:
            count += count % 2 if start + count < affordable else -(count % 2)
        if start == 0 and count < 1:
            raise InputError("stopping.budget", self._stopping.budget, f"{each} runs or more: those of one replication")
        self._asked = start + max(0, count)
        return range(start, self._asked)


def precision(results: Results) -> pd.DataFrame:
    """How precise the means of a sweep are, against what its ``stopping`` asks.

    Returns
    -------
    DataFrame
        One row an outcome and policy: ``replications`` (pairs of them where antithetic) in which all worlds have the
        outcome, ``mean`` over worlds and replications, ``half_width`` of its interval (over replications, for the
        worlds of the experiment), what was ``asked``, whether it is ``reached``.

    Raises
    ------
    InputError
        The experiment asks for no precision, or for that of an unknown outcome.
    """
    experiment, runs = results.experiment, results.runs
    stopping = experiment.stopping
    if stopping is None:
        raise InputError("stopping", None, "precision and budget in the experiment")
    rows = []
    for outcome, asked in stopping.precision.items():
        if len(runs):
            runs = with_outcome(runs, outcome)
        for policy in experiment.policies:
            means = _replication_means(runs, experiment, outcome, policy) if len(runs) else np.empty(0)
            rows.append({"outcome": outcome, "policy": policy, **_look(means, asked, stopping.confidence)})
    return pd.DataFrame(rows)


def reached(results: Results) -> str:
    """One line an outcome and policy: how narrow its interval is, and whether that was asked for."""
    lines = []
    for row in precision(results).itertuples():
        words = "" if row.reached else ": the budget ended first"
        what = f"{row.outcome}, {row.policy}: {row.mean:,.6g} ± {row.half_width:,.3g} ({row.asked:,.3g} asked{words})"
        lines.append(f"{what}, {row.replications:,} replications")
    return "\n".join(lines)


def _replication_means(runs: pd.DataFrame, experiment: Experiment, outcome: str, policy: str) -> np.ndarray:
    wide = runs[runs["policy"] == policy].pivot(index="replication", columns="world", values=outcome)
    means = wide.dropna(axis=1, how="all").dropna().mean(axis=1)  # a world that always fails has no mean
    if experiment.antithetic:
        means = means.groupby(means.index // 2).mean()
    return means.to_numpy()


def _look(means: np.ndarray, asked: float, confidence: float) -> Mapping[str, float | bool]:
    n = len(means)
    mean = float(means.mean()) if n else math.nan
    spread, width = (float(means.std(ddof=1)), half_width(means, confidence)) if n > 1 else (math.nan, math.nan)
    return {
        "replications": n, "mean": mean, "half_width": width, "asked": asked,
        "reached": n >= FEWEST and enough(n, spread, asked, confidence),
    }  # fmt: skip


def half_width(values: np.ndarray, confidence: float = 0.95) -> float:
    """Half of Student's interval of a mean, in the unit of the values."""
    n = len(values)
    return float(stats.t.ppf(0.5 + confidence / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))


def enough(n: int, spread: float, asked: float, confidence: float = 0.95) -> bool:
    """Whether `n` values of standard deviation `spread` have an interval of half-width `asked`, by the rule above.

    Examples
    --------
    >>> enough(100, 5.0, 1.0), enough(99, 5.0, 1.0)
    (True, True)
    >>> enough(98, 5.0, 1.0)
    False
    """
    z = float(stats.t.ppf(0.5 + confidence / 2, n - 1))
    return n >= (z / asked) ** 2 * (spread**2 + asked**2 / n)
