"""DebtRank: distress that spreads in proportion to lost equity, before anybody defaults.

Direction: ``exposures[i, j]`` is what i loses if j pays nothing. Stress is the lost share of equity, from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike

from contagion.errors import ConvergenceError, InputError
from contagion.network.validation import Matrix, choice, square_matrix, vector, zero_diagonal


@dataclass(frozen=True, eq=False)
class DebtRank:
    """Stress of n nodes after it has spread.

    Attributes
    ----------
    stress : ndarray of shape (n,)
        Final stress h, capped at one.
    initial_stress : ndarray of shape (n,)
        Stress of the shock alone.
    losses : ndarray of shape (n,)
        Final losses; they go on beyond the equity of a node whose equity is gone. [USD]
    debtrank : float
        Stress added by the network, averaged with the weights.
    additional_defaults : int
        Nodes whose stress is one only because of the network.
    iterations : int
        Rounds until nothing moved by more than the tolerance.
    """

    stress: np.ndarray
    initial_stress: np.ndarray
    losses: np.ndarray
    debtrank: float
    additional_defaults: int
    iterations: int


def debtrank(
    exposures: ArrayLike | sparse.sparray,
    equity: ArrayLike,
    initial_stress: ArrayLike,
    *,
    variant: Literal["linear", "single_pass"] = "linear",
    cap_impact: bool = True,
    weights: ArrayLike | None = None,
    tolerance: float = 1e-12,
    norm: Literal["largest", "euclidean"] = "largest",
    max_iterations: int = 100_000,
) -> DebtRank:
    """Spread an initial stress through the exposures.

    Parameters
    ----------
    exposures : array or sparse array of shape (n, n)
        What i loses if j pays nothing. [USD]
    equity : array of shape (n,)
        Loss-absorbing capital before the shock; positive for every node with exposures. [USD]
    initial_stress : array of shape (n,)
        Share of equity lost in the shock.
    variant : {'linear', 'single_pass'}
        ``linear``: every further loss is passed on, ``h(t+1) = min(1, h(t) + Lambda (h(t) - h(t-1)))`` with
        ``Lambda[i, j] = exposures[i, j] / equity[i]`` (Bardoscia et al. 2015, equation 5). ``single_pass``: a node
        passes on its stress once, the round after it is first hit, through ``min(1, Lambda)`` (Battiston et al. 2012).
    cap_impact : bool
        Whether the single pass caps ``Lambda`` at one, as its paper does; some software does not.
    weights : array of shape (n,), optional
        Economic value of the nodes (equal by default).
    tolerance, norm
        Stop when the change of stress in a round, in this norm, is at most the tolerance.

    Raises
    ------
    InputError
        NaN, negative or misshapen input, stress above one, a node with exposures but without equity.
    ConvergenceError
        Still moving after ``max_iterations``.

    Examples
    --------
    >>> debtrank([[0, 1], [0, 0]], [2, 1], [0, 1]).stress
    array([0.5, 1. ])
    """
    matrix = zero_diagonal("exposures", square_matrix("exposures", exposures))
    n = matrix.shape[0]
    buffer = vector("equity", equity, n)
    first = vector("initial_stress", initial_stress, n)
    if (first > 1.0).any():
        raise InputError("initial_stress", float(first.max()), "shares of equity, from 0 to 1")
    choice("variant", variant, ("linear", "single_pass"))
    choice("norm", norm, ("largest", "euclidean"))
    value = np.ones(n) if weights is None else vector("weights", weights, n)
    leverage = interbank_leverage(matrix, buffer)
    if variant == "single_pass" and cap_impact:
        leverage = leverage.minimum(1.0) if sparse.issparse(leverage) else np.minimum(leverage, 1.0)
    spread = _linear if variant == "linear" else _single_pass
    # Uncapped: a node that is gone still adds losses, though it has nothing left to lose.
    lost_share, rounds = spread(leverage, first, tolerance, 2 if norm == "euclidean" else np.inf, max_iterations)
    stress = np.minimum(1.0, lost_share)
    total = value.sum()
    return DebtRank(
        stress=stress,
        initial_stress=first,
        losses=buffer * lost_share,
        debtrank=float((stress - first) @ value / total) if total > 0.0 else 0.0,
        additional_defaults=int(((stress >= 1.0) & (first < 1.0)).sum()),
        iterations=rounds,
    )


def _linear(
    leverage: Matrix, first: np.ndarray, tolerance: float, order: float, max_iterations: int
) -> tuple[np.ndarray, int]:
    lost = first
    for iteration in range(1, max_iterations + 1):
        update = first + leverage @ np.minimum(1.0, lost)
        change = float(np.linalg.norm(update - lost, ord=order)) if len(lost) else 0.0
        lost = update
        if change <= tolerance:
            return lost, iteration
    raise ConvergenceError(f"debtrank: stress still moves by {change:.3g} after {max_iterations} rounds")


def _single_pass(
    impact: Matrix, first: np.ndarray, tolerance: float, order: float, max_iterations: int
) -> tuple[np.ndarray, int]:
    lost, spoken, iteration = first, np.zeros(len(first), dtype=bool), 0
    while (speaking := (lost > 0.0) & ~spoken).any():
        message = impact @ np.where(speaking, np.minimum(1.0, lost), 0.0)
        lost, spoken = lost + message, spoken | speaking
        iteration += 1
        if np.linalg.norm(message, ord=order) <= tolerance:
            break
    return lost, iteration


def debtrank_balance_sheets(
    liabilities: ArrayLike,
    external_assets: ArrayLike,
    *,
    shock: ArrayLike,
    external_liabilities: ArrayLike | None = None,
    tolerance: float = 1e-12,
) -> np.ndarray:
    """Equity of each node after linear DebtRank on balance sheets, negative where losses exceed it.

    The valuation ``clip(E / E0, 0, 1)`` of a claim on a node with equity E, E0 before the shock (Barucca et al. 2020,
    section 4): with the same input never above the equity of a threshold cascade or of clearing.

    Parameters
    ----------
    liabilities : array of shape (n, n)
        What i owes j. [USD]
    external_assets : array of shape (n,)
        Outside assets before the shock. [USD]
    shock : array of shape (n,)
        Outside assets lost. [USD]
    external_liabilities : array of shape (n,), optional
        Debt owed outside. [USD]

    Raises
    ------
    InputError
        Bad numbers, or a node that is not solvent before the shock.

    Examples
    --------
    >>> debtrank_balance_sheets([[0, 0], [1, 0]], [1, 3], shock=[0, 1]).tolist()
    [1.5, 1.0]
    """
    matrix = zero_diagonal("liabilities", square_matrix("liabilities", liabilities))
    n = matrix.shape[0]
    assets, loss = vector("external_assets", external_assets, n), vector("shock", shock, n)
    outside = np.zeros(n) if external_liabilities is None else vector("external_liabilities", external_liabilities, n)
    before = assets + matrix.sum(axis=0) - matrix.sum(axis=1) - outside
    if not (before > 0.0).all():
        node = int(np.flatnonzero(~(before > 0.0))[0])
        raise InputError(f"equity of node {node} before the shock", float(before[node]), "a number above zero")
    result = debtrank(matrix.T, before, np.minimum(loss / before, 1.0), tolerance=tolerance)
    return before - loss - matrix.T @ result.stress


def interbank_leverage(exposures: ArrayLike | sparse.sparray, equity: ArrayLike) -> Matrix:
    """``Lambda[i, j] = exposures[i, j] / equity[i]``: share of i's equity lost if j pays nothing. [1]

    Raises
    ------
    InputError
        Bad numbers, or a node with exposures but without equity.
    """
    matrix = square_matrix("exposures", exposures)
    buffer = vector("equity", equity, matrix.shape[0])
    bare = (buffer <= 0.0) & (matrix.sum(axis=1) > 0.0)
    if bare.any():
        node = int(np.flatnonzero(bare)[0])
        raise InputError(f"equity[{node}]", float(buffer[node]), "above zero for a node with exposures")
    inverse = 1.0 / np.where(buffer > 0.0, buffer, 1.0)
    return sparse.diags_array(inverse) @ matrix if sparse.issparse(matrix) else matrix * inverse[:, None]


def fragility(exposures: ArrayLike | sparse.sparray, equity: ArrayLike) -> float:
    """Spectral radius of the interbank leverage matrix: above one, any shock grows (Bardoscia et al. 2017).

    Examples
    --------
    >>> round(fragility([[0, 1], [4, 0]], [2, 2]), 12)
    1.0
    """
    leverage = interbank_leverage(exposures, equity)
    dense = leverage.toarray() if sparse.issparse(leverage) else leverage
    return float(np.abs(np.linalg.eigvals(dense)).max(initial=0.0))


def susceptibility(exposures: ArrayLike | sparse.sparray, equity: ArrayLike, *, threshold: float = 1.0) -> np.ndarray:
    """Mean over the other nodes of the share of a node's equity lost with them, where it reaches the threshold.

    Its mean over the nodes is the fluidity of the network (Silva, Guerra and Tabak 2016).

    Examples
    --------
    >>> susceptibility([[0, 1], [0, 0]], [1, 1])
    array([1., 0.])
    """
    leverage = interbank_leverage(exposures, equity)
    dense = leverage.toarray() if sparse.issparse(leverage) else leverage
    return np.where(dense >= threshold, dense, 0.0).sum(axis=1) / max(len(dense) - 1, 1)
