"""Replications until intervals are narrow enough: the rule by hand, its coverage, and a sweep that stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_sweeps import made_up
from small_experiments import here, small

from contagion import sweep
from contagion.errors import InputError
from contagion.experiment import load_experiment
from contagion.experiment.plan import make_plan
from contagion.experiment.stopping import FEWEST, enough, half_width, precision, reached, until_precise


def test_the_rule_by_hand() -> None:
    """z(97.5%) of Student with 98 degrees of freedom is 1.9845: 1.9845^2 (5^2 + 1 / 99) = 98.5, so 99 do; with 97,
    1.9847 and 98: 98.5, so 98 don't."""
    assert enough(99, 5.0, 1.0) and not enough(98, 5.0, 1.0)


def test_agreement_by_chance_does_not_end_it() -> None:
    """With no spread at all it takes n >= z sqrt(1): three values (z = 4.3) are too few, and 10 is the least anyway."""
    assert not enough(2, 0.0, 1.0) and enough(10, 0.0, 1.0)


def test_half_width_is_students() -> None:
    """1, 2, 3: standard deviation 1, t(97.5%, 2) = 4.3027, over root three: 2.4842."""
    assert half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.4842, abs=1e-4)


def test_looking_after_every_batch_keeps_the_coverage() -> None:
    """Fixed-width intervals +-0.25 of unit normals, looked at every 10 values: 95% contain the mean.

    A fixed sample would be (1.96 / 0.25)^2 = 61.5 values; the mean number is near that.
    """
    rng, hits, sizes = np.random.default_rng(11), [], []
    for _ in range(400):
        values = rng.normal(size=400)
        n = next(n for n in range(FEWEST, 400, 10) if enough(n, values[:n].std(ddof=1), 0.25))
        hits.append(abs(values[:n].mean()) <= 0.25)
        sizes.append(n)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)  # standard error 0.011
    assert np.mean(sizes) == pytest.approx(66, abs=8)


def stopping(**changes):
    return {"precision": {"deficit": 1.0}, "budget": 40, "batch": 4, **changes}


def test_a_planner_goes_on_until_the_interval_is_narrow(tmp_path: Path) -> None:
    """Values alternate between 0 and 2: standard deviation about 1.03, so +-0.5 takes 1.96^2 x 1.03^2 / 0.25 = 17
    by the normal quantile; with Student's and the added term 20 do, which is the third look."""
    asked = stopping(precision={"deficit": 0.5})
    experiment = load_experiment({"scenario": "quickstart", "stopping": asked, "replications": 12})
    plan, planner = make_plan(experiment), until_precise(experiment)

    def results(count: int):
        folder = tmp_path / str(count)
        return made_up(folder, lambda run: {"deficit": 2.0 * (run.replication % 2)}, count, stopping=asked)

    assert planner(plan, None) == range(12)
    assert planner(plan, results(12)) == range(12, 16)
    assert planner(plan, results(16)) == range(16, 20)
    assert precision(results(20)).iloc[0].reached
    assert planner(plan, results(20)) == range(0)
    assert reached(results(16)) == "deficit, base: 1 ± 0.55 (0.5 asked: the budget ended first), 16 replications"


def test_the_budget_ends_it(tmp_path: Path) -> None:
    experiment = load_experiment(
        {"scenario": "quickstart", "replications": 12, "stopping": stopping(budget=14, precision={"deficit": 1e-9})}
    )
    planner, plan = until_precise(experiment), make_plan(experiment)
    wide = made_up(tmp_path / "a", lambda run: {"deficit": float(run.replication)}, 12,
                   stopping=stopping(budget=14, precision={"deficit": 1e-9}))  # fmt: skip
    assert [planner(plan, wide) for _ in range(3)] == [range(12), range(12, 14), range(14, 14)]


def test_a_budget_below_one_replication_and_unknown_outcomes_are_explained() -> None:
    two_worlds = {"uncertainties": {"assets.ETH.volatility": [0.5, 0.6]}}
    poor = load_experiment({"scenario": "quickstart", "stopping": stopping(budget=1), **two_worlds})
    with pytest.raises(InputError, match="2 runs or more"):
        until_precise(poor)(make_plan(poor), None)
    with pytest.raises(InputError, match="nearest: deficit"):
        make_plan(load_experiment({"scenario": "quickstart", "stopping": stopping(precision={"deficitt": 1.0})}))
    with pytest.raises(InputError, match="precision and budget"):
        until_precise(load_experiment({"scenario": "quickstart"}))


def test_a_sweep_stops_and_goes_on_the_same_way(tmp_path: Path) -> None:
    asked = stopping(precision={"liquidations": 1e6}, budget=80)
    with here() as executor:
        found = sweep(small(stopping=asked), tmp_path / "a", executor=executor)
        again = sweep(small(stopping=asked), tmp_path / "a", executor=executor)
    assert found.runs["replication"].nunique() == FEWEST and len(found.runs) == 40
    assert again.runs.equals(found.runs)
