"""Small scenarios for tests of the whole model, as plain data."""

from __future__ import annotations

import copy
import random
from typing import Any

from contagion.scenario.loader import load_scenario
from contagion.scenario.schema import Scenario

TIERS = [{"floor": 0, "maintenance": 0.0125, "initial": 0.025}]
WIDE = [{"floor": 0, "maintenance": 0.04, "initial": 0.05}]


def crisis() -> dict[str, Any]:
    """Seven minutes in which everything goes wrong.

    ``perp``: its fund runs out and the other side is deleveraged. ``dex``: fund, half of the need from profits, a
    tranche of its own equity, and a rest nobody takes. ``coin``: inverse contracts. ``pool``: bad debt. ``fund_of``
    holds claims on the pool; ``hlp`` backs ``perp`` but is no layer of its waterfall.
    """
    return {
        "name": "crisis",
        "dt": "1min",
        "steps": 7,
        "assets": {"BTC": {"price": 100_000, "volatility": 0.6}, "ETH": {"price": 4_000, "volatility": 0.8}},
        "prices": {"process": "gbm", "correlation": 0.8},
        "shocks": [
            {"at": 1, "kind": "price_gap", "asset": "BTC", "size": -0.04},
            {"at": 3, "kind": "price_gap", "asset": "BTC", "size": -0.20},
            {"at": 3, "kind": "price_gap", "asset": "ETH", "size": -0.45},
            {"at": 5, "kind": "price_gap", "asset": "BTC", "size": 0.05},
        ],
        "exchanges": {
            "perp": {
                "equity": 5e4,
                "insurance_fund": {"size": 2e4},
                "funding": {},
                "contracts": {"BTC": {"tiers": WIDE}, "ETH": {"tiers": WIDE}},
                "waterfall": [{"layer": "insurance_fund"}, {"layer": "auto_deleverage"}, {"layer": "venue_equity"}],
            },
            "dex": {
                "equity": 5e4,
                "insurance_fund": {"size": 1e4},
                "contracts": {"BTC": {"tiers": TIERS}},
                "liquidation": {"limit": "market"},
                "waterfall": [
                    {"layer": "insurance_fund"},
                    {"layer": "profit_haircut", "severity": 0.5},
                    {"layer": "venue_equity", "limit": 5e3},
                ],
            },
            "coin": {
                "equity": 1e5,
                "contracts": {"BTC": {"kind": "inverse", "tiers": WIDE}},
                "liquidation": {"takeover_below": 1.0},
                "waterfall": [{"layer": "auto_deleverage"}, {"layer": "venue_equity"}],
            },
        },
        "protocols": {
            "hlp": {"kind": "vault", "backs": "perp", "deposits": 2e5},
            "fund_of": {"kind": "vault", "deposits": 1e5, "holds": {"pool": 5e4}},
            "pool": {
                "kind": "lending_pool",
                "supplied": 1e6,
                "reserve": {"size": 1e4},
                "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.83, "bonus": 0.05}},
            },
        },
        "traders": [
            _directional("bets", "perp", 30),
            _directional("more_bets", "dex", 20),
            _directional("coin_bets", "coin", 20),
            _makers("perp"),
            _makers("dex"),
            _makers("coin"),
            {"archetype": "borrower", "venue": "pool", "count": 10, "size": {"fixed": 3e4}, "leverage": {"fixed": 3.5}},
            {"archetype": "keeper", "venue": "pool", "count": 2, "capital": 2e5},
            {"archetype": "depositor", "venue": ["hlp", "pool"], "count": 6, "capital": 2e4},
        ],
        "credit": {"loans": [{"lender": "fund_of", "borrower": "dex", "amount": 1e4, "due": 4}]},
    }


def _directional(name: str, venue: str, count: int) -> dict[str, Any]:
    return {
        "archetype": "directional", "name": name, "venue": venue, "count": count, "long_share": 0.6, "wallet": 0.1,
        "size": {"pareto": 1.3, "truncate": 0.2, "mean": 4e4}, "leverage": {"lognormal": [11, 0.4]},
        "answers": {"top_up": 0.6, "reduce": 0.4, "ignore": 0.0},
    }  # fmt: skip


def _makers(venue: str) -> dict[str, Any]:
    return {
        "archetype": "market_maker", "name": f"{venue}_makers", "venue": venue, "count": 2, "capital": 2e6,
        "parameters": {"depth": 2e5},
    }  # fmt: skip


def scenario(data: dict[str, Any], **overrides: Any) -> Scenario:
    """The scenario of plain data, overrides by path (``__`` or ``.`` between names)."""
    return load_scenario(copy.deepcopy(data), {path.replace("__", "."): value for path, value in overrides.items()})


def permuted(data: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same world with its trader groups, venues, protocols and assets written down in another order."""
    shuffle = random.Random(seed).shuffle
    found = copy.deepcopy(data)
    shuffle(found["traders"])
    for section in ("exchanges", "protocols", "assets"):
        entries = list(found[section].items())
        shuffle(entries)
        found[section] = dict(entries)
    return found


def quiet(data: dict[str, Any]) -> dict[str, Any]:
    """The same world without shocks, and with hardly a move of prices."""
    found = copy.deepcopy(data) | {"shocks": []}
    found["assets"] = {name: asset | {"volatility": 0.01} for name, asset in found["assets"].items()}
    return found
