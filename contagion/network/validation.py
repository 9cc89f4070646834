"""Checks shared by the network measures: one pass over the data, one clear message."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike

from contagion.errors import InputError

Matrix = np.ndarray | sparse.csr_array


def square_matrix(field: str, value: ArrayLike | sparse.sparray | sparse.spmatrix) -> Matrix:
    """Finite, non-negative square matrix as float64; sparse input stays sparse."""
    if sparse.issparse(value):
        matrix: Matrix = sparse.csr_array(value, dtype=float)
        entries = matrix.data
    else:
        matrix = entries = _as_float(field, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(field, matrix.shape, "a square matrix")
    _check_entries(field, entries)
    return matrix


def zero_diagonal(field: str, matrix: Matrix) -> Matrix:
    """The matrix itself, or an error naming the first node that has a link to itself."""
    diagonal = matrix.diagonal()
    if diagonal.any():
        node = int(np.flatnonzero(diagonal)[0])
        raise InputError(f"{field}[{node}, {node}]", float(diagonal[node]), "zero: no node owes or holds itself")
    return matrix


def vector(field: str, value: ArrayLike, n: int, *, infinite: bool = False) -> np.ndarray:
    """Non-negative float64 vector of length ``n``; infinite entries only where ``infinite`` allows them."""
    array = _as_float(field, value)
    if array.shape != (n,):
        raise InputError(field, array.shape, f"one number a node, shape ({n},)")
    _check_entries(field, array, infinite=infinite)
    return array


def share(field: str, value: float) -> float:
    """A ratio in [0, 1]."""
    if not isinstance(value, (int, float, np.floating, np.integer)) or not 0.0 <= value <= 1.0:
        raise InputError(field, value, "a number from 0 to 1")
    return float(value)


def choice(field: str, value: object, accepted: tuple[str, ...]) -> str:
    """One of the accepted words."""
    if value not in accepted:
        raise InputError(field, value, " | ".join(accepted))
    return str(value)


def _as_float(field: str, value: ArrayLike) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(field, value, "numbers in a rectangular array") from None


def _check_entries(field: str, entries: np.ndarray, *, infinite: bool = False) -> None:
    if entries.size == 0:
        return
    # NaN propagates through min, so two reductions see every kind of bad entry.
    if entries.min() >= 0.0 and (infinite or math.isfinite(entries.max())):
        return
    bad = ~(entries >= 0.0) if infinite else ~((entries >= 0.0) & np.isfinite(entries))
    place = np.argwhere(bad)[0].tolist()
    raise InputError(f"{field}{place}", float(entries[tuple(place)]), "finite numbers, zero or more")
