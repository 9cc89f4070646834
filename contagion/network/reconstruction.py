"""Bilateral exposures from what each node lends and borrows in total, since bilateral data are seldom public."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from contagion.errors import ConvergenceError, InputError
from contagion.network.validation import vector


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Exposures that add up to given totals.

    Attributes
    ----------
    exposures : ndarray of shape (n, n)
        ``[i, j]``: lent by i to j; nobody lends to itself. [USD]
    links : int
        Positive entries.
    error : float
        Largest deviation from a total, relative to the sum of all.
    iterations : int
        Rescalings (maximum entropy) or networks tried (minimum density).
    """

    exposures: np.ndarray
    links: int
    error: float
    iterations: int


def maximum_entropy(
    assets: ArrayLike, liabilities: ArrayLike, *, tolerance: float = 1e-10, max_iterations: int = 100_000
) -> Reconstruction:
    """Most even exposures with these totals: RAS from ``assets[i] * liabilities[j]`` (Upper and Worms 2004).

    Parameters
    ----------
    assets, liabilities : array of shape (n,)
        Lent and borrowed by each node inside the network; equal sums. [USD]
    tolerance : float
        Stop when no total is missed by more than this, relative to the sum of all.

    Raises
    ------
    InputError
        Bad numbers, unequal sums, or a node so large that it would have to lend to itself.
    ConvergenceError
        Totals that only just allow a solution converge slowly.

    Examples
    --------
    >>> maximum_entropy([1, 1, 1], [1, 1, 1]).exposures.round(6).tolist()
    [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    lent, borrowed, total = _totals(assets, liabilities)
    exposures = np.outer(lent, borrowed)
    np.fill_diagonal(exposures, 0.0)
    for iteration in range(1, max_iterations + 1):
        exposures *= _ratio(lent, exposures.sum(axis=1))[:, None]
        exposures *= _ratio(borrowed, exposures.sum(axis=0))
        # The columns are exact by the last line.
        error = _error(exposures, lent, borrowed, total)
        if error <= tolerance:
            return Reconstruction(exposures, int((exposures > 0.0).sum()), error, iteration)
    raise ConvergenceError(f"maximum entropy: a total is still missed by {error:.3g} after {max_iterations} rescalings")


def minimum_density(
    assets: ArrayLike, liabilities: ArrayLike, *, rng: np.random.Generator, attempts: int = 100
) -> Reconstruction:
    """Few, large exposures with these totals (Anand, Craig and von Peter 2015).

    Their objective, a fixed cost a link, searched by their loading rule: draw a pair with probability proportional to
    ``max(lent_i / borrowed_j, borrowed_j / lent_i)`` of what is left, load as much as both sides allow, repeat. The
    sparsest of ``attempts`` networks is returned; that no sparser one exists is not proven.

    Parameters and errors as in :func:`maximum_entropy`.

    Examples
    --------
    >>> minimum_density([2, 0, 1], [0, 2, 1], rng=np.random.default_rng(1)).links
    3
    """
    lent, borrowed, total = _totals(assets, liabilities)
    if not isinstance(rng, np.random.Generator):
        raise InputError("rng", rng, "a numpy.random.Generator")
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise InputError("attempts", attempts, "a whole number from 1")
    candidates = [_loaded(lent, borrowed, total, rng) for _ in range(attempts)]
    exposures = min(candidates, key=np.count_nonzero)
    links = int(np.count_nonzero(exposures))
    return Reconstruction(exposures, links, _error(exposures, lent, borrowed, total), attempts)


def _loaded(lent: np.ndarray, borrowed: np.ndarray, total: float, rng: np.random.Generator) -> np.ndarray:
    to_lend, to_borrow = lent.copy(), borrowed.copy()
    dust = 1e-12 * total
    exposures = np.zeros((len(lent), len(lent)))
    while True:
        lenders, borrowers = np.flatnonzero(to_lend > dust), np.flatnonzero(to_borrow > dust)
        pairs = [(i, j) for i in lenders for j in borrowers if i != j]
        if not pairs:
            break
        i, j = np.array(pairs).T
        ratio = to_lend[i] / to_borrow[j]
        weight = np.maximum(ratio, 1.0 / ratio)
        i, j = pairs[rng.choice(len(pairs), p=weight / weight.sum())]
        amount = min(to_lend[i], to_borrow[j])
        exposures[i, j] += amount
        to_lend[i] -= amount
        to_borrow[j] -= amount
    for node in np.flatnonzero((to_lend > dust) & (to_borrow > dust)):
        _insert(exposures, node, to_lend[node], dust)
    return exposures


def _insert(exposures: np.ndarray, node: int, amount: float, dust: float) -> None:
    """Give a node that is left with itself its place between the ends of other links, the largest first."""
    others = exposures.copy()
    others[node, :] = others[:, node] = 0.0
    for place in np.argsort(others, axis=None)[::-1]:
        lender, borrower = np.unravel_index(place, others.shape)
        part = min(amount, others[lender, borrower])
        if amount <= dust or part <= 0.0:
            break
        exposures[lender, borrower] -= part
        exposures[lender, node] += part
        exposures[node, borrower] += part
        amount -= part


def _totals(assets: ArrayLike, liabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray, float]:
    n = np.size(assets)
    lent, borrowed = vector("assets", assets, n), vector("liabilities", liabilities, n)
    total = float(lent.sum())
    if not np.isclose(total, borrowed.sum(), rtol=1e-9, atol=0.0):
        raise InputError("liabilities", float(borrowed.sum()), f"the sum of the assets, {total:g}")
    own = lent + borrowed > total * (1.0 + 1e-9)
    if own.any():
        node = int(np.flatnonzero(own)[0])
        raise InputError(f"assets[{node}]", float(lent[node]),
                         f"at most what others borrow, {total - borrowed[node]:g}: nobody lends to itself")
    return lent, borrowed, total


def _ratio(wanted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    return np.divide(wanted, actual, out=np.zeros_like(wanted), where=actual > 0.0)


def _error(exposures: np.ndarray, lent: np.ndarray, borrowed: np.ndarray, total: float) -> float:
    missed = np.abs(np.concatenate([exposures.sum(axis=1) - lent, exposures.sum(axis=0) - borrowed]))
    return float(missed.max(initial=0.0) / total) if total > 0.0 else 0.0
