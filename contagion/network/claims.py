"""Values of claims on issuers that may hold each other's claims: vault shares, deposit receipts, stablecoins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from contagion.errors import InputError
from contagion.network.fixed_point import greatest_fixed_point
from contagion.network.validation import Matrix, share, square_matrix, vector

_WHOLE = 1.0 - 1e-12  # a share from which on a cycle leaks nothing that floating point could see


def solve_claim_values(
    outside_assets: ArrayLike,
    senior_liabilities: ArrayLike,
    holdings: ArrayLike | sparse.sparray | sparse.spmatrix,
    supply: ArrayLike,
    cap: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    tolerance: float = 1e-13,
) -> np.ndarray:
    """Greatest solution of ``V_j = min(cap_j, max(0, A_j + sum_k H[j, k] V_k - L_j) / supply_j)``.

    The valuation of cross-held claims of Suzuki (2002) and Elsinger (2009), one class of claim an issuer. Debt-like
    claims (finite cap) always have a greatest solution: all at par first, then wave by wave those that cannot be.
    Equity-like claims (infinite cap) need every cycle among them to leak: spectral radius of the shares they hold of
    each other strictly below one.

    Parameters
    ----------
    outside_assets : array of shape (n,)
        Assets of each issuer besides the claims it holds, A. [USD]
    senior_liabilities : array of shape (n,)
        What ranks before the claim, L. [USD]
    holdings : array or sparse array of shape (n, n)
        ``holdings[i, j]``: units of claim j held by issuer i.
    supply : array of shape (n,)
        Units of each claim outstanding, whoever holds them. A claim without supply has the value of its cap, or one
        where there is no cap: nobody holds it, and the first unit is sold at that price.
    cap : array of shape (n,)
        Largest value of a unit: par for debt-like claims, ``inf`` for equity-like ones. [USD/unit]
    names : sequence of str, optional
        Names of the issuers, for messages.
    tolerance : float
        A shortfall up to this share of the total at par leaves a capped claim at par.

    Returns
    -------
    ndarray of shape (n,)
        Value of a unit of each claim. [USD/unit]

    Raises
    ------
    InputError
        Bad numbers, more units held than exist, or a cycle of equity-like claims that hold each other entirely.

    Examples
    --------
    A vault with 100 shares holds 50 receipts of a pool; the pool has 80 for 100 receipts with par 1.

    >>> solve_claim_values([60, 80], [0, 0], [[0, 50], [0, 0]], [100, 100], [float("inf"), 1.0])
    array([1. , 0.8])
    """
    units = square_matrix("holdings", holdings)
    n = units.shape[0]
    assets = vector("outside_assets", outside_assets, n)
    liabilities = vector("senior_liabilities", senior_liabilities, n)
    outstanding = vector("supply", supply, n)
    par = vector("cap", cap, n, infinite=True)
    share("tolerance", tolerance)
    labels = [str(i) for i in range(n)] if names is None else list(names)
    _check_held_units(units, outstanding, labels)
    equity_like = np.isinf(par)
    if equity_like.any():
        _check_cycles(units, outstanding, np.flatnonzero(equity_like & (outstanding > 0.0)), labels)
    slack = tolerance * outstanding * np.where(equity_like, 0.0, par)
    values, _, _ = greatest_fixed_point(units, outstanding, par, assets - liabilities, slack=slack)
    return np.where(outstanding > 0.0, values, np.where(equity_like, 1.0, par))


def dependency_matrix(cross_holdings: ArrayLike) -> np.ndarray:
    """Who ultimately owns which issuer's assets: ``Chat (I - C)^-1`` (Elliott, Golub and Jackson 2014, equation 3).

    Parameters
    ----------
    cross_holdings : array of shape (n, n)
        ``C[i, j]``: share of j held by i; the rest of j, ``Chat[j, j]``, is held outside.

    Returns
    -------
    ndarray of shape (n, n)
        ``[i, j]``: share of j's outside assets that ends with the outside owners of i; columns add to one.

    Raises
    ------
    InputError
        Shares of an issuer that add to more than one, or a cycle that holds each other entirely.

    Examples
    --------
    >>> dependency_matrix([[0, 0.5], [0.5, 0]]).round(4)
    array([[0.6667, 0.3333],
           [0.3333, 0.6667]])
    """
    shares = square_matrix("cross_holdings", np.asarray(cross_holdings, dtype=float))
    n = len(shares)
    labels = [str(i) for i in range(n)]
    ones = np.ones(n)
    _check_held_units(shares, ones, labels)
    _check_cycles(shares, ones, np.arange(n), labels)
    outside = 1.0 - shares.sum(axis=0)
    return outside[:, None] * np.linalg.inv(np.eye(n) - shares)


def _check_held_units(units: Matrix, supply: np.ndarray, names: list[str]) -> None:
    held = units.sum(axis=0)
    excess = held > supply * (1.0 + 1e-9)
    if excess.any():
        j = int(np.flatnonzero(excess)[0])
        raise InputError(f"holdings of claim {names[j]}", float(held[j]), f"at most its supply, {supply[j]:g} units")


def _check_cycles(units: Matrix, supply: np.ndarray, members: np.ndarray, names: list[str]) -> None:
    """Refuse cycles with spectral radius one.

    Held shares add to at most one per claim, so the radius of a strongly connected group reaches one exactly when all
    of each of its claims is held inside the group.
    """
    inside = units[members][:, members]
    if (inside.sum(axis=0) < _WHOLE * supply[members]).all():
        return
    _, group = connected_components(sparse.csr_array(inside), connection="strong")
    for label in np.unique(group):
        cycle = np.flatnonzero(group == label)
        if (inside[cycle][:, cycle].sum(axis=0) >= _WHOLE * supply[members[cycle]]).all():
            raise InputError(
                "holdings",
                [names[members[i]] for i in cycle],
                "equity-like claims in a cycle are partly held outside it (spectral radius below one)",
            )
