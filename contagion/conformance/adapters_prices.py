"""Prices of liquidation and bankruptcy, run through the functions a run uses: an adapter converts and rounds only."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from contagion.conformance.adapters_margin import account_margin
from contagion.margin.prices import bankruptcy_prices, bankruptcy_quote, fillable_price, price_at_requirement

Inputs = dict[str, Any]


def _side(inputs: Inputs) -> float:
    return {"long": 1.0, "short": -1.0}[inputs["side"]]


def _isolated(inputs: Inputs) -> tuple[float, float, float]:
    """Equity, signed units and price of a position at entry; the wallet is initial margin where none is given."""
    entry, size = inputs["entry_price"], inputs.get("qty", 1.0)
    wallet = inputs.get("wallet_balance")
    return entry * size / inputs["leverage"] if wallet is None else wallet, _side(inputs) * size, entry


def _tick(price: float, tick: float | None, up: bool) -> float:
    if not tick:
        return price
    return (math.ceil(price / tick - 1e-9) if up else math.floor(price / tick + 1e-9)) * tick


# -- liquidation prices -----------------------------------------------------------------------------------------------


def tiered_cross(inputs: Inputs) -> dict[str, Any]:
    positions = inputs["positions"]
    signed = {name: _side(held) * held["qty"] for name, held in positions.items()}
    equity = inputs["wallet_balance"] + sum(
        signed[name] * (held["mark_price"] - held["entry_price"]) for name, held in positions.items()
    )
    needed = {
        name: held["qty"] * held["mark_price"] * held["maint_margin_rate"] - held["maint_amount"]
        for name, held in positions.items()
    }
    return {
        "liquidation_price": {
            name: float(price_at_requirement(
                equity, signed[name], held["mark_price"], held["maint_margin_rate"],
                sum(needed.values()) - needed[name] - held["maint_amount"],
            ))
            for name, held in positions.items()
        }
    }  # fmt: skip


def tiered_isolated(inputs: Inputs) -> dict[str, Any]:
    price = price_at_requirement(*_isolated(inputs), inputs["maint_margin_rate"], -inputs.get("maint_amount", 0.0))
    return {"liquidation_price": float(price)}


def taker_fee_isolated(inputs: Inputs) -> dict[str, Any]:
    rate = inputs["maint_margin_rate"] + inputs["taker_fee_rate"]
    return {"liquidation_price": float(price_at_requirement(*_isolated(inputs), rate, 0.0))}


def initial_margin_distance(inputs: Inputs) -> dict[str, Any]:
    equity, units, entry = _isolated(inputs)
    fixed = inputs["maint_margin_rate"] * abs(units) * entry
    equity += inputs.get("extra_margin", 0.0)
    return {"liquidation_price": float(price_at_requirement(equity, units, entry, 0.0, fixed))}


def half_initial_margin(inputs: Inputs) -> dict[str, Any]:
    units, rate = _side(inputs) * inputs["qty"], 1.0 / (2.0 * inputs["max_leverage"])
    price = price_at_requirement(inputs["collateral"], units, inputs["entry_price"], rate, 0.0)
    return {"liquidation_price": float(price)}


def net_collateral(inputs: Inputs) -> dict[str, Any]:
    price = price_at_requirement(
        inputs["equity"], inputs["signed_size"], inputs["price"], inputs["maint_margin_fraction"],
        inputs.get("other_maint_margin", 0.0),
    )  # fmt: skip
    return {"liquidation_price": float(price)}


def inverse_cross_long(inputs: Inputs) -> dict[str, Any]:
    contracts, entry, fee = inputs["contracts_usd"], inputs["entry_price"], inputs["taker_fee_rate"]
    held = (inputs["balance_coin"], -contracts, 1.0 / entry)
    maintenance = inputs["maint_margin_rate"] * contracts / entry
    bankrupt = 1.0 / price_at_requirement(*held, fee, 0.0)
    liquidated = 1.0 / price_at_requirement(*held, fee, maintenance)
    return {
        "bankruptcy_price": float(bankrupt),
        "liquidation_price_rounded_up": _tick(float(liquidated), inputs.get("tick"), up=True),
    }


def inverse_isolated(inputs: Inputs) -> dict[str, Any]:
    contracts, entry = inputs["contracts_usd"], inputs["entry_price"]
    value = contracts / entry
    margin, maintenance = value / inputs["leverage"], value * inputs["maint_margin_rate"]
    return {
        "position_value_coin": value,
        "initial_margin_coin": margin,
        "maint_margin_coin": maintenance,
        "long": float(1.0 / price_at_requirement(margin, -contracts, 1.0 / entry, 0.0, maintenance)),
        "short": float(1.0 / price_at_requirement(margin, contracts, 1.0 / entry, 0.0, maintenance)),
    }


def perp_price_ratios(inputs: Inputs) -> dict[str, Any]:
    held = (1.0 / inputs["leverage"], _side(inputs), 1.0)
    return {
        "liquidation_over_entry": float(price_at_requirement(*held, inputs["maint_margin_rate"], 0.0)),
        "bankruptcy_over_entry": float(price_at_requirement(*held, 0.0, 0.0)),
    }


# -- bankruptcy prices ------------------------------------------------------------------------------------------------


def inverse_bankruptcy(inputs: Inputs) -> dict[str, Any]:
    entry, side = inputs["entry_price"], _side(inputs)
    raw = float(1.0 / price_at_requirement(1.0 / (entry * inputs["leverage"]), -side, 1.0 / entry, 0.0, 0.0))
    return {"raw": raw, "rounded": _tick(raw, inputs.get("tick"), up=side > 0.0)}


def linear_bankruptcy(inputs: Inputs) -> dict[str, Any]:
    equity, units, entry = _isolated(inputs)
    return {"bankruptcy_price": float(bankruptcy_prices(*_alone(units, entry), equity)[0])}


def position_bankruptcy(inputs: Inputs) -> dict[str, Any]:
    units, entry = _side(inputs) * inputs["qty"], inputs["entry_price"]
    equity = inputs["position_margin"] + inputs["wallet_balance"]
    return {"bankruptcy_price": float(bankruptcy_prices(*_alone(units, entry), equity)[0])}


def _alone(units: float, price: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([units]), np.array([price]), np.array([abs(units) * price])


def dydx_bankruptcy_quote(inputs: Inputs) -> dict[str, Any]:
    exact = bankruptcy_quote(
        inputs["position_net_notional_after"] - inputs["position_net_notional_before"],
        Fraction(inputs["total_net_collateral"]),
        inputs["maint_margin_after"] - inputs["maint_margin_before"],
        Fraction(inputs["total_maint_margin"]),
    )
    return {"bankruptcy_quote_quantums": math.ceil(exact)}


def dydx_fillable_price(inputs: Inputs) -> dict[str, Any]:
    names = (
        "position_net_notional", "total_net_collateral", "total_maint_margin", "position_maint_margin",
        "position_size", "bankruptcy_adjustment", "spread_to_maintenance_ratio",
    )  # fmt: skip
    price = fillable_price(*(float(inputs[name]) for name in names))
    return {"fillable_price": price}


def zero_price(inputs: Inputs) -> dict[str, Any]:
    held = inputs["positions"]
    units = np.array([_side(item) * item["qty"] for item in held])
    mark = np.array([item["mark_price"] for item in held])
    rate = np.array([item["maint_margin_fraction"] for item in held])
    price = bankruptcy_prices(units, mark, np.abs(units) * mark * rate, inputs["account_value"])
    left, _, _ = account_margin(inputs["account_value"] - float(units @ mark), units, mark, rate, price)
    return {"zero_price": price.tolist(), "account_value_after_closing_all_at_zero_price": left}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "tiered_cross_liquidation_price": tiered_cross,
    "tiered_isolated_liquidation_price": tiered_isolated,
    "taker_fee_isolated_liquidation_price": taker_fee_isolated,
    "initial_margin_distance_liquidation_price": initial_margin_distance,
    "half_initial_margin_liquidation_price": half_initial_margin,
    "net_collateral_liquidation_price": net_collateral,
    "dydx_bankruptcy_quote": dydx_bankruptcy_quote,
    "dydx_fillable_price": dydx_fillable_price,
    "inverse_bankruptcy_price": inverse_bankruptcy,
    "linear_bankruptcy_price": linear_bankruptcy,
    "position_bankruptcy_price": position_bankruptcy,
    "inverse_cross_long_prices": inverse_cross_long,
    "inverse_isolated_liquidation_price": inverse_isolated,
    "zero_price": zero_price,
    "perp_price_ratios": perp_price_ratios,
}
"""Model of a case -> what runs it."""

TARGETS: dict[str, tuple[Callable, ...]] = {
    **dict.fromkeys(ADAPTERS, (price_at_requirement,)),
    **dict.fromkeys(("linear_bankruptcy_price", "position_bankruptcy_price", "zero_price"), (bankruptcy_quote,)),
    "dydx_bankruptcy_quote": (bankruptcy_quote,),
    "dydx_fillable_price": (fillable_price,),
}
"""Model of a case -> functions of the engine that its adapter calls."""
