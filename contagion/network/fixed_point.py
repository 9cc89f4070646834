"""Fixed points of capped promises: the solver behind clearing payments and claim values.

Every issuer i promises ``scale[i]`` units, each worth ``x[i]``, at most ``cap[i]``. It keeps the promise while

    own[i] + sum_j holdings[i, j] x[j] >= scale[i] cap[i],

else a unit is worth ``max(0, default_own[i] + default_share sum_j holdings[i, j] x[j]) / scale[i]``. With
recoveries for x, total liabilities for the scale and what others owe for the holdings this is Eisenberg-Noe (2001) and
Rogers-Veraart (2013); with claim values for x and supplies for the scale it is the value of claims on claims.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import MatrixRankWarning, spsolve

from contagion.errors import ConvergenceError
from contagion.network.validation import Matrix

_LARGE = 1_000  # defaulted issuers from which on elimination of a sparse system may fill up


def greatest_fixed_point(
    holdings: Matrix,
    scale: np.ndarray,
    cap: np.ndarray,
    own: np.ndarray,
    *,
    default_own: np.ndarray | None = None,
    default_share: float = 1.0,
    slack: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, list[np.ndarray], int]:
    """Greatest fixed point by fictitious default: all promises kept first, then wave by wave those that cannot be.

    Dense holdings are solved at full size, so what an issuer gets does not depend, to the last bit, on issuers it holds
    no direct or indirect claim on. Sparse holdings are solved on the defaulted issuers only.

    Parameters
    ----------
    holdings : array or sparse array of shape (n, n)
        Units of j's promise held by i.
    scale, cap, own : ndarray of shape (n,)
        Units promised, largest value of a unit (infinite: always residual), resources besides the holdings.
    default_own, default_share
        Resources and share of receipts that remain in default (nothing is lost by default).
    slack : ndarray or float
        A shortfall up to this much still counts as a promise kept.

    Returns
    -------
    x : ndarray of shape (n,)
    waves : list of boolean ndarray
        Issuers that break their promise, by wave.
    solves : int
        Linear systems solved.
    """
    residual = np.isinf(cap)
    broken = residual.copy()
    default_own = own if default_own is None else default_own
    target = scale * np.where(residual, 0.0, cap) - slack
    x = np.where(residual, np.inf, cap)
    waves: list[np.ndarray] = []
    solves = 0
    if broken.any():
        x, solves = _residual_values(holdings, scale, broken, x, default_own, default_share)
    for _ in range(len(x) + 1):
        falls = (own + holdings @ x < target) & ~broken
        if not falls.any():
            return x, waves, solves
        waves.append(falls)
        broken = broken | falls
        x, count = _residual_values(holdings, scale, broken, x, default_own, default_share)
        solves += count
    raise ConvergenceError("greatest fixed point: more default waves than issuers")  # pragma: no cover


def least_fixed_point(
    holdings: Matrix,
    scale: np.ndarray,
    cap: np.ndarray,
    own: np.ndarray,
    *,
    default_own: np.ndarray | None = None,
    default_share: float = 1.0,
    slack: np.ndarray | float = 0.0,
    tolerance: float = 1e-12,
    max_iterations: int = 100_000,
) -> tuple[np.ndarray, int]:
    """Least fixed point by iterating up from zero; arguments as in :func:`greatest_fixed_point`, finite caps.

    The iteration stops when the distance still to go, extrapolated from the last two changes, is below the tolerance.
    A promise that is kept only in the limit counts as kept, so the iteration does not stall below a jump.

    Raises
    ------
    ConvergenceError
        Not there after ``max_iterations`` (a cycle that hardly leaks converges slowly from below).
    """
    default_own = own if default_own is None else default_own
    divisor = np.where(scale > 0.0, scale, 1.0)
    x = np.where(scale > 0.0, 0.0, cap)
    previous_change = np.inf
    for iteration in range(1, max_iterations + 1):
        receipts = holdings @ x
        partial = np.clip((default_own + default_share * receipts) / divisor, 0.0, cap)
        update = np.where((own + receipts >= scale * cap - slack) | (scale <= 0.0), cap, partial)
        change = float(np.max((update - x) / cap, initial=0.0))
        x = update
        rate = change / previous_change if previous_change else 0.0
        if change == 0.0 or (rate < 1.0 and change * rate / (1.0 - rate) <= 0.1 * tolerance and change <= tolerance):
            return x, iteration
        previous_change = change
    raise ConvergenceError(f"least fixed point: last change {change:.3g} after {max_iterations} iterations from below")


def _residual_values(
    holdings: Matrix,
    scale: np.ndarray,
    broken: np.ndarray,
    upper: np.ndarray,
    own: np.ndarray,
    share: float,
) -> tuple[np.ndarray, int]:
    """Values when the ``broken`` issuers hand out what they have, never less than zero, and the others ``upper``."""
    kept = np.where(broken, 0.0, upper)
    resources = own + share * (holdings @ kept)
    members = broken & (scale > 0.0)
    solves = 1
    values = _linear_values(holdings, scale, members, resources, share)
    if values is None or (values > upper * (1.0 + 1e-6)).any():
        # A closed cycle without leak, under water: only the part of it that stays above zero has a solution.
        active = members & (resources > 0.0)
    else:
        active = members & (values >= 0.0)
        if active.sum() == members.sum():
            return kept + values, solves
    # Policy iteration for x = max(0, ...): from here values only rise, so issuers only join the positive ones.
    for _ in range(len(scale) + 1):
        solves += 1
        values = _linear_values(holdings, scale, active, resources, share)
        if values is None:
            break
        values = np.maximum(values, 0.0)
        joining = members & ~active & (resources + share * (holdings @ values) > 0.0)
        if not joining.any():
            return kept + values, solves
        active = active | joining
    raise ConvergenceError("no finite values for a cycle of issuers that hold each other entirely")


def _linear_values(
    holdings: Matrix, scale: np.ndarray, active: np.ndarray, resources: np.ndarray, share: float
) -> np.ndarray | None:
    """Solve scale x = resources + share holdings x on the active issuers, x = 0 elsewhere; None if singular."""
    if sparse.issparse(holdings):
        return _sparse_values(holdings, scale, active, resources, share)
    system = holdings * np.where(active, -share, 0.0)
    system *= active[:, None]
    system.flat[:: len(scale) + 1] += np.where(active, scale, 1.0)
    try:
        return np.linalg.solve(system, np.where(active, resources, 0.0))
    except np.linalg.LinAlgError:
        return None


def _sparse_values(
    holdings: sparse.csr_array, scale: np.ndarray, active: np.ndarray, resources: np.ndarray, share: float
) -> np.ndarray | None:
    values = np.zeros(len(scale))
    rows = np.flatnonzero(active)
    if rows.size == 0:
        return values
    inside = share * holdings[rows][:, rows]
    solution = _by_iteration(inside, scale[rows], resources[rows]) if rows.size > _LARGE else None
    if solution is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatrixRankWarning)
            system = sparse.csc_array(sparse.diags_array(scale[rows]) - inside)
            solution = np.atleast_1d(spsolve(system, resources[rows]))
    if not np.isfinite(solution).all():
        return None
    values[rows] = solution
    return values


def _by_iteration(inside: sparse.csr_array, scale: np.ndarray, resources: np.ndarray) -> np.ndarray | None:
    """The same solution by repeated substitution, or None where it converges slowly.

    Elimination fills up the matrix of a large random network; substitution converges at the rate at which value leaks
    out of the group.
    """
    x = first = resources / scale
    previous_change = 0.0
    for _ in range(500):
        update = first + (inside @ x) / scale
        change, size = float(np.abs(update - x).max()), float(np.abs(update).max())
        x = update
        rate = change / previous_change if previous_change else np.inf
        if change <= 1e-16 * size or (rate < 1.0 and change * rate / (1.0 - rate) <= 1e-14 * size):
            return x
        previous_change = change
    return None
