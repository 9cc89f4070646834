"""Scheduled shocks strike when they are due, last as long as they say, and end alone."""

from __future__ import annotations

import pytest
from worlds import crisis, scenario

from contagion.model import ContagionModel


def watch(shocks, look) -> list:
    """What `look` sees of the model after each step."""
    model = ContagionModel(scenario(crisis() | {"shocks": shocks, "feedback": "none"}), rng=1)
    seen = []
    for _ in range(model.scenario.steps):
        model.step()
        seen.append(look(model))
    return seen


def test_a_halt_of_two_steps_halts_two_steps() -> None:
    def halted(model: ContagionModel) -> bool:
        return model.world.halted.get(model.world.agent_rows["perp"], -1) >= model.step_number

    found = watch([{"at": 2, "kind": "halt", "target": "perp", "lasts": 2}], halted)
    assert found == [False, True, True, False, False, False, False]


def test_an_oracle_frozen_for_two_steps_misses_two_publications() -> None:
    """An oracle without threshold publishes every step's price, so its price stands still in steps 2 and 3 only."""
    data = crisis()
    data["protocols"]["pool"]["oracle"] = {"deviation": 0.0}
    data["shocks"] = [{"at": 2, "kind": "oracle_freeze", "asset": "ETH", "target": "pool", "lasts": 2}]
    model = ContagionModel(scenario(data), rng=1)
    row = model.world.state.instruments.names.index("pool:ETH")
    published = []
    for _ in range(5):
        model.step()
        published.append(int(model.world.state.instruments.oracle_step[row]))
    assert published == [1, 1, 1, 4, 5]


def test_withdrawals_of_depth_overlap_and_end_alone() -> None:
    """Half goes from step 1 to 3, half of the rest from step 2 for good: 1/2, 3/4, 3/4, then 1/2 again."""
    common = {"kind": "depth_withdrawal", "asset": "BTC", "target": "perp", "size": 0.5}
    shocks = [common | {"at": 1, "lasts": 3}, common | {"at": 2}]
    found = watch(shocks, lambda model: float(model.world.state.makers.withdrawn[0]))
    assert found == [0.5, 0.75, 0.75, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("at", [0, 1])
def test_a_shock_due_at_the_opening_strikes_in_the_first_step(at: int) -> None:
    shocks = [{"at": at, "kind": "price_gap", "asset": "BTC", "size": -0.5}]
    prices = watch(shocks, lambda model: float(model.world.state.assets.index[1]))
    assert prices[0] == pytest.approx(50_000, rel=0.01)


def test_a_member_of_a_group_can_be_defaulted_by_name() -> None:
    """Its wallet goes to outside; nobody else is touched."""
    model = ContagionModel(scenario(crisis() | {"shocks": [{"at": 1, "kind": "default", "target": "bets:3"}]}), rng=1)
    row = model.world.groups[0].agents.start + 3
    wallet = float(model.world.state.agents.cash[row])
    model.step()
    found = model.result().ledger.query("cause == 'default_cost'")
    assert found[["payer", "payee", "amount"]].to_numpy().tolist() == [["bets:3", "outside", wallet]]
