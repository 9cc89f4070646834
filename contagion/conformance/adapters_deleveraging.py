"""Deleveraging: who is next and what closes at which price, run through the functions a run uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from contagion.allocation import rankings
from contagion.allocation.candidates import bears, fill_by_rank
from contagion.allocation.shares import walk
from contagion.margin.prices import bankruptcy_prices

Inputs = dict[str, Any]
SIDES = {"long": 1.0, "short": -1.0}


def _array(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


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
        f"{side}_equity": equity, f"{other}_equity": inputs["collateral_each"] - units * (price - entry),
        "bankruptcy_price": close, f"{other}_pnl": -units * (close - entry), f"{side}_pnl": units * (close - entry),
    }  # fmt: skip


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "adl_score_binance": _binance,
    "adl_score_bitmex": _bitmex,
    "adl_index_hyperliquid": _hyperliquid,
    "adl_queue_fill": _queue,
    "deleverage_walk": _walk,
    "deleverage_pair": _pair,
}
"""Model of a case -> what runs it."""

TARGETS: dict[str, tuple[Callable, ...]] = {
    "adl_score_binance": (rankings.binance,),
    "adl_score_bitmex": (rankings.bitmex,),
    "adl_index_hyperliquid": (rankings.hyperliquid,),
    "adl_queue_fill": (fill_by_rank,),
    "deleverage_walk": (walk, bears),
    "deleverage_pair": (bankruptcy_prices,),
}
"""Model of a case -> functions of the engine that its adapter calls."""
