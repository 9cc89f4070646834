"""The arithmetic of collateralised lending: health, close factor, what a liquidation does to health, and interest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def health_factor(collateral: ArrayLike, liquidation_threshold: ArrayLike, debt: float) -> float:
    """Sum of collateral value times its liquidation threshold, over debt; infinite without debt. [USD, 1, USD]

    A position may be liquidated when it is strictly below one (Aave v3).
    """
    weighted = float(np.sum(np.asarray(collateral, float) * np.asarray(liquidation_threshold, float)))
    return weighted / debt if debt > 0.0 else float("inf")


def largest_repayment(
    debt: float, health: float, close_factor: float = 0.5, full_close_health: float = 0.95,
    total_debt: float | None = None, collateral: float = float("inf"), small_position: float = 0.0,
) -> float:  # fmt: skip
    """Debt a keeper may repay in one liquidation. [USD]

    ``close_factor`` of the position's whole debt, or all of one debt when health is at or below ``full_close_health``
    or debt or collateral is below ``small_position`` (Aave v3.3, LiquidationLogic).

    Parameters
    ----------
    debt, collateral : float
        The debt that is repaid and the collateral that is taken. [USD]
    total_debt : float, optional
        Of the whole position; default `debt`. [USD]
    """
    if health <= full_close_health or debt < small_position or collateral < small_position:
        return debt
    return min(debt, close_factor * (debt if total_debt is None else total_debt))


def largest_partial(debt: float, collateral: float, least_left: float) -> tuple[float, float]:
    """Most debt repaid and most collateral taken by a liquidation that leaves some of both. [USD]

    Each must leave at least `least_left`; beyond that only all of the debt or all of the collateral may go
    (Aave v3.3, MIN_LEFTOVER_BASE).
    """
    return max(0.0, debt - least_left), max(0.0, collateral - least_left)


def health_after_liquidation(
    collateral: float, liquidation_threshold: float, debt: float, repaid: float, bonus: float
) -> float:
    """Health factor after `repaid` of debt took ``repaid * (1 + bonus)`` of collateral at an unmoved price. [USD, 1]

    The change is ``r (HF - LT (1 + bonus)) / (D - r)``: health falls, the loan is *toxic*, when HF < LT (1 + bonus).
    """
    return health_factor(collateral - repaid * (1.0 + bonus), liquidation_threshold, debt - repaid)


def toxicity_frontier(bonus: ArrayLike, collateral_over_depth: float = 0.0) -> np.ndarray:
    """Loan-to-value above which a small liquidation lowers health: ``1 / ((1 + i) (1 + 2 c / y))``. [1]

    ``c / y`` is the collateral over the depth of the constant-product pool that it is sold in and that the oracle
    reads; zero: the price does not move (Warmuz, Chaudhary and Pinna 2022, arXiv 2212.07306).
    """
    return 1.0 / ((1.0 + np.asarray(bonus, float)) * (1.0 + 2.0 * collateral_over_depth))


@dataclass(frozen=True)
class Spiral:
    """End of repeated liquidations: ``healed``, or ``bad_debt`` with `bad_debt` left. [collateral = 1]"""

    outcome: str
    steps: int
    bad_debt: float


def liquidation_spiral(
    loan_to_value: float, liquidation_threshold: float, bonus: float, close_factor: float
) -> Spiral:
    """Liquidate a loan against collateral worth one, at a fixed price, until it is healthy or nothing is left."""
    collateral, debt, steps = 1.0, loan_to_value, 0
    while collateral * liquidation_threshold < debt and collateral > 0.0:
        repaid = close_factor * debt
        if repaid * (1.0 + bonus) >= collateral:
            repaid, collateral = collateral / (1.0 + bonus), 0.0
        else:
            collateral -= repaid * (1.0 + bonus)
        debt -= repaid
        steps += 1
    return Spiral("bad_debt" if collateral == 0.0 else "healed", steps, debt if collateral == 0.0 else 0.0)


def kinked_rate(
    utilisation: float, base: float, slope1: float, slope2: float, kink: float, slopes_are_totals: bool = True
) -> float:
    """Borrow rate per year by utilisation, linear up to the kink and steeper above it. [1 / year]

    ``slopes_are_totals``: a slope is the rise over its whole segment (Aave), else per unit of utilisation
    (Compound v3).
    """
    below, above = min(utilisation, kink), max(0.0, utilisation - kink)
    if slopes_are_totals:
        return base + slope1 * below / kink + slope2 * above / (1.0 - kink)
    return base + slope1 * below + slope2 * above


def supply_rate(borrow_rate: float, utilisation: float, reserve_factor: float) -> float:
    """Rate per year that suppliers earn: borrow rate times utilisation, less the reserve's share. [1 / year]"""
    return borrow_rate * utilisation * (1.0 - reserve_factor)
