from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from agent_worlds import MAKER, AtMark, Model, group, make_world, mark, move
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.agents.decisions import Decisions
from contagion.agents.memory import Memory
from contagion.errors import InputError
from contagion.state.codes import AccountFlag

HEDGERS = group("hedger", 4, venue=["perp", "other"], parameters={"threshold": 0.001})
BOTH = MAKER | {"venue": ["perp", "other"]}
FUNDS = group("fund", 4, venue=["perp", "other"], parameters={"lookback": 3, "band": 0.01})


def rows_of(world, name) -> np.ndarray:
    """Positions of a group, shape (members, positions of a member)."""
    found = next(item for item in world.groups if item.name == name)
    start = world.state.accounts.start
    count = found.agents.stop - found.agents.start
    return np.arange(start[found.accounts[0]], start[found.accounts[-1] + 1]).reshape(count, -1)


def test_without_a_trading_rule_nobody_is_asked():
    world = make_world([group("passive"), MAKER])
    decisions = Decisions(world)
    move(world, "BTC", 0.5)
    assert decisions.run() is False
    assert world.market.asked == []


def test_all_orders_execute_in_one_call_and_value_is_kept():
    world = make_world([group("rebalancer", 5, name="one"), group("directional", 5, name="two"), MAKER])
    mark(world)
    decisions = Decisions(world)
    move(world, "BTC", 0.95)
    mark(world)
    assert decisions.run() is True
    assert len(world.market.asked) == 1
    mark(world)
    assert decisions.run() is True  # still half of the way to go
    mark(world)


def test_a_rebalancer_in_a_world():
    world = make_world([group("rebalancer", 1, long_share=1.0), MAKER])
    decisions = Decisions(world)
    move(world, "BTC", 0.9)
    mark(world)
    assert decisions.run()
    # one unit at 90,000; equity 20,000 - 10,000; goal 5 x 10,000: half of -40,000 USD
    (rows, units), = world.market.asked
    assert rows.tolist() == rows_of(world, "rebalancer")[0].tolist()
    assert units[0] == pytest.approx(-20_000 / 90_000, rel=1e-6)  # the opening leverage is kept in single precision


ARCHETYPES = {
    "directional": [group("directional", 6, parameters={"lookback": 2, "threshold": 0.002}), MAKER],
    "contrarian": [group("directional", 6, parameters={"style": "contrarian", "lookback": 1, "threshold": 0.0}), MAKER],
    "rebalancer": [group("rebalancer", 6, parameters={"band": 0.01}), MAKER],
    "hedger": [HEDGERS, BOTH],
    "fund": [FUNDS, BOTH],
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHETYPES)
@pytest.mark.parametrize("with_model", [False, True])
def test_both_lanes_give_the_same_numbers_to_the_bit(name, with_model):
    asked = []
    for python_lane in (False, True):
        model = Model(ARCHETYPES[name], assets=("BTC", "ETH"))
        world = model.world
        for item in world.groups:
            item.python_lane = python_lane
        mark(world)
        decisions = Decisions(world, model if with_model else None)
        draws = np.random.default_rng(5)
        for _ in range(25):
            for asset in ("BTC", "ETH"):
                move(world, asset, float(np.exp(0.02 * draws.standard_normal())))
            world.state.instruments.basis[:] = 0.01 * draws.standard_normal(len(world.state.instruments.basis))
            mark(world)
            decisions.run()
        assert model.n_views == (len(world.groups[0].accounts) // (2 if "other" in str(ARCHETYPES[name]) else 1)
                                 if python_lane and with_model else 0)  # fmt: skip
        asked.append(world.market.asked)
    assert len(asked[0]) == len(asked[1]) > 3
    for (rows, units), (other_rows, other_units) in zip(*asked, strict=True):
        assert rows.tolist() == other_rows.tolist()
        assert units.tobytes() == other_units.tobytes()


@pytest.mark.parametrize("archetype", ["Halve", "HalveByRule", "HalveByAgent"])
def test_a_behaviour_of_ones_own(archetype):
    model = Model([group(f"agent_worlds:{archetype}", 2, name="own"), group("passive"), MAKER])
    world = model.world
    before = world.state.positions.units[rows_of(world, "own")].copy()
    mark(world)
    assert Decisions(world, model).run()
    assert world.state.positions.units[rows_of(world, "own")].tolist() == (before / 2).tolist()
    mark(world)


def test_agents_of_a_group_are_built_and_the_others_are_not():
    model = Model([group("agent_worlds:HalveByAgent", 2, name="own"), group("directional", 9), MAKER])
    Decisions(model.world, model).run()
    assert model.n_views == 2
    assert not model.deciding
    with pytest.raises(InputError, match=r"traders\.own"):
        Decisions(model.world).run()


def test_an_observation_holds_only_what_is_seen_and_cannot_be_changed():
    model = Model([group("agent_worlds:HalveByAgent", 1, name="own", wallet=1.0, long_share=1.0), MAKER])
    world = model.world
    decisions = Decisions(world, model)
    move(world, "BTC", 0.9)
    mark(world)
    decisions.run()
    observation = model.view(world.groups[0].agents.start).asked
    (market,) = observation.markets
    assert (observation.step, observation.cash, market.instrument) == (1, 20_000.0, "perp:BTC")
    assert market.prices.tolist() == [100_000.0, 90_000.0]
    assert market.seen.equity == pytest.approx(10_000.0)
    assert market.seen.delta == pytest.approx(90_000.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        observation.step = 3
    with pytest.raises(AttributeError):
        market.seen.equity = 1e9
    with pytest.raises(ValueError, match="read-only"):
        market.prices[0] = 0.0


@pytest.mark.parametrize("parameters", [{"position": 10**6}, {"position": 0}, {"position": -2}])
def test_orders_that_are_not_the_agents_to_give_are_refused(parameters):
    world = make_world([group("agent_worlds:Wild", 1, name="wild", parameters=parameters), MAKER])
    with pytest.raises(InputError, match=r"traders\.wild\.decide"):
        Decisions(world).run()
    assert world.market.asked == []


@pytest.mark.parametrize(
    ("units", "allowed"),
    [
        # equity 20,000 at 1% initial margin carries 2e6 USD: 20 units of 1e5, of which one is held
        (100.0, 19.0), (-100.0, -21.0), (5.0, 5.0), (-0.5, -0.5), (-1.0, -1.0),
    ],
)  # fmt: skip
def test_initial_margin_cuts_orders(units, allowed):
    parameters = {"position": -1, "units": units}
    world = make_world([group("agent_worlds:Wild", 1, name="wild", long_share=1.0, parameters=parameters), MAKER])
    Decisions(world).run()
    assert world.market.asked[0][1] == pytest.approx([allowed])


def test_tiers_raise_initial_margin():
    tiers = [{"floor": 0, "maintenance": 0.005, "initial": 0.01}, {"floor": 1e6, "maintenance": 0.02, "initial": 0.1}]
    exchange = {"contracts": {"BTC": {"tiers": tiers}}, "waterfall": []}
    parameters = {"position": -1, "units": 100.0}
    world = make_world(
        [group("agent_worlds:Wild", 1, name="wild", long_share=1.0, parameters=parameters), MAKER],
        exchanges={"perp": exchange},
    )  # fmt: skip
    Decisions(world).run()
    # below 1e6 USD 1% is asked, from there 10%: 20,000 carries just under 10 units
    assert world.market.asked[0][1] == pytest.approx([9.0])


def test_an_account_that_lacks_initial_margin_may_only_reduce():
    for units, expected in ((3.0, []), (-0.25, [-0.25]), (-2.0, [-1.5])):
        parameters = {"position": -1, "units": units}
        world = make_world([group("agent_worlds:Wild", 1, name="wild", long_share=1.0, parameters=parameters), MAKER])
        world.state.accounts.equity[world.groups[0].accounts] = 500.0  # 1,000 is the initial margin of one unit
        Decisions(world).run()
        assert [unit for _, done in world.market.asked for unit in done] == expected


@settings(max_examples=30, deadline=None)
@given(units=st.floats(-300.0, 300.0), equity=st.floats(-1e4, 1e5))
def test_no_order_takes_an_account_beyond_initial_margin(units, equity):
    parameters = {"position": -1, "units": units}
    world = make_world([group("agent_worlds:Wild", 1, name="wild", long_share=1.0, parameters=parameters), MAKER])
    world.state.accounts.equity[world.groups[0].accounts] = equity
    Decisions(world).run()
    done = float(sum(asked[1].sum() for asked in world.market.asked))
    assert abs(1.0 + done) * 1e5 * 0.01 <= max(equity, 1_000.0) * (1 + 1e-9)
    assert done * units >= 0.0
    assert abs(done) <= abs(units)


@pytest.mark.parametrize("flag", [AccountFlag.CLOSED, AccountFlag.TAKEN_OVER, AccountFlag.BANKRUPT])
@pytest.mark.parametrize("archetype", ["agent_worlds:Halve", "agent_worlds:HalveByRule", "rebalancer"])
def test_closed_accounts_and_halted_venues_trade_nothing(archetype, flag):
    parameters = {"target_leverage": 1.0} if archetype == "rebalancer" else {}
    world = make_world([group(archetype, 2, name="own", parameters=parameters), MAKER])
    decisions = Decisions(world)
    account = world.groups[0].accounts[0]
    world.state.accounts.flags[account] |= flag
    assert decisions.run()
    assert world.state.positions.account[world.market.asked[0][0]].tolist() == [account + 1]
    world.halted[world.agent_rows["perp"]] = world.step
    assert not decisions.run()
    world.step += 1
    assert decisions.run()


@pytest.mark.parametrize(
    ("taken_over", "expected"),
    # half a unit of one unit of spot lost its hedge: rebuilt by both legs, or by the one that can still trade
    [(False, [-0.25, -0.25]), (True, [-0.5])],
)
def test_a_hedger_rebuilds_what_was_deleveraged(taken_over, expected):
    world = make_world([group("hedger", 1, venue=["perp", "other"]), BOTH])
    mark(world)
    decisions = Decisions(world)
    assert not decisions.run()  # short at two venues as much as it holds
    first, second = rows_of(world, "hedger")[0]
    state = world.state
    assert state.positions.units[[first, second]].tolist() == [-0.5, -0.5]
    state.positions.units[first] = 0.0
    if taken_over:
        state.accounts.flags[state.positions.account[first]] |= AccountFlag.TAKEN_OVER
    assert decisions.run()
    (rows, units), = world.market.asked
    assert rows.tolist() == ([second] if taken_over else [first, second])
    assert units == pytest.approx(expected)


def test_answers_to_calls_join_the_orders_and_replace_the_bets_of_their_account():
    world = make_world([group("agent_worlds:Halve", 2, name="own", long_share=1.0), MAKER])
    rows = rows_of(world, "own").ravel()
    assert Decisions(world).run(rows[:1], np.array([-0.125]))
    (asked, units), = world.market.asked
    assert dict(zip(asked.tolist(), units.tolist(), strict=True)) == {rows[0]: -0.125, rows[1]: -0.5}


def test_unfilled_orders_change_nothing():
    world = make_world([group("agent_worlds:Halve", 2, name="own"), MAKER])

    class Empty(AtMark):
        def execute(self, positions, units, cause):
            return np.zeros(len(units))

    world.market = Empty(world)
    assert Decisions(world).run() is False


def test_more_orders_than_room_are_all_handed_in():
    world = make_world([group("rebalancer", 400, parameters={"target_leverage": 1.0}), MAKER])
    Decisions(world).run()
    assert len(world.market.asked[0][0]) == 400


def test_memory_of_prices():
    world = make_world([group("passive"), MAKER])
    memory = Memory(world, [2, 4])
    row = world.state.assets.row("BTC")
    dt = world.dt_years
    for _ in range(2):
        move(world, "BTC", 1.1)
        memory.update()
        memory.update()  # a step is taken in once
    change, normal = np.log(1.1) ** 2, 0.6**2 * dt
    assert memory.past[:, row] == pytest.approx([100_000.0, 100_000.0])
    # two returns known; the other two of the longer window count as normal
    expected = [np.sqrt(change / dt), np.sqrt((2 * change + 2 * normal) / 4 / dt)]
    assert memory.volatility[:, row] == pytest.approx(expected)
    assert memory.window(1, row) == pytest.approx([100_000.0, 110_000.0, 121_000.0])
    for _ in range(4):
        move(world, "BTC", 1.0)
        memory.update()
    assert memory.volatility[:, row] == pytest.approx([0.0, 0.0])
    assert memory.past[:, row] == pytest.approx([121_000.0, 121_000.0])
    assert memory.volatility[0, 0] == 0.0  # USD
