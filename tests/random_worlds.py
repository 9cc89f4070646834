"""Random small scenarios, and net worth recomputed from state in plain Python."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from contagion.state.codes import InstrumentKind
from contagion.state.world import World

ASSETS = {"BTC": {"price": 100_000, "volatility": 0.8}, "ETH": {"price": 4_000, "volatility": 1.2}}
TIERS = [
    {"floor": 0, "maintenance": 0.02, "initial": 0.04},
    {"floor": 60_000, "maintenance": 0.05, "initial": 0.08},
]
COIN_TIERS = [{"floor": 0, "maintenance": 0.02, "initial": 0.04}]
RANKINGS = ["pnl_leverage", "bitmex", "binance", "hyperliquid", "okx", "pro_rata"]

share = st.floats(0.0, 1.0).map(lambda value: round(value, 3))
money = st.sampled_from([0.0, 0.01, 5e3, 1e5])


DESIGNS = (
    {"design": "close_factor", "small_position": 2e3, "least_left": 1e3, "protocol_share": 0.1},
    "compound_v2", "absorb",
    {"design": "absorb", "target_reserves": 1e3}, "incentive_by_threshold", "health_discount",
    {"design": "health_discount", "target_health": 1.1},
)  # fmt: skip


@st.composite
def waterfalls(draw, vault: str | None) -> list[dict[str, Any]]:
    """Layers of an exchange, any of them, in any order."""
    choices: list[dict[str, Any]] = [
        {"layer": "insurance_fund", "net_notional": draw(st.sampled_from([None, 1.0]))},
        {"layer": "venue_equity"},
        {"layer": "venue_equity", "limit": draw(money)},
        {
            "layer": "profit_haircut",
            "base": draw(st.sampled_from(["unrealised", "window"])),
            "order": draw(st.sampled_from(["pro_rata", *RANKINGS])),
            "severity": draw(share),
        },
        {"layer": "recourse", "reach": draw(st.sampled_from(["venue", "full"]))},
        {
            "layer": "auto_deleverage",
            "ranking": draw(st.sampled_from(RANKINGS)),
            "price": draw(st.sampled_from(["bankruptcy", "mark", "previous_mark"])),
        },
    ]
    if vault is not None:
        choices.append({"layer": "backstop_vault", "vault": vault})
    order = draw(st.permutations(choices))[: draw(st.integers(0, len(choices)))]
    if {"layer": "venue_equity"} in order:  # nothing of it is left for a tranche that stands behind
        gives_all = order.index({"layer": "venue_equity"})
        order = [rule for place, rule in enumerate(order) if place <= gives_all or rule["layer"] != "venue_equity"]
    return order


@st.composite
def exchanges(draw, vault: str | None) -> dict[str, Any]:
    inverse = draw(st.integers(0, 3)) == 0
    contracts: dict[str, Any] = {"BTC": {"kind": "linear", "tiers": TIERS}, "ETH": {"kind": "linear", "tiers": TIERS}}
    if inverse:
        contracts["BTC"] = {"kind": "inverse", "tiers": COIN_TIERS}
    engine: Any = draw(
        st.sampled_from(
            ["full", {"engine": "partial", "target": 1.3}, {"engine": "staged", "above": 2e4, "cooldown": 2}]
        )
    )
    found = {
        "contracts": contracts,
        "equity": draw(money),
        "insurance_fund": {"size": draw(money)},
        "mark": draw(st.sampled_from(["book", "index", "median"])),
        "liquidation": {
            "engine": engine,
            "limit": draw(st.sampled_from(["market", "bankruptcy"])),
            "latency": draw(st.integers(0, 2)),
            "throughput": draw(st.sampled_from([None, 1, 4])),
            "takeover_below": draw(st.sampled_from([0.0, 0.5, 1.0])),
            "fee": draw(st.sampled_from([0.0, 0.005])),
            "surplus_to": draw(st.sampled_from(["owner", "fund", "owner_after_fee"])),
        },
        "waterfall": draw(waterfalls(vault)),
        "on_insolvency": draw(st.sampled_from(["operate", "halt", "resolve"])),
        "resolution_delay": draw(st.integers(0, 2)),
        "arbitrage": {"speed": draw(share)},
    }
    if draw(st.booleans()):
        found["funding"] = {"interval": "2min", "interest": 0.001, "cap": 0.01}
    return found


@st.composite
def shocks(draw, steps: int, venues: list[str], pools: list[str]) -> dict[str, Any]:
    kinds = ["price_gap", "depeg", "theft", "halt", "depth_withdrawal", "volatility_jump", "default"]
    if pools:
        kinds += ["oracle_freeze", "oracle_manipulation"]
    kind = draw(st.sampled_from(["price_gap", "price_gap", *kinds]))
    found: dict[str, Any] = {"at": draw(st.integers(1, steps)), "kind": kind, "lasts": draw(st.integers(0, 3))}
    asset = draw(st.sampled_from(["BTC", "ETH"]))
    if kind in ("price_gap", "depeg"):
        found |= {"asset": asset, "size": draw(st.sampled_from([-0.6, -0.25, -0.12, -0.04, 0.04, 0.15, 0.5]))}
        if kind == "depeg" and draw(st.booleans()) and (pools or "hlp" in venues):
            found["asset"] = draw(st.sampled_from(pools or ["hlp"]))
    elif kind in ("oracle_freeze", "oracle_manipulation"):
        found |= {"asset": "ETH", "target": "pool", "size": draw(st.sampled_from([-0.5, -0.2, 0.3]))}
    elif kind == "theft":
        found |= {"target": draw(st.sampled_from(venues)), "size": draw(st.sampled_from([1e3, 1e5, 1e8]))}
    elif kind == "halt":
        found |= {"target": draw(st.sampled_from(venues))}
    elif kind == "default":
        found |= {"target": draw(st.sampled_from([*venues, "bets_a:0"])), "size": draw(st.sampled_from([0.0, 0.5]))}
    elif kind == "depth_withdrawal":
        found |= {"asset": asset, "target": "a", "size": draw(share)}
    else:
        found |= {"asset": asset, "size": draw(st.sampled_from([0.5, 3.0, 10.0]))}
    return found


@st.composite
def scenarios(draw) -> dict[str, Any]:
    """A scenario of one or two exchanges, perhaps a backstop vault, a pool and a vault on it."""
    steps = draw(st.integers(3, 8))
    vault = "hlp" if draw(st.booleans()) else None
    venues = {"a": draw(exchanges(vault))}
    if draw(st.booleans()):
        venues["b"] = draw(exchanges(None))
    with_pool = draw(st.booleans())
    protocols: dict[str, Any] = {}
    if vault:
        protocols["hlp"] = {"kind": "vault", "backs": "a", "deposits": 1e5, "backstop_share": draw(share)}
    if with_pool:
        collateral: dict[str, Any] = {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}}
        if vault:
            collateral["hlp"] = {"ltv": 0.5, "liquidation_threshold": 0.6, "bonus": 0.1}
        protocols["pool"] = {
            "kind": "lending_pool",
            "supplied": 4e5,
            "reserve": {"size": draw(money)},
            "collateral": collateral,
            "rate": {"base": draw(st.sampled_from([0.0, 5.0]))},
            "oracle": {
                "latency": draw(st.integers(0, 1)),
                "heartbeat": "3min",
                "noise": draw(st.sampled_from([0, 0.05])),
            },
            "waterfall": draw(st.permutations(["reserve", "depositor_write_down"]))[: draw(st.integers(0, 2))],
            "liquidation": draw(st.sampled_from(DESIGNS)),
        }
        if draw(st.booleans()):
            protocols["curated"] = {
                "kind": "curated_vault", "deposits": 6e4, "caps": {"pool": 5e4}, "idle": 0.1,
                "supply_queue": ["pool"], "flees_at": draw(st.sampled_from([None, 0.02])),
            }  # fmt: skip
        protocols["upper"] = {"kind": "vault", "deposits": 9e4, "holds": {"pool": 4e4, "ETH": 5e3}}
    traders: list[dict[str, Any]] = []
    for name in venues:
        traders += [
            {
                "archetype": draw(st.sampled_from(["directional", "rebalancer", "passive"])), "name": f"bets_{name}",
                "venue": name, "count": draw(st.integers(2, 8)), "long_share": draw(share), "wallet": draw(share),
                "margin": draw(st.sampled_from(["cross", "isolated"])),
                "size": {"lognormal": [3e4, 1.0]}, "leverage": {"lognormal": [9, 0.5]},
                "delay": draw(st.integers(0, 2)),
            },
            {
                "archetype": "market_maker", "name": f"makers_{name}", "venue": name, "count": 2, "capital": 1e6,
                "parameters": {"depth": draw(st.sampled_from([1e3, 1e5])),
                               "inventory_limit": draw(st.sampled_from([0.5, 3.0]))},
            },
        ]  # fmt: skip
    if with_pool:
        traders += [
            {"archetype": "borrower", "venue": "pool", "count": 5, "assets": {"ETH": 1.0}, "size": {"fixed": 3e4},
             "leverage": {"lognormal": [3.0, 0.3]}},
            {"archetype": "keeper", "venue": "pool", "count": draw(st.integers(1, 2)), "capital": 5e4},
        ]  # fmt: skip
        if vault:
            traders.append(
                {"archetype": "borrower", "name": "on_hlp", "venue": "pool", "count": 2, "assets": {"hlp": 1.0},
                 "size": {"fixed": 1e4}, "leverage": {"fixed": 1.8}}
            )  # fmt: skip
    if protocols:
        traders.append({"archetype": "depositor", "venue": list(protocols), "count": 3, "capital": 2e4})
    everybody = [*venues, *protocols]
    loans = []
    if draw(st.booleans()):
        lenders = draw(st.permutations([*everybody, "bets_a:0", "bets_a:1", "a/insurance_fund"]))
        for lender, borrower in pairwise(lenders):
            loans.append({"lender": lender, "borrower": borrower, "amount": draw(st.sampled_from([10.0, 3e4])),
                          "due": draw(st.integers(0, steps + 1))})  # fmt: skip
    pools = ["pool"] if with_pool else []
    struck = draw(st.lists(shocks(steps, everybody, pools), max_size=5))
    for asset in draw(st.sampled_from([(), ("BTC",), ("ETH",), ("BTC", "ETH")])):
        size = draw(st.sampled_from([-0.5, -0.3, -0.15, 0.2]))
        struck.append({"at": draw(st.integers(1, steps)), "kind": "price_gap", "asset": asset, "size": size})
    return {
        "name": "random",
        "dt": "1min",
        "steps": steps,
        "feedback": draw(st.sampled_from(["none", "local", "full"])),
        "max_rounds": 30,
        "assets": ASSETS,
        "impact": draw(st.sampled_from(["linear", "square_root"])),
        "shocks": struck,
        "exchanges": venues,
        "protocols": protocols,
        "traders": traders,
        "credit": {"loans": loans, "recovery_cash": draw(share), "recovery_claims": draw(share)},
    }


def net_worths(world: World) -> list[tuple[float, float]]:
    """Net worth and gross of every agent, from state alone, one entry at a time. [USD]

    Cash, holdings at fundamental value, positive value equity of accounts at other venues and loans granted; less
    positive value equity of customers' accounts, claims issued at fundamental value, and loans owed.
    """
    state = world.state
    assets, books, instruments = state.assets, state.books, state.instruments
    worth = [float(cash) for cash in state.agents.cash]
    gross = [abs(cash) for cash in worth]

    def add(agent: int, amount: float) -> None:
        worth[agent] += amount
        gross[agent] += abs(amount)

    for owner, asset, units in zip(
        state.holdings.owner.tolist(), state.holdings.asset.tolist(), state.holdings.units.tolist(), strict=True
    ):
        add(owner, units * float(assets.fundamental[asset]))
    for account, owner in enumerate(state.accounts.owner.tolist()):
        book = int(state.accounts.book[account])
        venue = int(books.venue[book])
        if venue == owner:
            continue
        value = float(state.accounts.balance[account])
        for row in range(int(state.accounts.start[account]), int(state.accounts.start[account + 1])):
            instrument = int(state.positions.instrument[row])
            if instruments.kind[instrument] in (InstrumentKind.SPOT, InstrumentKind.DEBT):
                growth = float(instruments.debt_index[instrument])
                price = float(assets.fundamental[instruments.asset[instrument]])
                price *= growth if instruments.kind[instrument] == InstrumentKind.DEBT else 1.0
            else:
                price = float(instruments.mark[instrument] - instruments.cumulative_funding[instrument])
            value += float(state.positions.units[row]) * price
        value *= float(assets.fundamental[books.settle[book]])
        add(owner, max(0.0, value))
        add(venue, -max(0.0, value))
    for asset, issuer in enumerate(assets.issuer.tolist()):
        if issuer >= 0:
            add(issuer, -float(assets.supply[asset]) * float(assets.fundamental[asset]))
    loans = state.loans
    for lender, borrower, face in zip(loans.lender.tolist(), loans.borrower.tolist(), loans.face.tolist(), strict=True):
        add(lender, face)
        add(borrower, -face)
    return list(zip(worth, gross, strict=True))
