"""The arithmetic of a stability pool: deposits are burned against debt, and depositors share the collateral."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Offset:
    """A loan that depositors take over, as far as their deposits go; the rest is for the other borrowers.

    Attributes
    ----------
    burned, gained : ndarray of shape (n_depositors,)
        Deposits that go and collateral that comes. [USD, units]
    debt_left, collateral_left : float
        What no deposit covers. [USD, units]
    """

    burned: np.ndarray
    gained: np.ndarray
    debt_left: float
    collateral_left: float


def offset(deposits: np.ndarray, debt: float, collateral: float) -> Offset:
    """Depositors pay off a debt pro rata to their deposits and share its collateral alike (Liquity, StabilityPool).

    Deposits that do not cover the debt take the same part of the collateral as of the debt.
    """
    deposits = np.asarray(deposits, float)
    total = float(deposits.sum())
    covered = min(debt, total)
    if not covered > 0.0:
        nothing = np.zeros(len(deposits))
        return Offset(nothing, nothing, debt, collateral)
    part = collateral if covered == debt else collateral * covered / debt
    return Offset(covered * deposits / total, part * deposits / total, debt - covered, collateral - part)


def redistribution(collateral: np.ndarray, total: float) -> np.ndarray:
    """Shares of a debt, or of collateral, that go to borrowers pro rata to their own collateral (Liquity).

    Parameters
    ----------
    collateral : ndarray of shape (n_borrowers,)
        Of the loans that stay open. [units]
    total : float
        What is handed out.
    """
    collateral = np.asarray(collateral, float)
    return total * collateral / collateral.sum()
