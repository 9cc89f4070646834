"""Random issuers, exits and shocks: books add up in every step, and nobody gets more than there is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.model import ContagionModel

EXITS = st.fixed_dictionaries({
    "opens": st.integers(0, 3), "closed": st.sampled_from([[], [[2, 4]]]), "notice": st.integers(0, 2),
    "rate": st.none() | st.floats(10.0, 1e3), "gate": st.sampled_from([0.05, 0.5, 1.0]),
    "fee": st.floats(0.0, 0.1), "swing": st.floats(0.0, 0.3), "order": st.sampled_from(["first_come", "pro_rata"]),
    "value": st.sampled_from(["payment", "request"]), "pays": st.sampled_from(["balance_sheet", "face"]),
})  # fmt: skip
TURNOVER = st.fixed_dictionaries({
    "depth": st.floats(10.0, 1e4), "sells": st.floats(0.0, 1.0), "nervous": st.floats(0.0, 1.0),
})  # fmt: skip
SHOCKS = st.lists(
    st.one_of(
        st.tuples(st.just("theft"), st.sampled_from(["bank", "usd", "far", "algo", "hedged", "fund"]),
                  st.floats(0.0, 2e3)),
        st.tuples(st.just("slashing"), st.sampled_from(["staked", "far", "fund"]), st.floats(0.0, 1.0)),
        st.tuples(st.just("rescue"), st.sampled_from(["bank", "usd"]), st.floats(0.0, 1e3)),
        st.tuples(st.just("halt"), st.sampled_from(["bank", "usd", "far"]), st.just(0.0)),
        st.tuples(st.just("depeg"), st.sampled_from(["usd", "algo", "hedged", "staked"]), st.floats(-0.5, 0.2)),
        st.tuples(st.just("price_gap"), st.sampled_from(["ETH", "LUNA"]), st.floats(-0.6, 0.6)),
    ),
    max_size=5,
)  # fmt: skip


def world(exits, turnovers, shocks, leverage: float, impact: str, money: float) -> dict:
    names = ["usd", "far", "algo", "hedged", "staked", "fund"]
    terms = {
        name: {"exit": exits[order % len(exits)], "turnover": turnovers[order % len(turnovers)]}
        for order, name in enumerate(names)
    }
    return {
        "name": "random issuers", "steps": 8, "dt": "4h", "prices": "gbm", "impact": impact,
        "assets": {"ETH": {"price": 2000.0}, "LUNA": {"price": 8.0}},
        "exchanges": {"perp": {"contracts": {"ETH": {}}, "insurance_fund": {"size": 50.0},
                               "waterfall": ["insurance_fund", {"layer": "auto_deleverage"}]}},
        "protocols": {
            "bank": {"kind": "bank", "deposits": 900.0, "equity": 50.0},
            "usd": {"kind": "fiat_backed", "deposits": 800.0, "equity": 5.0, "holds": {"bank": 300.0}, **terms["usd"]},
            "far": {"kind": "bridge", "locks": "usd", "deposits": 200.0, **terms["far"]},
            "algo": {"kind": "reflexive", "mints": "LUNA", "minted_supply": 200.0, "depth_share": 0.004,
                     "deposits": 500.0, "holds": {"ETH": 50.0}, **terms["algo"]},
            "hedged": {"kind": "delta_neutral", "hedged_at": "perp", "deposits": 1000.0, "equity": 20.0,
                       "holds": {"ETH": 800.0}, **terms["hedged"]},
            "staked": {"kind": "liquid_staking", "stakes": "ETH", "deposits": 1000.0, **terms["staked"]},
            "fund": {"kind": "fund_share", "deposits": 700.0, "holds": {"usd": 200.0, "far": 100.0, "staked": 200.0},
                     **terms["fund"]},
        },
        "traders": [
            {"archetype": "market_maker", "venue": "perp", "capital": 1e5, "parameters": {"depth": 2e4}},
            {"archetype": "directional", "venue": "perp", "count": 5, "size": {"fixed": 200.0}, "long_share": 1.0,
             "leverage": {"fixed": leverage}},
            {"archetype": "redeemer", "venue": ["usd", "algo", "hedged", "staked"], "count": 2, "capital": money},
            {"archetype": "depositor", "venue": ["usd", "far", "fund", "algo"], "count": 2, "capital": 200.0},
        ],
        "shocks": [
            {"at": 1 + order, "kind": kind, "size": size, "lasts": 2 if kind == "halt" else 0,
             ("asset" if kind in ("depeg", "price_gap") else "target"): where}
            for order, (kind, where, size) in enumerate(shocks)
        ],
    }  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(
    exits=st.lists(EXITS, min_size=1, max_size=3), turnovers=st.lists(TURNOVER, min_size=1, max_size=2), shocks=SHOCKS,
    leverage=st.floats(2.0, 20.0), impact=st.sampled_from(["linear", "square_root", "exponential", "constant_product"]),
    money=st.floats(0.0, 1e4), seed=st.integers(0, 5),
)  # fmt: skip
def test_books_add_up(exits, turnovers, shocks, leverage, impact, money, seed):
    model = ContagionModel(world(exits, turnovers, shocks, leverage, impact, money), rng=seed)
    state = model.world.state
    for _ in range(8):
        model.step()  # conservation of every agent's net worth is checked inside
        assets = state.assets
        claims = assets.issuer >= 0
        assert (assets.fundamental[claims] >= 0.0).all() and (assets.market[claims] >= 0.0).all()
        assert (assets.fundamental <= assets.par * (1 + 1e-12)).all()
        assert (assets.redemption <= assets.par * (1 + 1e-12)).all()
        assert (state.agents.cash[1:] >= -1e-6).all()
        assert (state.holdings.units[state.holdings.owner > 0] >= -1e-9).all()
        held = state.holdings.units.copy()
        for claim in claims.nonzero()[0]:
            total = held[state.holdings.asset == claim].sum()
            assert abs(total - assets.supply[claim]) <= 1e-9 * max(1.0, total)
    paid, asked = (model.world.counters.get(f"withdrawals_{what}", 0.0) for what in ("paid", "asked"))
    assert paid == 0.0 or asked > 0.0 or model.world.counters.get("arbitrage_bought", 0.0) > 0.0
