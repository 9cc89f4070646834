"""Allocation cases, run through the functions a run uses: an adapter converts units and rounds, nothing more."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from contagion.allocation.candidates import fill_by_rank
from contagion.allocation.clearing_house import assessment_power
from contagion.allocation.haircuts import risk_weights
from contagion.allocation.shares import per_unit, pro_rata, unit_value, water_fill, worst_survivor
from contagion.allocation.withdrawals import exchange_bankruptcy

Inputs = dict[str, Any]
SIDES = {"long": 1.0, "short": -1.0}


def _array(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


# -- sharing --------------------------------------------------------------------------------------------------------


def _dpe(inputs: Inputs) -> dict[str, Any]:
    loss = exchange_bankruptcy([inputs["loser_margin"] - inputs["loser_loss"]], 0.0)
    profit = inputs["total_profit"]
    paid = pro_rata(_array([profit]), loss)
    adjustment = _rates(paid, _array([profit]))[0]
    return {"system_loss": loss, "adjustment": adjustment, "winner_receives": profit - float(paid[0])}


def _gains(inputs: Inputs) -> dict[str, Any]:
    gains = _array(inputs["gains"])
    winnings = np.maximum(0.0, gains)
    paid = pro_rata(winnings, inputs["loss"])
    haircut = float(paid.sum() / winnings.sum()) if winnings.sum() > 0.0 else 0.0
    return {
        "haircut": haircut, "payout": (gains - paid).tolist(), "uncovered": float(inputs["loss"] - paid.sum()),
    }  # fmt: skip


def _collected(inputs: Inputs) -> dict[str, Any]:
    gains = np.maximum(0.0, _array(inputs["gains"]))
    missing = max(0.0, float(gains.sum()) - inputs["collected"])
    return {"distribution": (gains - pro_rata(gains, missing)).tolist()}


def _capped(inputs: Inputs) -> dict[str, Any]:
    winners = _array(inputs["winners"])
    amounts, level = water_fill(winners, _array(inputs["cap"]) * winners, inputs["budget"])
    return {"eta": level, "rate": _rates(amounts, winners), "amount": amounts.tolist()}


def _risk_aware(inputs: Inputs) -> dict[str, Any]:
    winners = _array(inputs["winners"])
    weights = risk_weights(winners, _array(inputs["leverage"]), 2.0)
    amounts, level = water_fill(weights, _array(inputs["cap"]) * winners, inputs["budget"])
    return {"tau": level, "rate": _rates(amounts, winners), "amount": amounts.tolist()}


def _rates(amounts: np.ndarray, winners: np.ndarray) -> list[float]:
    return np.divide(amounts, winners, out=np.zeros_like(amounts), where=winners > 0.0).tolist()


def _toy_book(inputs: Inputs) -> dict[str, Any]:
    equity, profit = _array(inputs["equity"]), _array(inputs["pnl"])
    deficit = exchange_bankruptcy(equity, 0.0)
    limits = np.maximum(0.0, np.minimum(profit, equity))
    budget = min(inputs["theta"] * deficit, float(limits.sum()))
    queue = fill_by_rank(np.where(limits > 0.0, _array(inputs["queue_score"]), -np.inf), limits, budget)
    shared = pro_rata(limits, budget)
    worst = _rates(_array([worst_survivor(limits, queue), worst_survivor(limits, shared)]), np.full(2, budget))
    return {
        "deficit": deficit, "capacity": float(limits.sum()), "budget": budget,
        "queue_haircut_amount": queue.tolist(), "queue_equity_after": (equity - queue).tolist(),
        "pro_rata_rate": _rates(_array([budget]), _array([limits.sum()]))[0],
        "pro_rata_haircut_amount": shared.tolist(),
        "pro_rata_equity_after": (equity - shared).tolist(), "ptsr_queue": worst[0], "ptsr_pro_rata": worst[1],
    }  # fmt: skip


def _worst_gap(inputs: Inputs) -> dict[str, Any]:
    winners, budget = _array(inputs["winners"]), inputs["budget"]
    queue, shared = fill_by_rank(winners, winners, budget), pro_rata(winners, budget)
    largest = int(np.argmax(winners))
    measured = float(queue[largest] - shared[largest])
    return {"gap_measured": measured, "gap_closed_form": budget - float(pro_rata(winners, budget)[largest])}


def _scaling(inputs: Inputs) -> dict[str, Any]:
    rng, alpha, theta = np.random.default_rng(1), inputs["pareto_alpha"], inputs["theta"]
    medians = []
    for count in inputs["n"]:
        ratios = []
        for _ in range(200):
            winners = 1.0 + rng.pareto(alpha, count)
            budget = theta * float(rng.exponential(inputs["mean_deficit_per_account"], count).sum())
            ratios.append(worst_survivor(winners, pro_rata(winners, budget)) / budget)
        medians.append(float(np.median(ratios)))
    decades = math.log10(inputs["n"][-1] / inputs["n"][0])
    return {"ratio_per_decade": (medians[-1] / medians[0]) ** (1.0 / decades)}


# -- open interest and deposits -------------------------------------------------------------------------------------


def _open_interest(inputs: Inputs) -> dict[str, Any]:
    loss = exchange_bankruptcy([-inputs["loss"]], inputs.get("fee_pool", 0.0))
    rate = per_unit(loss, inputs["long_oi"], inputs["short_oi"])
    return {
        "new_cumulative": inputs["cumulative_before"] + rate, "long_pays": rate * inputs["long_oi"],
        "short_pays": rate * inputs["short_oi"],
    }  # fmt: skip


def _social_funding(inputs: Inputs) -> dict[str, Any]:
    rate = per_unit(inputs["loss_1e6"], Fraction(inputs["total_open_interest_1e9"], 10**9), 0)
    return {"delta_cumulative_funding": math.ceil(rate) * 1000}


def _spot_social(inputs: Inputs) -> dict[str, Any]:
    deposits = Fraction(inputs["total_deposits_1e6"])
    left = unit_value(deposits, inputs["bad_debt_1e6"], deposits)
    return {"delta_cumulative_deposit_interest": math.ceil(inputs["cumulative_interest_1e10"] * (1 - left))}


def _write_off(inputs: Inputs) -> dict[str, Any]:
    deposits = _array(inputs["deposits"])
    price = unit_value(float(deposits.sum()), inputs["bad_debt"], float(deposits.sum()))
    return {"share_price": price, "deposits_after": (price * deposits).tolist()}


def _delayed(inputs: Inputs) -> dict[str, Any]:
    deposits, leave = _array(inputs["deposits"]), np.asarray(inputs["withdraws_at_par_first"], dtype=bool)
    total, stay = float(deposits.sum()), float(deposits[~leave].sum())
    return {
        "haircut_if_recognised_at_once": 1.0 - unit_value(total, inputs["bad_debt"], total),
        "haircut_of_those_who_stay": 1.0 - unit_value(stay, inputs["bad_debt"], stay) if stay > 0.0 else 0.0,
        "uncovered": exchange_bankruptcy([stay - inputs["bad_debt"]], 0.0),
    }


def _withdrawals(inputs: Inputs) -> dict[str, Any]:
    return {"exchange_bankruptcy": exchange_bankruptcy(_array(inputs["account_values"]), inputs["insurance_fund"])}


# -- clearing house -------------------------------------------------------------------------------------------------


def _in_turn(loss: float, layers: list[list[float]]) -> tuple[list[list[float]], float]:
    """What payers of each layer bear, layer after layer, and what is left."""
    rank = np.repeat(-np.arange(len(layers), dtype=np.float64), [len(layer) for layer in layers])
    paid = fill_by_rank(rank, _array([amount for layer in layers for amount in layer]), loss)
    ends = np.cumsum([len(layer) for layer in layers], dtype=np.int64)
    return [part.tolist() for part in np.split(paid, ends)[:-1]], loss - float(paid.sum())


def _ccp(inputs: Inputs) -> dict[str, Any]:
    absorbed, left = _in_turn(inputs["loss"], [[layer["amount"]] for layer in inputs["layers"]])
    return {"absorbed": [layer[0] for layer in absorbed], "residual": left}


def _ccp_members(inputs: Inputs) -> dict[str, Any]:
    first = ["defaulter_initial_margin", "defaulter_default_fund", "skin_in_the_game"]
    contributions = _array(inputs["survivor_default_fund"])
    called = assessment_power(inputs["assessment_multiple"], contributions)
    gains = np.maximum(0.0, _array(inputs["variation_margin_gains"]))
    layers = [*([inputs[name]] for name in first), contributions.tolist(), called.tolist(), gains.tolist()]
    paid, left = _in_turn(inputs["loss"], layers)
    total = float(gains.sum())
    return {name: part[0] for name, part in zip(first, paid[:3], strict=True)} | {
        "survivor_default_fund": paid[3], "assessments": paid[4], "vmgh_amount": paid[5],
        "vmgh_haircut": sum(paid[5]) / total if total > 0.0 else 0.0, "residual": left,
    }  # fmt: skip


def _assessments(inputs: Inputs) -> dict[str, Any]:
    return {"assessments": assessment_power(inputs["multiple"], inputs["guaranty_fund"])}


def _fund_use(inputs: Inputs) -> dict[str, Any]:
    total = inputs["ccp_capital"] + inputs["fund_used"]
    (own, fund), _ = _in_turn(total, [[inputs["ccp_capital"]], [inputs["fund"]]])
    return {"total": own[0] + fund[0], "share_of_fund": fund[0] / inputs["fund"] if inputs["fund"] else 0.0}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "dpe": _dpe,
    "pro_rata_gains": _gains,
    "pro_rata_collected": _collected,
    "capped_pro_rata": _capped,
    "risk_aware_pro_rata": _risk_aware,
    "adl_toy_book": _toy_book,
    "queue_worst_gap": _worst_gap,
    "ptsr_scaling": _scaling,
    "per_unit_oi_loss": _open_interest,
    "drift_social_funding": _social_funding,
    "drift_spot_social": _spot_social,
    "depositor_write_off": _write_off,
    "delayed_recognition": _delayed,
    "withdrawal_loss_factor": _withdrawals,
    "ccp_waterfall": _ccp,
    "ccp_waterfall_members": _ccp_members,
    "assessment_power": _assessments,
    "default_fund_use": _fund_use,
}

TARGETS: dict[str, tuple[Callable, ...]] = {
    "dpe": (pro_rata,),
    "pro_rata_gains": (pro_rata,),
    "pro_rata_collected": (pro_rata,),
    "capped_pro_rata": (water_fill,),
    "risk_aware_pro_rata": (water_fill, risk_weights),
    "adl_toy_book": (fill_by_rank, pro_rata, worst_survivor),
    "queue_worst_gap": (fill_by_rank, pro_rata),
    "ptsr_scaling": (pro_rata, worst_survivor),
    "per_unit_oi_loss": (per_unit, exchange_bankruptcy),
    "drift_social_funding": (per_unit,),
    "drift_spot_social": (unit_value,),
    "depositor_write_off": (unit_value,),
    "delayed_recognition": (unit_value, exchange_bankruptcy),
    "withdrawal_loss_factor": (exchange_bankruptcy,),
    "ccp_waterfall": (fill_by_rank,),
    "ccp_waterfall_members": (fill_by_rank, assessment_power),
    "assessment_power": (assessment_power,),
    "default_fund_use": (fill_by_rank,),
}

OUT_OF_SCOPE: dict[str, str] = {
    "optimal_fund_exponential": "a quantile of an exponential distribution; runs size funds by simulated deficits",
}
