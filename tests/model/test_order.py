"""Storage order means nothing: however a world is written down, the same happens in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from random_worlds import scenarios
from worlds import crisis, permuted, scenario

from contagion.model import ContagionModel
from contagion.results import RunResult

EVENT = ["step", "round", "phase", "cause", "layer", "payer", "payee"]


def run(data, seed: int = 7) -> RunResult:
    return ContagionModel(scenario(data), rng=seed).run()


def check_same(one: RunResult, other: RunResult) -> None:
    """Same rows and amounts by name, to 1e-12 of all that the agents have; rows below that are rounding themselves."""
    left, right = (found.agents.set_index("agent").sort_index() for found in (one, other))
    tolerance = 1e-12 * max(1.0, float(left["opening_net_worth"].abs().sum()))
    assert list(left.index) == list(right.index)
    for column in ("type", "group"):
        assert left[column].equals(right[column])
    for column in ("opening_net_worth", "net_worth", "cash"):
        assert np.abs(left[column] - right[column]).max() <= tolerance, column
    first, second = (events(found, tolerance) for found in (one, other))
    assert first.index.equals(second.index), first.index.symmetric_difference(second.index)[:3]
    assert (first["count"] == second["count"]).all()
    assert not len(first) or np.abs(first["sum"] - second["sum"]).max() <= tolerance
    pd.testing.assert_frame_equal(
        one.steps[sorted(one.steps)], other.steps[sorted(other.steps)], rtol=1e-9, atol=tolerance, check_like=True
    )


def events(found: RunResult, tolerance: float) -> pd.DataFrame:
    ledger = found.ledger[found.ledger["amount"] > tolerance]
    return ledger.groupby(EVENT)["amount"].agg(["sum", "count"])


@pytest.mark.parametrize("seed", range(4))
def test_a_crisis_written_in_another_order_is_the_same_crisis(seed: int) -> None:
    check_same(run(crisis()), run(permuted(crisis(), seed)))


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(scenarios())
def test_any_world_written_in_another_order_is_the_same_world(data) -> None:
    check_same(run(data), run(permuted(data, 1)))
