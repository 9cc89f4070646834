"""The worlds that are timed, made in code."""

from __future__ import annotations

from contagion.scenario.schema import Scenario


def exchange_only(traders: int, steps: int = 250, *, gaps: tuple[float, ...] = (), leverage: float = 4.0) -> Scenario:
    """One exchange with two contracts; traders who only answer margin calls; price gaps spread over the run.

    Entry prices are spread, so that no two traders rank equal in deleveraging.
    """
    notional = 50_000.0 * traders
    every = steps // (len(gaps) + 1)
    small, large = {"maintenance": 0.02, "initial": 0.04}, {"floor": 500_000, "maintenance": 0.04, "initial": 0.1}
    return Scenario(
        name="exchange_only", dt="1min", steps=steps, feedback="full",
        assets={"BTC": {"price": 100_000, "volatility": 0.6}, "ETH": {"price": 4_000, "volatility": 0.8}},
        prices={"process": "gbm", "correlation": 0.8},
        impact={"impact": "square_root"},
        shocks=[
            {"at": (order + 1) * every, "kind": "price_gap", "asset": asset, "size": size}
            for order, size in enumerate(gaps) for asset in ("BTC", "ETH")
        ],
        exchanges={
            "perp": {
                "contracts": {asset: {"tiers": [small, large]} for asset in ("BTC", "ETH")},
                "equity": 1e6,
                "insurance_fund": {"size": 1e-4 * notional},
                "waterfall": [
                    "insurance_fund",
                    {"layer": "auto_deleverage", "ranking": "pnl_leverage", "price": "bankruptcy"},
                ],
                "liquidation": {"engine": "full", "limit": "bankruptcy", "fee": 0.005},
            }
        },
        traders=[
            {
                "archetype": "passive", "count": traders, "size": {"pareto": 1.5, "truncate": 0.05, "total": notional},
                "leverage": {"lognormal": [leverage, 0.5]}, "wallet": 0.5, "delay": 2,
                "long_share": 0.55, "parameters": {"entry_spread": 0.05},
            },
            {
                "archetype": "market_maker", "count": 3, "capital": 0.2 * notional, "name": "maker",
                "parameters": {"depth": 0.004 * notional},
            },
        ],
    )  # fmt: skip
