"""Margin calls answered with money that has to cross to the venue."""

from __future__ import annotations

import pytest

from contagion.model import ContagionModel


def called(gaps: list[float], *, count: int = 1, **transfer) -> ContagionModel:
    """Longs of 1,000 with 100 of margin and 500 in their wallets; calls below 1.5 times the requirement of 5%.

    They answer in the step after the call. Prices gap by `gaps` in the steps from 1 on.
    """
    return ContagionModel({
        "name": "transfers", "steps": 8, "dt": "1h", "prices": "constant", "impact": "linear",
        "feedback": "none", "assets": {"ETH": {"price": 1000.0}},
        "exchanges": {"perp": {"contracts": {"ETH": {"tiers": [{"floor": 0, "maintenance": 0.05, "initial": 0.05}]}},
                               "warning": 1.5, "funding": None, "liquidation": {}}},
        "traders": [
            {"archetype": "passive", "name": "long", "venue": "perp", "count": count, "size": {"fixed": 1000.0},
             "leverage": {"fixed": 10}, "long_share": 1.0, "wallet": 5.0, "delay": 1, "answers": {"top_up": 1.0},
             "transfer": transfer},
            {"archetype": "market_maker", "venue": "perp", "capital": 1e8, "parameters": {"depth": 1e9}},
        ],
        "shocks": [{"at": 1 + order, "kind": "price_gap", "asset": "ETH", "size": size}
                   for order, size in enumerate(gaps) if size],
    }, rng=3)  # fmt: skip


def balance(model: ContagionModel) -> float:
    return float(model.world.state.accounts.balance[model.world.groups[0].accounts].sum())


def go(model: ContagionModel, steps: int) -> None:
    for _ in range(steps):
        model.step()


def test_money_that_crosses_arrives_after_its_steps():
    """At 960 equity is 60 and the level 1.5 * 48 = 72: 12 are sent in step 2. The balance was 100 - 1,000."""
    there = called([-0.04])
    go(there, 2)
    assert balance(there) == pytest.approx(-900 + 12)
    crossing = called([-0.04], steps=3)
    go(crossing, 4)
    assert balance(crossing) == -900.0
    go(crossing, 1)
    assert balance(crossing) == pytest.approx(-900 + 12)
    assert crossing.world.counters["top_ups"] == pytest.approx(12.0)
    assert crossing.world.counters["transfers_sent"] == 1


def test_a_second_move_finds_the_account_without_the_money_under_way():
    """At 960 * 0.98 = 940.8 equity is 40.8 below a requirement of 47.04; with the 12 it would be 52.8."""
    there, crossing = called([-0.04, 0.0, -0.02]), called([-0.04, 0.0, -0.02], steps=3)
    go(there, 6)
    go(crossing, 6)
    assert there.world.counters.get("liquidations", 0.0) == 0.0
    assert crossing.world.counters["liquidations"] == 1.0
    assert crossing.world.state.agents.cash[crossing.world.groups[0].agents].sum() >= 500.0 - 12.0


def test_money_that_fails_is_stuck_and_then_free_again():
    model = called([-0.04], failure=1.0, steps=1, returns=2)
    go(model, 4)
    owner = model.world.state.accounts.owner[model.world.groups[0].accounts]
    transfers = model.calls._transfers
    assert balance(model) == -900.0
    assert transfers.promised(owner, 0).tolist() == pytest.approx([12.0])
    go(model, 1)
    assert transfers.promised(owner, 0).tolist() == [0.0]
    assert model.world.counters["transfers_failed"] == 1


def test_a_share_of_transfers_fails():
    model = called([-0.04], count=400, steps=1, failure=0.25)
    go(model, 4)
    assert model.world.counters["transfers_sent"] == 400
    # 100 expected, standard deviation 8.7.
    assert 65 < model.world.counters["transfers_failed"] < 135
    arrived = 400 - model.world.counters["transfers_failed"]
    assert model.world.counters["top_ups"] == pytest.approx(12.0 * arrived)


def test_a_run_and_its_steps_are_the_same():
    """Quiet steps end where money under way arrives."""
    stepped, ran = called([-0.04], steps=4), called([-0.04], steps=4)
    go(stepped, 8)
    ran.run()
    assert balance(ran) == balance(stepped) == pytest.approx(-888.0)
