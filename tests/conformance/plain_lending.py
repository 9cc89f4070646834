"""Lending designs, auctions, a stability pool and toxic liquidations as plain arithmetic, beside :mod:`plain_rules`."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from typing import Any

from plain_rules import Case, rule, some

WAD, RAY, RAD = 10**18, 10**27, 10**45

# -- health and designs ---------------------------------------------------------------------------------------------


@rule
def health_factor(rng: Random) -> Case:
    held = [{"value": rng.choice([0.0, rng.uniform(1, 1e5)]), "liquidation_threshold": rng.uniform(0, 1)}
            for _ in some(rng)]  # fmt: skip
    debt = rng.uniform(1, 1e5)
    health = sum(one["value"] * one["liquidation_threshold"] for one in held) / debt
    return {"collateral": held, "debt": debt}, {"health_factor": health}


@rule
def close_factor_v33(rng: Random) -> Case:
    given = {
        "health_factor": rng.choice([0.5, 0.95, 0.9500001, 0.999]), "reserve_debt": rng.choice([1999.0, 2000.0, 9e3]),
        "reserve_collateral": rng.choice([1999.0, 2000.0, 9e3]), "close_factor": 0.5, "full_close_hf": 0.95,
        "small_position": 2000.0, "total_debt": rng.choice([9e3, 2e4, 5e4]),
    }  # fmt: skip
    small = given["reserve_debt"] < 2000.0 or given["reserve_collateral"] < 2000.0
    most = given["reserve_debt"]
    if given["health_factor"] > 0.95 and not small:
        most = min(most, 0.5 * given["total_debt"])
    return given, {"max_repay": most}


@rule
def leftover_rule(rng: Random) -> Case:
    debt, collateral, least = rng.uniform(1, 3e3), rng.uniform(1, 3e3), rng.choice([0.0, 1000.0])
    inputs = {"debt_amount": debt, "collateral_amount": collateral, "min_leftover": least}
    left = [max(0.0, each - least) for each in (debt, collateral)]
    return inputs, {"max_partial_debt": left[0], "max_partial_collateral": left[1]}


@rule
def close_factor_incentive(rng: Random) -> Case:
    debt, share, incentive, kept = rng.uniform(1, 1e6), rng.uniform(0.1, 1), rng.uniform(1, 1.2), rng.uniform(0, 0.1)
    seized = debt * share * incentive
    inputs = {"debt_value": debt, "close_factor": share, "incentive": incentive, "protocol_seize_share": kept}
    return inputs, {
        "repaid_value": debt * share, "seized_value": seized, "to_liquidator": seized * (1 - kept),
        "to_reserves": seized * kept,
    }  # fmt: skip


@rule
def liquidation_incentive_factor(rng: Random) -> Case:
    limit, cursor, most = rng.choice([0.0, 0.385, 0.625, 0.77, 0.86, 0.945, 0.98]), rng.uniform(0, 0.9), 1.15
    factor = min(most, 1 / (1 - cursor * (1 - limit)))
    return {"lltv": limit, "cursor": cursor, "max_lif": most}, {"lif": factor}


@rule
def health_discount(rng: Random) -> Case:
    health, most = rng.choice([0.0, 0.5, 0.85, 0.9, rng.uniform(0, 1), 1.0]), rng.choice([0.05, 0.15, 0.2])
    return {"health": health, "max_discount": most}, {"discount_factor": max(health, 1 - most)}


@rule
def absorb(rng: Random) -> Case:
    assets = [
        {"qty": rng.uniform(0, 10), "price": rng.uniform(1, 4e3), "liquidate_collateral_factor": 0.85,
         "liquidation_factor": rng.choice([0.9, 0.95, 1.0])}
        for _ in some(rng, 4)
    ]  # fmt: skip
    debt = rng.uniform(10, 4e4)
    credited = sum(one["qty"] * one["price"] * one["liquidation_factor"] for one in assets)
    unsafe = sum(one["qty"] * one["price"] * 0.85 for one in assets) < debt
    # What the credit lacks reserves absorb: no balance is negative.
    out = {"liquidatable": unsafe, "credited": credited, "new_balance": max(0.0, credited - debt)}
    return {"assets": assets, "debt": debt}, out


@rule
def comet_quote_collateral(rng: Random) -> Case:
    paid, price, factor, store = rng.uniform(0, 1e6), rng.uniform(1, 1e5), rng.uniform(0.5, 1), rng.uniform(0, 1)
    inputs = {"base_amount": paid, "collateral_price": price, "liquidation_factor": factor, "store_front_factor": store}
    return inputs, {"collateral_amount": paid / (price * (1 - store * (1 - factor)))}


@rule
def kinked_rate(rng: Random) -> Case:
    use, kink, totals = rng.choice([0.0, 1.0, rng.uniform(0, 1)]), rng.choice([0.45, 0.8, 0.925]), rng.random() < 0.5
    base, low, high, reserve = rng.uniform(0, 0.02), rng.uniform(0, 0.1), rng.uniform(0.1, 3), rng.uniform(0, 0.5)
    if totals:
        rate = base + (low * use / kink if use <= kink else low + high * (use - kink) / (1 - kink))
    else:
        rate = base + (low * use if use <= kink else low * kink + high * (use - kink))
    inputs = {"utilisation": use, "kink": kink, "base": base, "slope1": low, "slope2": high}
    inputs |= {"slope_is_total": totals, "reserve_factor": reserve}
    return inputs, {"borrow_rate": rate, "supply_rate": rate * use * (1 - reserve)}


# -- toxic liquidations ---------------------------------------------------------------------------------------------


@rule
def health_after_liquidation(rng: Random) -> Case:
    value, limit, debt, bonus = 10_000.0, rng.uniform(0.5, 0.9), rng.uniform(5e3, 9.9e3), rng.uniform(0, 0.2)
    repaid = rng.uniform(1, min(debt, value / (1 + bonus)) * 0.99)
    before, after = value * limit / debt, (value - repaid * (1 + bonus)) * limit / (debt - repaid)
    inputs = {"collateral": value, "liquidation_threshold": limit, "debt": debt, "repay": repaid, "bonus": bonus}
    return inputs, {"hf_before": before, "change": after - before, "toxic": after < before}


@rule
def toxicity_frontier(rng: Random) -> Case:
    bonus, depth = [rng.uniform(0, 0.3) for _ in some(rng)], rng.choice([None, 0.0, rng.uniform(0, 2)])
    inputs: dict[str, Any] = {"bonus": bonus} | ({} if depth is None else {"collateral_over_pool_depth": depth})
    return inputs, {"ltv": [1 / ((1 + each) * (1 + 2 * (depth or 0.0))) for each in bonus]}


@rule
def toxicity_linear_impact(rng: Random) -> Case:
    bonus, limit, phi, sold = rng.uniform(0, 0.3), rng.uniform(0.5, 0.95), rng.uniform(0, 0.01), rng.uniform(0, 100)
    lam = 1 + phi * sold
    out = {"lambda": lam, "ltv_frontier": (1 + bonus * limit * lam) / ((1 + bonus) * lam)}
    return {"bonus": bonus, "v": limit, "phi": phi, "collateral": sold}, out


@rule
def liquidation_spiral(rng: Random) -> Case:
    limit, bonus, part = rng.choice([0.8, 0.85]), rng.choice([0.0, 0.05, 0.1]), rng.choice([0.25, 0.5, 1.0])
    loans = [round(rng.uniform(0.7, 1.1), 3) for _ in some(rng)]
    ends: list[tuple[str, int, float]] = []
    for loan in loans:
        held, owed, steps = Fraction(1), Fraction(loan), 0
        while held > 0 and held * Fraction(limit) < owed:
            wanted = Fraction(part) * owed * (1 + Fraction(bonus))
            taken = min(wanted, held)
            held, owed, steps = held - taken, owed - taken / (1 + Fraction(bonus)), steps + 1
        ends.append(("healed", steps, 0.0) if held > 0 else ("bad_debt", steps, float(owed)))
    inputs = {"liquidation_threshold": limit, "bonus": bonus, "close_factor": part, "ltv": loans}
    return inputs, dict(zip(("outcome", "steps", "bad_debt"), map(list, zip(*ends, strict=True)), strict=True))


# -- auctions -------------------------------------------------------------------------------------------------------


def _ray_power(base: int, exponent: int) -> int:
    """What abaci.sol's rpow gives: squaring, each product rounded to the nearest, halves up."""
    result = base if exponent % 2 else RAY
    exponent //= 2
    while exponent:
        base = (base * base + RAY // 2) // RAY
        if exponent % 2:
            result = (result * base + RAY // 2) // RAY
        exponent //= 2
    return result


@rule
def auction_price_exponential(rng: Random) -> Case:
    top, cut, steps = rng.randint(1, 10**4) * RAY, rng.randint(9 * 10**26, RAY - 1), rng.choice([0, 1, 2, 59, 60, 701])
    inputs = {"top_price_ray": str(top), "cut_ray": str(cut), "elapsed_steps": steps}
    return inputs, {"price_ray": str(top * _ray_power(cut, steps) // RAY)}


@rule
def auction_price_linear(rng: Random) -> Case:
    top, lasts = rng.uniform(1, 1e4), rng.choice([3600.0, 21600.0])
    elapsed = [rng.choice([0.0, lasts, 2 * lasts, rng.uniform(0, lasts)]) for _ in some(rng)]
    price = [top * max(0.0, 1 - each / lasts) for each in elapsed]
    return {"top_price": top, "duration_s": lasts, "elapsed_s": elapsed}, {"price": price}


@rule
def auction_half_life(rng: Random) -> Case:
    cut, seconds = rng.uniform(0.99, 1), rng.choice([0, 1, 900, 2000])
    return {"cut": cut, "seconds": seconds}, {"remaining": math.exp(seconds * math.log(cut))}


@rule
def auction_take(rng: Random) -> Case:
    owed, lot, price, least = (rng.randint(1, 200) for _ in range(4))
    price, most = max(1, price // 20), rng.choice([1, 5, 25, 300])
    inputs = {"tab": owed, "lot": lot, "max_amount": most, "price": price, "min_tab_left": least}
    bought = Fraction(min(lot, most))
    if bought * price > owed:
        bought = Fraction(owed, price)
    elif bought * price < owed and bought < lot and owed - bought * price < least:
        if owed <= least:
            return inputs, {"reverts": True}
        bought = Fraction(owed - least, price)
    return inputs, {
        "reverts": False, "collateral_bought": float(bought), "paid": float(bought * price),
        "tab_left": float(owed - bought * price), "lot_left": float(lot - bought),
    }  # fmt: skip


@rule
def auction_end_shortfall(rng: Random) -> Case:
    owed, lot, top, cut, steps = rng.uniform(50, 150), 40.0, rng.uniform(2, 6), 0.99, rng.randint(0, 120)
    paid = min(owed, lot * top * cut**steps)
    inputs = {"tab": owed, "lot": lot, "elapsed_steps": steps}
    inputs |= {"top_price_ray": str(round(top * RAY)), "cut_ray": str(99 * RAY // 100)}
    return inputs, {"paid": paid, "bad_debt": owed - paid}


@rule
def liquidation_limit_hole(rng: Random) -> Case:
    room, rate, chop = rng.randint(0, 200 * RAD), rng.randint(RAY, 12 * RAY // 10), rng.choice([WAD, 113 * WAD // 100])
    debt, dust = rng.randint(WAD, 100 * WAD), rng.choice([0, 5 * RAD, 20 * RAD])
    inputs = {"room_rad": str(room), "art_wad": str(debt), "rate_ray": str(rate), "chop_wad": str(chop)}
    inputs |= {"dust_rad": str(dust)}
    part = min(debt, room * WAD // rate // chop)
    if part < debt and (debt - part) * rate < dust:
        part = debt
    elif part < debt and part * rate < dust:
        part = 0
    return inputs, {"tab_rad": str(part * rate * chop // WAD)}


@rule
def liquidation_partial_dust(rng: Random) -> Case:
    held, debt, rate, factor = 40, rng.choice([15, 100]), rng.choice([1.0, 1.02]), rng.choice([1, 1.13])
    room, dust = rng.choice([0, 10, 50, 99, 100, 200]), rng.choice([0, 20, 60])
    inputs = {"collateral": held, "debt": debt, "rate": str(rate), "room": room, "penalty_factor": factor, "dust": dust}
    part = min(debt, room / rate / factor)
    if part < debt and (debt - part) * rate < dust:
        part = debt
    elif part < debt and part * rate < dust:
        part = 0
    if part == 0 or room == 0:  # limit hit
        return inputs, {"reverts": True, "debt_taken": 0.0, "collateral_taken": 0.0, "tab": 0.0}
    out = {"debt_taken": part, "collateral_taken": held * part / debt, "tab": part * rate * factor}
    return inputs, {"reverts": False} | out


@rule
def stability_pool(rng: Random) -> Case:
    paid_in = [rng.choice([0.0, rng.uniform(1, 300)]) for _ in some(rng)] + [50.0]
    loans = [{"debt": rng.uniform(1, 200), "collateral": rng.uniform(0.01, 3)} for _ in some(rng)]
    price, left, gains = 100.0, list(paid_in), [0.0] * len(paid_in)
    for loan in loans:
        total = sum(left)
        if total < 1e-9:
            break
        covered = min(loan["debt"], total)
        gains = [g + d / total * loan["collateral"] * covered / loan["debt"] for g, d in zip(gains, left, strict=True)]
        left = [d - covered * d / total for d in left]
    inputs = {"deposits": paid_in, "liquidations": loans, "collateral_price": price}
    worth = left[0] + gains[0] * price
    roi = worth / paid_in[0] - 1 if paid_in[0] > 0.0 else 0.0
    return inputs, {"deposits_after": left, "collateral_gain": gains, "roi_first": roi}
