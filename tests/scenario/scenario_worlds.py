"""Small worlds whose opening balance sheets can be worked out by hand."""

from __future__ import annotations

from typing import Any


def exchange_world(**changes: Any) -> dict[str, Any]:
    """One venue with BTC at 100 USD, one long trader of 1,000 USD at 5x, one maker."""
    return {
        "name": "hand",
        "steps": 3,
        "assets": {"BTC": {"price": 100.0}},
        "prices": "constant",
        "exchanges": {"perp": {"equity": 50.0, "insurance_fund": {"size": 20.0}}},
        "traders": [
            {
                "archetype": "passive", "name": "long", "count": 2, "size": {"fixed": 1000.0}, "leverage": {"fixed": 5},
                "long_share": 1.0, "wallet": 0.5,
            },
            {"archetype": "market_maker", "count": 2, "capital": 5000.0, "parameters": {"depth": 100.0}},
        ],
    } | changes  # fmt: skip


def pool_world(**changes: Any) -> dict[str, Any]:
    """A pool with 10,000 USD from outside and 500 from a depositor; borrowers with 300 USD of ETH owe half of it."""
    return {
        "name": "pool",
        "steps": 3,
        "assets": {"ETH": {"price": 10.0}},
        "prices": "constant",
        "protocols": {
            "pool": {
                "kind": "lending_pool", "supplied": 10_000.0, "reserve": {"size": 7.0},
                "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85}},
            }
        },
        "traders": [
            {"archetype": "borrower", "count": 3, "size": {"fixed": 300.0}, "parameters": {"ltv": 0.5}},
            {"archetype": "depositor", "count": 1, "capital": 500.0, "venue": "pool"},
            {"archetype": "keeper", "count": 1, "capital": 40.0},
        ],
    } | changes  # fmt: skip
