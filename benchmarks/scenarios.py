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


def quiet(accounts: int, steps: int, *, trading: int = 0, band: float = 0.0) -> Scenario:
    """Every price moves and funding accrues, nobody is near a call.

    `trading` of the accounts decide every step, and trade where their leverage has drifted out of a band [relative].
    """
    holders = {"size": {"fixed": 1_000}, "leverage": {"uniform": [1, 2]}, "wallet": 0.5}
    groups = [
        {
            "archetype": "market_maker", "count": 3, "name": "maker", "capital": 1_000.0 * accounts,
            "parameters": {"depth": 1_000.0 * accounts},
        }
    ]  # fmt: skip
    if trading < accounts:
        groups.append({"archetype": "passive", "count": accounts - trading, **holders})
    if trading:
        parameters = {"band": band, "speed": 0.5}
        groups.append({"archetype": "rebalancer", "count": trading, "parameters": parameters, **holders})
    return Scenario(
        name="quiet", dt="1s", steps=steps, feedback="local",
        assets={"BTC": {"price": 100_000, "volatility": 0.5}, "ETH": {"price": 4_000, "volatility": 0.5}},
        prices={"process": "gbm", "correlation": 0.5},
        exchanges={"perp": {"funding": {"interval": "1h"}, "insurance_fund": {"size": 1e6}, "equity": 1e6}},
        traders=groups,
    )  # fmt: skip


TIERS = {  # Hyperliquid's shape: maintenance is half of the initial margin at the greatest leverage of a tier
    "BTC": [(0.0, 40), (150e6, 20)],
    "ETH": [(0.0, 25), (100e6, 15)],
    "SOL": [(0.0, 20), (70e6, 10)],
}


def october_crash(accounts: int = 437_723, steps: int = 720) -> Scenario:
    """Accounts of the size of Hyperliquid's book through the worst minutes of 10 October 2025, second by second.

    The three contracts fall as in that hour, in a gap every five seconds, and for a minute makers leave; who holds
    what is assumed.
    """
    contracts = {
        asset: {
            "tiers": [
                {"floor": floor, "maintenance": 0.5 / leverage, "initial": 1.0 / leverage} for floor, leverage in tiers
            ]
        }
        for asset, tiers in TIERS.items()
    }
    fall = {"BTC": -0.0009, "ETH": -0.0013, "SOL": -0.0020}  # at each gap
    shocks = [
        {"at": at, "kind": "price_gap", "asset": asset, "size": size}
        for at in range(60, 560, 5) for asset, size in fall.items()
    ]
    shocks.append({"at": 300, "kind": "depth_withdrawal", "target": "perp", "size": 0.98, "lasts": 60})
    total = 7.0e9
    holders = [("BTC", 0.40), ("ETH", 0.25), ("SOL", 0.15), ("BTC ETH", 0.10), ("BTC ETH SOL", 0.10)]
    shares = [round(accounts * share) for _, share in holders]
    shares[0] += accounts - 8 - sum(shares)
    return Scenario(
        name="october_crash", dt="1s", steps=steps, feedback="local",
        assets={
            "BTC": {"price": 117_000, "volatility": 0.5}, "ETH": {"price": 4_000, "volatility": 0.7},
            "SOL": {"price": 205, "volatility": 0.9},
        },
        prices={"process": "gbm", "correlation": 0.8},
        impact={"impact": "square_root", "half_life": "60s"},
        shocks=shocks,
        exchanges={
            "perp": {
                "contracts": contracts, "equity": 1e7, "insurance_fund": {"size": 2e6}, "funding": {"interval": "1h"},
                "waterfall": ["insurance_fund", {"layer": "auto_deleverage", "ranking": "hyperliquid"}],
                "liquidation": {"engine": "full", "fee": 0.0},
            }
        },
        traders=[
            *(
                {
                    "archetype": "passive", "name": assets.replace(" ", "_"), "count": count,
                    "assets": dict.fromkeys(assets.split(), 1.0), "delay": 10,
                    "size": {"pareto": 1.2, "truncate": 0.01, "total": total * share}, "long_share": 0.6,
                    "leverage": {"lognormal": [5.0, 0.7]}, "wallet": 0.1, "parameters": {"entry_spread": 0.03},
                }
                for (assets, share), count in zip(holders, shares, strict=True)
            ),
            {
                "archetype": "market_maker", "count": 8, "name": "maker", "capital": 6e8,
                "parameters": {"depth": 2e6, "stress": 0.1, "lookback": 120},
            },
        ],
    )  # fmt: skip
