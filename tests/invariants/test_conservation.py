"""Whatever the world and whatever happens to it, the books add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_worlds import net_worths, scenarios
from worlds import crisis, scenario

from contagion.model import ContagionModel

FAST = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def check_net_worths(model: ContagionModel) -> None:
    """Net worth recomputed in plain Python is what the result reports, outside's too."""
    agents = model.result().agents
    reported = agents["net_worth"].to_numpy()
    for row, (worth, gross) in enumerate(net_worths(model.world)):
        assert abs(reported[row] - worth) <= 1e-9 * max(1.0, gross + flows(model, row)), agents["agent"][row]


def flows(model: ContagionModel, row: int) -> float:
    rows = model.world.bookkeeper.ledger.rows()
    return float(rows["amount"][(rows["payer"] == row) | (rows["payee"] == row)].sum())


def check_deficits(model: ContagionModel) -> None:
    """Of every root, what the layers bore and what nobody took add to it; no other root is mentioned."""
    roots, ledger = model.world.bookkeeper.deficits, model.result().ledger
    borne = ledger[(ledger["cause"] == "allocation") & (ledger["deficit_id"] >= 0)]
    borne = borne.groupby("deficit_id")["amount"].sum()
    opened = ledger[ledger["cause"] == "deficit"].groupby("deficit_id")["amount"].sum()
    assert set(borne.index) <= set(range(len(roots)))
    for root, amount in enumerate(roots.amount):
        assert borne.get(root, 0.0) == pytest.approx(amount, rel=1e-9, abs=1e-8)
        assert opened.get(root, 0.0) == pytest.approx(amount, rel=1e-12)
    outcomes = model.result().outcomes
    absorbed = sum(value for name, value in outcomes.items() if name.startswith("absorbed."))
    assert absorbed + outcomes["unallocated"] == pytest.approx(sum(roots.amount), rel=1e-9, abs=1e-8)


def check_closed(model: ContagionModel, opening: np.ndarray) -> None:
    """Cash and goods only change hands: with outside in, the changes of all agents add to zero.

    Contracts and claims are somebody's asset and somebody else's liability, so all net worths together are cash and
    goods at today's prices.
    """
    state = model.world.state
    assert in_hand(model) == pytest.approx(opening, rel=1e-12, abs=1e-6)
    prices = state.assets.index[state.assets.issuer < 0]  # USD, then goods
    total = model.result().agents["net_worth"].sum()
    scale = np.abs(model.result().agents["net_worth"]).sum()
    assert total == pytest.approx(float(opening @ prices), rel=1e-9, abs=1e-9 * scale)
    for instrument, kind in enumerate(state.instruments.kind):
        units = state.positions.units[state.positions.instrument == instrument]
        if kind <= 1:
            assert abs(units.sum()) <= 1e-9 * max(1e-6, np.abs(units).sum())
    for asset in np.flatnonzero(state.assets.issuer >= 0):
        held = state.holdings.units[state.holdings.asset == asset].sum()
        assert held == pytest.approx(state.assets.supply[asset], rel=1e-9, abs=1e-9)


def in_hand(model: ContagionModel) -> np.ndarray:
    """Cash, and units of each market asset, of all agents together."""
    state = model.world.state
    goods = np.flatnonzero(state.assets.issuer < 0)[1:]
    held = [state.holdings.units[state.holdings.asset == asset].sum() for asset in goods]
    return np.array([state.agents.cash.sum(), *held])


def check_nothing_negative(model: ContagionModel) -> None:
    state = model.world.state
    scale = max(1.0, float(state.agents.cash[1:].max()))
    assert state.agents.cash[1:].min() >= -1e-9 * scale
    assert np.isfinite(model.result().agents[["opening_net_worth", "net_worth", "cash"]].to_numpy()).all()
    assert (state.makers.depth >= 0.0).all() and (state.assets.index[state.assets.issuer < 0] > 0.0).all()


@FAST
@given(scenarios())
def test_the_books_of_any_run_add_up(data) -> None:
    model = ContagionModel(scenario(data), rng=7)
    cash_and_goods, opening = in_hand(model), [worth for worth, _ in net_worths(model.world)]
    check_net_worths(model)
    model.run()
    check_net_worths(model)
    assert model.result().agents["opening_net_worth"].to_numpy() == pytest.approx(opening, rel=1e-9, abs=1e-6)
    check_deficits(model)
    check_closed(model, cash_and_goods)
    check_nothing_negative(model)


def test_the_books_of_a_crisis_add_up() -> None:
    model = ContagionModel(scenario(crisis()), rng=7)
    opening = in_hand(model)
    for _ in range(model.scenario.steps):
        model.step()
        check_net_worths(model)
    check_deficits(model)
    check_closed(model, opening)
    check_nothing_negative(model)
