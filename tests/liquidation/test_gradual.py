"""Closing by and by, and taking over a few at a time, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contagion import ContagionModel
from contagion.liquidation.gradual import liquidatable_share
from contagion.scenario.schema import Scenario


def market(gap: float, **liquidation) -> Scenario:
    """Three longs of 1 BTC at 100,000 on 10,000 each, maintenance 5%; marks follow the index."""
    return Scenario.model_validate({
        "name": "gradual", "dt": "1min", "steps": 6, "prices": "constant", "feedback": "none",
        "assets": {"BTC": {"price": 100_000, "volatility": 0.6}},
        "shocks": [{"at": 2, "kind": "price_gap", "asset": "BTC", "size": gap}],
        "exchanges": {"perp": {
            "insurance_fund": {"size": 1e6}, "mark": "index", "equity": 1e6,
            "contracts": {"BTC": {"tiers": [{"maintenance": 0.05, "initial": 0.08}]}},
            "liquidation": {"fee": 0.0, **liquidation},
        }},
        "traders": [
            {"archetype": "directional", "name": "long", "count": 3, "venue": "perp", "size": {"fixed": 1e5},
             "leverage": {"fixed": 10}, "long_share": 1.0, "answers": {"ignore": 1.0}, "parameters": {"speed": 0.0}},
            {"archetype": "market_maker", "count": 2, "venue": "perp", "capital": 1e9, "parameters": {"depth": 1e15}},
        ],
    })  # fmt: skip


def test_share_by_hand():
    # 100 are missing: a tenth at once; after half the time 60%, of which 10 are done: 50 of the 90 left.
    assert liquidatable_share(100.0, 0.0, 0.0, 0.1, 60.0, 50.0) == pytest.approx(0.1)
    assert liquidatable_share(90.0, 10.0, 30.0, 0.1, 60.0, 50.0) == pytest.approx(50.0 / 90.0)
    assert liquidatable_share(40.0, 60.0, 0.0, 0.1, 60.0, 50.0) == 1.0  # a rest below 50
    assert liquidatable_share(60.0, 40.0, 0.0, 0.1, 60.0, 50.0) == 0.0  # more is done than may be
    assert liquidatable_share(100.0, 0.0, 60.0, 0.1, 60.0, 50.0) == 1.0


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.floats(0.0, 100.0), st.floats(0.0, 1.0))
def test_time_only_adds(missing, freed, elapsed, initial):
    now, later = (liquidatable_share(missing, freed, t, initial, 60.0, 50.0) for t in (elapsed, elapsed + 1.0))
    assert 0.0 <= now <= later <= 1.0


def test_closes_by_and_by_in_a_run():
    """At 94,000 equity is 4,000 of 4,700: 700 are missing, so 14,000 of 94,000 are to go; 30%, 80%, then all of it."""
    gradual = {"initial": 0.3, "duration": "2min", "all_below": 0.0}
    engine = {"engine": "partial", "target": 1.0}
    model = ContagionModel(market(-0.06, engine=engine, limit="market", gradual=gradual), rng=1)
    state = model.world.state
    rows = state.accounts.start[state.agents.account_start[state.first_trader + np.arange(3)]].astype(np.int64)
    held = []
    for _ in range(5):
        model.step()
        held.append(state.positions.units[rows].max())
    gone = 14_000.0 / 94_000.0
    assert held == pytest.approx([1.0, 1.0 - 0.3 * gone, 1.0 - 0.8 * gone, 1.0 - gone, 1.0 - gone], rel=1e-6)


def test_takes_over_no_more_accounts_than_a_step_allows():
    """At 88,000 all three lack 2,000: one is taken over in each step."""
    model = ContagionModel(market(-0.12, engine="full", limit="bankruptcy", takeovers=1), rng=1)
    taken = []
    for _ in range(6):
        model.step()
        taken.append(model.world.counters.get("accounts_bankrupt", 0))
    assert taken == [0, 1, 2, 3, 3, 3]
