"""Customers of an exchange whose losses show, and what it does when its cash is gone."""

from __future__ import annotations

import numpy as np
import pytest
from protocol_worlds import ILLIQUID, audit, build, set_price

from contagion.allocation.waterfall import Waterfall
from contagion.protocols import verbs
from contagion.protocols.exchange_runs import free_margin
from contagion.protocols.runs import Runs


def exchange(long_size=1_000.0):
    world = build(
        exchanges={"perp": {"waterfall": [], "equity": 0.0, "insurance_fund": {"size": 0.0}}},
        traders=[{"archetype": "directional", "count": 4, "venue": "perp", "size": {"fixed": long_size},
                  "leverage": {"fixed": 2.0}, "long_share": 1.0},
                 {"archetype": "market_maker", "venue": "perp", "capital": 1e5}],
        dt="1h",
    )  # fmt: skip
    audit(world)
    return world


def lose(world, amount):
    """The venue has a recognised deficit, and lost the money."""
    perp = world.agent_rows["perp"]
    world.bookkeeper.open_deficit(perp, 0, 0, amount)
    verbs.theft(world.bookkeeper, perp, amount)
    audit(world)


def test_free_margin():
    """Equity 500 against a notional of 1,000 at 1% initial margin: 490 are free; after a fall of 10%, 400 - 9."""
    world = exchange()
    accounts = np.flatnonzero(world.state.accounts.owner >= world.agent_rows["perp"])[-5:-1]
    assert free_margin(world, accounts) == pytest.approx([490.0] * 4)
    set_price(world, "ETH", 900.0)
    assert free_margin(world, accounts) == pytest.approx([391.0] * 4)


def test_customers_leave_an_exchange_whose_loss_shows():
    world = exchange()
    Waterfall(world)  # knows the deficits that are carried
    runs = Runs(world)
    world.step = 1
    assert not runs.run()
    lose(world, 5_000.0)  # of 102,000 owed: 4.9%
    world.step = 2
    assert not runs.run()  # fright
    world.step = 3
    assert runs.run()
    audit(world)
    assert world.counters["withdrawals_paid"] == pytest.approx(4 * 245.0)
    assert not world.state.agents.status[world.agent_rows["perp"]] & ILLIQUID


def test_exchange_without_cash_stops_paying():
    world = exchange()
    Waterfall(world)  # knows the deficits that are carried
    runs = Runs(world)
    lose(world, 101_500.0)  # 500 of 102,000 are left
    world.step = 1
    runs.run()
    world.step = 2
    assert runs.run()
    audit(world)
    assert world.counters["withdrawals_paid"] == pytest.approx(500.0)
    assert world.state.agents.cash[world.agent_rows["perp"]] == pytest.approx(0.0)
    assert world.state.agents.status[world.agent_rows["perp"]] & ILLIQUID
    world.step = 3
    assert not runs.run()
