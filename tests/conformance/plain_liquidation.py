"""Liquidation and pools as plain arithmetic on random numbers, beside :mod:`plain_rules`."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from typing import Any

from plain_rules import Case, rule, sides, sign, some

LARGEST, LARGEST_WIDE = 2**64 - 1, 2**128 - 1

# -- liquidation ----------------------------------------------------------------------------------------------------


@rule
def insurance_delta_capped_fee(rng: Random) -> Case:
    fill, bankrupt = rng.choice([-1, 1]) * rng.uniform(100, 6000), rng.uniform(-6000, 6000)
    rate, delta = rng.choice([0.0, 0.005, 0.5]), fill - bankrupt
    inputs = {"fill_quote": fill, "bankruptcy_quote": bankrupt, "max_fee_rate": rate}
    return inputs, {"insurance_fund_delta": delta if delta <= 0 else min(rate * abs(fill), delta)}


@rule
def insurance_doc_example(rng: Random) -> Case:
    collateral, q, entry, trigger, execution = 100.0, 500.0, 1.0, rng.uniform(0.8, 1.1), rng.uniform(0.5, 1.2)
    inputs = {"collateral": collateral, "qty": q, "entry_price": entry}
    inputs |= {"trigger_price": trigger, "execution_price": execution}
    profit = q * (execution - entry)
    return inputs, {
        "equity_at_trigger": collateral + q * (trigger - entry), "realised_pnl": profit,
        "fund_pays": max(0.0, -(collateral + profit)),
    }  # fmt: skip


@rule
def insurance_flow_exec_vs_bankruptcy(rng: Random) -> Case:
    side, q, execution, bankrupt = sides(rng), rng.uniform(0, 5), rng.uniform(1, 100), rng.uniform(1, 100)
    inputs = {"side": side, "qty": q, "execution_price": execution, "bankruptcy_price": bankrupt}
    return inputs, {"insurance_fund_delta": sign(side) * q * (execution - bankrupt)}


@rule
def drift_base_to_cover(rng: Random) -> Case:
    short, ratio, fee = rng.randint(0, 10**8), rng.choice([300, 1000]), rng.choice([0, 10_000, 50_000])
    fund, price, quote = rng.choice([0, 10_000, 60_000]), rng.randint(10**6, 10**9), rng.choice([10**6, 990_000])
    freed = (price * quote // 10**6) * (ratio * 100 - fee) // 10**6 - price * fund // 10**6
    inputs = {"shortage_1e6": short, "margin_ratio_1e4": ratio, "liquidator_fee_1e6": fee, "if_fee_1e6": fund}
    inputs |= {"price_1e6": price, "quote_price_1e6": quote}
    return inputs, {"base_1e9": short * 10**9 // freed if ratio * 100 > fee and freed > 0 else LARGEST}


def _weights(rng: Random) -> dict[str, int]:
    return {
        "asset_weight_1e4": rng.choice([0, 8000, 10_000]), "asset_multiplier_1e6": rng.choice([10**6, 1_010_000]),
        "liability_weight_1e4": rng.choice([10_000, 11_000, 12_000]),
        "liability_multiplier_1e6": rng.choice([10**6, 900_000, 990_000]), "price_1e6": rng.randint(10**6, 10**9),
    }  # fmt: skip


def _counted(w: dict[str, int]) -> int:
    """Asset weight of what is handed over, five decimals."""
    return w["asset_weight_1e4"] * 10 * w["asset_multiplier_1e6"] // w["liability_multiplier_1e6"]


@rule
def drift_spot_transfer_to_cover(rng: Random) -> Case:
    w, short, fund = _weights(rng), rng.randint(0, 10**8), rng.choice([0, 10_000])
    freed = w["price_1e6"] * (w["liability_weight_1e4"] * 10 - _counted(w)) // 10**5
    freed -= (w["price_1e6"] * fund // 10**6) * w["liability_weight_1e4"] // 10**4
    covered = short * 10**9 // freed if freed > 0 else LARGEST_WIDE
    return w | {"shortage_1e6": short, "if_fee_1e6": fund}, {"liability_transfer_1e9": covered}


@rule
def drift_spot_if_fee(rng: Random) -> Case:
    w, short, token = _weights(rng), rng.randint(0, 10**4) * 10**4, rng.choice([0, 10**9, 10**10])
    most = rng.choice([0, 50_000])
    w["price_1e6"] = 10**8  # divides, so that no rounding but the last shows
    inputs = w | {"shortage_1e6": short, "token_1e9": token, "max_if_fee_1e6": most}
    if not token:
        return inputs, {"if_fee_1e6": 0}
    value = Fraction(token, 10**9) * Fraction(w["price_1e6"], 10**6)
    weight = Fraction(w["liability_weight_1e4"], 10**4)
    counted = w["asset_weight_1e4"] * 100 * w["asset_multiplier_1e6"] // w["liability_multiplier_1e6"]
    room = (weight - Fraction(counted, 10**6) - Fraction(short, 10**6) / value) / weight
    return inputs, {"if_fee_1e6": max(0, min(most, math.floor(room * 10**6)))}


def _two_tokens(rng: Random) -> dict[str, int]:
    return {
        "asset_price_1e6": rng.randint(10**5, 10**7), "asset_multiplier_1e6": rng.choice([10**6, 1_050_000]),
        "liability_price_1e6": rng.randint(10**6, 10**9), "liability_multiplier_1e6": rng.choice([10**6, 990_000]),
    }  # fmt: skip


@rule
def drift_liability_implied_by_asset(rng: Random) -> Case:
    t, amount = _two_tokens(rng), rng.randint(0, 10**9)
    exact = Fraction(amount, 10**6) * t["asset_price_1e6"] * t["liability_multiplier_1e6"]
    exact /= t["liability_price_1e6"] * t["asset_multiplier_1e6"]
    return t | {"asset_amount_1e6": amount}, {"liability_1e9": math.ceil(exact * 10**9)}


@rule
def drift_asset_transfer(rng: Random) -> Case:
    t, amount = _two_tokens(rng), rng.randint(0, 10**10)
    exact = Fraction(amount, 10**9) * t["liability_price_1e6"] * t["asset_multiplier_1e6"]
    exact /= t["asset_price_1e6"] * t["liability_multiplier_1e6"]
    return t | {"liability_1e9": amount}, {"asset_1e6": math.floor(exact * 10**6)}


@rule
def drift_perp_if_fee(rng: Random) -> Case:
    short, base, price = rng.randint(0, 10**9), rng.choice([0, 10**9, 10**10]), rng.choice([10**8, 10**6])
    ratio, fee, most = rng.choice([500, 1000]), rng.choice([0, 10_000]), rng.choice([0, 50_000])
    inputs = {"shortage_1e6": short, "base_1e9": base, "margin_ratio_1e4": ratio, "liquidator_fee_1e6": fee}
    inputs |= {"price_1e6": price, "quote_price_1e6": 10**6, "max_if_fee_1e6": most}
    if base == 0:
        return inputs, {"if_fee_1e6": 0}
    implied = ratio * 100 - fee - Fraction(short * 10**9, base) * 10**6 / price
    return inputs, {"if_fee_1e6": max(0, min(most, math.floor(Fraction(95, 100) * implied)))}


@rule
def drift_liquidator_fee_ramp(rng: Random) -> Case:
    base, most, slots = rng.choice([0, 20_000]), 50_000, rng.choice([0, 1499, 1500, 10_000, 100_000])
    fee = base if slots < 1500 else min(most, base + slots)
    inputs = {"base_fee_1e6": base, "max_fee_1e6": most, "slots_elapsed": slots, "grace_slots": 1500}
    return inputs | {"step_1e6_per_slot": 1}, {"fee_1e6": fee}


@rule
def drift_partial_liquidation(rng: Random) -> Case:
    side, size, price = rng.choice([-1, 1]), rng.uniform(1, 3), 100.0
    fee, fund, target = rng.choice([0.0, 0.01]), rng.choice([0.0, 0.01]), 0.07
    base, equity = side * size, rng.uniform(0.02, 0.09) * size * price
    quote, deposit = -base * price, equity
    short = target * size * price - equity
    sold = min(size, max(0.0, short / (price * (target - fee) - price * fund)))
    paid = side * sold * price * (1 - side * fee)
    left = size - sold
    after = equity - sold * price * (fee + fund)
    inputs = {"base": base, "quote": quote, "deposit": deposit, "price": price, "target_margin_ratio": target}
    out = {
        "base_sold": side * sold, "base_left": base - side * sold, "quote_after": quote + paid - fund * sold * price,
        "liquidator_quote": -paid, "insurance_fund": fund * sold * price,
    }  # fmt: skip
    if left > 1e-6:
        out["margin_ratio_after"] = after / (left * price)
    return inputs | {"liquidator_fee": fee, "if_fee": fund}, out


@rule
def share_liquidation(rng: Random) -> Case:
    held = [
        {"side": sides(rng), "qty": rng.uniform(0.1, 2), "entry_price": 100.0, "mark_price": rng.uniform(80, 120)}
        for _ in some(rng, 3)
    ]  # fmt: skip
    value, mm, rate, target = rng.uniform(10, 100), rng.uniform(50, 120), rng.choice([0.0, 0.5]), 0.9
    shares = sorted(rng.sample([0.1, 0.2, 0.4, 0.6, 0.8], 3))
    table = [[mm * (1 - s), s * rate * mm, value - s * rate * mm] for s in shares]
    good = [s for s, (m, _, v) in zip(shares, table, strict=True) if v > 0 and m / v < target]
    chosen = good[0] if good else 1.0
    profit = sum(chosen * sign(p["side"]) * p["qty"] * (p["mark_price"] - p["entry_price"]) for p in held)
    inputs = {"account_value": value, "maint_margin": mm, "penalty_rate": rate, "target_ratio": target}
    inputs |= {"shares": shares, "cash": 1000.0, "positions": held}
    out: dict[str, Any] = {"chosen_share": chosen, "penalty": chosen * rate * mm, "realised_pnl": profit}
    out["cash_after"] = 1000.0 + profit - chosen * rate * mm
    if all(v > 0 for _, _, v in table):
        out["table"] = [[m, p, v, m / v] for m, p, v in table]
    return inputs, out


@rule
def network_position(rng: Random) -> Case:
    trades = [[rng.choice([-2, -1, 1, 3]), rng.uniform(80, 120)] for _ in some(rng, 7)]
    held = entry = realised = 0.0
    for size, price in trades:
        if held * size >= 0:
            entry = (held * entry + size * price) / (held + size)
        else:
            closed = min(abs(size), abs(held)) * math.copysign(1, held)
            realised += closed * (price - entry)
            if abs(size) > abs(held):
                entry = price
        held += size
    out = {"position": held, "realised_pnl": realised, "unrealised_pnl": [held * (m - entry) for m in (90.0, 60.0)]}
    return {"trades": trades, "marks": [90.0, 60.0]}, out | ({"average_entry": entry} if held else {})


@rule
def vega_disposal(rng: Random) -> Case:
    left, share, whole = rng.uniform(10, 500), rng.choice([0.3, 0.5, 1.0]), rng.choice([20.0, 50.0])
    book, part = rng.choice([5000.0, 100.0]), rng.choice([0.01, 1.0])
    inputs = {"position": left, "disposal_fraction": share, "full_disposal_size": whole}
    inputs |= {"max_fraction_of_book": part, "book_volume": book}
    sold = []
    while left > 1e-12:
        sold.append(min(part * book, left if left <= whole else share * left))
        left -= sold[-1]
    return inputs, {"disposals": sold}


# -- pools ----------------------------------------------------------------------------------------------------------


@rule
def uniswap_v2_out(rng: Random) -> Case:
    give, have, want = (rng.randint(0, 10**22) if k == 0 else rng.randint(1, 10**24) for k in range(3))
    out = give * 997 * want // (have * 1000 + give * 997)
    ether = [str(Fraction(x, 10**18)) for x in (give, have, want)]
    return dict(zip(("amount_in", "reserve_in", "reserve_out"), ether, strict=True)), {"amount_out_wei": str(out)}


@rule
def cpamm_swap(rng: Random) -> Case:
    give, have, want, fee = rng.uniform(1, 900), rng.uniform(100, 1e4), rng.uniform(1e3, 1e7), rng.choice([0.0, 0.003])
    out = want - have * want / (have + give * (1 - fee))
    inputs = {"amount_in": give, "reserve_in": have, "reserve_out": want, "fee": fee}
    slippage = 1 - out / give * have / want
    return inputs, {"amount_out": out, "marginal_price_after": (want - out) / (have + give), "slippage": slippage}


@rule
def gmx_price_impact(rng: Random) -> Case:
    before, after, power, factor = rng.uniform(0, 9e4), rng.choice([0.0, 5e4]), rng.choice([1.0, 2.0, 2.2]), 2e-7
    inputs = {"imbalance_before": before, "imbalance_after": after, "exponent": power, "factor": factor}
    return inputs, {"price_impact_usd": factor * before**power - factor * after**power}
