"""Cases of lending designs, run through the functions the designs call in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contagion.protocols.designs.health_discount import HealthDiscount
from contagion.protocols.lending_rules import (
    absorption,
    health_change,
    health_factor,
    incentive_factor,
    largest_partial,
    largest_repayment,
    seizure,
    store_price,
)
from contagion.protocols.unsafe_loans import bonus_at
from contagion.scenario.lending import Collateral

Inputs = dict[str, Any]


def _health(assets: list[dict[str, Any]], threshold: str, debt: float) -> float:
    values = [asset["value"] if "value" in asset else asset["qty"] * asset["price"] for asset in assets]
    weighted = sum(value * asset[threshold] for value, asset in zip(values, assets, strict=True))
    return float(health_factor(float(weighted), float(debt)))


def health(inputs: Inputs) -> dict[str, Any]:
    return {"health_factor": _health(inputs["collateral"], "liquidation_threshold", inputs["debt"])}


def leftover(inputs: Inputs) -> dict[str, Any]:
    debt, collateral = largest_partial(inputs["debt_amount"], inputs["collateral_amount"], inputs["min_leftover"])
    return {"max_partial_debt": debt, "max_partial_collateral": collateral}


def after_liquidation(inputs: Inputs) -> dict[str, Any]:
    threshold, debt = inputs["liquidation_threshold"], inputs["debt"]
    before = float(health_factor(inputs["collateral"] * threshold, debt))
    change = health_change(before, threshold, debt, inputs["repay"], inputs["bonus"])
    return {"hf_before": before, "change": change, "toxic": change < 0.0}


def half_and_incentive(inputs: Inputs) -> dict[str, Any]:
    repaid = largest_repayment(inputs["debt_value"], 1.0, inputs["close_factor"], full_close_health=0.0)
    taken = seizure(repaid, inputs["incentive"] - 1.0, share_of_seized=inputs["protocol_seize_share"])
    return {
        "repaid_value": repaid,
        "seized_value": taken.seized,
        "to_liquidator": taken.to_keeper,
        "to_reserves": taken.to_reserve,
    }


def factor_by_threshold(inputs: Inputs) -> dict[str, Any]:
    return {"lif": incentive_factor(inputs["lltv"], inputs["cursor"], inputs["max_lif"])}


def discount_by_health(inputs: Inputs) -> dict[str, Any]:
    design = HealthDiscount(most_discount=inputs["max_discount"])
    incentive = design.incentive(Collateral(ltv=0.5, liquidation_threshold=0.5))
    return {"discount_factor": 1.0 / (1.0 + float(bonus_at(float(inputs["health"]), *incentive)))}


def absorbed(inputs: Inputs) -> dict[str, Any]:
    assets, debt = inputs["assets"], inputs["debt"]
    taken = absorption(
        [asset["qty"] * asset["price"] for asset in assets], [asset["liquidation_factor"] for asset in assets], debt
    )
    unsafe = _health(assets, "liquidate_collateral_factor", debt) < 1.0
    return {"liquidatable": unsafe, "credited": taken.credited, "new_balance": taken.balance}


def bought_from_stock(inputs: Inputs) -> dict[str, Any]:
    price = store_price(inputs["collateral_price"], inputs["liquidation_factor"], inputs["store_front_factor"])
    return {"collateral_amount": inputs["base_amount"] / price}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "health_factor": health,
    "leftover_rule": leftover,
    "health_after_liquidation": after_liquidation,
    "close_factor_incentive": half_and_incentive,
    "liquidation_incentive_factor": factor_by_threshold,
    "health_discount": discount_by_health,
    "absorb": absorbed,
    "comet_quote_collateral": bought_from_stock,
}

TARGETS: dict[str, tuple[Callable, ...]] = {
    "health_factor": (health_factor,),
    "leftover_rule": (largest_partial,),
    "health_after_liquidation": (health_factor, health_change),
    "close_factor_incentive": (largest_repayment, seizure),
    "liquidation_incentive_factor": (incentive_factor,),
    "health_discount": (HealthDiscount.incentive, bonus_at),
    "absorb": (health_factor, absorption),
    "comet_quote_collateral": (store_price,),
}
