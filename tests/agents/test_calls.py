from __future__ import annotations

import numpy as np
import pytest
from agent_worlds import MAKER, group, make_world, mark, move

from contagion.agents.calls import MarginCalls
from contagion.state.codes import AccountFlag

# Maintenance 0.5% and a warning at twice that: a position of 1e5 is called below an equity of 1,000.
TOP_UP = {"top_up": 1.0, "reduce": 0.0, "ignore": 0.0}
REDUCE = {"top_up": 0.0, "reduce": 1.0, "ignore": 0.0}
IGNORE = {"top_up": 0.0, "reduce": 0.0, "ignore": 1.0}


def world_at(factor: float, count: int = 1, **more):
    """Longs of one unit with equity 2e4 at 1e5, after a move of the index by `factor`, and what is below warning."""
    world = make_world([group("passive", count, long_share=1.0, delay=0, **more), MAKER])
    mark(world)
    move(world, "BTC", factor)
    return world, mark(world)


def account(world) -> int:
    return int(world.groups[0].accounts[0])


def test_strictly_below_the_warning_level():
    # at 80,800: equity 800 = 2 x 0.5% x 80,800 - 8; at 81,000: equity 1,000 > 810
    for factor, warned in ((0.81, 0), (0.808, 1)):
        world, audit = world_at(factor, answers=IGNORE)
        assert len(audit.warned) == warned
        MarginCalls(world).run(audit.warned)
        assert world.counters.get("margin_calls", 0.0) == warned
    level = MarginCalls(world)
    accounts = np.array([account(world)])
    world.state.accounts.flags[:] = 0
    world.state.accounts.equity[accounts] = 2.0 * world.state.accounts.requirement[accounts]
    assert level.run(accounts) is False
    assert world.counters["margin_calls"] == 1.0  # equal to the level is not below it


def test_quiet_is_quiet():
    world, audit = world_at(1.0)
    calls = MarginCalls(world)
    assert calls.run(audit.warned) is False
    assert world.counters == {}


def test_a_top_up_brings_the_account_to_the_warning_level():
    world, audit = world_at(0.808, wallet=1.0, answers=TOP_UP)
    assert MarginCalls(world).run(audit.warned) is True
    # equity 800, level 808: 8 USD from the wallet of 20,000
    owner = world.groups[0].agents.start
    assert world.state.agents.cash[owner] == pytest.approx(19_992.0)
    assert {name: world.counters[name] for name in ("margin_calls", "calls_met")} == {"margin_calls": 1, "calls_met": 1}
    assert world.counters["top_ups"] == pytest.approx(8.0)
    audit = mark(world)
    assert world.state.accounts.equity[account(world)] == pytest.approx(808.0)
    frame = world.bookkeeper.ledger.frame(world.state.agent_name)
    assert frame["cause"].tolist() == ["top_up", "margin_credit"]
    assert set(frame["phase"]) == {"trade"}


def test_means_limit_a_top_up():
    world, audit = world_at(0.808, wallet=0.0002, answers=TOP_UP)  # 4 USD
    assert MarginCalls(world).run(audit.warned) is True
    assert world.state.agents.cash[world.groups[0].agents.start] == 0.0
    assert world.counters["top_ups"] == pytest.approx(4.0)
    assert world.counters["calls_met"] == 0.0
    mark(world)


def test_two_accounts_of_one_owner_share_a_wallet_pro_rata():
    spec = group(
        "passive", 1, long_share=1.0, delay=0, wallet=0.0006, margin="isolated", assets={"BTC": 1, "ETH": 1},
        answers=TOP_UP,
    )  # fmt: skip
    world = make_world([spec, MAKER], assets=("BTC", "ETH"))
    mark(world)
    # each account: notional 5e4, equity 1e4; the wallet holds 12 USD
    move(world, "BTC", 0.808)  # equity 400, level 404: lacks 4
    move(world, "ETH", 0.806)  # equity 300, level 403: lacks 103
    audit = mark(world)
    assert MarginCalls(world).run(audit.warned)
    mark(world)
    paid = world.state.accounts.equity[world.groups[0].accounts] - [400.0, 300.0]
    assert paid == pytest.approx([12.0 * 4 / 107, 12.0 * 103 / 107])


def test_reducing_closes_the_share_that_equity_cannot_carry():
    world, audit = world_at(0.806, answers=REDUCE)
    assert MarginCalls(world).run(audit.warned) is True
    # equity 600, level 806: what is left is 600 / 806 of a unit
    ((_, units),) = world.market.asked
    assert units == pytest.approx([-(1 - 600 / 806)])
    assert world.counters["calls_reduced"] == 1.0
    mark(world)
    state, row = world.state, account(world)
    assert state.accounts.equity[row] == pytest.approx(2.0 * state.accounts.requirement[row])


def test_orders_can_be_left_to_join_the_intents():
    world, audit = world_at(0.806, answers=REDUCE)
    calls = MarginCalls(world)
    assert calls.run(audit.warned, execute=False) is False
    assert world.market.asked == []
    rows, units = calls.orders
    assert units == pytest.approx([-(1 - 600 / 806)])
    assert world.state.positions.account[rows].tolist() == [account(world)]
    world.step += 1
    calls.run(audit.warned, execute=False)
    assert len(calls.orders[0]) == 0  # handed in once


def test_ignoring_changes_nothing_and_is_counted_once():
    world, audit = world_at(0.808, answers=IGNORE, wallet=1.0)
    calls = MarginCalls(world)
    for _ in range(3):
        assert calls.run(audit.warned) is False
        world.step += 1
    assert world.counters == {"margin_calls": 1.0, "calls_ignored": 1.0}
    assert len(world.bookkeeper.ledger) == 0


def test_the_answer_comes_after_the_delay():
    world = make_world([group("passive", 1, long_share=1.0, delay=2, wallet=1.0, answers=TOP_UP), MAKER])
    mark(world)
    move(world, "BTC", 0.808)
    audit = mark(world)
    calls, row = MarginCalls(world), account(world)
    assert calls.run(audit.warned) is False
    assert world.state.accounts.due[row] == 3
    assert world.state.accounts.flags[row] & AccountFlag.CALLED
    world.step = 2
    assert calls.run(audit.warned) is False
    world.step = 3
    assert calls.run(audit.warned) is True
    assert world.counters["margin_calls"] == 1.0


@pytest.mark.parametrize("flag", [AccountFlag.CLOSED, AccountFlag.TAKEN_OVER, AccountFlag.BANKRUPT])
def test_who_was_closed_before_the_answer_is_due_does_not_answer(flag):
    world = make_world([group("passive", 1, long_share=1.0, delay=1, wallet=1.0, answers=TOP_UP), MAKER])
    mark(world)
    move(world, "BTC", 0.808)
    calls = MarginCalls(world)
    calls.run(mark(world).warned)
    world.state.accounts.flags[account(world)] |= flag
    world.step += 1
    assert calls.run(np.empty(0, np.int64)) is False
    assert "top_ups" not in world.counters


def test_a_call_ends_with_recovery_and_a_new_one_may_follow():
    world, audit = world_at(0.808, answers=IGNORE)
    calls, row = MarginCalls(world), account(world)
    calls.run(audit.warned)
    move(world, "BTC", 1.2)
    calls.run(mark(world).warned)
    assert not world.state.accounts.flags[row] & AccountFlag.CALLED
    assert world.state.accounts.due[row] == -1
    move(world, "BTC", 1 / 1.2)
    calls.run(mark(world).warned)
    assert world.counters == {"margin_calls": 2.0, "calls_ignored": 2.0}


def test_recovered_before_the_answer_is_due_nothing_is_paid():
    world = make_world([group("passive", 1, long_share=1.0, delay=1, wallet=1.0, answers=TOP_UP), MAKER])
    mark(world)
    move(world, "BTC", 0.808)
    calls = MarginCalls(world)
    calls.run(mark(world).warned)
    move(world, "BTC", 1.1)
    assert calls.run(mark(world).warned) is False
    move(world, "BTC", 1.0)
    calls.run(mark(world).warned)
    assert not world.state.accounts.flags[account(world)] & AccountFlag.CALLED
    assert world.counters == {"margin_calls": 1.0}


def test_answers_are_drawn_by_account_in_the_groups_shares():
    shares = {"top_up": 0.5, "reduce": 0.2, "ignore": 0.3}
    world, audit = world_at(0.808, count=2_000, wallet=1.0, answers=shares)
    MarginCalls(world).run(audit.warned)
    for name, share in (("calls_met", 0.5), ("calls_reduced", 0.2), ("calls_ignored", 0.3)):
        # four standard deviations of a binomial share
        assert world.counters[name] / 2_000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 2_000))
    mark(world)
    # the same people answer in the same way when fewer are called, in any order
    fewer, audit = world_at(0.808, count=2_000, wallet=1.0, answers=shares)
    MarginCalls(fewer).run(audit.warned[:500][::-1])
    owners = slice(world.groups[0].agents.start, world.groups[0].agents.start + 500)
    assert fewer.state.agents.cash[owners].tolist() == world.state.agents.cash[owners].tolist()


def test_top_up_in_a_coin():
    exchange = {"contracts": {"BTC": {"kind": "inverse"}}, "waterfall": [], "warning": 2.0}
    spec = group("passive", 1, long_share=1.0, delay=0, answers=TOP_UP)
    world = make_world([spec, MAKER], exchanges={"perp": exchange})
    mark(world)
    state, owner = world.state, world.groups[0].agents.start
    slot = world.bookkeeper.slot(owner, state.assets.row("BTC"))
    row = account(world)
    state.accounts.equity[row], state.accounts.requirement[row] = 300.0, 250.0  # lacks 200 USD, 0.002 BTC
    for held, paid in ((1.0, 0.002), (0.0005, 0.0005)):
        state.holdings.units[slot] = held
        state.accounts.flags[row] = 0
        before = state.accounts.balance[row]
        assert MarginCalls(world).run(np.array([row])) is True
        assert state.accounts.balance[row] - before == pytest.approx(paid)
        assert state.holdings.units[slot] == pytest.approx(held - paid)


def test_institutions_and_house_accounts_are_not_called():
    world, _ = world_at(0.808, answers=IGNORE)
    house = world.state.books.takeover[0]
    world.state.accounts.equity[house], world.state.accounts.requirement[house] = 1.0, 5.0
    MarginCalls(world).run(np.array([house]))
    assert world.counters == {}
