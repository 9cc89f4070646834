"""Clearing of interbank liabilities: who can pay how much, when what they can pay depends on what they are paid.

Direction: ``liabilities[i, j]`` is what i owes j. Payments are totals paid by i; equity is outside assets + receipts -
nominal liabilities, before default costs, and may be negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike

from contagion.errors import ConvergenceError
from contagion.network.fixed_point import greatest_fixed_point, least_fixed_point
from contagion.network.validation import choice, share, square_matrix, vector, zero_diagonal

Liabilities = ArrayLike | sparse.sparray | sparse.spmatrix


@dataclass(frozen=True, eq=False)
class Clearing:
    """Outcome of clearing n nodes.

    Attributes
    ----------
    payments : ndarray of shape (n,)
        Total paid by each node, to the network and to outside creditors. [USD]
    equity : ndarray of shape (n,)
        Outside assets + receipts - nominal liabilities; negative by what creditors miss, before default costs. [USD]
    defaulted : ndarray of bool, shape (n,)
    recovery : ndarray of shape (n,)
        Share of its liabilities inside the network that the node pays; i pays ``recovery[i] * liabilities[i, j]``
        to j. One where nothing is owed.
    rounds : tuple of frozenset of int
        Nodes by default wave; in a least fixed point all of them at once.
    fixed_point : str
        ``greatest`` or ``least``.
    tolerance : float
        Shortfall, relative to what a node owes, that is not yet a default.
    iterations : int
        Linear solves (greatest), iterations from below (least) or waves (threshold cascade).
    """

    payments: np.ndarray
    equity: np.ndarray
    defaulted: np.ndarray
    recovery: np.ndarray
    rounds: tuple[frozenset[int], ...]
    fixed_point: str
    tolerance: float
    iterations: int


def eisenberg_noe(
    liabilities: Liabilities,
    external_assets: ArrayLike,
    *,
    external_liabilities: ArrayLike | None = None,
    seniority: Literal["pari_passu", "senior"] = "pari_passu",
    which: Literal["greatest", "least"] = "greatest",
    tolerance: float = 1e-12,
) -> Clearing:
    """Clearing payments under limited liability, without default costs (Eisenberg and Noe 2001, equation 1).

    Parameters
    ----------
    liabilities : array or sparse array of shape (n, n)
        What i owes j. [USD]
    external_assets : array of shape (n,)
        Assets outside the network. [USD]
    external_liabilities : array of shape (n,), optional
        Debt owed outside the network. [USD]
    seniority : {'pari_passu', 'senior'}
        Whether outside debt shares with the network or is paid first.
    which : {'greatest', 'least'}
        Fixed point returned.
    tolerance : float
        Relative shortfall that is not yet a default; a tie is none.

    Raises
    ------
    InputError
        NaN, negative or misshapen input, or a node that owes itself.
    ConvergenceError
        The iteration from below did not settle (``which='least'`` only, in cycles that hardly leak).

    Examples
    --------
    >>> eisenberg_noe([[0, 8], [6, 0]], [1, 1]).payments
    array([7., 6.])
    """
    return rogers_veraart(
        liabilities,
        external_assets,
        alpha=1.0,
        beta=1.0,
        external_liabilities=external_liabilities,
        seniority=seniority,
        which=which,
        tolerance=tolerance,
    )


def rogers_veraart(
    liabilities: Liabilities,
    external_assets: ArrayLike,
    *,
    alpha: float,
    beta: float,
    external_liabilities: ArrayLike | None = None,
    seniority: Literal["pari_passu", "senior"] = "pari_passu",
    which: Literal["greatest", "least"] = "greatest",
    tolerance: float = 1e-12,
) -> Clearing:
    """Clearing payments with default costs (Rogers and Veraart 2013, definition 2.3 and algorithm GA).

    A node in default recovers ``alpha`` of its outside assets and ``beta`` of its receipts; a solvent node loses
    nothing. Other arguments, errors and conventions as in :func:`eisenberg_noe`, the case ``alpha = beta = 1``.

    Examples
    --------
    >>> rogers_veraart([[0, 10], [0, 0]], [4, 0], alpha=0.5, beta=0.5).payments
    array([2., 0.])
    """
    matrix = zero_diagonal("liabilities", square_matrix("liabilities", liabilities))
    n = matrix.shape[0]
    assets = vector("external_assets", external_assets, n)
    outside = np.zeros(n) if external_liabilities is None else vector("external_liabilities", external_liabilities, n)
    senior = choice("seniority", seniority, ("pari_passu", "senior")) == "senior"
    alpha, beta = share("alpha", alpha), share("beta", beta)
    choice("which", which, ("greatest", "least"))
    share("tolerance", tolerance)

    inside = matrix.sum(axis=1)
    total = inside + outside
    sharing, first = (inside, outside) if senior else (total, 0.0)
    claims = matrix.T if not sparse.issparse(matrix) else sparse.csr_array(matrix.T)
    promise = {
        "default_own": assets * alpha - first,
        "default_share": beta,
        "slack": tolerance * total,
    }
    if which == "greatest":
        ratio, waves, iterations = greatest_fixed_point(claims, sharing, np.ones(n), assets - first, **promise)
    else:
        ratio, iterations = least_fixed_point(
            claims, sharing, np.ones(n), assets - first, tolerance=tolerance, **promise
        )
    receipts = claims @ ratio
    resources = assets + receipts
    equity = resources - total
    if which == "greatest":
        defaulted = np.logical_or.reduce(waves) if waves else np.zeros(n, dtype=bool)
    else:
        defaulted = equity < -tolerance * total
        waves = [defaulted] if defaulted.any() else []
    payments = total
    if defaulted.any():
        payments = np.where(defaulted, np.minimum(alpha * assets + beta * receipts, total), total)
        _check_residual(payments, sharing * ratio + np.minimum(first, payments), total)
    return Clearing(
        payments=payments,
        equity=equity,
        defaulted=defaulted,
        recovery=np.where(inside > 0.0, ratio, 1.0),
        rounds=tuple(frozenset(np.flatnonzero(wave).tolist()) for wave in waves),
        fixed_point=which,
        tolerance=tolerance,
        iterations=iterations,
    )


def furfine(
    liabilities: Liabilities,
    external_assets: ArrayLike,
    *,
    recovery: float,
    ties: Literal["survive", "default"],
    external_liabilities: ArrayLike | None = None,
    tolerance: float = 1e-12,
) -> Clearing:
    """Threshold cascade: creditors of a defaulted node get a fixed share of what it owes (Furfine 2003).

    Parameters
    ----------
    liabilities, external_assets, external_liabilities
        As in :func:`eisenberg_noe`.
    recovery : float
        Share that a defaulted node pays of everything it owes, from 0 to 1.
    ties : {'survive', 'default'}
        What an equity of exactly zero means: ``survive`` (Eisenberg-Noe) or ``default`` (Gai-Kapadia 2010).
    tolerance : float
        An equity within this share of what a node owes is a tie.

    Returns
    -------
    Clearing
        ``payments`` are ``recovery`` of the nominal for a defaulted node, whatever its assets; rounds are the waves of
        the cascade from the state in which everybody pays, so the fixed point is the one with the fewest defaults.

    Examples
    --------
    >>> sorted(furfine([[0, 2], [0, 0]], [1, 0], recovery=0, ties="default").rounds[0])
    [0]
    """
    matrix = zero_diagonal("liabilities", square_matrix("liabilities", liabilities))
    n = matrix.shape[0]
    assets = vector("external_assets", external_assets, n)
    outside = np.zeros(n) if external_liabilities is None else vector("external_liabilities", external_liabilities, n)
    recovery = share("recovery", recovery)
    share("tolerance", tolerance)
    tie_defaults = choice("ties", ties, ("survive", "default")) == "default"

    total = matrix.sum(axis=1) + outside
    threshold = tolerance * total if tie_defaults else -tolerance * total
    defaulted = np.zeros(n, dtype=bool)
    rounds: list[frozenset[int]] = []
    while True:
        ratio = np.where(defaulted, recovery, 1.0)
        equity = assets + matrix.T @ ratio - total
        # A node that owes nothing cannot default, whatever its equity.
        below = equity <= threshold if tie_defaults else equity < threshold
        falls = below & (total > 0.0) & ~defaulted
        if not falls.any():
            break
        rounds.append(frozenset(np.flatnonzero(falls).tolist()))
        defaulted |= falls
    return Clearing(
        payments=ratio * total,
        equity=equity,
        defaulted=defaulted,
        recovery=ratio,
        rounds=tuple(rounds),
        fixed_point="greatest",
        tolerance=tolerance,
        iterations=len(rounds),
    )


def glasserman_young_bound(default_probability: float, max_interbank_share: float) -> float:
    """Largest factor by which a network can raise expected losses: 1 + delta / (1 - beta) (Glasserman-Young 2015).

    Holds without fire sales and default costs, for default probability ``delta`` of every node standing alone and
    ``beta`` the largest share of a node's liabilities owed inside the network, below one.
    """
    delta, beta = share("default_probability", default_probability), share("max_interbank_share", max_interbank_share)
    return 1.0 + delta / (1.0 - beta) if beta < 1.0 else float("inf")


def _check_residual(payments: np.ndarray, promised: np.ndarray, total: np.ndarray) -> None:
    """What nodes can pay and what their creditors were credited with must be the same money."""
    gap = float(np.max(np.abs(payments - promised) - 1e-9 * total))
    if not gap <= 0.0:
        raise ConvergenceError(f"clearing: payments and receipts differ by {gap:.3g} beyond 1e-9 of what is owed")
