"""Margin and pools as plain arithmetic on random numbers, beside :mod:`plain_rules`."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from plain_rules import Case, rule, sides, sign, some

# -- margin ---------------------------------------------------------------------------------------------------------


@rule
def tiered_cross_liquidation_price(rng: Random) -> Case:
    wallet = rng.uniform(1e4, 1e6)
    positions = {
        f"c{k}": {
            "side": sides(rng), "qty": rng.uniform(1, 50), "entry_price": rng.uniform(90, 110),
            "mark_price": rng.uniform(90, 110), "maint_margin_rate": rng.choice([0.004, 0.025, 0.1]),
            "maint_amount": rng.choice([0.0, 50.0, 700.0]),
        }
        for k in some(rng, 4)
    }  # fmt: skip
    prices = {}
    for name, p in positions.items():
        rest = [q for other, q in positions.items() if other != name]
        tmm = sum(q["qty"] * q["mark_price"] * q["maint_margin_rate"] - q["maint_amount"] for q in rest)
        upnl = sum(sign(q["side"]) * q["qty"] * (q["mark_price"] - q["entry_price"]) for q in rest)
        s = sign(p["side"])
        top = wallet - tmm + upnl + p["maint_amount"] - s * p["qty"] * p["entry_price"]
        prices[name] = top / (p["qty"] * p["maint_margin_rate"] - s * p["qty"])
    return {"wallet_balance": wallet, "positions": positions}, {"liquidation_price": prices}


@rule
def tiered_isolated_liquidation_price(rng: Random) -> Case:
    side, q, entry, rate = sides(rng), rng.uniform(0.01, 5), rng.uniform(10, 1e5), rng.choice([0.004, 0.05])
    inputs = {"side": side, "qty": q, "entry_price": entry, "maint_margin_rate": rate}
    if rng.random() < 0.5:
        wallet = inputs["wallet_balance"] = rng.uniform(0.0, 0.5) * q * entry
    else:
        inputs["leverage"] = rng.choice([1, 3, 20, 125])
        wallet = q * entry / inputs["leverage"]
    amount = inputs["maint_amount"] = rng.choice([0.0, 3.0])
    s = sign(side)
    return inputs, {"liquidation_price": (wallet + amount - s * q * entry) / (q * rate - s * q)}


@rule
def taker_fee_isolated_liquidation_price(rng: Random) -> Case:
    side, lev, entry, q = sides(rng), rng.choice([1, 5, 50]), rng.uniform(1, 1e4), rng.uniform(0.1, 9)
    rate, fee, s = 0.01, rng.choice([0.0, 0.0006]), sign(side)
    price = (entry - s * entry / lev) / (1 - s * (rate + fee))
    inputs = {"side": side, "leverage": lev, "entry_price": entry, "qty": q, "maint_margin_rate": rate}
    return inputs | {"taker_fee_rate": fee}, {"liquidation_price": price}


@rule
def initial_margin_distance_liquidation_price(rng: Random) -> Case:
    side, lev, entry, extra, q = sides(rng), rng.choice([1, 3, 50]), rng.uniform(1, 1e4), rng.choice([0, 7.0]), 2.5
    price = entry * (1 - sign(side) * (1 / lev - 0.01)) - sign(side) * extra / q
    inputs = {"side": side, "leverage": lev, "entry_price": entry, "maint_margin_rate": 0.01, "qty": q}
    return inputs | {"extra_margin": extra}, {"liquidation_price": price}


@rule
def half_initial_margin_liquidation_price(rng: Random) -> Case:
    side, entry, q, lev = sides(rng), rng.uniform(1, 1e4), rng.uniform(0.1, 9), rng.choice([3, 10, 50])
    collateral, half, s = rng.uniform(0.02, 1.5) * entry * q, 1 / (2 * lev), sign(side)
    price = entry - s * (collateral - entry * q * half) / q / (1 - s * half)
    inputs = {"side": side, "entry_price": entry, "qty": q, "max_leverage": lev, "collateral": collateral}
    return inputs, {"liquidation_price": price}


@rule
def maintenance_schedule(rng: Random) -> Case:
    n = rng.randint(1, 8)
    floors = [0.0, *sorted(rng.uniform(1, 1e9) for _ in range(n - 1))]
    rates = sorted(rng.uniform(0.004, 0.5) for _ in range(n))
    amounts = [0.0]
    for k in range(1, n):
        amounts.append(amounts[-1] + floors[k] * (rates[k] - rates[k - 1]))
    notionals = [0.0, *floors, 2e9, rng.uniform(0, 1e9)]
    margin = []
    for x in notionals:  # every tier by itself: what lies in it at its rate
        tops = [*floors[1:], math.inf]
        margin.append(sum(max(0.0, min(x, tops[k]) - floors[k]) * rates[k] for k in range(n)))
    inputs = {"tier_floor_notional": floors, "maint_margin_rate": rates, "notional": notionals}
    return inputs, {"maint_amount": amounts, "maint_margin": margin}


@rule
def liquidation_test(rng: Random) -> Case:
    wallet, profit = rng.uniform(0, 100), rng.uniform(-100, 100)
    margin = rng.choice([wallet + profit + rng.uniform(-3, 3), 0.0]) if wallet + profit > 3 else 1.0
    inputs = {"wallet_balance": wallet, "unrealised_pnl": profit, "maint_margin": margin}
    return inputs, {"margin_balance": wallet + profit, "liquidate": wallet + profit < margin}


@rule
def net_collateral_liquidation_price(rng: Random) -> Case:
    equity, s, p = rng.uniform(-50, 1000), rng.uniform(0.5, 5) * rng.choice([-1, 1]), rng.uniform(10, 3000)
    rate, other = rng.choice([0.03, 0.5]), rng.choice([0.0, 175.0])
    inputs = {"equity": equity, "signed_size": s, "price": p, "maint_margin_fraction": rate}
    price = (equity - s * p - other) / (abs(s) * rate - s)
    return inputs | {"other_maint_margin": other}, {"liquidation_price": price}


@rule
def oi_scaled_initial_margin(rng: Random) -> Case:
    base, low = rng.choice([10_000, 50_000, 333_333]), rng.randint(0, 10**7)
    high = low + rng.randint(1, 10**7)
    oi = rng.choice([0, low, high, high + 1, rng.randint(low, high)])
    share = max(Fraction(0), Fraction(oi - low, high - low))
    ppm = min(base + share * (10**6 - base), 10**6)
    inputs = {"base_imf_ppm": base, "lower_cap": low, "upper_cap": high, "open_interest": oi}
    return inputs, {"imf_ppm": math.floor(ppm)}


@rule
def dydx_bankruptcy_quote(rng: Random) -> Case:
    before = rng.choice([-1, 1]) * rng.randint(10**6, 10**10)
    after = rng.choice([0, before // 3])
    m0, tnc, total = rng.randint(10**5, 10**9), rng.randint(-(10**8), 10**9), rng.randint(10**9, 10**10)
    m1 = rng.choice([0, m0 // 3])
    quote = -(after - before) - tnc * abs(m1 - m0) // total
    return {
        "position_net_notional_before": before, "position_net_notional_after": after, "total_net_collateral": tnc,
        "maint_margin_before": m0, "maint_margin_after": m1, "total_maint_margin": total,
    }, {"bankruptcy_quote_quantums": quote}  # fmt: skip


@rule
def dydx_fillable_price(rng: Random) -> Case:
    size = rng.choice([-1, 1]) * rng.uniform(0.1, 3)
    value, total, own = size * rng.uniform(10, 5e4), rng.uniform(10, 600), rng.uniform(1, 10)
    tnc, ba, spread = rng.uniform(-200, 700), rng.choice([1, 2, 0.5]), rng.choice([0.1, 1.5])
    give = min(max(ba * (1 - tnc / total), 0), 1)
    return {
        "position_net_notional": value, "total_net_collateral": tnc, "total_maint_margin": total,
        "position_maint_margin": own, "position_size": size, "bankruptcy_adjustment": ba,
        "spread_to_maintenance_ratio": spread,
    }, {"fillable_price": (value - give * spread * own) / size}  # fmt: skip


@rule
def size_scaled_margin(rng: Random) -> Case:
    q, p, i, m, slope = rng.choice([0.0, 25.0, 500.0]), 1e5, 0.02, 0.01, rng.choice([0.0, 5e-5])
    inputs = {"qty": q, "price": p, "initial_base": i, "maintenance_base": m, "slope_per_unit": slope}
    return inputs, {"initial_margin": (i + q * slope) * q * p, "maintenance_margin": (m + q * slope) * q * p}


@rule
def inverse_bankruptcy_price(rng: Random) -> Case:
    side, entry, lev = sides(rng), rng.uniform(3000, 9000), rng.choice([2, 10, 100])
    raw = entry * lev / (lev + 1) if side == "long" else entry * lev / (lev - 1)
    rounded = (math.ceil(raw * 2) if side == "long" else math.floor(raw * 2)) / 2
    return {"side": side, "entry_price": entry, "leverage": lev, "tick": 0.5}, {"raw": raw, "rounded": rounded}


@rule
def linear_bankruptcy_price(rng: Random) -> Case:
    side, entry, lev = sides(rng), rng.uniform(1, 9000), rng.choice([1, 10, 100])
    price = entry * (1 - sign(side) / lev)
    return {"side": side, "entry_price": entry, "leverage": lev}, {"bankruptcy_price": price}


@rule
def position_bankruptcy_price(rng: Random) -> Case:
    side, entry, q, margin, wallet = sides(rng), rng.uniform(1, 900), rng.uniform(1, 90), 37.0, rng.choice([0.0, 11.0])
    price = (entry * q - sign(side) * (margin + wallet)) / q
    inputs = {"side": side, "entry_price": entry, "qty": q, "position_margin": margin, "wallet_balance": wallet}
    return inputs, {"bankruptcy_price": price}


@rule
def inverse_cross_long_prices(rng: Random) -> Case:
    q, entry, balance = rng.uniform(1e3, 1e5), rng.uniform(1e3, 9e4), rng.uniform(0.1, 2.0)
    fee, rate = 0.00075, 0.005
    liquidation = q * (1 + fee) / (balance + q / entry - rate * q / entry)
    inputs = {"contracts_usd": q, "entry_price": entry, "balance_coin": balance, "taker_fee_rate": fee}
    inputs |= {"maint_margin_rate": rate, "tick": 0.5}
    up = math.ceil(liquidation * 2) / 2
    bankruptcy = q * (1 + fee) / (balance + q / entry)
    return inputs, {"bankruptcy_price": bankruptcy, "liquidation_price_rounded_up": up}


@rule
def inverse_isolated_liquidation_price(rng: Random) -> Case:
    q, entry, lev, rate = rng.uniform(1e3, 1e5), rng.uniform(1e3, 9e4), rng.choice([2, 10, 25]), 0.005
    pv, im, mm = q / entry, q / entry / lev, q / entry * rate
    inputs = {"contracts_usd": q, "entry_price": entry, "leverage": lev, "maint_margin_rate": rate}
    return inputs, {
        "position_value_coin": pv, "initial_margin_coin": im, "maint_margin_coin": mm, "long": q / (pv + (im - mm)),
        "short": q / (pv - (im - mm)),
    }  # fmt: skip


@rule
def slippage_risk_factor_margin(rng: Random) -> Case:
    mark, var, slip, pos, orders, risk = (rng.uniform(0, 9) for _ in range(6))
    inputs = {"mark_price": mark, "volume_at_risk": var, "slippage_factor": slip, "open_position": pos}
    inputs |= {"open_orders": orders, "risk_factor": risk}
    return inputs, {"maint_margin": mark * (var * slip + (pos + orders) * risk)}


@rule
def funding_addon_margin(rng: Random) -> Case:
    base, factor, pos, pay = rng.uniform(0, 900), rng.choice([0.0, 0.5]), rng.uniform(-3, 3), rng.uniform(-30, 30)
    inputs = {"base_maint_margin": base, "funding_factor": factor, "signed_position": pos, "funding_payment": pay}
    return inputs, {"maint_margin": base + factor * max(0, pos * pay)}


@rule
def portfolio_margin_scan(rng: Random) -> Case:
    spot, fees, ratio = 50_000.0, rng.choice([0.0, 60.0]), 0.5
    held = [
        {"signed_qty": rng.uniform(-2, 2), "price": spot * rng.uniform(0.99, 1.01)} for _ in some(rng, 4, 0)
    ]  # fmt: skip
    scenarios = [{"spot_shock": rng.uniform(-0.6, 2), "weight": rng.choice([1.0, 0.24])} for _ in some(rng, 8)]
    worst = max(
        0.0,
        *(-s["weight"] * sum(p["signed_qty"] * p["price"] * s["spot_shock"] for p in held) for s in scenarios),
    )
    net = sum(p["signed_qty"] for p in held)
    gross = sum(abs(p["signed_qty"]) for p in held)
    floor = (0.02 * abs(net) + 0.01 * (gross - abs(net)) / 2) * spot
    initial = max(worst, floor) + fees
    inputs = {"positions": held, "spot": spot, "scenarios": scenarios, "net_delta_rate": 0.02, "fees": fees}
    inputs |= {"hedged_delta_rate": 0.01, "maint_to_initial": ratio}
    return inputs, {
        "scan_loss": worst, "min_delta_charge": floor, "initial_margin": initial, "maintenance_margin": ratio * initial,
    }  # fmt: skip


@rule
def vol_shock_term_scaling(rng: Random) -> Case:
    shock, days, power = rng.choice([0.4, -0.22]), rng.choice([0, 0.5, 1, 7, 30, 300]), rng.choice([0.3, 0.13])
    inputs = {"base_shock": shock, "reference_days": 30, "days_to_expiry": days, "exponent": power}
    return inputs, {"scaled": shock * (30 / max(1, days)) ** power}


@rule
def zero_price(rng: Random) -> Case:
    held = [
        {
            "side": sides(rng), "qty": rng.uniform(0.1, 30), "mark_price": rng.uniform(1, 5e4),
            "maint_margin_fraction": rng.choice([0.012, 0.1]),
        }
        for _ in some(rng)
    ]  # fmt: skip
    mm = sum(p["qty"] * p["mark_price"] * p["maint_margin_fraction"] for p in held)
    value = rng.uniform(-0.2, 1.2) * mm
    prices = [p["mark_price"] * (1 - sign(p["side"]) * p["maint_margin_fraction"] * value / mm) for p in held]
    return {"account_value": value, "positions": held}, {
        "zero_price": prices, "account_value_after_closing_all_at_zero_price": 0.0,
    }  # fmt: skip


@rule
def perp_price_ratios(rng: Random) -> Case:
    side, lev, rate = sides(rng), rng.choice([2, 20, 100]), 0.005
    s = sign(side)
    return {"side": side, "leverage": lev, "maint_margin_rate": rate}, {
        "liquidation_over_entry": (1 - s / lev) / (1 - s * rate), "bankruptcy_over_entry": 1 - s / lev,
    }  # fmt: skip


@rule
def funding_cap_8h(rng: Random) -> Case:
    multiple, initial, maintenance = rng.choice([0.0, 6.0]), rng.uniform(0.05, 0.2), rng.uniform(0.0, 0.05)
    inputs = {"multiple": multiple, "imf": initial, "mmf": maintenance}
    return inputs, {"cap": multiple * (initial - maintenance)}


@rule
def maintenance_amount_step(rng: Random) -> Case:
    before, floor, low = rng.choice([0.0, 0.56, 50.0]), rng.uniform(0, 1e5), rng.uniform(0.0, 0.1)
    high = low + rng.choice([0.0, 0.025])
    inputs = {"previous_maint_amount": before, "tier_floor": floor, "maint_margin_rate": high}
    return inputs | {"previous_maint_margin_rate": low}, {"maint_amount": before + floor * (high - low)}


@rule
def min_delta_charge(rng: Random) -> Case:
    net, hedged, spot = rng.uniform(-3, 3), rng.choice([0.0, 1.5]), rng.uniform(10, 1e5)
    inputs = {"net_delta": net, "hedged_delta": hedged, "spot": spot, "net_delta_rate": 0.02, "hedged_delta_rate": 0.01}
    return inputs, {"min_delta_charge": (0.02 * abs(net) + 0.01 * hedged) * spot}
