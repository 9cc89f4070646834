"""Pools that lend a coin: 1,000 ether of 1,000 USD supplied, lent against DAI at a threshold of 0.8."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import audit, build, debt_of, rows, set_price

from contagion.model import ContagionModel
from contagion.protocols import verbs
from contagion.protocols.interest import utilisation
from contagion.protocols.lending import Lending
from contagion.protocols.liquidity import liquidity
from contagion.scenario.loader import load_scenario
from contagion.state.codes import Cause

ASSETS = {"ETH": {"price": 1000.0}, "DAI": {"price": 1.0}}


def pool(**changes) -> dict:
    return {
        "kind": "lending_pool", "asset": "ETH", "supplied": 1e6, "oracle": {"deviation": 0.0},
        "collateral": {"DAI": {"ltv": 0.75, "liquidation_threshold": 0.8, "bonus": 0.05}},
    } | changes  # fmt: skip


def short(**keeper):
    """A borrower of 7 ether against 10,000 DAI, and a keeper."""
    return build(assets=ASSETS, protocols={"pool": pool()}, traders=[
        {"archetype": "borrower", "name": "short", "venue": "pool", "size": {"fixed": 1e4}, "parameters": {"ltv": 0.7}},
        {"archetype": "keeper", "venue": "pool", "capital": 1e6,
         "parameters": {"gas": 0.0, "spot_depth": 1e15} | keeper},
    ])  # fmt: skip


def coins(world, name: str = "pool") -> float:
    slot = world.bookkeeper.slot(world.agent_rows[name], world.state.assets.row("ETH"))
    return float(world.state.holdings.units[slot])


def test_what_is_supplied_and_not_lent_is_there_in_coins():
    world = short()
    assert coins(world) == pytest.approx(993.0)
    assert liquidity(world, world.venues["pool"]) == pytest.approx(993_000.0)
    assert utilisation(world, world.venues["pool"]) == pytest.approx(0.007)
    assert debt_of(world, "short")[1] == pytest.approx(7_000.0)


def test_a_short_is_liquidated_when_its_coin_rises():
    """At 1,200 it owes 8,400 against 8,000: health 0.952. Half of it, 3.5 ether, is bought for 4,200 and given back for
    4,410 DAI."""
    world = short()
    set_price(world, "ETH", 1_200.0)
    audit(world)
    assert Lending(world).liquidate()
    audit(world)
    assert coins(world) == pytest.approx(996.5)
    assert debt_of(world, "short")[1] == pytest.approx(4_200.0)
    assert world.counters["keeper_profit"] == pytest.approx(210.0)
    assert rows(world, Cause.REPAYMENT) == [
        ("keeper:0", "pool", pytest.approx(4_200)), ("pool", "short:0", pytest.approx(4_200)),
    ]  # fmt: skip


def test_a_coin_dearer_than_the_oracle_says_makes_it_cost_more():
    """The oracle says 1,200, the market 1,250: 3.5 ether cost 4,375 for collateral of 4,410."""
    world = short()
    set_price(world, "ETH", 1_200.0)
    audit(world)
    assets = world.state.assets
    assets.market[assets.row("ETH")] = 1_250.0
    assert Lending(world).liquidate()
    audit(world)
    assert world.counters["keeper_profit"] == pytest.approx(35.0)
    assert coins(world) == pytest.approx(996.5)
    world = short()
    set_price(world, "ETH", 1_200.0)
    audit(world)
    assets = world.state.assets
    assets.market[assets.row("ETH")] = 1_270.0  # 3.5 ether for 4,445
    assert not Lending(world).liquidate()


def test_repaying_and_borrowing_are_in_coins():
    world = short()
    row, _ = debt_of(world, "short")
    set_price(world, "ETH", 2_000.0)
    audit(world)
    world.state.agents.cash[world.agent_rows["short"]] += 4_000.0
    world.state.agents.worth[world.agent_rows["short"]] += 4_000.0
    verbs.repay(world.bookkeeper, row, 4_000.0)
    audit(world)
    assert debt_of(world, "short")[1] == pytest.approx(10_000.0)
    assert coins(world) == pytest.approx(995.0)
    verbs.borrow(world.bookkeeper, row, 6_000.0)
    audit(world)
    assert debt_of(world, "short")[1] == pytest.approx(16_000.0)
    assert coins(world) == pytest.approx(992.0)


def test_depositors_get_their_coins_worth():
    """Ether falls by half, which frightens a depositor: for 100,000 it gets 50,000, sold out of the pool's ether."""
    depositor = {"archetype": "depositor", "venue": "pool", "capital": 1e5, "parameters": {"tolerance": 0.01}}
    data = {
        "name": "coins", "steps": 2, "assets": ASSETS, "prices": "constant",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.5}],
        "protocols": {"pool": pool(supplied=0.0)}, "traders": [depositor],
    }  # fmt: skip
    model = ContagionModel(load_scenario(data), rng=1)
    model.step()
    assert model.world.state.agents.cash[model.world.agent_rows["depositor"]] == pytest.approx(5e4)
    assert coins(model.world) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(
    rise=st.floats(-0.5, 2.0), depeg=st.floats(-0.3, 0.1),
    design=st.sampled_from(["close_factor", "absorb", "incentive_by_threshold", "health_discount"]),
)
def test_books_add_up_whatever_the_coin_does(rise, depeg, design):
    """Every step's audit finds every net worth, with liquidations, bad debt, repayments and withdrawals."""
    data = {
        "name": "coins", "steps": 4, "assets": ASSETS,
        "shocks": [
            {"at": 1, "kind": "price_gap", "asset": "ETH", "size": rise},
            {"at": 2, "kind": "depeg", "asset": "ETH", "size": depeg},
        ],
        "protocols": {"pool": pool(liquidation=design)},
        "traders": [
            {"archetype": "borrower", "count": 5, "venue": "pool", "size": {"fixed": 1e5}, "wallet": 0.05,
             "leverage": {"lognormal": [2.5, 0.2]}},
            {"archetype": "depositor", "venue": "pool", "capital": 1e5},
            {"archetype": "keeper", "venue": "pool", "capital": 1e6, "parameters": {"spot_depth": 1e7}},
        ],
    }  # fmt: skip
    ContagionModel(load_scenario(data), rng=1).run()
