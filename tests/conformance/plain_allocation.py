"""Allocation as plain arithmetic on random numbers, beside :mod:`plain_rules`."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from typing import Any

from plain_rules import Case, rule, sides, sign, some

# -- allocation -----------------------------------------------------------------------------------------------------


@rule
def adl_score_binance(rng: Random) -> Case:
    profit, wallet, ratio = rng.uniform(-50, 50), rng.choice([0.2, 4.0, -3.0]), rng.uniform(0, 1)
    share = max(0, profit) / max(1, wallet)
    inputs = {"unrealised_pnl": profit, "wallet_balance": wallet, "margin_ratio": ratio}
    return inputs, {"pnl_percent": share, "score": share * ratio}


@rule
def adl_score_bitmex(rng: Random) -> Case:
    accounts, scores = [], []
    for _ in some(rng, 5, 0):
        side, q, entry, mark = sides(rng), rng.uniform(1, 5), rng.uniform(90, 110), rng.choice([100.0, 90.0])
        bankrupt = mark - sign(side) * rng.uniform(1, 40)
        gain = sign(side) * (mark - entry) / entry
        leverage = mark / abs(mark - bankrupt)
        scores.append(gain * leverage if gain > 0 else gain / leverage)
        row = {"side": side, "qty": q, "entry_price": entry, "mark_price": mark, "bankruptcy_price": bankrupt}
        accounts.append(row)
    return {"accounts": accounts}, {"score": scores}


@rule
def adl_index_hyperliquid(rng: Random) -> Case:
    accounts = [
        {
            "entry_price": rng.uniform(90, 160), "mark_price": 150.0, "notional": rng.uniform(10, 3e4),
            "account_value": rng.uniform(1, 2e3),
        }
        for _ in some(rng, 5, 0)
    ]  # fmt: skip
    index = [a["mark_price"] / a["entry_price"] * a["notional"] / a["account_value"] for a in accounts]
    return {"accounts": accounts}, {"index": index}


@rule
def adl_queue_fill(rng: Random) -> Case:
    n = rng.randint(0, 7)
    scores = rng.sample(range(-3, 20), n)
    accounts = [{"account": str(k), "qty": rng.randint(1, 30), "score": scores[k]} for k in range(n)]
    want = left = rng.choice([0, 5, 20, 500])
    fills = {}
    for a in sorted(accounts, key=lambda a: -a["score"]):
        fill = min(left, a["qty"])
        left -= fill
        if fill:
            fills[a["account"]] = fill
    inputs = {"qty_to_close": want, "bankruptcy_price": 650.0, "accounts": accounts}
    return inputs, {"fills": fills, "unfilled": left, "fill_price": 650.0}


@rule
def deleverage_walk(rng: Random) -> Case:
    side, price, n = sides(rng), 95.0, rng.randint(1, 7)
    others = [
        {"account": f"a{k}", "qty": rng.uniform(0.5, 9), "bankruptcy_price": rng.choice([80.0, 95.0, 101.0, 140.0])}
        for k in range(n)
    ]  # fmt: skip
    left, start, fills, skipped = rng.choice([3.0, 10.0, 99.0]), rng.randrange(n), {}, []
    inputs = {"side": side, "qty": left, "bankruptcy_price": price, "start_index": start, "counterparties": others}
    for k in range(n):
        other = others[(start + k) % n]
        if left <= 0:
            break
        solvent = other["bankruptcy_price"] >= price if side == "long" else other["bankruptcy_price"] <= price
        if not solvent:
            skipped.append(other["account"])
            continue
        fills[other["account"]] = min(left, other["qty"])
        left -= fills[other["account"]]
    return inputs, {"fills": fills, "skipped": skipped, "remaining": left}


@rule
def dpe(rng: Random) -> Case:
    loss, margin, profit = rng.uniform(0, 20), rng.uniform(0, 20), rng.choice([0.0, 5.0, 30.0])
    missing = max(0.0, loss - margin)
    cut = min(1.0, missing / profit) if profit else 0.0
    inputs = {"loser_loss": loss, "loser_margin": margin, "total_profit": profit}
    return inputs, {"system_loss": missing, "adjustment": cut, "winner_receives": profit * (1 - cut)}


@rule
def pro_rata_gains(rng: Random) -> Case:
    gains, loss = [rng.uniform(-50, 50) for _ in some(rng, 6, 0)], rng.choice([0.0, 15.0, 500.0])
    won = sum(g for g in gains if g > 0)
    h = min(1.0, loss / won) if won > 0 else 0.0
    payout = [g * (1 - h) if g > 0 else g for g in gains]
    return {"gains": gains, "loss": loss}, {"haircut": h, "payout": payout, "uncovered": loss - h * won}


@rule
def pro_rata_collected(rng: Random) -> Case:
    gains = [rng.uniform(0, 50) for _ in some(rng, 6)]
    collected = rng.choice([0.0, 0.3, 1.0]) * sum(gains)
    return {"gains": gains, "collected": collected}, {"distribution": [g * collected / sum(gains) for g in gains]}


def _level(rates, budget: float) -> float:
    """Level at which ``sum of rates(level)`` is the budget, by halving."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(rates(middle)) < budget else (low, middle)
    return high


def _filled(rng: Random, weight: list[float], level: str) -> Case:
    winners, cap = [rng.uniform(1, 100) for _ in weight], [rng.choice([0.1, 0.5, 1.0]) for _ in weight]
    budget = rng.uniform(0.1, 0.99) * sum(c * w for c, w in zip(cap, winners, strict=True))

    def amounts(eta: float) -> list[float]:
        return [min(c, eta * g) * w for c, g, w in zip(cap, weight, winners, strict=True)]

    eta = _level(amounts, budget)
    paid = amounts(eta)
    inputs = {"winners": winners, "cap": cap, "budget": budget, "leverage": [g**0.5 for g in weight]}
    return inputs, {level: eta, "amount": paid, "rate": [p / w for p, w in zip(paid, winners, strict=True)]}


@rule
def capped_pro_rata(rng: Random) -> Case:
    return _filled(rng, [1.0 for _ in some(rng)], "eta")


@rule
def risk_aware_pro_rata(rng: Random) -> Case:
    return _filled(rng, [rng.choice([1.0, 2.0, 5.0, 12.5]) ** 2 for _ in some(rng)], "tau")


@rule
def adl_toy_book(rng: Random) -> Case:
    collateral, pnl = [rng.uniform(0, 3) for _ in range(6)], [rng.uniform(-20, 10) for _ in range(6)]
    pnl[0], pnl[5] = 4.0, -30.0
    equity = [c + p for c, p in zip(collateral, pnl, strict=True)]
    score, theta = [float(s) for s in rng.sample(range(1, 9), 6)], rng.choice([0.2, 1.0])
    deficit, room = sum(-e for e in equity if e < 0), [max(0.0, p) for p in pnl]
    budget = left = min(theta * deficit, sum(room))
    queue = [0.0] * 6
    for k in sorted(range(6), key=lambda k: -score[k]):
        queue[k] = min(left, room[k])
        left -= queue[k]
    shared = [budget / sum(room) * r for r in room]
    inputs = {"equity": equity, "collateral": collateral, "pnl": pnl, "theta": theta, "queue_score": score}
    return inputs, {
        "deficit": deficit, "capacity": sum(room), "budget": budget, "queue_haircut_amount": queue,
        "queue_equity_after": [e - q for e, q in zip(equity, queue, strict=True)],
        "pro_rata_rate": budget / sum(room), "pro_rata_haircut_amount": shared,
        "pro_rata_equity_after": [e - q for e, q in zip(equity, shared, strict=True)],
        "ptsr_queue": max(r - q for r, q in zip(room, queue, strict=True)) / budget,
        "ptsr_pro_rata": max(r - q for r, q in zip(room, shared, strict=True)) / budget,
    }  # fmt: skip


@rule
def queue_worst_gap(rng: Random) -> Case:
    winners = sorted((rng.uniform(1, 50) for _ in some(rng)), reverse=True)
    budget = rng.uniform(0, 1) * winners[0]
    gap = budget * (1 - winners[0] / sum(winners))
    return {"winners": winners, "budget": budget}, {"gap_measured": gap, "gap_closed_form": gap}


@rule
def per_unit_oi_loss(rng: Random) -> Case:
    loss, pool, long, short = rng.uniform(0, 200), rng.choice([0.0, 50.0, 300.0]), rng.uniform(0, 9), rng.uniform(1, 9)
    rate = max(0.0, loss - pool) / (long + short)
    inputs = {"loss": loss, "fee_pool": pool, "long_oi": long, "short_oi": short, "cumulative_before": 7.0}
    return inputs, {"new_cumulative": 7.0 + rate, "long_pays": rate * long, "short_pays": rate * short}


@rule
def drift_social_funding(rng: Random) -> Case:
    loss, oi = rng.randint(0, 10**9), rng.randint(1, 10**12)
    delta = math.ceil(Fraction(loss * 10**9, oi)) * 1000
    return {"loss_1e6": loss, "total_open_interest_1e9": oi}, {"delta_cumulative_funding": delta}


@rule
def drift_spot_social(rng: Random) -> Case:
    cumulative, debt = rng.randint(10**10, 10**11), rng.randint(0, 10**9)
    deposits = debt + rng.randint(1, 10**9)
    delta = math.ceil(Fraction(cumulative * debt, deposits))
    inputs = {"cumulative_interest_1e10": cumulative, "bad_debt_1e6": debt, "total_deposits_1e6": deposits}
    return inputs, {"delta_cumulative_deposit_interest": delta}


@rule
def depositor_write_off(rng: Random) -> Case:
    deposits, debt = [rng.uniform(1, 500) for _ in some(rng)], rng.choice([0.0, 120.0, 9e9])
    price = max(0.0, 1 - debt / sum(deposits))
    return {"deposits": deposits, "bad_debt": debt}, {
        "share_price": price, "deposits_after": [price * d for d in deposits],
    }  # fmt: skip


@rule
def delayed_recognition(rng: Random) -> Case:
    deposits, debt = [rng.uniform(1, 100) for _ in some(rng)], rng.choice([0.0, 20.0, 900.0])
    leave = [rng.choice([0, 1]) for _ in deposits]
    total, stay = sum(deposits), sum(d for d, gone in zip(deposits, leave, strict=True) if not gone)
    inputs = {"deposits": deposits, "withdraws_at_par_first": leave, "bad_debt": debt}
    return inputs, {
        "haircut_if_recognised_at_once": min(1.0, debt / total),
        "haircut_of_those_who_stay": min(1.0, debt / stay) if stay else 0.0, "uncovered": max(0.0, debt - stay),
    }  # fmt: skip


@rule
def withdrawal_loss_factor(rng: Random) -> Case:
    values, fund = [rng.uniform(-200, 500) for _ in some(rng, 6, 0)], rng.choice([0.0, 100.0])
    missing = max(0.0, sum(-v for v in values if v < 0) - fund)
    return {"account_values": values, "insurance_fund": fund}, {"exchange_bankruptcy": missing}


@rule
def ccp_waterfall(rng: Random) -> Case:
    layers = [{"name": str(k), "amount": rng.choice([0.0, 12.0, 45.0])} for k in some(rng, 6, 0)]
    loss = left = rng.choice([0.0, 50.0, 999.0])
    absorbed = []
    for layer in layers:
        absorbed.append(min(left, layer["amount"]))
        left -= absorbed[-1]
    return {"loss": loss, "layers": layers}, {"absorbed": absorbed, "residual": left}


@rule
def ccp_waterfall_members(rng: Random) -> Case:
    loss = left = rng.choice([0.0, 40.0, 90.0, 130.0, 200.0, 900.0])
    fund = [rng.choice([0.0, 10.0, 20.0]) for _ in some(rng, 4, 0)]
    gains = [rng.uniform(-30, 80) for _ in some(rng, 4, 0)]
    multiple = rng.choice([0.0, 1.0, 2.75])
    inputs: dict[str, Any] = {"loss": loss, "survivor_default_fund": fund, "assessment_multiple": multiple}
    inputs["variation_margin_gains"] = gains
    out: dict[str, Any] = {}
    own = {"defaulter_initial_margin": 60.0, "defaulter_default_fund": 15.0, "skin_in_the_game": 5.0}
    for name, amount in own.items():
        inputs[name] = amount
        out[name] = min(left, amount)
        left -= out[name]
    for name, most in (("survivor_default_fund", fund), ("assessments", [multiple * f for f in fund])):
        rate = min(1.0, left / sum(most)) if sum(most) else 0.0
        out[name] = [rate * m for m in most]
        left -= rate * sum(most)
    won = sum(g for g in gains if g > 0)
    out["vmgh_haircut"] = min(1.0, left / won) if won else 0.0
    out["vmgh_amount"] = [out["vmgh_haircut"] * max(0.0, g) for g in gains]
    out["residual"] = left - out["vmgh_haircut"] * won
    return inputs, out


@rule
def assessment_power(rng: Random) -> Case:
    multiple, fund = rng.choice([0.0, 1.0, 2.75]), rng.choice([0.0, 5e9])
    return {"multiple": multiple, "guaranty_fund": fund}, {"assessments": multiple * fund}


@rule
def default_fund_use(rng: Random) -> Case:
    capital, fund = rng.choice([0.0, 7.0, 25.0]), rng.uniform(100, 200)
    used = rng.choice([0.0, 0.4, 1.0]) * fund
    inputs = {"ccp_capital": capital, "fund_used": used, "fund": fund}
    return inputs, {"total": capital + used, "share_of_fund": used / fund}


@rule
def deleverage_pair(rng: Random) -> Case:
    margin, size, entry, move = rng.uniform(10, 300), rng.uniform(1, 500), rng.uniform(0.5, 50), rng.choice([-0.4, 0.9])
    loser, winner, way = ("long", "short", 1) if move < 0 else ("short", "long", -1)
    gain = way * size * entry * move
    out = {f"{loser}_equity": margin + gain, f"{winner}_equity": margin - gain}
    out |= {"bankruptcy_price": entry - way * margin / size, f"{loser}_pnl": -margin, f"{winner}_pnl": margin}
    inputs = {"collateral_each": margin, "qty": size, "entry_price": entry, "price": entry * (1 + move)}
    return inputs, out
