"""Which inputs matter: indices of a sweep's uncertainties, with the noise of replications counted as noise.

Replications are averaged before anything is attributed to an input. Intervals resample both what the design drew
(trajectories, base points, worlds) and the replications.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.experiment.designs import Morris, Saltelli
from contagion.experiment.file import Experiment
from contagion.experiment.indices import Design, Indices, delta_indices, morris_indices, pawn_indices, sobol_indices
from contagion.experiment.panel import with_outcome
from contagion.experiment.store import Results, open_results
from contagion.scenario.names import nearest
from contagion.streams import Streams

METHODS = ("morris", "sobol", "pawn", "delta")
FEWEST_WORLDS = 20
RESAMPLES = 200
SLOWER = 8
"""How many times fewer resamples ``delta`` gets: each takes most of a second."""


@dataclass(frozen=True)
class Sensitivity:
    """How much each uncertainty matters for an outcome.

    Attributes
    ----------
    indices : DataFrame
        One row an input and index: ``input``, ``index_name``, ``value``, ``low``, ``high``. Second-order indices name
        two inputs, ``a x b``. The input ``(none)`` is a column of random numbers that cannot matter: what its index
        is, any index may be by chance (``pawn`` and ``delta``, which are never below 0 and so too high when small).
    noise_share : float
        Share of the variance of averaged outcomes, over worlds, that replications explain; nan for one. [1]
    """

    outcome: str
    policy: str
    method: str
    indices: pd.DataFrame
    worlds: int
    replications: int
    noise_share: float
    confidence: float
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what is not a number is None."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["noise_share"] = None if np.isnan(self.noise_share) else self.noise_share
        return {**plain, "indices": json.loads(self.indices.to_json(orient="records", double_precision=15))}

    def summary(self) -> str:
        """The indices as text, at most 80 columns wide."""
        lines = [f"{self.outcome}, {self.policy}: {self.method}, {self.worlds:,} worlds x {self.replications:,} runs"]
        share = "unknown: one replication" if np.isnan(self.noise_share) else f"{self.noise_share:.1%}"
        lines.append(f"Noise of replications, as a share of the variance: {share}")
        lines.append(f"  {'input':<37}{'index':<8}{'value':>9}{f'{100 * self.confidence:g}% interval':>24}")
        for row in self.indices.itertuples():
            name = row.input if len(row.input) <= 36 else f"…{row.input[-35:]}"
            lines.append(f"  {name:<37}{row.index_name:<8}{row.value:>9.3g}{f'{row.low:.3g} to {row.high:.3g}':>24}")
        lines += [line for note in self.notes for line in textwrap.wrap(f"Note: {note}", 80, subsequent_indent="  ")]
        return "\n".join(lines) + "\n"


def sensitivity(
    results: Results | str | os.PathLike[str],
    outcome: str | None = None,
    *,
    method: str | None = None,
    policy: str | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Sensitivity:
    """Indices of the uncertainties of a sweep.

    Parameters
    ----------
    results
        A sweep or its folder.
    outcome
        The first of the experiment if not given.
    method
        ``morris`` (mean absolute elementary effect ``mu_star``, its signed mean ``mu``, their ``sigma``; Morris 1991,
        Campolongo et al. 2007) needs the design of that name. ``sobol`` (``S1``, ``ST``, ``S2``: shares of the
        variance; Saltelli et al. 2010) needs design ``saltelli``. ``pawn`` (median Kolmogorov-Smirnov distance;
        Pianosi and Wagener 2015) and ``delta`` (moment-independent; Borgonovo 2007) take any worlds that were sampled.
        By default the one of the design, else ``pawn``. All by SALib.
    policy
        Name of the policy; needed where there are several.
    confidence, resamples, seed
        Of the bootstrap.

    Raises
    ------
    InputError
        Unknown outcome or policy, a design the method cannot use, an outcome that never varies, too few worlds, or,
        for ``morris`` and ``sobol``, a world in which every run failed.
    """
    found = results if isinstance(results, Results) else open_results(results)
    experiment = found.experiment
    chosen = _policy(policy, list(experiment.policies))
    outcome = outcome or next(iter(experiment.outcomes), "system_loss")
    runs = with_outcome(found.runs, outcome)
    runs = runs[runs["policy"] == chosen]
    method = _method(method, experiment)
    wide = runs.pivot(index="world", columns="replication", values=outcome)
    # Common random numbers of replications that lack a world would be compared with those of others.
    values, notes = _complete(wide, found, method)
    if np.ptp(values.mean(axis=1)) == 0.0:
        raise InputError("outcome", outcome, "one that differs between worlds; this one never varies")
    rng = np.random.default_rng(int(Streams(seed).generator("sensitivity", outcome, method).integers(2**63)))
    design, compute = _analysis(method, experiment, runs, values, rng)
    count = max(2, resamples // SLOWER) if method == "delta" else resamples
    table = _with_intervals(design, compute, values.to_numpy(), rng, confidence, count)
    if values.shape[1] < 2:
        notes.append("One replication: what is chance and what is interaction cannot be told apart.")
    elif experiment.seeding == "common":
        notes.append("Replications share their seeds between worlds, which takes most noise out of differences.")
    return Sensitivity(
        outcome, chosen, method, table, values.shape[0], values.shape[1], noise_share(values.to_numpy()), confidence,
        notes,
    )  # fmt: skip


def noise_share(values: np.ndarray) -> float:
    """Share of the variance of worlds' means that comes from replications. [1]

    The residual variance of a two-way layout (worlds by replications, whose own effect is common to all worlds and
    moves no difference) over the number of replications, over the variance of the means; nan for one replication.

    Parameters
    ----------
    values : ndarray of shape (n_worlds, n_replications)

    Examples
    --------
    >>> noise_share(np.array([[1.0, 3.0], [5.0, 3.0]]))
    1.0
    """
    worlds, replications = values.shape
    means = values.mean(axis=1)
    if replications < 2 or worlds < 2 or not means.var() > 0.0:
        return float("nan")
    residual = values - means[:, None] - values.mean(axis=0)[None, :] + values.mean()
    variance = np.square(residual).sum() / ((worlds - 1) * (replications - 1))
    return float(min(1.0, variance / replications / means.var(ddof=1)))


def _policy(policy: str | None, policies: list[str]) -> str:
    if policy is None and len(policies) == 1:
        return policies[0]
    if policy not in policies:
        raise InputError("policy", policy, f"one of {', '.join(policies)}{nearest(policy, policies)}")
    return policy


def _method(method: str | None, experiment: Experiment) -> str:
    design = experiment.design
    own = "morris" if isinstance(design, Morris) else "sobol" if isinstance(design, Saltelli) else "pawn"
    if method is None:
        method = own
    if method not in METHODS:
        raise InputError("method", method, f"one of {', '.join(METHODS)}")
    needed = {"morris": "morris", "sobol": "saltelli"}.get(method)
    if needed and method != own:
        raise InputError("method", method, f"design {needed} in the experiment; with {design.method}: pawn or delta")
    if not needed and not (design.samples or isinstance(design, Saltelli)):
        accepted = f"worlds that are sampled (random, latin_hypercube, ...), not those of design {design.method}"
        raise InputError("method", method, accepted)
    return method


def _complete(wide: pd.DataFrame, found: Results, method: str) -> tuple[pd.DataFrame, list[str]]:
    """Worlds by replications without gaps, and what was left out for it."""
    notes = []
    worlds = sorted(set(found.plan["world"])) if len(found.plan) else list(wide.index)
    wide = wide.reindex(worlds)
    empty = wide.isna().all(axis=1)
    if empty.any():
        if method in ("morris", "sobol"):
            accepted = f"the outcome in every world, which {method} needs; world {wide.index[empty][0]} lacks it"
            raise InputError("results", f"{int(empty.sum())} worlds without the outcome", accepted)
        notes.append(f"{int(empty.sum()):,} of {len(wide):,} worlds left out: no run of them has the outcome.")
        wide = wide[~empty]
    whole = wide.notna().all(axis=0)
    if whole.any():
        if not whole.all():
            notes.append(f"{int((~whole).sum())} of {len(whole)} replications left out: some world lacks them.")
        wide = wide.loc[:, whole]
    else:
        notes.append("No replication is complete: each world has the mean of the runs it has.")
        wide = wide.mean(axis=1).to_frame()
    if len(wide) < FEWEST_WORLDS and method in ("pawn", "delta"):
        raise InputError("worlds", len(wide), f"{FEWEST_WORLDS} or more")
    return wide, notes


def _analysis(
    method: str, experiment: Experiment, runs: pd.DataFrame, values: pd.DataFrame, rng: np.random.Generator
) -> tuple[Design, Callable[[Design, np.ndarray], Indices]]:
    """The inputs in blocks that are drawn independently, and the function that gives the indices."""
    names, design = list(experiment.uncertainties), experiment.design
    if isinstance(design, Morris):
        points = design.points(experiment.uncertainties, Streams(experiment.seed))
        return Design(names, points, len(names) + 1, levels=design.levels), morris_indices
    if method == "sobol" and isinstance(design, Saltelli):
        block = (2 if design.second_order else 1) * len(names) + 2
        unused = np.zeros((len(values), len(names)))
        return Design(names, unused, block, second_order=design.second_order), sobol_indices
    worlds = runs.drop_duplicates("world").set_index("world").loc[values.index, names]
    points = np.column_stack([*(_numbers(worlds[name]) for name in names), rng.random(len(worlds))])
    return Design([*names, "(none)"], points, 1), pawn_indices if method == "pawn" else delta_indices


def _numbers(column: pd.Series) -> np.ndarray:
    """Values as numbers; words by their alphabetical order, which is all these methods use of it."""
    if column.dtype.kind in "ifb":
        return column.to_numpy(dtype=float)
    return np.unique(column.astype(str), return_inverse=True)[1].astype(float)


def _with_intervals(
    design: Design, compute: Callable[[Design, np.ndarray], Indices], values: np.ndarray, rng: np.random.Generator,
    confidence: float, resamples: int,
) -> pd.DataFrame:  # fmt: skip
    """Indices of the averages, each with an interval over resampled blocks and replications.

    Percentile intervals; for distances between distributions the basic ones (Davison and Hinkley 1997), which take out
    the shift upwards that worlds drawn twice give them.
    """
    found = compute(design, values.mean(axis=1))
    blocks, replications = len(values) // design.block, values.shape[1]
    drawn = []
    for _ in range(resamples):
        rows = (rng.integers(blocks, size=blocks)[:, None] * design.block + np.arange(design.block)).ravel()
        seen = values[rows][:, rng.integers(replications, size=replications)].mean(axis=1)
        drawn.append(list(compute(design.take(rows), seen).values()) if np.ptp(seen) > 0.0 else [np.nan] * len(found))
    value = np.array(list(found.values()))
    ends = np.nanquantile(np.array(drawn), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    if compute in (pawn_indices, delta_indices):
        ends = 2.0 * value - ends[::-1]
    return pd.DataFrame(list(found), columns=["input", "index_name"]).assign(value=value, low=ends[0], high=ends[1])
