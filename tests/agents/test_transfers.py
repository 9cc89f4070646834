"""Margin calls answered, and loans repaid, with money that has to cross to the venue."""

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


def lent(gap: float, answers_with: str = "repayment", **transfer) -> ContagionModel:
    """10 ether at 1,000 against 7,000 of debt, threshold 0.8; a borrower who wants a health of 1.1 has 5,000."""
    return ContagionModel({
        "name": "transfers", "steps": 8, "dt": "1h", "prices": "constant", "feedback": "none",
        "assets": {"ETH": {"price": 1000.0}},
        "protocols": {"pool": {"kind": "lending_pool", "supplied": 1e5, "rate": {"slope1": 0.0, "slope2": 0.0},
                               "oracle": {"deviation": 0.0},
                               "collateral": {"ETH": {"ltv": 0.78, "liquidation_threshold": 0.8}}}},
        "traders": [{"archetype": "borrower", "venue": "pool", "size": {"fixed": 10_000.0}, "wallet": 0.5,
                     "parameters": {"ltv": 0.7, "comfort": 1.1, "answers_with": answers_with}, "transfer": transfer},
                    {"archetype": "keeper", "venue": "pool", "capital": 1e6,
                     "parameters": {"gas": 0.0, "spot_depth": 1e12}}],
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": gap},
                   {"at": 2, "kind": "price_gap", "asset": "ETH", "size": -0.1}],
    }, rng=3)  # fmt: skip


def debt(model: ContagionModel) -> float:
    return -float(model.world.state.positions.units[model.world.state.accounts.start[1] - 1])


def test_a_repayment_that_crosses_comes_too_late_for_the_keeper():
    """At 950 health is 7,600 / 7,000; 7,000 - 7,600 / 1.1 = 90.9 are sent. At 855 it is 6,840 / 7,000 without them."""
    there, crossing = lent(-0.05), lent(-0.05, steps=3)
    for model in (there, crossing):
        go(model, 1)
    assert debt(there) == pytest.approx(7_600 / 1.1)
    assert debt(crossing) == pytest.approx(7_000.0)
    for model in (there, crossing):
        go(model, 1)
    # With the money at hand the borrower is back at 1.1 before a keeper comes: 6,840 / 1.1.
    assert debt(there) == pytest.approx(6_840 / 1.1)
    assert there.world.counters.get("loan_liquidations", 0.0) == 0.0
    assert crossing.world.counters["loan_liquidations"] == 1.0


def posted(model: ContagionModel) -> tuple[float, float]:
    """Ether in the account, and in the borrower's hands. [units]"""
    state = model.world.state
    slot = model.world.bookkeeper.slot(model.world.agent_rows["borrower"], state.assets.row("ETH"))
    return float(state.positions.units[state.accounts.start[0]]), float(state.holdings.units[slot])


def test_collateral_that_crosses_is_the_senders_until_it_arrives():
    """At 950 health is 7,600 / 7,000; 1.1 needs (7,700 - 7,600) / 0.8 = 125 dollars more, 0.131579 ether."""
    there, crossing = lent(-0.05, "collateral"), lent(-0.05, "collateral", steps=3)
    for model in (there, crossing):
        go(model, 1)
        assert debt(model) == 7_000.0
    assert posted(there) == pytest.approx((10.0 + 125.0 / 950.0, 0.0))
    assert posted(crossing) == pytest.approx((10.0, 125.0 / 950.0))
    assert there.world.counters["collateral_added"] == pytest.approx(125.0)


def test_collateral_that_does_not_settle_is_stuck_and_then_sent_again():
    """It fails each time: bought once, free again after the two steps, and never in the account."""
    model = lent(-0.05, "collateral", steps=1, failure=1.0, returns=1)
    go(model, 1)
    bought = posted(model)[1]
    go(model, 1)  # at 855 more is wanted: (7,700 - 6,840) / 0.8 in all
    assert posted(model)[1] == pytest.approx(860.0 / 0.8 / 855.0) and bought < posted(model)[1]
    assert model.world.counters.get("collateral_added", 0.0) == 0.0
    assert model.world.counters["transfers_failed"] == model.world.counters["transfers_sent"] == 2
