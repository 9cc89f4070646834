"""The breakdown frontier: bisection of known steps, odd worlds, and a venue whose breaking point is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion import ContagionModel, load_scenario
from contagion.cli import main
from contagion.errors import InputError
from contagion.experiment.frontier import Frontier, bisect, frontier


@given(st.floats(-0.99, -0.01), st.floats(1e-3, 0.1))
@settings(max_examples=50)
def test_bisection_brackets_a_step(step: float, tolerance: float) -> None:
    found = bisect(lambda size: size <= step, (0.0, -1.0), tolerance)
    assert found["frontier"] <= step <= found["holds_at"]
    assert found["holds_at"] - found["frontier"] <= tolerance and found["monotone"]


def test_its_runs_are_the_first_look_and_the_halvings() -> None:
    """A quarter is halved until it is at most a hundredth: 25, 12.5, ..., 0.78 takes 5."""
    assert bisect(lambda size: size >= 0.6, (0.0, 1.0), 0.01)["runs"] == 5 + 5


def test_worlds_that_never_break_break_at_once_or_heal_are_told_apart() -> None:
    never = bisect(lambda size: False, (0.0, 1.0), 0.1)
    assert np.isnan(never["frontier"]) and never["holds_at"] == 1.0
    at_once = bisect(lambda size: True, (0.0, 1.0), 0.1)
    assert at_once["frontier"] == 0.0 and np.isnan(at_once["holds_at"])
    odd = bisect(lambda size: 0.2 < size < 0.6, (0.0, 1.0), 0.01)
    assert not odd["monotone"] and odd["frontier"] == pytest.approx(0.2, abs=0.011)


def made(frontiers: list[float]) -> Frontier:
    worlds = pd.DataFrame({"seed": 0, "frontier": frontiers, "holds_at": 0.0, "monotone": True, "runs": 5, "error": ""})
    return Frontier(worlds, "shock", (0.0, -1.0), "deficit", 1.0, 0.95)


def test_quantiles_run_from_mild_to_harsh_and_unbroken_worlds_lie_beyond() -> None:
    """Of 0.1 to 1.0 in tenths, half of the worlds are broken by -0.5; where three hold, 95% is beyond the range."""
    found = made([-0.1 * k for k in range(1, 11)]).quantiles((0.1, 0.5, 1.0))
    assert found["frontier"].tolist() == pytest.approx([-0.1, -0.5, -1.0])
    assert (found["low"] >= found["frontier"]).all() and (found["high"] <= found["frontier"]).all()
    some = made([-0.1 * k for k in range(1, 8)] + [np.nan] * 3)
    assert some.quantiles((0.5,))["frontier"].tolist() == pytest.approx([-0.5])
    assert np.isnan(some.quantiles((0.95,))["frontier"][0])
    assert "3 worlds hold over the whole range" in some.summary() and "beyond" in some.summary()


def one_loan(volatility: float = 0.0) -> dict:
    """A pool lends 75,000 against 100 ether of 1,000, and liquidates at 85%: 85,000 < 75,000 needs a fall of 11.8%."""
    return {
        "name": "one loan", "steps": 3, "assets": {"ETH": {"price": 1000.0, "volatility": volatility}},
        "prices": "gbm" if volatility else "constant",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.5}],
        "protocols": {
            "pool": {
                "kind": "lending_pool", "supplied": 9e5, "reserve": {"size": 0.0}, "oracle": {"deviation": 0.0},
                "rate": {"slope1": 0.0, "slope2": 0.0},
                "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}},
            },
        },
        "traders": [
            {"archetype": "borrower", "venue": "pool", "size": {"fixed": 1e5}, "wallet": 0.0,
             "parameters": {"ltv": 0.75}},
            {"archetype": "keeper", "venue": "pool", "capital": 1e6, "parameters": {"gas": 0.0, "spot_depth": 1e15}},
        ],
    }  # fmt: skip


def test_the_fall_that_liquidates_a_loan_is_found() -> None:
    """0.75 / 0.85 = 0.88235: the loan is unsafe from a fall of 11.765% on."""
    found = frontier(
        one_loan(), "shocks.0.size", (-0.01, -0.5), "loan_liquidations", worlds=2, tolerance=1e-4, workers=1
    )
    assert found.worlds["frontier"].to_numpy() == pytest.approx(0.75 / 0.85 - 1.0, abs=1e-4)
    assert found.worlds["monotone"].all() and (found.worlds["error"] == "").all()


def test_a_world_keeps_its_draws_and_worlds_differ() -> None:
    one, two = (
        frontier(one_loan(20.0), "shocks.0.size", (-0.01, -0.5), "loan_liquidations", worlds=3, workers=1)
        for _ in range(2)
    )
    assert one.worlds.equals(two.worlds) and one.worlds["frontier"].nunique() > 1


def test_the_first_venue_fails_at_the_frontier_and_not_before() -> None:
    alone = {"exchanges.perp.waterfall": ["insurance_fund", "venue_equity"]}
    asked = {"between": (-0.05, -0.45), "tolerance": 0.05, "worlds": 1}
    found = frontier("quickstart", "shocks.*.size", overrides=alone, workers=1, **asked)
    world = found.worlds.iloc[0]
    for size, failed in ((world.frontier, True), (world.holds_at, False)):
        model = ContagionModel(load_scenario("quickstart", {**alone, "shocks.*.size": size}), rng=int(world.seed))
        outcomes = model.run().outcomes
        assert (outcomes["defaults.exchanges"] + outcomes["defaults.protocols"] > 0) == failed


def test_failed_worlds_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from contagion.experiment import frontier as module

    def failing(*arguments):
        raise ValueError("out of luck")

    monkeypatch.setattr(module, "_value", failing)
    found = frontier(one_loan(), "shocks.0.size", (-0.01, -0.5), "deficit", worlds=2, workers=1)
    assert "2 worlds failed: ValueError: out of luck" in found.summary()
    with pytest.raises(InputError, match="without failed runs"):
        found.quantiles()


def test_bad_questions_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cases = [
        (dict(shock="shocks.0.sise"), "size"),
        (dict(between=(-0.1, -0.1)), "milder shock first"),
        (dict(between=(-0.1, -1.5)), "size"),
        (dict(outcome="loan_liquidation"), "nearest: liquidations"),
        (dict(outcome="fund_end.nowhere"), "docs/outcomes.md"),
        (dict(tolerance=0.0), "above 0"),
        (dict(worlds=0), "1 or more"),
    ]
    for change, words in cases:
        question = {"shock": "shocks.0.size", "between": (-0.1, -0.5), **change}
        with pytest.raises(InputError, match=words):
            frontier(one_loan(), workers=1, **question)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(json.dumps(one_loan()))
    arguments = ["frontier", str(file), "--shock", "shocks.0.size", "--between", "-0.01", "-0.5", "--worlds", "2"]
    options = ["--outcome", "loan_liquidations", "--workers", "1", "--csv", str(tmp_path / "worlds.csv")]
    assert main([*arguments, *options]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert len(pd.read_csv(tmp_path / "worlds.csv")) == 2
    assert main([*arguments, *options, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["worlds"]) == 2
