"""What a liquidation pays to whom: the fund's flow, the fee that a surplus can bear, the liquidator's discount.

Every function takes scalars or arrays, and any number type that adds, multiplies and compares.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def insurance_flow(units: Any, execution: Any, bankruptcy: Any) -> Any:
    """What closing a position leaves beyond its bankruptcy price: ``units * (execution - bankruptcy)``.

    Parameters
    ----------
    units
        Signed units closed, as they were held: long positive.
    execution, bankruptcy
        Prices. [settlement asset per unit]

    Returns
    -------
    Positive: to the fund (or by rule to the owner). Negative: the shortfall that the fund is the first to be asked
    for. [settlement asset]
    """
    return units * (execution - bankruptcy)


def insurance_delta(fill_quote: Any, bankruptcy_quote: Any, greatest_rate: Any) -> Any:
    """The fund's part of a fill: all of a shortfall, a surplus up to a fee (dYdX v4, ``keeper/liquidations.go``).

    Parameters
    ----------
    fill_quote, bankruptcy_quote
        What the close is paid, and what it would be at the bankruptcy price; negative for a buy. [settlement asset]
    greatest_rate
        Of the size of the fill. [1]
    """
    delta = fill_quote - bankruptcy_quote
    return np.where(delta > 0.0, np.minimum(greatest_rate * np.abs(fill_quote), delta), delta)


def insurance_fee_within(
    most: Any, shortage: Any, base: Any, price: Any, margin_ratio: Any, liquidator_fee: Any, keep: Any = 0.95
) -> Any:
    """Rate of the fund's fee that cannot push an account under: what margin leaves beside discount and shortage.

    ``min(most, keep * max(0, margin_ratio - liquidator_fee - shortage / (base * price)))`` (Drift v2,
    ``math/liquidation.rs``). [1]

    Parameters
    ----------
    most
        The fund's fee where there is room. [1]
    shortage
        Requirement less equity. [settlement asset]
    base, price
        Units held, without sign, and their price. [settlement asset per unit]
    margin_ratio, liquidator_fee
        Requirement over notional; the liquidator's discount. [1]
    """
    room = margin_ratio - liquidator_fee - shortage / base / price
    return np.minimum(most, keep * np.maximum(room, 0 * room))


def liquidator_fee(elapsed: Any, base: Any, most: Any, grace: Any, growth: Any) -> Any:
    """Discount of a liquidator: flat for a time, then growing with all the time elapsed, up to a cap. [1]

    Parameters
    ----------
    elapsed, grace
        Since the account's breach; below `grace` the discount is `base`. [s, or slots]
    growth
        Of the discount per unit of time. [1/s, or 1/slot]

    Notes
    -----
    The ramp counts the time before the end of the grace as well (Drift v2, ``get_liquidation_fee``).
    """
    return np.where(elapsed < grace, base, np.minimum(base + growth * elapsed, most))


def discounted_price(units: Any, price: Any, fee: Any) -> Any:
    """Price at which a liquidator takes units over: a discount on a long, a premium on a short. [of `price`]"""
    return price * (1.0 - np.sign(units) * fee)
