from __future__ import annotations

import numpy as np
import pytest
from agent_worlds import group, make_world, mark, move
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.agents.decisions import Decisions
from contagion.state.codes import AccountFlag

DEPTH = 1e6


def makers(count: int = 2, capital: float = 1e6, venue="perp", **parameters) -> dict:
    parameters = {"depth": DEPTH, "stress": 2.0, "lookback": 2, "recovery": 0.25} | parameters
    return {"archetype": "market_maker", "count": count, "venue": venue, "capital": capital, "parameters": parameters}


def at_volatility(world, decisions, ratio: float) -> None:
    """Two steps whose log returns realise `ratio` times the normal volatility; books are not marked anew."""
    size = ratio * 0.6 * np.sqrt(world.dt_years)
    row = world.state.assets.row("BTC")
    for _ in range(2):
        world.step += 1
        world.state.assets.index[row] *= np.exp(size)
        decisions.update_quotes()


def test_in_calm_with_full_capital_the_base_is_quoted():
    world = make_world([group("passive"), makers()])
    Decisions(world).update_quotes()
    assert world.state.makers.depth.tolist() == [DEPTH, DEPTH]
    assert world.state.instruments.depth.tolist() == [2 * DEPTH]


@pytest.mark.parametrize(("ratio", "share"), [(0.5, 1.0), (1.0, 1.0), (2.0, 1 / 3), (3.0, 1 / 5)])
def test_depth_falls_with_volatility_above_normal(ratio, share):
    # 1 / (1 + 2 (ratio - 1)+)
    world = make_world([group("passive"), makers()])
    decisions = Decisions(world)
    at_volatility(world, decisions, ratio)
    assert world.state.makers.depth == pytest.approx([share * DEPTH] * 2)


def test_depth_comes_back_by_a_share_of_the_gap_per_step():
    world = make_world([group("passive"), makers(lookback=2)])
    decisions = Decisions(world)
    at_volatility(world, decisions, 2.0)
    low = world.state.makers.depth[0]
    assert low == pytest.approx(DEPTH / 3)
    for _ in range(2):  # calm again once both moves have left the window
        world.step += 1
        decisions.memory.update()
    decisions.update_quotes()
    assert world.state.makers.depth[0] == pytest.approx(low + 0.25 * (DEPTH - low))


def test_losses_on_one_venue_shrink_quotes_on_all():
    world = make_world([group("passive", venue=["perp", "other"]), makers(1, venue=["perp", "other"])])
    state = world.state
    state.accounts.balance[state.makers.account[0]] -= 250_000.0  # a quarter of the capital
    Decisions(world).update_quotes()
    assert state.makers.depth == pytest.approx([0.75 * DEPTH] * 2)
    state.accounts.balance[state.makers.account[0]] -= 1e9  # that account is gone, the other half is left
    Decisions(world).update_quotes()
    assert state.makers.depth == pytest.approx([0.5 * DEPTH] * 2)


def test_gains_do_not_raise_quotes_above_the_base():
    world = make_world([group("passive"), makers(1)])
    world.state.accounts.balance[world.state.makers.account] += 1e6
    Decisions(world).update_quotes()
    assert world.state.makers.depth.tolist() == [DEPTH]


def test_withdrawn_and_closed_quotes_are_not_there():
    world = make_world([group("passive"), makers(3)])
    state = world.state
    state.makers.withdrawn[0] = 0.9
    state.accounts.flags[state.makers.account[1]] |= AccountFlag.TAKEN_OVER
    Decisions(world).update_quotes()
    assert state.makers.depth == pytest.approx([0.1 * DEPTH, 0.0, DEPTH])
    assert state.instruments.depth == pytest.approx([1.1 * DEPTH])


def test_makers_of_two_groups_keep_their_own_parameters():
    world = make_world([group("passive"), makers(1, stress=0.0), makers(1, stress=4.0), group("directional")])
    decisions = Decisions(world)
    at_volatility(world, decisions, 2.0)
    assert world.state.makers.depth == pytest.approx([DEPTH, DEPTH / 5])


def test_without_makers_nothing_is_quoted():
    world = make_world([], exchanges={})
    decisions = Decisions(world)
    decisions.update_quotes()
    assert decisions.run() is False


@settings(max_examples=25, deadline=None)
@given(
    loss=st.floats(0.0, 1e8), withdrawn=st.floats(0.0, 1.0),
    factors=st.lists(st.floats(0.5, 2.0), min_size=1, max_size=5),
)  # fmt: skip
def test_depth_is_never_negative_nor_above_the_base(loss, withdrawn, factors):
    world = make_world([group("passive"), makers()])
    decisions = Decisions(world)
    state = world.state
    state.accounts.balance[state.makers.account] -= loss
    state.makers.withdrawn[:] = withdrawn
    for factor in factors:
        move(world, "BTC", factor)
        decisions.update_quotes()
        assert (state.makers.depth >= 0.0).all()
        assert (state.makers.depth <= DEPTH).all()
        assert state.instruments.depth[0] == pytest.approx(state.makers.depth.sum())


def test_quotes_do_not_touch_the_books():
    world = make_world([group("directional"), makers()])
    decisions = Decisions(world)
    move(world, "BTC", 0.97)
    decisions.update_quotes()
    mark(world)
