from __future__ import annotations

import pytest
from agent_worlds import make_world, mark, move

from contagion.agents.decisions import Decisions
from contagion.state.codes import InstrumentKind

TERMS = {"ltv": 0.7, "liquidation_threshold": 0.8}
POOL = {
    "pool": {
        "kind": "lending_pool", "supplied": 1e6, "collateral": {"BTC": TERMS}, "oracle": {"deviation": 0.0},
    }
}  # fmt: skip


def world_with(wallet: float, comfort: float = 1.25, count: int = 1):
    """Collateral of 1e5 USD and a debt of 6e4: health 0.8 x 1e5 / 6e4 = 1.333."""
    borrowers = {
        "archetype": "borrower", "count": count, "venue": "pool", "size": {"fixed": 1e5}, "wallet": wallet,
        "parameters": {"ltv": 0.6, "comfort": comfort},
    }  # fmt: skip
    world = make_world([borrowers], protocols=POOL, exchanges={})
    mark(world)
    return world


def debt(world) -> list[float]:
    kind = world.state.instruments.kind[world.state.positions.instrument]
    return (-world.state.positions.units[kind == InstrumentKind.DEBT]).tolist()


def test_a_comfortable_borrower_does_nothing():
    world = world_with(1.0)
    assert Decisions(world).run() is False
    assert debt(world) == [60_000.0]
    assert world.counters == {}


def test_health_is_brought_back_to_comfort():
    world = world_with(1.0)
    move(world, "BTC", 0.9)
    mark(world)
    # risk-adjusted collateral 0.8 x 9e4 = 72,000; health 1.2; debt at 1.25 is 57,600
    assert Decisions(world).run() is True
    assert debt(world) == pytest.approx([57_600.0])
    assert world.counters["repaid"] == pytest.approx(2_400.0)
    mark(world)
    assert world.bookkeeper.ledger.frame(world.state.agent_name)["cause"].tolist() == ["top_up", "margin_credit"]
    assert Decisions(world).run() is False


def test_the_wallet_is_the_limit():
    world = world_with(0.01)  # 1% of the own 40,000 or of the collateral: less than what is needed
    cash = float(world.state.agents.cash[world.groups[0].agents.start])
    assert 0.0 < cash < 2_400.0
    move(world, "BTC", 0.9)
    mark(world)
    assert Decisions(world).run() is True
    assert debt(world) == pytest.approx([60_000.0 - cash])
    assert world.state.agents.cash[world.groups[0].agents.start] == 0.0
    mark(world)
    assert Decisions(world).run() is False


def test_a_loan_at_comfort_is_left_alone_and_one_under_water_is_repaid_at_most():
    world = world_with(10.0, comfort=1.2)
    move(world, "BTC", 0.9)
    world.state.accounts.equity[-1], world.state.accounts.requirement[-1] = 30_000.0, 18_000.0  # health 1.2, exactly
    assert Decisions(world).run() is False
    world.state.accounts.equity[-1] = -70_000.0
    assert Decisions(world).run() is True
    assert debt(world) == [0.0]
