"""The panel: one outcome of every policy on the same worlds and replications, with what failed left out everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.experiment.dictionary import is_counted
from contagion.experiment.file import Experiment
from contagion.scenario.names import nearest

PAIR = ["world", "replication"]
DUST = 1e-9
"""Differences below this share of the largest value are rounding, of sums in another order say."""
OWN = ("run_key", "policy", "world", "replication", "seed", "mirrored", "error")

HIGHER_IS_BETTER = (
    "gain.", "fund_end.", "claim_value.", "claim_low.", "unit_value.", "recovery.", "calls_met", "repaid", "repayment",
    "keeper_profit", "withdrawals_paid", "time_to_first_deficit", "default_fund_replenished",
)  # fmt: skip
"""Outcomes, or what their names start with, of which more is better unless the caller says otherwise."""


@dataclass(frozen=True)
class Panel:
    """Values of one outcome on the pairs where every policy has one.

    Attributes
    ----------
    outcome : str
    values : DataFrame of shape (n_pairs, n_policies)
        By (world, replication).
    units : ndarray of shape (n_pairs,)
        Number of the independent unit of each pair, from 0.
    """

    outcome: str
    values: pd.DataFrame
    units: np.ndarray

    @property
    def policies(self) -> list[str]:
        """Names, in the experiment's order."""
        return list(self.values.columns)

    @property
    def n_units(self) -> int:
        """Number of independent units."""
        return int(self.units.max()) + 1

    @cached_property
    def by_unit(self) -> pd.DataFrame:
        """Mean of each unit's pairs, a column per policy."""
        return self.values.groupby(self.units).mean()

    @cached_property
    def by_world(self) -> pd.DataFrame:
        """Mean of each world's pairs, a column per policy."""
        return self.values.groupby(level="world").mean()


def make_panel(runs: pd.DataFrame, experiment: Experiment, outcome: str, policies: Sequence[str]) -> Panel:
    """The panel of an outcome.

    Parameters
    ----------
    runs : DataFrame
        Rows as in docs/results_format.md.
    policies
        In the order the columns are to have.

    Raises
    ------
    InputError
        The outcome is unknown, or there is no pair on which every policy has it.
    """
    runs = with_outcome(runs, outcome)
    wide = runs.pivot(index=PAIR, columns="policy", values=outcome).reindex(columns=list(policies)).sort_index()
    complete = wide[np.isfinite(wide).all(axis=1)]
    if complete.empty:
        raise InputError("outcome", outcome, "one that is defined in some run of every policy on the same world")
    worlds, replications = (complete.index.get_level_values(name) for name in PAIR)
    names = worlds if unit_of(experiment, runs) == "world" else replications
    if experiment.antithetic and names is replications:
        names = replications // 2  # a run and its mirror image depend on each other
    units = np.unique(names, return_inverse=True)[1]
    return Panel(outcome, _without_dust(complete), units)


def _without_dust(values: pd.DataFrame) -> pd.DataFrame:
    """The same where policies that differ from the first by rounding only are equal to it."""
    first = values.iloc[:, [0]].to_numpy()
    equal = np.abs(values - first) <= DUST * np.abs(values.to_numpy()).max(initial=0.0)
    return values.mask(equal, np.broadcast_to(first, values.shape))


def unit_of(experiment: Experiment, runs: pd.DataFrame) -> str:
    """What stands for an independent draw: a ``world`` where they are sampled, otherwise a ``replication``.

    Worlds that are places to compare are not draws; but where each was run once they are all there is.
    """
    if experiment.design.samples and runs["world"].nunique() > 1:
        return "world"
    return "replication" if runs["replication"].nunique() > 1 else "world"


def with_outcome(runs: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The runs with a column of this outcome: an amount of docs/outcomes.md that none of them reports is 0.

    Raises
    ------
    InputError
        With the nearest names.
    """
    names = outcomes_in(runs)
    if outcome not in names and is_counted(outcome):
        return runs.assign(**{outcome: 0.0})
    if outcome not in names:
        near = nearest(outcome, names) or f"; there are {', '.join(names[:8])} and {max(0, len(names) - 8)} more"
        raise InputError("outcome", outcome, f"an outcome of these runs (docs/outcomes.md){near}")
    return runs


def outcomes_in(runs: pd.DataFrame) -> list[str]:
    """Names of the columns that are numbers and not a run's identity."""
    return [name for name in runs.columns if name not in OWN and runs[name].dtype.kind in "if"]


def higher_is_better(outcome: str) -> bool:
    """Whether more of an outcome counts as better, where nobody says."""
    return outcome.startswith(HIGHER_IS_BETTER)
