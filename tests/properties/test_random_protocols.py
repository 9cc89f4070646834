"""Whatever the protocols: every round's audit holds, and so does net worth recomputed from state alone."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_protocols import protocol_scenarios
from random_worlds import net_worths

from contagion.model import ContagionModel

STEPS = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@STEPS
@given(protocol_scenarios(), st.integers(0, 2**40))
def test_every_agents_worth_is_what_it_has(data, seed: int) -> None:
    model = ContagionModel(data, rng=seed)
    while model.world.step < model.world.scenario.steps:
        model.step()
        state = model.world.state
        for agent, (worth, gross) in enumerate(net_worths(model.world)):
            if agent:
                assert state.agents.worth[agent] == pytest.approx(worth, rel=1e-9, abs=1e-9 * (1.0 + gross))
        assert (state.holdings.units[state.holdings.owner > 0] >= -1e-6).all()
        assert (state.agents.cash[1:] >= -1e-6).all()
