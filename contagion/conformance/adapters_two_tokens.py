"""Cases of debt repaid with collateral, run through the functions a run sells posted coins by."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from contagion.conformance.fixed_point import Fixed
from contagion.liquidation.two_tokens import asset_for, debt_for, fee_within_weights, transfer_to_cover

Inputs = dict[str, Any]

LARGEST = 2**128 - 1  # no repayment is enough


def _weights(inputs: Inputs, scale: int) -> tuple[Fixed, Fixed, int, int]:
    """Weights as fixed-point numbers of a scale, multipliers as integers: their ratio has no unit."""
    liability, asset = (Fixed(inputs[f"{name}_weight_1e4"] * scale // 10**4, scale) for name in ("liability", "asset"))
    return liability, asset, inputs["asset_multiplier_1e6"], inputs["liability_multiplier_1e6"]


def spot_transfer(inputs: Inputs) -> dict[str, Any]:
    shortage = Fixed(inputs["shortage_1e6"] * 1_000, 10**9)
    fee = Fixed(inputs["if_fee_1e6"])
    debt = transfer_to_cover(shortage, Fixed(inputs["price_1e6"]), *_weights(inputs, 10**5), fee)
    return {"liability_transfer_1e9": debt.raw if isinstance(debt, Fixed) else LARGEST}


def spot_fee(inputs: Inputs) -> dict[str, Any]:
    debt, price = Fixed(inputs["token_1e9"], 10**9), Fixed(inputs["price_1e6"])
    if not (debt > 0 and price > 0):
        return {"if_fee_1e6": 0}
    most, shortage = Fixed(inputs["max_if_fee_1e6"]), Fixed(inputs["shortage_1e6"])
    return {"if_fee_1e6": fee_within_weights(most, shortage, debt, price, *_weights(inputs, 10**6)).raw}


def _multipliers(inputs: Inputs) -> tuple[int, int]:
    return inputs["asset_multiplier_1e6"], inputs["liability_multiplier_1e6"]


def implied_liability(inputs: Inputs) -> dict[str, Any]:
    asset = Fraction(inputs["asset_amount_1e6"], 10**6)
    debt = debt_for(asset, inputs["asset_price_1e6"], inputs["liability_price_1e6"], *_multipliers(inputs))
    return {"liability_1e9": math.ceil(debt * 10**9)}


def asset_transfer(inputs: Inputs) -> dict[str, Any]:
    debt = Fraction(inputs["liability_1e9"], 10**9)
    asset = asset_for(debt, inputs["liability_price_1e6"], inputs["asset_price_1e6"], *_multipliers(inputs))
    return {"asset_1e6": math.floor(asset * 10**6)}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "drift_spot_transfer_to_cover": spot_transfer,
    "drift_spot_if_fee": spot_fee,
    "drift_liability_implied_by_asset": implied_liability,
    "drift_asset_transfer": asset_transfer,
}

TARGETS: dict[str, tuple[Callable, ...]] = {
    "drift_spot_transfer_to_cover": (transfer_to_cover,),
    "drift_spot_if_fee": (fee_within_weights,),
    "drift_liability_implied_by_asset": (debt_for,),
    "drift_asset_transfer": (asset_for,),
}
