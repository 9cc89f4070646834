"""Mesa's batch runner takes the model as it is, and a shock after the end is said, not swallowed."""

from __future__ import annotations

from mesa_batches import batch

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario


def test_batch_run_takes_the_bare_class() -> None:
    rows = batch(ContagionModel, {"scenario": "quickstart", "steps": 30}, [1, 2])
    assert len(rows) == 2
    expected = [ContagionModel("quickstart", rng=seed, steps=30).run().steps.iloc[-1] for seed in (1, 2)]
    assert [row["price.BTC"] for row in rows] == [row["price.BTC"] for row in expected]
    assert rows[0]["price.BTC"] != rows[1]["price.BTC"]


def test_a_shock_after_the_last_step_is_noted() -> None:
    scenario = load_scenario("quickstart", {"steps": 5})
    late = [shock for shock in scenario.shocks if shock.at > 5]
    notes = ContagionModel(scenario, rng=1).run().manifest["warnings"]
    assert late and sum("does not strike" in note for note in notes) == len(late)
