"""Stability pools, redistribution, redemptions at par, surplus auctions and congestion, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.protocols.congestion import Congestion, gas_multiple
from contagion.protocols.stability_rules import offset, redistribution
from contagion.scenario.chain import Chain
from contagion.scenario.schema import Scenario

KEEPER = {"archetype": "keeper", "venue": "lusd", "capital": 1e6, "parameters": {"gas": 0.0}}


def model(deposits: float, owners: list[tuple[float, float]], shocks: list[dict[str, Any]], **parts: Any):
    """A stability pool with deposits; owners of (collateral in USD, debt over it) at 200 USD per ETH; 110% needed."""
    lusd = {
        "kind": "collateralised_debt", "waterfall": ["depositor_write_down"], "oracle": {"deviation": 0.0},
        "collateral": {"ETH": {"ltv": 0.909, "liquidation_threshold": 1.0 / 1.1}},
        "liquidation": {"design": "stability_pool", "vaults": ["pool"]} | parts.pop("liquidation", {}),
    } | parts.pop("lusd", {})  # fmt: skip
    groups = [
        {"archetype": "borrower", "name": f"owner_{order}", "venue": "lusd", "size": {"fixed": size},
         "parameters": {"ltv": ltv, "comfort": 0.01}}
        for order, (size, ltv) in enumerate(owners)
    ]  # fmt: skip
    data = {
        "name": "stability", "steps": 10, "feedback": "local", "prices": "constant", "impact": "linear",
        "assets": {"ETH": {"price": 200.0}, "MKR": {"price": 250.0}}, "shocks": shocks,
        "protocols": {"lusd": lusd, "pool": {"kind": "vault", "deposits": deposits,
                                             "holds": {"lusd": deposits, "ETH": 0.0}}},
        "traders": [*groups, KEEPER],
    }  # fmt: skip
    return ContagionModel(Scenario.model_validate(data | parts), rng=1)


def gap(size: float) -> list[dict[str, Any]]:
    return [{"at": 2, "kind": "price_gap", "asset": "ETH", "size": size}]


def units(run: ContagionModel, agent: str, asset: str) -> float:
    state = run.world.state
    return float(state.holdings.units[run.world.bookkeeper.slot(run.world.agent_rows[agent], state.assets.row(asset))])


def loan(run: ContagionModel, name: str) -> tuple[float, float]:
    """Collateral and debt. [units, USD]"""
    state = run.world.state
    start = state.accounts.start[state.agents.account_start[run.world.agent_rows[name]]]
    return float(state.positions.units[start]), -float(state.positions.units[start + 1])


def test_deposits_pay_off_a_loan_for_its_collateral():
    # 200 ETH at 130 carry 26,000 / 1.1 = 23,636 < 24,000. The keeper gets 1 ETH, the pool 199 for 24,000 burned:
    # (30,000 - 24,000 + 199 x 130) / 30,000 a share.
    run = model(30_000.0, [(40_000.0, 0.6), (4e5, 0.4)], gap(-0.35))
    run.run()
    assert units(run, "pool", "lusd") == pytest.approx(6_000)
    assert units(run, "pool", "ETH") == pytest.approx(199)
    assert loan(run, "owner_0") == pytest.approx((0.0, 0.0))
    assets = run.world.state.assets
    assert assets.fundamental[assets.row("pool")] == pytest.approx((6_000 + 199 * 130) / 30_000)
    assert assets.fundamental[assets.row("lusd")] == pytest.approx(1.0)
    assert assets.supply[assets.row("lusd")] == pytest.approx(160_000)  # what the other still owes


def test_what_deposits_do_not_cover_goes_to_the_others_by_their_collateral():
    # 12,000 of 24,000 are covered for 99.5 ETH; the rest goes 1 : 3 to 1,000 and 3,000 ETH.
    run = model(12_000.0, [(40_000.0, 0.6), (2e5, 0.2), (6e5, 0.2)], gap(-0.35))
    run.run()
    assert units(run, "pool", "lusd") == 0.0 and units(run, "pool", "ETH") == pytest.approx(99.5)
    assert loan(run, "owner_1") == pytest.approx((1_000 + 99.5 / 4, 40_000 + 3_000))
    assert loan(run, "owner_2") == pytest.approx((3_000 + 3 * 99.5 / 4, 120_000 + 9_000))
    assert run.world.counters["redistributed_debt"] == pytest.approx(12_000)


def test_below_the_recovery_ratio_deposits_take_the_riskiest_of_the_safe_loans():
    """At 184 USD all loans together have 128,800 / 88,000 = 146%, less than 150%, the second 92,000 / 64,000 = 144%:
    the keeper gets 2.5 ETH, the pool 110% of the debt, 70,400 / 184 = 382.6, the owner what is left of 500."""
    run = model(70_000.0, [(40_000.0, 0.6), (1e5, 0.64)], gap(-0.08))
    run.run()
    assert loan(run, "owner_0") == pytest.approx((200.0, 24_000.0))
    assert loan(run, "owner_1") == (0.0, 0.0)
    assert units(run, "pool", "lusd") == pytest.approx(6_000)
    assert units(run, "pool", "ETH") == pytest.approx(70_400 / 184)
    assert units(run, "owner_1", "ETH") == pytest.approx(500 - 2.5 - 70_400 / 184)
    # Deposits that do not cover it whole leave it alone.
    run = model(60_000.0, [(40_000.0, 0.6), (1e5, 0.64)], gap(-0.08))
    run.run()
    assert loan(run, "owner_1") == pytest.approx((500.0, 64_000.0))


def test_redemptions_hold_the_price_at_par_less_the_fee():
    """The stablecoin falls by 4%; buying 0.96 q dollars of it moves it by 1% for each 20,000. With a fee of 0.5% the
    gain is q (0.995 - 0.96 (1 + 2.4e-7 q)): a loss for the 200,000 there are, 1,196 for half, 1,174 for a quarter."""
    run = model(0.0, [(40_000.0, 0.6), (4e5, 0.44)], [{"at": 2, "kind": "depeg", "asset": "lusd", "size": -0.04}],
                lusd={"depth": 20_000.0, "peg_half_life": "1000D"}, steps=2)  # fmt: skip
    run.run()
    # The riskiest first: all 24,000 of the first owner for 120 ETH, the rest out of the second.
    redeemed = run.world.counters["redeemed_at_par"]
    assert redeemed == pytest.approx(100_000)
    assert loan(run, "owner_0") == pytest.approx((80.0, 0.0), abs=1e-6)
    assert loan(run, "owner_1") == pytest.approx((2_000 - (redeemed - 24_000) / 200, 176_000 - (redeemed - 24_000)))
    assert units(run, "lusd/reserve", "ETH") == pytest.approx(0.005 * redeemed / 200)
    gain = redeemed * (0.995 - 0.96 * (1 + 2.4e-7 * redeemed))
    assert run.world.state.agents.cash[run.world.agent_rows["keeper"]] == pytest.approx(1e6 + gain)


def test_a_pool_that_cannot_hold_the_collateral_is_explained():
    with pytest.raises(InputError, match=r"liquidation\.vaults"):
        model(0.0, [(40_000.0, 0.6)], [], liquidation={"vaults": ["poll"]})


def test_surplus_buys_the_token_back():
    # 60,000 of surplus, 50,000 stay, two lots of 5,000: 1,000,000 tokens at 250 gain 0.01 each.
    auction = {"buffer": 50_000.0, "lot": 5_000.0, "token": "MKR", "supply": 1e6}
    run = model(0.0, [(4e5, 0.4)], [], lusd={"reserve": {"size": 60_000.0}, "surplus_auction": auction})
    run.run()
    assert units(run, "lusd/reserve", "lusd") == pytest.approx(50_000)
    assert run.world.state.assets.index[run.world.state.assets.row("MKR")] == pytest.approx(250.01)
    assert run.world.counters["tokens_destroyed.lusd"] == pytest.approx(10_000 / 250.01)


def test_dear_gas_leaves_out_who_does_not_follow():
    # 90 wanted where 60 fit: the square of 1.5. Whoever offers the calm price plus a tenth is out; 2.25 gets in.
    assert gas_multiple(90.0, Chain(capacity=60, exponent=2.0)) == pytest.approx(2.25)
    assert gas_multiple(30.0, Chain(capacity=60, exponent=2.0)) == 1.0
    run = model(0.0, [(4e5, 0.4)], [], chain={"capacity": 60, "others": 50, "exponent": 2.0})
    congestion = Congestion(run.world, run.scenario.chain)
    run.world.step = 1
    congestion.open_step(40.0)
    assert congestion.multiple == pytest.approx(2.25)
    assert not congestion.admits(0.1, 100.0) and congestion.admits(1.25, 100.0) and not congestion.admits(9.0, 2.0)
    run.world.step = 2  # everybody knows the price of the step before now
    congestion.open_step(40.0)
    assert congestion.last == pytest.approx(2.25) and congestion.admits(0.0, 100.0)


def test_a_keeper_who_is_left_out_closes_nothing_and_who_gets_in_pays():
    chain = {"capacity": 60.0, "others": 59.0, "exponent": 1.0}  # one loan makes 60 of 60, the multiple is 1
    assert "loan_liquidations" in run_with(chain).world.counters
    crowded = {"capacity": 60.0, "others": 119.0, "exponent": 1.0}  # 120 of 60, and 119 of 60 the step before
    run = run_with(crowded, gas_limit=1.9)
    assert "loan_liquidations" not in run.world.counters and run.world.counters["keepers_left_out"] > 0
    run = run_with(crowded, gas_limit=5.0, gas=7.0)
    assert run.world.counters["loan_liquidations"] == 1
    # 1 ETH at 130 for 7 x 2 of gas.
    assert run.world.counters["keeper_profit"] == pytest.approx(130 - 14)


def run_with(chain: dict[str, float], **keeper: float) -> ContagionModel:
    group = KEEPER | {"parameters": {"gas": 0.0} | keeper}
    owners = [
        {"archetype": "borrower", "name": f"owner_{order}", "venue": "lusd", "size": {"fixed": size},
         "parameters": {"ltv": ltv, "comfort": 0.01}}
        for order, (size, ltv) in enumerate([(40_000.0, 0.6), (4e5, 0.4)])
    ]  # fmt: skip
    run = model(30_000.0, [(40_000.0, 0.6)], gap(-0.35), chain=chain, traders=[*owners, group])
    run.run()
    return run


@settings(max_examples=50)
@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=6), st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_nothing_is_lost_between_depositors_and_the_rest(deposits, debt, collateral):
    split = offset(np.array(deposits), debt, collateral)
    assert split.burned.sum() + split.debt_left == pytest.approx(debt)
    assert split.gained.sum() + split.collateral_left == pytest.approx(collateral)
    assert (split.burned <= np.array(deposits) * (1 + 1e-12)).all()
    if split.debt_left > 0.0:
        assert split.collateral_left / collateral == pytest.approx(split.debt_left / debt, abs=1e-9)
    assert redistribution(np.array([1.0, 3.0]), 8.0).tolist() == [2.0, 6.0]
