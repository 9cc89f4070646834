"""Cascades inside a step: how many accounts each round closed by force, and how many rounds it took."""

from __future__ import annotations

import numpy as np


def cascade_outcomes(step: np.ndarray, closed: np.ndarray) -> dict[str, float]:
    """Sizes of cascades, and the ratio of one round's closures to those of the round before.

    Parameters
    ----------
    step, closed : ndarray of shape (n_rounds,)
        Of every round in which something happened, in order: its step, and the accounts it closed by force
        (liquidation orders executed and takeovers).

    Returns
    -------
    dict
        ``cascades``: steps with at least one closure. ``cascade_mean``, ``cascade_largest``: closures in one.
        ``cascade_rounds``: most rounds with a closure in one. ``branching_ratio``: closures after the first round of
        their cascade over all closures, the mean number of closures that one causes (Harris 1948); 0 without any.

    Examples
    --------
    >>> found = cascade_outcomes(np.array([3, 3, 3, 9]), np.array([4.0, 2.0, 1.0, 1.0]))
    >>> found["cascade_largest"], found["cascade_mean"], found["branching_ratio"]
    (7.0, 4.0, 0.375)
    """
    some = closed > 0.0
    step, closed = step[some], closed[some]
    if not len(step):
        return dict.fromkeys(("cascades", "cascade_mean", "cascade_largest", "cascade_rounds", "branching_ratio"), 0.0)
    first = np.flatnonzero(np.concatenate([[True], step[1:] != step[:-1]]))
    sizes = np.add.reduceat(closed, first)
    total = float(closed.sum())
    return {
        "cascades": float(len(sizes)),
        "cascade_mean": total / len(sizes),
        "cascade_largest": float(sizes.max()),
        "cascade_rounds": float(np.diff(np.append(first, len(step))).max()),
        "branching_ratio": 1.0 - float(closed[first].sum()) / total,
    }
