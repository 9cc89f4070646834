"""How much to close: closed forms for the smallest close that restores margin.

Every function takes scalars or arrays, and any number type that adds, multiplies and compares.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


def base_to_cover(
    shortage: Any, price: Any, margin_ratio: Any, liquidator_fee: Any = 0.0, insurance_fee: Any = 0.0,
    quote_price: Any = 1.0,
) -> Any:  # fmt: skip
    """Units whose close frees a shortage of margin: a close frees margin and costs two fees.

    ``shortage / (price * quote_price * (margin_ratio - liquidator_fee) - price * insurance_fee)`` (Drift v2,
    ``math/liquidation.rs``). Infinite where closing costs what it frees.

    Parameters
    ----------
    shortage
        Requirement (with its buffer) less equity. [USD]
    price, quote_price
        Of the underlying in the settlement asset, and of the settlement asset. [settlement asset per unit, USD]
    margin_ratio
        Requirement over notional. [1]
    liquidator_fee
        Loss against the mark per notional closed: the liquidator's discount, or the expected slippage. [1]
    insurance_fee
        Fee to the fund per notional closed. [1]
    """
    freed = price * quote_price * (margin_ratio - liquidator_fee) - price * insurance_fee
    if not isinstance(freed, np.ndarray):
        return shortage / freed if freed > 0 else float("inf")
    return np.divide(shortage, freed, out=np.full(np.shape(freed), np.inf), where=freed > 0.0)


def share_to_target(
    equity: Any, goal: Any, notional: Any, liquidator_fee: Any = 0.0, insurance_fee: Any = 0.0
) -> np.ndarray:
    """Smallest share of an account whose close brings equity up to the goal of what is left, 0..1.

    Parameters
    ----------
    equity, goal, notional
        Equity, the requirement aimed at for the whole account, gross notional. [settlement asset]
    """
    notional = np.asarray(notional, float)
    ratio = np.divide(goal, notional, out=np.zeros(notional.shape), where=notional > 0.0)
    base = base_to_cover(goal - equity, 1.0, ratio, liquidator_fee, insurance_fee)
    return np.clip(np.divide(base, notional, out=np.ones(notional.shape), where=notional > 0.0), 0.0, 1.0)


class AfterShare(NamedTuple):
    """An account after the same share of all its positions was closed at the mark."""

    requirement: Any  # [settlement asset]
    penalty: Any  # [settlement asset]
    value: Any  # equity [settlement asset]
    ratio: Any  # requirement over equity; infinite where nothing is left [1]


def after_share(share: Any, equity: Any, requirement: Any, cost: Any) -> AfterShare:
    """What closing a share of an account leaves; `cost` is what closing all of it costs. [settlement asset]"""
    left, penalty = requirement * (1.0 - share), share * cost
    value = np.asarray(equity - penalty, float)
    ratio = np.divide(left, value, out=np.full(np.shape(value), np.inf), where=value > 0.0)
    return AfterShare(left, penalty, value, ratio)


def smallest_share(equity: Any, requirement: Any, cost: Any, target: float, shares: tuple[float, ...]) -> np.ndarray:
    """Smallest of the given shares that brings requirement over equity strictly below the target, else 1.

    Paradex (docs.paradex.trade, liquidations): multiples of 20%, target 90%, a penalty of ``share * rate *
    maintenance``.
    """
    chosen = np.ones(np.shape(equity))
    for share in sorted(shares, reverse=True):
        chosen = np.where(after_share(share, equity, requirement, cost).ratio < target, share, chosen)
    return chosen
