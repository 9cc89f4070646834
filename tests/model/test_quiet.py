"""Quiet steps in compiled code give the numbers of step() bit for bit."""

from __future__ import annotations

import pytest

from benchmarks.scenarios import exchange_only
from contagion.model import ContagionModel
from contagion.quiet import QuietSteps
from contagion.scenario.loader import load_scenario
from contagion.scenario.venues import Funding


def worlds():
    mild = exchange_only(300, 100, gaps=(-0.02, 0.015, -0.02, 0.02))
    crash = exchange_only(300, 100, gaps=(-0.1, -0.15))
    perp = mild.exchanges["perp"].model_copy(update={"funding": Funding()})
    return {"mild": mild, "crash": crash, "funding": mild.model_copy(update={"exchanges": {"perp": perp}})}


@pytest.mark.parametrize("name", ["mild", "crash", "funding"])
def test_a_run_equals_its_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = worlds()[name]
    passed = []
    go = QuietSteps._go
    monkeypatch.setattr(QuietSteps, "_go", lambda self, first, *rest: (passed.append(first), go(self, first, *rest)))
    stepped = ContagionModel(scenario, rng=3)
    while stepped.step_number < scenario.steps:
        stepped.step()
    one, other = stepped.result(), ContagionModel(scenario, rng=3).run()
    assert passed, "no stretch of quiet steps was found: the test shows nothing"
    for table in ("steps", "rounds", "ledger", "agents"):
        assert getattr(one, table).equals(getattr(other, table)), table
    assert str(one.outcomes) == str(other.outcomes)


def test_a_world_with_protocols_or_trading_rules_goes_step_by_step() -> None:
    assert not QuietSteps(ContagionModel(load_scenario("quickstart"), rng=1)).possible


def test_a_step_of_ones_own_is_called_every_time() -> None:
    class Counting(ContagionModel):
        called = 0

        def step(self) -> None:
            super().step()
            self.called += 1

    model = Counting(exchange_only(50, 20), rng=1)
    model.run()
    assert model.called == 20
