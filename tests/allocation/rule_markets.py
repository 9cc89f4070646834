"""Small crashes on which rules are asked who pays: any seed gives one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from allocation_market import Market, Trader, build, position

from contagion.allocation.cash import DepositorWriteDown
from contagion.rules_table import Rule
from contagion.state.codes import Cause

OPEN, BEFORE, MARK = 100.0, 97.0, 90.0


def shorts(seed: int) -> list[Trader]:
    """Six to nine shorts of different size, margin and entry; some thin, some barely in profit."""
    rng = np.random.default_rng(seed)
    traders = []
    for ordinal in range(int(rng.integers(6, 10))):
        units, entry = float(rng.integers(1, 7)), float(rng.integers(91, 112))
        margin = max(float(rng.choice([0.1, 0.5, 3.0, 12.0, 60.0])) * units, units * (OPEN - entry) + 0.25)
        traders.append(position(f"s{ordinal}", margin, -units, entry))
    return traders


def with_means(traders: list[Trader], seed: int, rich: float = 1.0) -> list[Trader]:
    """The same, each a member of the default fund with a wallet, a depositor and a holder of the token."""
    rng = np.random.default_rng(seed + 9)
    found = []
    for trader in traders:
        wallet, paid_in, claims, tokens = rng.choice([0.3, 2.0, 15.0], 4) * abs(trader.units[0])
        found.append(
            replace(trader, wallet=rich * wallet, paid_in=rich * paid_in, claims=rich * claims, tokens=TOKENS * tokens)
        )
    return found


TOKENS = 100.0  # so that they are a small part of a supply of a million


def crash(
    rule: Rule, traders: list[Trader], seed: int, *, scale: float = 1.0, need: float | None = None,
    part: float | None = None, wallet: float = 3.0,
) -> Market:  # fmt: skip
    """A long of part of the other side lacks `need` per unit at the mark (97 the round before, 100 at first)."""
    rng = np.random.default_rng(seed + 3)
    total = -sum(trader.units[0] for trader in traders)
    units = (float(rng.choice([0.4, 0.6, 0.8])) if part is None else part) * total
    need = float(rng.choice([2.0, 4.0, 6.0, 9.5])) if need is None else need
    long = position("long", units * (OPEN - MARK - need), units, OPEN, wallet=wallet)
    bull = position("bull", 20.0 * total, total - units, OPEN)
    bull.wallet, bull.paid_in, bull.claims, bull.tokens = total, 3.0 * total, 3.0 * total, TOKENS * total
    everybody = [
        replace(
            t, balance=t.balance * scale, units=[u * scale for u in t.units], wallet=t.wallet * scale,
            paid_in=t.paid_in * scale, claims=t.claims * scale,
        )
        for t in [*traders, long, bull]
    ]  # fmt: skip
    missing = need * units * scale
    market = build(
        everybody, [(rule.layer, rule.build())], [OPEN], equity=1.5 * missing,
        fund=0.0 if rule.layer == "withdrawal_haircut" else 1.5 * missing, vault=missing + 4.0 * units * scale,
        stakes=1.5 * missing if rule.layer == "safety_pool" else 0.0,
        token_price=scale * 4e-6 * total,  # all tokens together are worth 4 per unit of the contract
    )  # fmt: skip
    rest = market.account("rest")
    market.world.bookkeeper.withdraw(np.array([rest]), market.state.accounts.balance[[rest]])
    market.audit.run()
    market.move(BEFORE)
    market.waterfall.allocate()
    market.move(MARK)
    market.take_over("long")
    market.waterfall.allocate()
    if market.waterfall.carried:
        accounts = np.arange(2, len(market.names))
        amounts = np.maximum(0.0, np.array([market.equity(name) for name in market.names[2:]]))
        market.waterfall.charge_withdrawals(market.world.venues["perp"], accounts, amounts)
    return market


def payments(market: Market) -> dict[str, float]:
    """What each trader gave by the rule, gains from its price subtracted. [USD]"""
    paid = {name: 0.0 for name in market.names[2:]}
    for (payer, layer, _), amount in market.paid().items():
        if payer in paid and layer != "unallocated":
            paid[payer] += amount
    if isinstance(market.world.venues["perp"].layers[0], DepositorWriteDown):
        for name, share in market.write_down().items():
            paid[name] += share
    ledger = market.world.bookkeeper.ledger
    for row in ledger.rows():
        payee = market.state.agent_name(int(row["payee"]))
        if row["cause"] == Cause.EXECUTION and row["layer"] >= 0 and payee in paid:
            paid[payee] -= float(row["amount"])
    return paid


def left(market: Market) -> float:
    """What nobody bore. [USD]"""
    unallocated = sum(amount for (_, layer, _), amount in market.paid().items() if layer == "unallocated")
    return unallocated + sum(market.world.bookkeeper.deficits.open)


def deficit(market: Market) -> float:
    """All roots. [USD]"""
    return float(sum(market.world.bookkeeper.deficits.amount))


# -- one check per property: True if it holds on the market of a seed -------------------------------------------------


def budget_balance(rule: Rule, seed: int) -> bool:
    """A deficit is borne in full by payers who have more than that."""
    return all(left(crash(rule, _rich(seed), seed, need=need, part=0.4, wallet=1e4)) <= 1e-9 for need in (0.6, 8.0))


def _rich(seed: int) -> list[Trader]:
    """Everybody could pay ten times over, out of profit made since the opening."""
    traders = shorts(seed)
    traders = [position(t.name, 100.0 * -t.units[0], t.units[0], OPEN + 2.0 * (OPEN - MARK)) for t in traders]
    return with_means(traders, seed, rich=300.0)


def no_over_collection(rule: Rule, seed: int) -> bool:
    market = crash(rule, with_means(shorts(seed), seed), seed)
    collected = sum(amount for (_, layer, _), amount in market.paid().items() if layer != "unallocated")
    return collected <= deficit(market) + 1e-9


def monotone_in_profit(rule: Rule, seed: int) -> bool:
    """Twins of the same size and margin, the second with the better entry."""
    rng = np.random.default_rng(seed + 1)
    entry, better = sorted(float(x) for x in rng.integers(91, 112, 2))
    units, margin = float(rng.integers(1, 7)), float(rng.choice([0.5, 4.0, 20.0]))
    margin = max(margin * units, units * (OPEN - entry) + 0.25)
    twins = [position("poorer", margin, -units, entry), position("richer", margin, -units, better)]
    paid = payments(crash(rule, [*twins, *shorts(seed)], seed))
    return paid["richer"] >= paid["poorer"] - 1e-9


def scale_invariant(rule: Rule, seed: int) -> bool:
    """Eight times everything: a power of two, so that rounding cannot part accounts that rank equal."""
    traders = with_means(shorts(seed), seed)
    once, more = (payments(crash(rule, traders, seed, scale=scale)) for scale in (1.0, 8.0))
    lefts = [left(crash(rule, traders, seed, scale=scale)) for scale in (1.0, 8.0)]
    same = all(abs(8.0 * once[name] - more[name]) <= 1e-6 for name in once if name != "rest")
    return same and abs(8.0 * lefts[0] - lefts[1]) <= 1e-6


def split_proof(rule: Rule, seed: int) -> bool:
    """One account, or its units and margin in two at any proportions that are above zero when the price falls."""
    rng, others = np.random.default_rng(seed + 2), with_means(shorts(seed), seed)
    side, units = float(rng.choice([-1.0, 1.0])), float(rng.integers(2, 9))
    entry = float(rng.integers(91, 112)) if side < 0.0 else OPEN
    needed = units * (max(0.0, OPEN - entry) if side < 0.0 else OPEN - MARK + 0.1)
    spare = units * float(rng.choice([0.3, 2.0, 8.0, 30.0]))
    share, of_spare = rng.uniform(0.05, 0.95, 2)
    sizes = [share * units, (1 - share) * units]
    margins = [share * needed + of_spare * spare, (1 - share) * needed + (1 - of_spare) * spare]
    whole = with_means([position("one", needed + spare, side * units, entry)], seed + 1)
    one = payments(crash(rule, [*others, *whole], seed))
    parts = [
        replace(
            position(f"part{k + 1}", margins[k], side * sizes[k], entry), claims=part * whole[0].claims,
            tokens=part * whole[0].tokens,
        )
        for k, part in enumerate((share, 1.0 - share))
    ]  # fmt: skip
    two = payments(crash(rule, [*others, *parts], seed))
    return two["part1"] + two["part2"] >= one["one"] - 1e-7


def principal_untouched(rule: Rule, seed: int) -> bool:
    """Nobody pays more than its profit, since entry or since the interval began; the longs have none."""
    traders = with_means(shorts(seed), seed)
    paid = payments(crash(rule, traders, seed))
    return max(paid["long"], paid["bull"]) <= 1e-9 and all(
        paid[t.name] <= max(0.0, -t.units[0] * (max(t.entry[0], OPEN) - MARK)) + 1e-9
        if rule.layer in ("variation_margin_haircut", "period_clawback")
        else paid[t.name] <= max(0.0, -t.units[0] * (t.entry[0] - MARK)) + 1e-9
        for t in traders
    )
