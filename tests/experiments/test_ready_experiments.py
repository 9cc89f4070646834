"""The ready experiment files: they can be planned, say what came out, and their summaries belong to them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from contagion.experiment import load_experiment
from contagion.experiment.plan import make_plan

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments").glob("*.yaml"))
LARGEST = 20_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_ready_experiment_can_be_planned_and_its_summary_belongs_to_it(file: Path) -> None:
    experiment = load_experiment(file)
    plan = make_plan(experiment)
    assert experiment.name == file.stem and experiment.question and experiment.finding
    summary = ROOT / "results" / "experiments" / f"{file.stem}.csv"
    table, told = pd.read_csv(summary), json.loads(summary.with_suffix(".json").read_text())
    assert summary.stat().st_size < LARGEST and summary.with_suffix(".json").stat().st_size < LARGEST
    assert set(table["policy"]) == set(experiment.policies) and set(table["outcome"]) == set(experiment.outcomes)
    assert told["runs"] == len(plan) * experiment.replications and told["failures"] == 0
    assert told["seed"] == experiment.seed and told["software"]["git"]["commit"]


def test_there_is_one_for_each_question() -> None:
    assert {file.stem for file in FILES} >= {
        "leverage_by_fund", "margin_by_shock", "allocation_by_crash", "recognition_by_run_speed",
        "topology_by_concentration", "oracle_delay_by_keepers",
    }  # fmt: skip
