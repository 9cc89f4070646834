"""Whatever the world: a seed says everything, and what is kept does not change what happens."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_worlds import scenarios
from worlds import scenario

from contagion.model import ContagionModel
from contagion.results import RunResult

FAST = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**48)


def run(data, seed: int, **options) -> RunResult:
    return ContagionModel(scenario(data), rng=seed, **options).run()


@FAST
@given(scenarios(), seeds)
def test_a_seed_says_everything(data, seed: int) -> None:
    one, other = run(data, seed), run(data, seed)
    for table in ("steps", "rounds", "ledger", "agents"):
        assert getattr(one, table).equals(getattr(other, table)), table
    assert pd.Series(one.outcomes).equals(pd.Series(other.outcomes))


@FAST
@given(scenarios(), seeds)
def test_keeping_no_rows_changes_nothing(data, seed: int) -> None:
    kept, summed = run(data, seed), run(data, seed, keep_ledger=False)
    assert kept.agents.equals(summed.agents)
    assert kept.steps.equals(summed.steps)


@FAST
@given(scenarios(), seeds)
def test_rows_say_who_lost_what(data, seed: int) -> None:
    """Rows are positive, in time order, and touch outside only where value may enter or leave."""
    ledger = run(data, seed).ledger
    assert (ledger["amount"] > 0.0).all() and np.isfinite(ledger["amount"]).all()
    assert ledger["step"].is_monotonic_increasing
    outside = ledger[(ledger["payer"] == "outside") | (ledger["payee"] == "outside")]
    assert set(outside["cause"]) <= {
        "gas", "spot_sale", "spot_delivery", "default_cost", "theft", "withdrawal", "redeemed", "interest",
    }  # fmt: skip
    contracts = ledger["cause"].isin(["execution", "liquidation", "allocation", "deficit", "limited_liability"])
    assert not ledger[contracts]["payee"].eq("outside").any()


@FAST
@given(scenarios(), seeds)
def test_system_loss_is_the_sum_of_the_losers(data, seed: int) -> None:
    """What winners gain does not offset it; outside is no loser of the system."""
    found = run(data, seed)
    change = found.agents[found.agents["agent"] != "outside"]["change"]
    assert found.outcomes["system_loss"] == pytest.approx(-change[change < 0.0].sum(), rel=1e-12, abs=1e-9)
