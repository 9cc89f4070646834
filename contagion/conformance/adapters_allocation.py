"""Allocation cases, run through the functions a run uses: an adapter converts units and rounds, nothing more."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from contagion.allocation import rankings
from contagion.allocation.candidates import bears, fill_by_rank
from contagion.allocation.clearing_house import assessment_power
from contagion.allocation.haircuts import risk_weights
from contagion.allocation.shares import per_unit, pro_rata, unit_value, walk, water_fill, worst_survivor
from contagion.allocation.withdrawals import exchange_bankruptcy
from contagion.margin.prices import bankruptcy_prices

Inputs = dict[str, Any]
SIDES = {"long": 1.0, "short": -1.0}


def _array(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


# -- rankings -------------------------------------------------------------------------------------------------------


def _binance(inputs: Inputs) -> dict[str, Any]:
    profit, wallet = inputs["unrealised_pnl"], inputs["wallet_balance"]
    return {
        "pnl_percent": float(rankings.binance(profit, wallet, 1.0)),
        "score": float(rankings.binance(profit, wallet, inputs["margin_ratio"])),
    }


def _bitmex(inputs: Inputs) -> dict[str, Any]:
    scores = []
    for account in inputs["accounts"]:
        units = SIDES[account["side"]] * account["qty"]
        mark, entry = account["mark_price"], account["entry_price"]
        share = units * (mark - entry) / (abs(units) * entry)
        leverage = abs(units) * mark / (units * (mark - account["bankruptcy_price"]))
        scores.append(float(rankings.bitmex(_array(share), _array(leverage))))
    return {"score": scores}


def _hyperliquid(inputs: Inputs) -> dict[str, Any]:
    index = []
    for account in inputs["accounts"]:
        mark, notional = account["mark_price"], account["notional"]
        cost = notional * account["entry_price"] / mark
        profit = SIDES[account.get("side", "long")] * (notional - cost)
        score = float(rankings.hyperliquid(profit, notional, cost, account["account_value"]))
        index.append(score if score >= 0.0 else -1.0 / score)  # losers rank by minus the reciprocal
    return {"index": index}


def _queue(inputs: Inputs) -> dict[str, Any]:
    accounts, want = inputs["accounts"], inputs["qty_to_close"]
    sizes = _array([account["qty"] for account in accounts])
    fills = fill_by_rank(_array([account["score"] for account in accounts]), sizes, want)
    return {
        "fills": {account["account"]: float(fill) for account, fill in zip(accounts, fills, strict=True) if fill > 0.0},
        "unfilled": float(want - fills.sum()),
        "fill_price": inputs["bankruptcy_price"],
    }


def _walk(inputs: Inputs) -> dict[str, Any]:
    others = inputs["counterparties"]
    names = [other["account"] for other in others]
    sizes, side = _array([other["qty"] for other in others]), -SIDES[inputs["side"]]
    # The equity of a counterparty is zero at its own bankruptcy price.
    able = np.array(
        [bears(0.0, side * other["qty"], other["bankruptcy_price"], inputs["bankruptcy_price"]) for other in others]
    )
    fills = walk(sizes, able, inputs["start_index"], inputs["qty"])
    visited, left = [], inputs["qty"]
    for step in range(len(others)):
        row = (inputs["start_index"] + step) % len(others)
        if left <= 0.0:
            break
        visited.append(row)
        left -= fills[row]
    return {
        "fills": {names[row]: float(fills[row]) for row in visited if fills[row] > 0.0},
        "skipped": [names[row] for row in visited if not able[row]],
        "remaining": float(inputs["qty"] - fills.sum()),
    }


def _pair(inputs: Inputs) -> dict[str, Any]:
    size, entry, price = inputs["qty"], inputs["entry_price"], inputs["price"]
    # The side that is below zero at the price is closed against the other one at its bankruptcy price.
    units = -math.copysign(size, price - entry)
    equity = inputs["collateral_each"] + units * (price - entry)
    close = float(bankruptcy_prices(_array([units]), _array([price]), _array([size * price]), equity)[0])
    side, other = ("short", "long") if units < 0.0 else ("long", "short")
    return {
        f"{side}_equity": equity, "bankruptcy_price": close,
        f"{other}_pnl": -units * (close - entry), f"{side}_pnl": units * (close - entry),
    }  # fmt: skip


# -- sharing --------------------------------------------------------------------------------------------------------


def _dpe(inputs: Inputs) -> dict[str, Any]:
    loss = exchange_bankruptcy([inputs["loser_margin"] - inputs["loser_loss"]], 0.0)
    profit = inputs["total_profit"]
    paid = float(pro_rata(_array([profit]), loss)[0])
    return {"system_loss": loss, "adjustment": paid / profit, "winner_receives": profit - paid}


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
    return {
        "deficit": deficit, "capacity": float(limits.sum()), "budget": budget,
        "queue_haircut_amount": queue.tolist(), "queue_equity_after": (equity - queue).tolist(),
        "pro_rata_rate": budget / float(limits.sum()), "pro_rata_haircut_amount": shared.tolist(),
        "pro_rata_equity_after": (equity - shared).tolist(), "ptsr_queue": worst_survivor(limits, queue) / budget,
        "ptsr_pro_rata": worst_survivor(limits, shared) / budget,
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
    loss = inputs["loss"] - float(pro_rata(_array([inputs.get("fee_pool", 0.0)]), inputs["loss"])[0])
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
    taken = float(pro_rata(_array([stay]), inputs["bad_debt"])[0])
    return {
        "haircut_if_recognised_at_once": 1.0 - unit_value(total, inputs["bad_debt"], total),
        "haircut_of_those_who_stay": 1.0 - unit_value(stay, taken, stay) if stay > 0.0 else 0.0,
        "uncovered": inputs["bad_debt"] - taken,
    }


def _withdrawals(inputs: Inputs) -> dict[str, Any]:
    return {"exchange_bankruptcy": exchange_bankruptcy(_array(inputs["account_values"]), inputs["insurance_fund"])}


# -- clearing house -------------------------------------------------------------------------------------------------


def _in_order(loss: float, amounts: list[float]) -> tuple[list[float], float]:
    absorbed = []
    for amount in amounts:
        absorbed.append(float(pro_rata(_array([amount]), loss)[0]))
        loss -= absorbed[-1]
    return absorbed, loss


def _ccp(inputs: Inputs) -> dict[str, Any]:
    absorbed, left = _in_order(inputs["loss"], [layer["amount"] for layer in inputs["layers"]])
    return {"absorbed": absorbed, "residual": left}


def _ccp_members(inputs: Inputs) -> dict[str, Any]:
    first = ["defaulter_initial_margin", "defaulter_default_fund", "skin_in_the_game"]
    absorbed, left = _in_order(inputs["loss"], [inputs[name] for name in first])
    contributions = _array(inputs["survivor_default_fund"])
    fund = pro_rata(contributions, left)
    left -= float(fund.sum())
    called, _ = water_fill(contributions, assessment_power(inputs["assessment_multiple"], contributions), left)
    left -= float(called.sum())
    gains = np.maximum(0.0, _array(inputs["variation_margin_gains"]))
    cut = pro_rata(gains, left)
    total = float(gains.sum())
    return dict(zip(first, absorbed, strict=True)) | {
        "survivor_default_fund": fund.tolist(), "assessments": called.tolist(),
        "vmgh_haircut": float(cut.sum()) / total if total > 0.0 else 0.0, "vmgh_amount": cut.tolist(),
        "residual": left - float(cut.sum()),
    }  # fmt: skip


def _assessments(inputs: Inputs) -> dict[str, Any]:
    return {"assessments": assessment_power(inputs["multiple"], inputs["guaranty_fund"])}


def _fund_use(inputs: Inputs) -> dict[str, Any]:
    total = inputs["ccp_capital"] + inputs["fund_used"]
    absorbed, _ = _in_order(total, [inputs["ccp_capital"], inputs["fund"]])
    return {"total": sum(absorbed), "share_of_fund": absorbed[1] / inputs["fund"]}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "adl_score_binance": _binance,
    "adl_score_bitmex": _bitmex,
    "adl_index_hyperliquid": _hyperliquid,
    "adl_queue_fill": _queue,
    "deleverage_walk": _walk,
    "deleverage_pair": _pair,
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
    "adl_score_binance": (rankings.binance,),
    "adl_score_bitmex": (rankings.bitmex,),
    "adl_index_hyperliquid": (rankings.hyperliquid,),
    "adl_queue_fill": (fill_by_rank,),
    "deleverage_walk": (walk, bears),
    "deleverage_pair": (bankruptcy_prices,),
    "dpe": (pro_rata,),
    "pro_rata_gains": (pro_rata,),
    "pro_rata_collected": (pro_rata,),
    "capped_pro_rata": (water_fill,),
    "risk_aware_pro_rata": (water_fill, risk_weights),
    "adl_toy_book": (fill_by_rank, pro_rata, worst_survivor),
    "queue_worst_gap": (fill_by_rank, pro_rata),
    "ptsr_scaling": (pro_rata, worst_survivor),
    "per_unit_oi_loss": (per_unit,),
    "drift_social_funding": (per_unit,),
    "drift_spot_social": (unit_value,),
    "depositor_write_off": (unit_value,),
    "delayed_recognition": (unit_value, pro_rata),
    "withdrawal_loss_factor": (exchange_bankruptcy,),
    "ccp_waterfall": (pro_rata,),
    "ccp_waterfall_members": (pro_rata, water_fill, assessment_power),
    "assessment_power": (assessment_power,),
    "default_fund_use": (pro_rata,),
}

OUT_OF_SCOPE: dict[str, str] = {
    "optimal_fund_exponential": "a quantile of an exponential distribution; runs size funds by simulated deficits",
}
