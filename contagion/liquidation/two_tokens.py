"""Debt in one token paid off with collateral in another: how much of it, at which fee, and what changes hands.

Each token counts in margin by its weight, collateral below its price and debt at or above it. Whoever takes the pair
over is paid by a multiplier of each price, above 1 for what it receives and below 1 for what it gives. In a run the
debt is the money an account lacks and the collateral a coin it posted. Every function takes any number type that adds,
multiplies and compares (Drift v2, ``math/liquidation.rs``).
"""

from __future__ import annotations

from typing import Any


def transfer_to_cover(
    shortage: Any, price: Any, liability_weight: Any, asset_weight: Any, asset_multiplier: Any = 1,
    liability_multiplier: Any = 1, insurance_fee: Any = 0,
) -> Any:  # fmt: skip
    """Debt whose repayment frees a shortage of margin; infinite where handing collateral over costs what it frees.

    ``shortage / (P (w_l - w_a m_a / m_l) - P fee w_l)`` [units of debt]

    Parameters
    ----------
    shortage
        Requirement less weighted equity. [USD]
    price
        Of the debt. [USD per unit]
    liability_weight, asset_weight
        Share of the price that counts in margin. [1]
    asset_multiplier, liability_multiplier
        Collateral given over its price; debt taken over its price. [1]
    insurance_fee
        To the fund, of the debt repaid. [1]
    """
    counted = asset_weight * asset_multiplier / liability_multiplier
    freed = price * (liability_weight - counted) - price * insurance_fee * liability_weight
    return shortage / freed if counted < liability_weight and freed > 0 else float("inf")


def fee_within_weights(
    most: Any, shortage: Any, debt: Any, price: Any, liability_weight: Any, asset_weight: Any,
    asset_multiplier: Any = 1, liability_multiplier: Any = 1,
) -> Any:  # fmt: skip
    """Rate of the fund's fee on a repayment that cannot push the account under. [1]

    ``min(most, max(0, w_l - w_a m_a / m_l - shortage / (debt P)) / w_l)``
    """
    counted = asset_weight * asset_multiplier / liability_multiplier
    room = (liability_weight - counted - shortage / debt / price) / liability_weight
    return min(most, max(room, 0 * room))


def asset_for(
    debt: Any, liability_price: Any, asset_price: Any, asset_multiplier: Any = 1, liability_multiplier: Any = 1
) -> Any:
    """Collateral handed over for a repayment of debt. [units]"""
    return debt * liability_price * asset_multiplier / (asset_price * liability_multiplier)


def debt_for(
    asset: Any, asset_price: Any, liability_price: Any, asset_multiplier: Any = 1, liability_multiplier: Any = 1
) -> Any:
    """Debt that collateral pays off: the inverse of :func:`asset_for`. [units]"""
    return asset * asset_price * liability_multiplier / (liability_price * asset_multiplier)
