"""Random small scenarios of protocols: every kind of issuer, exits, pools of coins, oracles, designs and shocks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ASSETS = {"ETH": {"price": 1000.0, "volatility": 1.0}, "LUNA": {"price": 10.0, "volatility": 1.5}}
ORACLES = (
    {}, {"source": "fixed"}, {"latency": 2}, {"delay": "2min"}, {"window": "3min", "average": "geometric"},
    {"source": ["market", "redemption", "market"], "noise": 0.01}, {"deviation": 0.1, "heartbeat": "3min"},
)  # fmt: skip
DESIGNS = (
    {"design": "close_factor", "protocol_share": 0.1}, "compound_v2", "incentive_by_threshold", "health_discount",
    {"design": "english_auction", "bid_lasts": "2min", "lot": 5.0},
    {"design": "dutch_auction", "every": "20s", "hole": 2e4},
)  # fmt: skip
TERMS = {"ltv": 0.75, "liquidation_threshold": 0.8, "bonus": 0.05}


@st.composite
def exits(draw, face: bool = True) -> dict[str, Any]:
    given = {
        "opens": draw(st.sampled_from([0, 0, 2])), "notice": draw(st.sampled_from([0, 0, 1])),
        "rate": draw(st.sampled_from([None, None, 2e4])), "gate": draw(st.sampled_from([1.0, 0.2])),
        "fee": draw(st.sampled_from([0.0, 0.01])), "swing": draw(st.sampled_from([0.0, 0.1])),
        "order": draw(st.sampled_from(["first_come", "pro_rata"])),
        "value": draw(st.sampled_from(["payment", "payment", "request"])),
        "halts_at": draw(st.sampled_from([None, None, 0.2])), "halt": draw(st.integers(1, 3)),
    }  # fmt: skip
    if draw(st.booleans()):
        given["closed"] = [[1, draw(st.integers(1, 3))]]
    return given | ({"pays": draw(st.sampled_from(["balance_sheet", "face"]))} if face else {})


@st.composite
def issuers(draw, **terms: Any) -> dict[str, Any]:
    """An issuer with terms of exit and a market of its claim."""
    depth = draw(st.sampled_from([None, 5e4]))
    turnover = {"depth": depth, "sells": draw(st.sampled_from([0.0, 0.5])) if depth else 0.0,
                "nervous": draw(st.sampled_from([0.0, 0.3, 1.0]))}  # fmt: skip
    shown = draw(st.sampled_from(["positions", "accounts", "proof_of_solvency", "none"]))
    return {"exit": draw(exits()), "turnover": turnover, "disclosure": shown, "deposits": 2e5} | terms


@st.composite
def shocks(draw, steps: int, names: list[str], issuing: list[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from([
        "price_gap", "price_gap", "depeg", "theft", "rescue", "halt", "slashing", "withdrawal", "oracle_manipulation",
        "oracle_freeze", "default", "pool_push",
    ]))  # fmt: skip
    found: dict[str, Any] = {"at": draw(st.integers(1, steps)), "kind": kind, "lasts": draw(st.integers(0, 2))}
    if kind == "price_gap":
        size = st.sampled_from([-0.5, -0.25, -0.1, 0.3])
        return found | {"asset": draw(st.sampled_from(["ETH", "LUNA"])), "size": draw(size)}
    if kind == "depeg":
        return found | {"asset": draw(st.sampled_from(names[:-1])), "size": draw(st.sampled_from([-0.2, -0.03, 0.02]))}
    if kind == "pool_push":
        return found | {"target": "swap", "asset": "ETH", "size": draw(st.sampled_from([-0.3, 0.3]))}
    if kind.startswith("oracle"):
        return found | {"target": "pool", "asset": "ETH", "size": draw(st.sampled_from([-0.3, 0.2]))}
    if kind == "withdrawal":
        return found | {"target": draw(st.sampled_from(issuing)), "size": draw(st.sampled_from([1e3, 1e5, 1e7]))}
    target = draw(st.sampled_from(names[:-1] if kind == "slashing" else names))
    size = draw(st.sampled_from([0.0, 0.1, 0.9])) if kind in ("slashing", "default") else draw(
        st.sampled_from([1e3, 5e4, 1e8]))  # fmt: skip
    return found | {"target": target, "size": size}


@st.composite
def protocol_scenarios(draw) -> dict[str, Any]:
    """A pool of loans against claims and ether, and issuers of every kind that hold each other's claims."""
    steps = draw(st.integers(3, 8))
    protocols: dict[str, Any] = {
        "usd": draw(issuers(kind="fiat_backed", holds={"bank": 5e4}, equity=draw(st.sampled_from([0.0, 1e4])))),
        "bank": draw(issuers(kind="bank")),
        "steth": draw(issuers(kind="liquid_staking", stakes="ETH")),
        "wrapped": draw(issuers(kind="bridge", locks=draw(st.sampled_from(["ETH", "usd", "steth"])))),
        "algo": draw(issuers(kind="reflexive", mints="LUNA", minted_supply=draw(st.sampled_from([1e3, 1e5])),
                             depth_share=draw(st.sampled_from([0.002, 0.05])))),
        "fund": draw(issuers(kind="fund_share", holds={"algo": 2e4, "wrapped": 3e4, "pool": 3e4})),
        "circle": draw(issuers(kind="vault", holds={"fund": 2e4, "ring": 3e4})),
        "ring": draw(issuers(kind="vault", holds={"circle": 3e4, "ETH": 2e4})),
        "hedged": draw(issuers(kind="delta_neutral", hedged_at="perp", holds={"ETH": 1e5},
                               posted=draw(st.sampled_from([0.3, 1.0])))),
        "cover": {"kind": "safety_pool", "deposits": 5e4, "holds": {"pool": 1e4, "LUNA": 1e4},
                  "exit": {"notice": draw(st.integers(0, 3))}},
        "pool": {
            "kind": "lending_pool", "supplied": 5e5, "reserve": {"size": 1e3},
            "liquidation": draw(st.sampled_from([*DESIGNS, "absorb"])),
            "oracle": draw(st.sampled_from(ORACLES)), "exit": draw(exits(face=False)),
            "collateral": {
                "ETH": TERMS | {"oracle": {"source": "swap", "window": "2min"}},
                "usd": TERMS, "steth": TERMS, "wrapped": TERMS, "algo": TERMS,
            },
            "waterfall": draw(st.permutations(
                ["reserve", {"layer": "safety_pool", "pool": "cover", "most": 0.5, "premium": 0.1},
                 "depositor_write_down"]))[: draw(st.integers(0, 3))],
        },
        "dai": {
            "kind": "collateralised_debt", "reserve": {"size": draw(st.sampled_from([0.0, 500.0]))},
            "collateral": {"ETH": TERMS, "usd": TERMS}, "depth": draw(st.sampled_from([None, 2e4])),
            "liquidation": draw(st.sampled_from([*DESIGNS, {"design": "stability_pool", "recovery": None}])),
            "rate": {"base": 0.1, "slope1": 0.0, "slope2": 0.0, "reserve_factor": 1.0},
            "waterfall": draw(st.sampled_from([["reserve"], ["reserve", "depositor_write_down"], []])),
        },
        "swap": {"kind": "amm", "deposits": 2e5, "holds": {"ETH": 1e5}, "fee": draw(st.sampled_from([0.0, 0.003]))},
    }  # fmt: skip
    if draw(st.booleans()):
        claim = draw(st.sampled_from(["usd", "algo", "wrapped"]))
        protocols["curve"] = {"kind": "amm", "curve": "stable_swap", "deposits": 1e5, "holds": {claim: 5e4},
                              "prices": [claim]}  # fmt: skip
    claims = [name for name in protocols if name not in ("swap", "curve", "dai")]
    traders = [
        {"archetype": "market_maker", "venue": "perp", "count": 2, "capital": 1e6, "parameters": {"depth": 1e5}},
        {"archetype": "directional", "venue": "perp", "count": 6, "size": {"fixed": 3e4}, "leverage": {"fixed": 8}},
        {"archetype": "borrower", "name": "of_pool", "venue": "pool", "count": 6, "size": {"fixed": 2e4},
         "leverage": {"fixed": 3.4}, "wallet": 0.05, "transfer": {"steps": draw(st.integers(0, 2)), "failure": 0.3},
         "parameters": {"answers_with": draw(st.sampled_from(["repayment", "collateral"]))}},
        {"archetype": "borrower", "name": "of_dai", "venue": "dai", "count": 4, "size": {"fixed": 2e4},
         "leverage": {"fixed": 3.4}, "wallet": 0.05},
        {"archetype": "looper", "venue": "pool", "assets": {"steth": 1.0}, "count": 2, "size": {"fixed": 2e4},
         "parameters": {"target_ltv": 0.6}},
        {"archetype": "keeper", "venue": ["pool", "dai"], "count": 2, "capital": draw(st.sampled_from([1e3, 1e6])),
         "parameters": {"gas": draw(st.sampled_from([0.0, 50.0])), "spot_depth": draw(st.sampled_from([1e4, 1e7]))}},
        {"archetype": "depositor", "venue": claims, "count": 3, "capital": 2e4},
        {"archetype": "redeemer", "venue": ["usd", "algo", "wrapped", "hedged"], "count": 2, "capital": 5e4,
         "parameters": {"minimum_profit": 0.001}},
    ]  # fmt: skip
    names = [*protocols, "perp"]
    return {
        "name": "random protocols", "dt": "1min", "steps": steps, "max_rounds": 50,
        "feedback": draw(st.sampled_from(["none", "local", "full"])), "assets": ASSETS,
        "impact": draw(st.sampled_from(["linear", "square_root"])),
        "chain": draw(st.sampled_from([None, {"capacity": 20, "others": 19, "activity": 50}])),
        "shocks": draw(st.lists(shocks(steps, names, [*claims, "perp"]), min_size=1, max_size=6)),
        "exchanges": {"perp": {
            "contracts": {"ETH": {}}, "equity": 1e3, "insurance_fund": {"size": 1e3},
            "disclosure": draw(st.sampled_from(["accounts", "proof_of_solvency", "none"])),
            "reserve_ratio": draw(st.sampled_from([1.0, 0.6])), "lent_to": "bank",
            "exit": {"halts_at": 0.3, "halt": 2},
            "waterfall": [
                "insurance_fund", "venue_equity", {"layer": "safety_pool", "pool": "cover"}, "auto_deleverage",
            ],
        }},
        "protocols": protocols, "traders": traders,
        "credit": {"loans": draw(st.sampled_from([[], [
            {"lender": "bank", "borrower": "fund", "amount": 2e4, "due": 2, "term": 2, "notice": 1},
            {"lender": "fund", "borrower": "circle", "amount": 1e4, "due": 3},
        ]]))},
    }  # fmt: skip
