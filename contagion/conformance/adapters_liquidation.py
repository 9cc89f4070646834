"""Liquidation cases, run through the functions a run uses: an adapter converts units and rounds, nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contagion.conformance.fixed_point import Fixed
from contagion.liquidation.disposal import disposal_size
from contagion.liquidation.fees import (
    discounted_price,
    insurance_delta,
    insurance_fee_within,
    insurance_flow,
    liquidator_fee,
)
from contagion.liquidation.shares import after_share, base_to_cover, share_to_target, smallest_share
from contagion.margin.prices import bankruptcy_prices
from contagion.protocols.lending_rules import kinked_rate, largest_repayment, supply_rate
from contagion.state.trades import apply_trades

Inputs = dict[str, Any]

LARGEST = 2**64 - 1


def _traded(units: list[float], entry: list[float], change: list[float], price: list[float], row: list[int]):
    """Units, entry prices and realised profit of one account's positions after trades."""
    units, entry = np.array(units, float), np.array(entry, float)
    balance, realised = np.zeros(1), np.zeros(1)
    accounts = np.zeros(len(units), np.int64)
    apply_trades(
        np.array(row, np.int64), np.array(change, float), np.array(price, float), accounts, units, entry, balance,
        realised,
    )  # fmt: skip
    return units, entry, float(realised[0])


def _side(inputs: Inputs) -> float:
    return {"long": 1.0, "short": -1.0}[inputs["side"]]


# -- insurance fund -------------------------------------------------------------------------------------------------


def delta_capped_fee(inputs: Inputs) -> dict[str, Any]:
    delta = insurance_delta(inputs["fill_quote"], inputs["bankruptcy_quote"], inputs["max_fee_rate"])
    return {"insurance_fund_delta": float(delta)}


def flow(inputs: Inputs) -> dict[str, Any]:
    units = _side(inputs) * inputs["qty"]
    return {"insurance_fund_delta": insurance_flow(units, inputs["execution_price"], inputs["bankruptcy_price"])}


def doc_example(inputs: Inputs) -> dict[str, Any]:
    units, entry, trigger, execution = (
        float(inputs[name]) for name in ("qty", "entry_price", "trigger_price", "execution_price")
    )
    units *= _side(inputs) if "side" in inputs else 1.0
    equity = inputs["collateral"] + units * (trigger - entry)
    held = np.array([units]), np.array([trigger])
    bankruptcy = bankruptcy_prices(*held, np.zeros(1), equity)[0]
    _, _, realised = _traded([units], [entry], [-units], [execution], [0])
    paid = float(insurance_flow(units, execution, bankruptcy))
    return {"equity_at_trigger": equity, "realised_pnl": realised, "fund_pays": max(0.0, -paid)}


# -- Drift ----------------------------------------------------------------------------------------------------------


def _ratio(inputs: Inputs) -> Fixed:
    return Fixed(inputs["margin_ratio_1e4"] * 100)


def drift_base_to_cover(inputs: Inputs) -> dict[str, Any]:
    price, quote, fee, fund = (
        Fixed(inputs[name]) for name in ("price_1e6", "quote_price_1e6", "liquidator_fee_1e6", "if_fee_1e6")
    )
    shortage = Fixed(inputs["shortage_1e6"] * 1_000, 10**9)
    base = base_to_cover(shortage, price, _ratio(inputs), fee, fund, quote)
    return {"base_1e9": base.raw if isinstance(base, Fixed) else LARGEST}


def drift_perp_if_fee(inputs: Inputs) -> dict[str, Any]:
    price = Fixed(inputs["price_1e6"]) * Fixed(inputs["quote_price_1e6"])
    base = Fixed(inputs["base_1e9"], 10**9)
    if not (price > 0 and base > 0):
        return {"if_fee_1e6": 0}
    fee = insurance_fee_within(
        Fixed(inputs["max_if_fee_1e6"]), Fixed(inputs["shortage_1e6"]), base, price, _ratio(inputs),
        Fixed(inputs["liquidator_fee_1e6"]), Fixed(95, 100),
    )  # fmt: skip
    return {"if_fee_1e6": fee.raw}


def drift_fee_ramp(inputs: Inputs) -> dict[str, Any]:
    names = ("slots_elapsed", "base_fee_1e6", "max_fee_1e6", "grace_slots", "step_1e6_per_slot")
    return {"fee_1e6": int(liquidator_fee(*(inputs[name] for name in names)))}


def drift_partial(inputs: Inputs) -> dict[str, Any]:
    base, price, rate, fund = (float(inputs[name]) for name in ("base", "price", "liquidator_fee", "if_fee"))
    notional = abs(base) * price
    equity = inputs["deposit"] + inputs["quote"] + base * price
    share = float(share_to_target(equity, inputs["target_margin_ratio"] * notional, notional, rate, fund))
    sold = share * base
    paid, fee = sold * float(discounted_price(base, price, rate)), fund * abs(sold) * price
    left, quote = base - sold, inputs["quote"] + paid - fee
    after = inputs["deposit"] + quote + left * price
    return {
        "base_sold": sold,
        "base_left": left,
        "quote_after": quote,
        "liquidator_quote": -paid,
        "insurance_fund": fee,
        "margin_ratio_after": after / (abs(left) * price) if left else float("inf"),
    }


# -- shares, disposal, the network's position -----------------------------------------------------------------------


def share_liquidation(inputs: Inputs) -> dict[str, Any]:
    value, margin = inputs["account_value"], inputs["maint_margin"]
    cost, shares = inputs["penalty_rate"] * margin, tuple(inputs["shares"])
    share = float(smallest_share(value, margin, cost, inputs["target_ratio"], shares))
    held = inputs["positions"]
    units = [_side(position) * position["qty"] for position in held]
    entry, marks = ([position[name] for position in held] for name in ("entry_price", "mark_price"))
    _, _, realised = _traded(units, entry, [-share * size for size in units], marks, list(range(len(held))))
    penalty = after_share(share, value, margin, cost).penalty
    return {
        "table": [[float(item) for item in after_share(each, value, margin, cost)] for each in shares],
        "chosen_share": share,
        "penalty": penalty,
        "realised_pnl": realised,
        "cash_after": inputs["cash"] + realised - penalty,
    }


def vega_disposal(inputs: Inputs) -> dict[str, Any]:
    left, sold = float(inputs["position"]), []
    rule = (inputs["disposal_fraction"], inputs["full_disposal_size"], inputs["max_fraction_of_book"])
    while abs(left) > 1e-12 and (size := disposal_size(left, *rule, inputs["book_volume"])):
        sold.append(size)
        left -= size
    return {"disposals": sold}


def network_position(inputs: Inputs) -> dict[str, Any]:
    sizes, prices = ([trade[part] for trade in inputs["trades"]] for part in (0, 1))
    units, entry, realised = _traded([0.0], [0.0], sizes, prices, [0] * len(sizes))
    return {
        "position": units[0],
        "average_entry": entry[0],
        "realised_pnl": realised,
        "unrealised_pnl": [units[0] * (mark - entry[0]) for mark in inputs["marks"]],
    }


# -- lending --------------------------------------------------------------------------------------------------------


def close_factor(inputs: Inputs) -> dict[str, Any]:
    most = largest_repayment(
        inputs["reserve_debt"], inputs["health_factor"], inputs["close_factor"], inputs["full_close_hf"],
        inputs["total_debt"], inputs["reserve_collateral"], inputs["small_position"],
    )  # fmt: skip
    return {"max_repay": most}


def borrow_rate(inputs: Inputs) -> dict[str, Any]:
    terms = (inputs[name] for name in ("utilisation", "base", "slope1", "slope2", "kink", "slope_is_total"))
    rate = kinked_rate(*terms)
    earned = supply_rate(rate, inputs["utilisation"], inputs.get("reserve_factor", 0.0))
    return {"borrow_rate": rate, "supply_rate": earned}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "insurance_delta_capped_fee": delta_capped_fee,
    "insurance_doc_example": doc_example,
    "insurance_flow_exec_vs_bankruptcy": flow,
    "drift_base_to_cover": drift_base_to_cover,
    "drift_perp_if_fee": drift_perp_if_fee,
    "drift_liquidator_fee_ramp": drift_fee_ramp,
    "drift_partial_liquidation": drift_partial,
    "vega_disposal": vega_disposal,
    "network_position": network_position,
    "share_liquidation": share_liquidation,
    "close_factor_v33": close_factor,
    "kinked_rate": borrow_rate,
}
"""Model of a case -> what runs it."""

TARGETS: dict[str, tuple[Callable, ...]] = {
    "insurance_delta_capped_fee": (insurance_delta,),
    "insurance_doc_example": (bankruptcy_prices, insurance_flow, apply_trades),
    "insurance_flow_exec_vs_bankruptcy": (insurance_flow,),
    "drift_base_to_cover": (base_to_cover,),
    "drift_perp_if_fee": (insurance_fee_within,),
    "drift_liquidator_fee_ramp": (liquidator_fee,),
    "drift_partial_liquidation": (share_to_target, discounted_price),
    "vega_disposal": (disposal_size,),
    "network_position": (apply_trades,),
    "share_liquidation": (smallest_share, after_share, apply_trades),
    "close_factor_v33": (largest_repayment,),
    "kinked_rate": (kinked_rate,),
}
"""Model of a case -> functions of the engine that its adapter calls."""

OUT_OF_SCOPE: dict[str, str] = {
    "interbank_loan_default_step": "a bank's reserve requirement on deposits: no agent of the model has one",
    "interbank_fire_sale_step": "a bank's reserve requirement on deposits: no agent of the model has one",
}
"""Model of a case -> why a simulator has no use for it."""
