"""The arithmetic of collateralised lending: health, what a liquidation may take and does to health, and interest."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import ArrayLike


@nb.njit(cache=True)
def health_factor(weighted: float, debt: float) -> float:
    """Sum of collateral value times its liquidation threshold, over debt; infinite without debt. [USD, USD]

    A position may be liquidated when it is strictly below one (Aave v3).
    """
    return weighted / debt if debt > 0.0 else np.inf


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


class Seizure(NamedTuple):
    """Collateral taken for a repayment, and who gets it. [USD]"""

    seized: float
    to_keeper: float
    to_reserve: float


def seizure(repaid: float, bonus: float, share_of_bonus: float = 0.0, share_of_seized: float = 0.0) -> Seizure:
    """``repaid * (1 + bonus)`` of collateral, a share of which goes to the protocol. [USD, 1]

    The share is stated of the bonus (Aave v3) or of all that is seized (Compound v2, ``protocolSeizeShare``).
    """
    seized = repaid * (1.0 + bonus)
    reserve = share_of_bonus * repaid * bonus + share_of_seized * seized
    return Seizure(seized, seized - reserve, reserve)


def incentive_factor(threshold: float, cursor: float = 0.3, most: float = 1.15) -> float:
    """Collateral seized over debt repaid by liquidation threshold: ``min(most, 1 / (1 - cursor (1 - threshold)))``.

    Morpho Blue, Morpho.sol, with LIQUIDATION_CURSOR and MAX_LIQUIDATION_INCENTIVE_FACTOR. [1]
    """
    return min(most, 1.0 / (1.0 - cursor * (1.0 - threshold)))


def repayment_to_health(debt: float, health: float, target: float, threshold: float, bonus: float) -> float:
    """Repayment that lifts health to a target: ``D (T - HF) / (T - LT (1 + bonus))``, at most the debt. [USD]

    All of the debt where liquidations lower health, so that no repayment reaches the target.
    """
    lift = target - threshold * (1.0 + bonus)
    return debt if lift <= 0.0 else min(debt, debt * max(0.0, target - health) / lift)


class Absorption(NamedTuple):
    """An account whose collateral is credited against its debt. [USD]"""

    credited: float
    balance: float  # what the account is left with, never negative: what the credit lacks reserves bear


def absorption(values: ArrayLike, liquidation_factors: ArrayLike, debt: float) -> Absorption:
    """Collateral values credited at their liquidation factors, less the debt (Compound v3, ``absorb``). [USD, 1]"""
    credited = float(np.sum(np.asarray(values, float) * np.asarray(liquidation_factors, float)))
    return Absorption(credited, max(0.0, credited - debt))


def store_price(price: float, liquidation_factor: float, store_front: float) -> float:
    """What a protocol sells absorbed collateral for: ``price (1 - store_front (1 - liquidation_factor))``.

    Compound v3, ``quoteCollateral``. [USD per unit]
    """
    return price * (1.0 - store_front * (1.0 - liquidation_factor))


def health_change(health: float, threshold: float, debt: float, repaid: float, bonus: float) -> float:
    """Change of the health factor when `repaid` of `debt` takes ``repaid * (1 + bonus)`` of collateral. [1, USD]

    ``r (HF - LT (1 + bonus)) / (D - r)`` at an unmoved price: health falls, the liquidation is *toxic*, when
    HF < LT (1 + bonus). Infinite when all of the debt is repaid.
    """
    return repaid * (health - threshold * (1.0 + bonus)) / (debt - repaid) if repaid < debt else float("inf")


def toxicity_frontier(bonus: ArrayLike, collateral_over_depth: ArrayLike = 0.0) -> np.ndarray:
    """Loan-to-value above which a small liquidation lowers health: ``1 / ((1 + i) (1 + 2 c / y))``. [1]

    ``c / y`` is the collateral over the depth of the constant-product pool that it is sold in and that the oracle
    reads; zero: the price does not move (Warmuz, Chaudhary and Pinna 2022, arXiv 2212.07306).
    """
    return 1.0 / ((1.0 + np.asarray(bonus, float)) * (1.0 + 2.0 * np.asarray(collateral_over_depth, float)))


def toxicity_frontier_rising(bonus: float, threshold: float, impact: float = 1.0) -> float:
    """The frontier of a bonus that rises from zero as health falls, ``bonus (1 - health)``. [1]

    ``(1 + i v L) / ((1 + i) L)``; `impact` L is one plus the price impact of selling the collateral (McFarlane 2025,
    arXiv 2510.10171).
    """
    return (1.0 + bonus * threshold * impact) / ((1.0 + bonus) * impact)


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


def adapted_rate(rate: float, growth: float, least: float, most: float) -> tuple[float, float]:
    """Average and end of a rate that grows exponentially over a step, the end within bounds. [1 / year]

    Morpho's AdaptiveCurveIRM; `growth` is speed times error times the length of the step. [1]
    """
    end = min(most, max(least, rate * exp(growth)))
    span = log(end / rate) if rate > 0.0 and end > 0.0 else 0.0
    return (rate if abs(span) < 1e-12 else (end - rate) / span), end


def curve_around_target(error: float, steepness: float) -> float:
    """Borrow rate over that at the target: 1 / steepness at error -1, 1 at 0, steepness at 1, linear between. [1]"""
    return 1.0 + error * (1.0 - 1.0 / steepness if error < 0.0 else steepness - 1.0)


def supply_rate(borrow_rate: float, utilisation: float, reserve_factor: float) -> float:
    """Rate per year that suppliers earn: borrow rate times utilisation, less the reserve's share. [1 / year]"""
    return borrow_rate * utilisation * (1.0 - reserve_factor)
