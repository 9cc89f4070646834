"""Sensitivity indices by SALib, one number per input and index, and the designs they are taken from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

Indices = dict[tuple[str, str], float]
"""(input, name of the index) -> value."""

SLICES = (8, 4, 2)
"""Of an input, with ten worlds or more in each."""


@dataclass(frozen=True)
class Design:
    """Inputs of the worlds.

    Attributes
    ----------
    names : list of str
    points : ndarray of shape (n_worlds, n_inputs)
        Quantiles for Morris' trajectories, values otherwise; not used for Sobol' indices.
    block : int
        Worlds that follow each other and were drawn together: a trajectory, a base point with its companions, or 1.
    """

    names: list[str]
    points: np.ndarray
    block: int
    levels: int = 4
    second_order: bool = False

    @property
    def problem(self) -> dict:
        """In SALib's words, which does not accept every name."""
        count = len(self.names)
        return {"num_vars": count, "names": [f"input{order}" for order in range(count)], "bounds": [[0.0, 1.0]] * count}

    def take(self, rows: np.ndarray) -> Design:
        """The same with other rows."""
        return replace(self, points=self.points[rows])


def morris_indices(design: Design, outcome: np.ndarray) -> Indices:
    """Mean of absolute elementary effects, of signed ones, and their deviation, per whole range of the input's
    quantiles; in the unit of the outcome."""
    from SALib.analyze import morris

    found = _quietly(
        morris.analyze, design.problem, design.points, outcome, num_levels=design.levels, num_resamples=2, seed=1
    )
    return {
        (name, index): float(found[index][order])
        for order, name in enumerate(design.names) for index in ("mu_star", "mu", "sigma")
    }  # fmt: skip


def sobol_indices(design: Design, outcome: np.ndarray) -> Indices:
    """First-order and total shares of the variance, and second-order ones if the design has them. [1]"""
    from SALib.analyze import sobol

    found = _quietly(
        sobol.analyze, design.problem, outcome, calc_second_order=design.second_order, num_resamples=2, seed=1
    )
    indices = {
        (name, index): float(found[index][order])
        for order, name in enumerate(design.names) for index in ("S1", "ST")
    }  # fmt: skip
    if design.second_order:
        for one, other in combinations(range(len(design.names)), 2):
            indices[f"{design.names[one]} x {design.names[other]}", "S2"] = float(found["S2"][one, other])
    return indices


def pawn_indices(design: Design, outcome: np.ndarray) -> Indices:
    """Median distance between the distribution of the outcome and that given a slice of the input. [1]"""
    from SALib.analyze import pawn

    # SALib walks to 1 in steps of one over the slices, which only powers of two reach exactly.
    slices = next(count for count in SLICES if len(outcome) >= 10 * count or count == SLICES[-1])
    found = _quietly(pawn.analyze, design.problem, design.points, outcome, S=slices)
    return {(name, "pawn"): float(found["median"][order]) for order, name in enumerate(design.names)}


def delta_indices(design: Design, outcome: np.ndarray) -> Indices:
    """Half the expected shift of the outcome's density given the input. [1]"""
    from SALib.analyze import delta

    found = _quietly(
        delta.analyze, design.problem, design.points, outcome, num_resamples=2, y_resamples=len(outcome),
        method="delta", seed=1,
    )  # fmt: skip
    return {(name, "delta"): float(found["delta_raw"][order]) for order, name in enumerate(design.names)}


def _quietly(analyze: Callable, *arguments, **options) -> dict:
    """SALib's own intervals, from two resamples, are not used, nor what it warns of; its seed is not for others."""
    state, format_of_warnings = np.random.get_state(), warnings.formatwarning
    try:
        with warnings.catch_warnings(record=True), np.errstate(all="ignore"):
            return analyze(*arguments, **options)
    finally:
        np.random.set_state(state)
        warnings.formatwarning = format_of_warnings
