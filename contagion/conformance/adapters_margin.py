"""Margin cases, run through the functions a run uses: an adapter converts units and rounds, nothing more."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from contagion.margin.initial import InitialTerms, dearer_rates
from contagion.margin.kernels import margins
from contagion.margin.portfolio import ScanScenario, loss_table, min_delta_charge, scan_accounts, term_scaling
from contagion.margin.prices import bankruptcy_prices, bankruptcy_quote, fillable_price, price_at_requirement
from contagion.margin.rules import (
    deductions,
    funding_add_on,
    funding_cap,
    next_deduction,
    open_interest_initial,
    volume_at_risk_margin,
)

Inputs = dict[str, Any]
PPM = 1_000_000


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


# -- liquidation prices ---------------------------------------------------------------------------------------------


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


# -- bankruptcy prices ----------------------------------------------------------------------------------------------


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
    left, _, _ = _account(inputs["account_value"] - float(units @ mark), units, mark, rate, price)
    return {"zero_price": price.tolist(), "account_value_after_closing_all_at_zero_price": left}


# -- requirements ---------------------------------------------------------------------------------------------------


def _account(
    balance: float, units: np.ndarray, mark: np.ndarray, rate: np.ndarray, equity_price: np.ndarray,
    slope: float = 0.0, floors: list[float] | None = None,
) -> tuple[float, float, float]:
    """Equity, maintenance and notional of one account with one position per instrument.

    Every instrument has one tier with its `rate`; or, with `floors`, there is one instrument and `rate` is by tier.
    """
    n = len(mark)
    add_on = np.zeros((n, 4))
    add_on[:, 0] = slope
    start = np.arange(n + 1) if floors is None else np.array([0, len(floors)])
    floor = np.zeros(n) if floors is None else np.array(floors, float)
    carried = np.zeros(n) if floors is None else np.array(deductions(floors, rate.tolist()))
    out = np.empty((3, 1))
    margins(
        np.zeros(1, np.int64), np.array([0, n]), np.array([balance]), np.arange(n), units, mark, equity_price,
        np.zeros(n, np.int64), start, floor, rate, carried, add_on, *out,
    )  # fmt: skip
    return float(out[0, 0]), float(out[1, 0]), float(out[2, 0])


def maintenance_schedule(inputs: Inputs) -> dict[str, Any]:
    floors, rates = [float(floor) for floor in inputs["tier_floor_notional"]], inputs["maint_margin_rate"]
    found: dict[str, Any] = {"maint_amount": deductions(floors, rates)}
    if "notional" in inputs:
        one = np.ones(1)
        found["maint_margin"] = [
            _account(0.0, np.array([float(notional)]), one, np.array(rates, float), one, floors=floors)[1]
            for notional in inputs["notional"]
        ]
    return found


def maintenance_amount_step(inputs: Inputs) -> dict[str, Any]:
    return {
        "maint_amount": next_deduction(
            inputs["previous_maint_amount"], inputs["tier_floor"], inputs["maint_margin_rate"],
            inputs["previous_maint_margin_rate"],
        )
    }  # fmt: skip


def liquidation_test(inputs: Inputs) -> dict[str, Any]:
    one = np.ones(1)
    equity, requirement, _ = _account(
        inputs["wallet_balance"], one, np.array([inputs["maint_margin"]]), one, np.array([inputs["unrealised_pnl"]])
    )
    return {"margin_balance": equity, "liquidate": equity < requirement}


def size_scaled_margin(inputs: Inputs) -> dict[str, Any]:
    units, mark, slope = np.array([inputs["qty"]]), np.array([inputs["price"]]), inputs["slope_per_unit"]
    found = {}
    if "maintenance_base" in inputs:
        rate = np.array([inputs["maintenance_base"]])
        found["maintenance_margin"] = _account(0.0, units, mark, rate, mark, slope)[1]
    if "initial_base" in inputs:
        zero, rate = np.zeros(1), np.array([inputs["initial_base"]])
        terms = InitialTerms(
            mark, np.zeros(1, np.int64), np.array([0, 1]), zero, zero, rate, np.array([[0.0, slope, 0.0, 0.0]]),
            np.ones(1), np.zeros((1, 0)), np.zeros((1, 4)),
        )  # fmt: skip
        notional = np.abs(units * mark)
        rate = dearer_rates(notional[:, None], np.zeros(1, np.int64), terms)
        found["initial_margin"] = float(notional[0] * rate[0, 0])
    return found


def oi_scaled_initial_margin(inputs: Inputs) -> dict[str, Any]:
    rate = open_interest_initial(
        Fraction(inputs["base_imf_ppm"], PPM), inputs["lower_cap"], inputs["upper_cap"],
        Fraction(inputs["open_interest"]),
    )  # fmt: skip
    return {"imf_ppm": math.floor(rate * PPM)}


def funding_cap_8h(inputs: Inputs) -> dict[str, Any]:
    return {"cap": funding_cap(inputs["multiple"], inputs["imf"], inputs["mmf"])}


def slippage_risk_factor(inputs: Inputs) -> dict[str, Any]:
    return {
        "maint_margin": volume_at_risk_margin(
            inputs["mark_price"], inputs["volume_at_risk"], inputs["slippage_factor"], inputs["open_position"],
            inputs.get("open_orders", 0.0), inputs["risk_factor"],
        )
    }  # fmt: skip


def funding_addon(inputs: Inputs) -> dict[str, Any]:
    return {
        "maint_margin": funding_add_on(
            inputs["base_maint_margin"], inputs["funding_factor"], inputs["signed_position"],
            inputs["funding_payment"],
        )
    }  # fmt: skip


# -- portfolio margin -----------------------------------------------------------------------------------------------


def min_delta(inputs: Inputs) -> dict[str, Any]:
    spot = inputs["spot"]
    charge = min_delta_charge(
        inputs["net_delta"] * spot, inputs["hedged_delta"] * spot, inputs["net_delta_rate"],
        inputs["hedged_delta_rate"],
    )  # fmt: skip
    return {"min_delta_charge": float(charge)}


def portfolio_scan(inputs: Inputs) -> dict[str, Any]:
    units = np.array([held["signed_qty"] for held in inputs["positions"]], float)
    price = np.array([held["price"] for held in inputs["positions"]], float)
    n = len(units)
    scenarios = tuple(
        ScanScenario(item["spot_shock"], item.get("vol_shock", 0.0), item["weight"]) for item in inputs["scenarios"]
    )
    notional = float(np.abs(units).sum()) * inputs["spot"]
    scan = np.array([[
        inputs["net_delta_rate"], inputs["hedged_delta_rate"], inputs["fees"] / notional if notional else 0.0,
        inputs["maint_to_initial"],
    ]])  # fmt: skip
    out = np.empty((1, 3))
    scan_accounts(
        np.zeros(1, np.int64), np.array([0, n]), np.zeros(1, np.int64), np.arange(n), units,
        loss_table(price, np.ones(n), scenarios), np.ones(n), np.full(n, float(inputs["spot"])), np.zeros(n, np.int64),
        1, scan, out,
    )  # fmt: skip
    loss, floor, fees = out[0].tolist()
    initial = max(loss, floor) + fees
    return {
        "scan_loss": loss, "min_delta_charge": floor, "initial_margin": initial,
        "maintenance_margin": inputs["maint_to_initial"] * initial,
    }  # fmt: skip


def vol_shock_term_scaling(inputs: Inputs) -> dict[str, Any]:
    scaled = term_scaling(
        inputs["base_shock"], inputs["days_to_expiry"], inputs["exponent"], inputs.get("reference_days", 30.0)
    )
    return {"scaled": scaled}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "tiered_cross_liquidation_price": tiered_cross,
    "tiered_isolated_liquidation_price": tiered_isolated,
    "taker_fee_isolated_liquidation_price": taker_fee_isolated,
    "initial_margin_distance_liquidation_price": initial_margin_distance,
    "half_initial_margin_liquidation_price": half_initial_margin,
    "maintenance_schedule": maintenance_schedule,
    "maintenance_amount_step": maintenance_amount_step,
    "liquidation_test": liquidation_test,
    "net_collateral_liquidation_price": net_collateral,
    "oi_scaled_initial_margin": oi_scaled_initial_margin,
    "funding_cap_8h": funding_cap_8h,
    "dydx_bankruptcy_quote": dydx_bankruptcy_quote,
    "dydx_fillable_price": dydx_fillable_price,
    "size_scaled_margin": size_scaled_margin,
    "inverse_bankruptcy_price": inverse_bankruptcy,
    "linear_bankruptcy_price": linear_bankruptcy,
    "position_bankruptcy_price": position_bankruptcy,
    "inverse_cross_long_prices": inverse_cross_long,
    "inverse_isolated_liquidation_price": inverse_isolated,
    "slippage_risk_factor_margin": slippage_risk_factor,
    "funding_addon_margin": funding_addon,
    "min_delta_charge": min_delta,
    "portfolio_margin_scan": portfolio_scan,
    "vol_shock_term_scaling": vol_shock_term_scaling,
    "zero_price": zero_price,
    "perp_price_ratios": perp_price_ratios,
}
"""Model of a case -> what runs it."""

TARGETS: dict[str, tuple[Callable, ...]] = {
    **dict.fromkeys(
        (
            "tiered_cross_liquidation_price", "tiered_isolated_liquidation_price",
            "taker_fee_isolated_liquidation_price", "initial_margin_distance_liquidation_price",
            "half_initial_margin_liquidation_price", "net_collateral_liquidation_price", "inverse_bankruptcy_price",
            "inverse_cross_long_prices", "inverse_isolated_liquidation_price", "perp_price_ratios",
        ),
        (price_at_requirement,),
    ),
    "maintenance_schedule": (deductions, margins),
    "maintenance_amount_step": (next_deduction,),
    "liquidation_test": (margins,),
    "oi_scaled_initial_margin": (open_interest_initial,),
    "funding_cap_8h": (funding_cap,),
    "dydx_bankruptcy_quote": (bankruptcy_quote,),
    "dydx_fillable_price": (fillable_price,),
    "size_scaled_margin": (margins, dearer_rates),
    "linear_bankruptcy_price": (bankruptcy_quote,),
    "position_bankruptcy_price": (bankruptcy_quote,),
    "slippage_risk_factor_margin": (volume_at_risk_margin,),
    "funding_addon_margin": (funding_add_on,),
    "min_delta_charge": (min_delta_charge,),
    "portfolio_margin_scan": (loss_table, scan_accounts),
    "vol_shock_term_scaling": (term_scaling,),
    "zero_price": (bankruptcy_quote,),
}  # fmt: skip
"""Model of a case -> functions of the engine that its adapter calls."""

OUT_OF_SCOPE: dict[str, str] = {}
