"""Margin requirements, run through the functions a run uses: an adapter converts units and rounds, nothing more."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from contagion.margin.initial import InitialTerms, dearer_rates
from contagion.margin.kernels import margins
from contagion.margin.portfolio import (
    ScanScenario,
    loss_table,
    min_delta_charge,
    scan_accounts,
    scan_margin,
    term_scaling,
)
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

# -- requirements -----------------------------------------------------------------------------------------------------


def account_margin(
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
            account_margin(0.0, np.array([float(notional)]), one, np.array(rates, float), one, floors=floors)[1]
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
    equity, requirement, _ = account_margin(
        inputs["wallet_balance"], one, np.array([inputs["maint_margin"]]), one, np.array([inputs["unrealised_pnl"]])
    )
    return {"margin_balance": equity, "liquidate": equity < requirement}


def size_scaled_margin(inputs: Inputs) -> dict[str, Any]:
    units, mark, slope = np.array([inputs["qty"]]), np.array([inputs["price"]]), inputs["slope_per_unit"]
    found = {}
    if "maintenance_base" in inputs:
        rate = np.array([inputs["maintenance_base"]])
        found["maintenance_margin"] = account_margin(0.0, units, mark, rate, mark, slope)[1]
    if "initial_base" in inputs:
        zero, rate = np.zeros(1), np.array([inputs["initial_base"]])
        terms = InitialTerms(
            mark, np.zeros(1, np.int64), np.zeros(1, np.int8), np.array([0, 1]), zero, zero, rate,
            np.array([[0.0, slope, 0.0, 0.0]]), np.ones(1), np.zeros((1, 0)), np.zeros((1, 4)),
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


# -- portfolio margin -------------------------------------------------------------------------------------------------


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
    # Fees are given as a sum: the scan's rate of them stays 0.
    scan = np.array([[inputs["net_delta_rate"], inputs["hedged_delta_rate"], 0.0, inputs["maint_to_initial"]]])
    out = np.empty((1, 3))
    scan_accounts(
        np.zeros(1, np.int64), np.array([0, n]), np.zeros(1, np.int64), np.arange(n), units,
        loss_table(price, np.ones(n), scenarios), np.ones(n), np.full(n, float(inputs["spot"])), np.zeros(n, np.int64),
        np.zeros(n, np.int8), 1, scan, out,
    )  # fmt: skip
    loss, floor, _ = out[0].tolist()
    initial = float(scan_margin(loss, floor, inputs["fees"]))
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
    "maintenance_schedule": maintenance_schedule,
    "maintenance_amount_step": maintenance_amount_step,
    "liquidation_test": liquidation_test,
    "oi_scaled_initial_margin": oi_scaled_initial_margin,
    "funding_cap_8h": funding_cap_8h,
    "size_scaled_margin": size_scaled_margin,
    "slippage_risk_factor_margin": slippage_risk_factor,
    "funding_addon_margin": funding_addon,
    "min_delta_charge": min_delta,
    "portfolio_margin_scan": portfolio_scan,
    "vol_shock_term_scaling": vol_shock_term_scaling,
}
"""Model of a case -> what runs it."""

TARGETS: dict[str, tuple[Callable, ...]] = {
    "maintenance_schedule": (deductions, margins),
    "maintenance_amount_step": (next_deduction,),
    "liquidation_test": (margins,),
    "oi_scaled_initial_margin": (open_interest_initial,),
    "funding_cap_8h": (funding_cap,),
    "size_scaled_margin": (margins, dearer_rates),
    "slippage_risk_factor_margin": (volume_at_risk_margin,),
    "funding_addon_margin": (funding_add_on,),
    "min_delta_charge": (min_delta_charge,),
    "portfolio_margin_scan": (loss_table, scan_accounts, scan_margin),
    "vol_shock_term_scaling": (term_scaling,),
}
"""Model of a case -> functions of the engine that its adapter calls."""
