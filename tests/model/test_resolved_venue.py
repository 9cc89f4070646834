"""A venue that is resolved pays out all it has; what rounding leaves of it is no broken book, whatever prices do."""

from __future__ import annotations

import pytest
from worlds import scenario

from contagion.model import ContagionModel


@pytest.mark.parametrize("long_share", [0.0, 1.0])
def test_rounding_of_what_a_venue_paid_out_does_not_stop_the_run(long_share: float) -> None:
    """Books in dollars and in coin; the coin is worth six times as much ten steps after everything was paid."""
    tiers = [{"maintenance": 0.03, "initial": 0.06}]
    data = {
        "name": "resolved", "steps": 15, "dt": "1s", "feedback": "none", "impact": "linear", "prices": "constant",
        "assets": {"BTC": {"price": 100_000}, "ETH": {"price": 4_000}},
        "shocks": [
            {"at": 2, "kind": "price_gap", "asset": "BTC", "size": -0.5 if long_share else 5.0},
            {"at": 12, "kind": "price_gap", "asset": "ETH", "size": 5.0},
        ],
        "exchanges": {
            "perp": {
                "on_insolvency": "resolve",
                "contracts": {
                    "BTC": {"kind": "linear", "tiers": tiers},
                    "ETH": {"kind": "inverse", "settlement": "ETH", "tiers": tiers},
                },
            }
        },
        "traders": [
            {"archetype": "market_maker", "venue": "perp", "capital": 2e7, "parameters": {"depth": 5e5}},
            {"archetype": "directional", "count": 12, "venue": "perp", "long_share": long_share,
             "size": {"pareto": 1.1, "truncate": 0.1, "total": 8e6}, "leverage": {"lognormal": [5, 0.5]}},
            {"archetype": "fund", "venue": "perp", "size": {"fixed": 1e6}, "leverage": {"fixed": 8}, "capital": 1e5},
        ],
    }  # fmt: skip
    result = ContagionModel(scenario(data), rng=0).run()
    assert result.outcomes["insolvencies"] == 1 and len(result.steps) == 15
