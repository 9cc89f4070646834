"""Each lever on a market small enough for paper: it changes who pays, in the direction it is meant to.

A long of 1,000 USD on 125 USD of margin (8x) at 100 USD; prices fall by a fifth, so it owes 75 USD more than it has.
The fund has 30 USD. Makers hold the other side; nothing else moves the price.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contagion.errors import InputError
from contagion.market.limits import OrderLimits
from contagion.model import ContagionModel
from contagion.results import RunResult
from contagion.scenario.loader import load_scenario


def market(*extra: dict[str, Any], shocks: list[tuple[int, float]] | None = None, **venue: Any) -> dict[str, Any]:
    terms = {"equity": 200.0, "insurance_fund": {"size": 30.0}, "liquidation": {"fee": 0.0}} | venue
    return {
        "name": "lever",
        "steps": 6,
        "feedback": "none",
        "impact": "linear",
        "assets": {"BTC": {"price": 100.0}},
        "prices": "constant",
        "shocks": [
            {"at": at, "kind": "price_gap", "asset": "BTC", "size": size} for at, size in shocks or [(1, -0.2)]
        ],
        "exchanges": {"perp": {"contracts": {"BTC": {"tiers": [{"maintenance": 0.05, "initial": 0.1}]}}} | terms},
        "traders": [
            passive("long", 1000.0, 8.0),
            {"archetype": "market_maker", "count": 1, "capital": 5000.0, "parameters": {"depth": 1e9}},
            *extra,
        ],
    }


def passive(name: str, size: float, leverage: float, **more: Any) -> dict[str, Any]:
    answers = {"top_up": 0.0, "reduce": 0.0, "ignore": 1.0}
    return {"archetype": "passive", "name": name, "size": {"fixed": size}, "leverage": {"fixed": leverage},
            "long_share": 1.0, "answers": answers} | more  # fmt: skip


def run(data: dict[str, Any]) -> RunResult:
    return ContagionModel(load_scenario(data), rng=1).run()


def paid(result: RunResult) -> dict[str, float]:
    """Deficits borne, by layer. [USD]"""
    rows = result.ledger[result.ledger["cause"].astype(str) == "allocation"]
    sums = rows.groupby(rows["layer"].astype(str))["amount"].sum()
    return {layer: pytest.approx(amount, abs=1e-3) for layer, amount in sums.items()}


def test_without_levers_the_fund_runs_dry() -> None:
    assert paid(run(market())) == {"insurance_fund": 30.0, "venue_equity": 45.0}


def test_a_leverage_cap_trades_less_with_the_same_money() -> None:
    # 125 USD carry 4 x 125 / 1.05 = 476 USD, which lose 95 USD: nobody else pays.
    assert paid(run(market(trading_limits={"leverage": 4}))) == {}
    model = ContagionModel(load_scenario(market(trading_limits={"leverage": 4})), rng=1)
    state = model.world.state
    assert state.positions.units.max() == pytest.approx(4 * 125 / 1.05 / 100)
    assert state.accounts.equity[state.agents.account_start[state.first_trader]] == pytest.approx(125.0)
    assert any("limits cut 1 opening position" in note for note in model.world.notes)


def test_a_position_limit_leaves_less_to_pay() -> None:
    # 800 USD lose 160 USD: 35 USD beyond the margin of 125.
    assert paid(run(market(trading_limits={"position": 800.0}))) == {"insurance_fund": 30.0, "venue_equity": 5.0}
    assert paid(run(market(trading_limits={"position": 600.0}))) == {}


def test_a_concentration_limit_binds_the_large_only() -> None:
    # Open interest 1,000 + 250; 0.4 of it are 500 USD, which lose 100 of 125 USD.
    small = passive("small", 250.0, 2.0)
    assert paid(run(market(small))) == {"insurance_fund": 30.0, "venue_equity": 45.0}
    data = market(small, trading_limits={"concentration": 0.4})
    units = ContagionModel(load_scenario(data), rng=1).world.state.positions.units
    assert sorted(units[units > 0.0]) == pytest.approx([2.5, 5.0])
    assert paid(run(data)) == {}


def test_a_limit_may_refuse_in_place_of_scaling() -> None:
    with pytest.raises(InputError, match=r"exchanges\.perp\.trading_limits: got '1000 USD of perp:BTC in long'"):
        ContagionModel(load_scenario(market(trading_limits={"position": 800.0, "above": "error"})), rng=1)


def test_orders_are_cut_to_the_limits_and_reductions_are_not() -> None:
    model = ContagionModel(load_scenario(market(trading_limits={"position": 500.0})), rng=1)
    limits, units = OrderLimits(model.world), model.world.state.positions.units
    model.world.pricing.reprice()
    row = np.array([int(np.flatnonzero(units > 0.0)[0])])  # the limit is 5 units at 100 USD
    for held, asked, allowed in [(2, 6, 3), (2, -12, -7), (8, -1, -1), (8, 1, 0), (8, -20, -13), (2, 1, 1)]:
        units[row] = held
        change = np.array([float(asked)])
        limits.cut(row, change)
        assert change == pytest.approx([allowed]), (held, asked)


def test_a_halt_spares_those_a_rebound_would_have_saved() -> None:
    rebound = [(1, -0.2), (2, 0.25)]  # back at 100 USD
    assert paid(run(market(shocks=rebound))) == {"insurance_fund": 30.0, "venue_equity": 45.0}
    halted = run(market(shocks=rebound, circuit_breaker={"move": 0.1, "halt": 2}))
    assert paid(halted) == {}
    assert halted.outcomes["circuit_breaker_halts"] == 1


def test_a_halt_hurts_when_prices_fall_on() -> None:
    # At 90 USD the long has 25 USD against a maintenance of 45 and is closed with 25 USD left; at 75 it lacks 125.
    slide = [(2, -0.1), (3, -1 / 6)]
    assert paid(run(market(shocks=slide))) == {}
    halted = run(market(shocks=slide, circuit_breaker={"move": 0.08, "halt": 2}))
    assert paid(halted) == {"insurance_fund": 30.0, "venue_equity": 95.0}


def test_countercyclical_margin_leaves_smaller_positions() -> None:
    # Initial margin of 12.5%: 125 USD carry 125 / (1.05 x 0.125) = 952.4 USD, which lack 65.48 USD at 80.
    buffered = market(countercyclical={"buffer": 0.25})
    assert paid(run(buffered)) == {"insurance_fund": 30.0, "venue_equity": 35.476}
    # A floor of 15% on maintenance keeps the ratio of 2: 396.8 USD.
    assert paid(run(market(countercyclical={"floor": 0.15}))) == {}


def test_a_split_fund_pays_for_its_own_market_only() -> None:
    # Half of the 30 USD stands for contracts on ETH, which nobody trades.
    tiers = {"tiers": [{"maintenance": 0.05, "initial": 0.1}]}
    paid_by = {}
    for scope in ("shared", "per_market"):
        waterfall = [{"layer": "insurance_fund", "scope": scope}, "venue_equity"]
        data = market(contracts={"BTC": tiers, "ETH": tiers}, waterfall=waterfall)
        data["assets"]["ETH"] = {"price": 10.0}
        data["traders"][0]["assets"] = {"BTC": 1.0}
        paid_by[scope] = paid(run(data))
    assert paid_by["shared"] == {"insurance_fund": 30.0, "venue_equity": 45.0}
    assert paid_by["per_market"] == {"insurance_fund": 15.0, "venue_equity": 60.0}


def test_segregated_custody_puts_the_shortfall_on_gains() -> None:
    # 125 + 100 + 5,000 paid in, own capital 10, the fund's 30: 5,265 in custody for claims of 80 (100 less a fifth)
    # and 5,000 + 220 of the maker, who is short 11.
    venue = {"equity": 10.0, "waterfall": ["insurance_fund"], "on_insolvency": "resolve"}
    saver = passive("saver", 100.0, 1.0)
    losses = {}
    for custody in ("commingled", "segregated"):
        result = run(market(saver, custody=custody, **venue))
        rows = result.ledger[result.ledger["cause"].astype(str) == "resolution"]
        losses[custody] = rows[rows["amount"] > 1e-6].groupby(rows["payer"].astype(str))["amount"].sum()
    by_claim = {"saver:0": 80 * 35 / 5300, "market_maker:0": 5220 * 35 / 5300}
    assert losses["commingled"].to_dict() == pytest.approx(by_claim, rel=1e-4)
    assert losses["segregated"].to_dict() == pytest.approx({"market_maker:0": 35.0}, rel=1e-4)


def test_risk_weights_limit_what_a_lender_can_lose() -> None:
    # The venue is worth 50 + 100 lent. At a weight of 3 the loan needs 300: half of it is not lent.
    friend = passive("friend", 10.0, 1.0, wallet=0.0)
    for weight, lost in ((1.0, 100.0), (3.0, 50.0)):
        data = market(friend, equity=50.0, shocks=[(1, 0.0)])
        data["credit"] = {
            "loans": [{"lender": "perp", "borrower": "friend", "amount": 100.0, "due": 2}],
            "risk_weights": {"ratio": 1.0, "counterparty": {"friend": weight}},
        }
        model = ContagionModel(load_scenario(data), rng=1)
        row = model.world.agent_rows["perp"]
        before = float(model.world.state.agents.worth[row])
        assert before == pytest.approx(150.0)
        model.run()
        assert before - float(model.world.state.agents.worth[row]) == pytest.approx(lost)


def test_a_weight_on_collateral_divides_its_terms() -> None:
    data = {
        "name": "pool", "steps": 2, "assets": {"ETH": {"price": 10.0}}, "prices": "constant",
        "protocols": {"pool": {"kind": "lending_pool", "supplied": 1e4,
                               "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85}}}},
        "traders": [{"archetype": "borrower", "size": {"fixed": 100.0}, "leverage": {"fixed": 4.0}},
                    {"archetype": "keeper", "capital": 40.0}],
        "credit": {"risk_weights": {"collateral": {"ETH": 1.25}}},
    }  # fmt: skip
    terms = ContagionModel(load_scenario(data), rng=1).world.venues["pool"].spec.collateral["ETH"]
    assert (terms.ltv, terms.liquidation_threshold) == pytest.approx((0.64, 0.68))
    state = ContagionModel(load_scenario(data), rng=1).world.state
    # Leverage 4 would owe 75 of 100; terms allow 64 / 1.05.
    assert state.positions.units.min() * 1.0 == pytest.approx(-64 / 1.05)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("exchanges.perp.trading_limits.leverage", 0.5), ("exchanges.perp.trading_limits.concentration", 0.0),
        ("exchanges.perp.circuit_breaker", {"halt": 3}), ("exchanges.perp.circuit_breaker.move", -0.1),
        ("exchanges.perp.countercyclical.floor", 1.0), ("exchanges.perp.custody", "mixed"),
        ("credit.risk_weights.counterparty", {"nobody": 1.0}), ("credit.risk_weights.collateral", {"ETH": 1.0}),
    ],
)  # fmt: skip
def test_bad_levers_are_explained(path: str, value: Any) -> None:
    with pytest.raises(InputError, match=path.split(".")[-1]):
        load_scenario(market(), {path: value})


def test_a_lever_on_tiers_needs_a_margin_rule_that_uses_them() -> None:
    with pytest.raises(InputError, match=r"countercyclical\.buffer.*portfolio has rates of its own"):
        load_scenario(market(margin="portfolio", countercyclical={"buffer": 0.25}))
    load_scenario(market(margin="dynamic", countercyclical={"buffer": 0.25}))


def test_a_lever_is_a_policy_by_its_path() -> None:
    scenario = load_scenario(market(), {"exchanges.perp.circuit_breaker.move": 0.1, "trading_limits.leverage": 5})
    assert scenario.exchanges["perp"].circuit_breaker.move == 0.1
    assert scenario.exchanges["perp"].trading_limits.leverage == 5
