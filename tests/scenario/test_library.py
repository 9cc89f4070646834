"""The bundled scenarios: facts apart, sources given, openings sound."""

from __future__ import annotations

import pytest

from contagion.scenario import bundled_scenarios, load_scenario
from contagion.scenario.assemble import assemble

EVENTS = ("black_thursday", "october_2025")


def test_the_three_are_there_and_ask_a_question():
    bundled = bundled_scenarios()
    assert next(iter(bundled)) == "quickstart"
    assert set(EVENTS) < set(bundled)
    assert all(question.endswith("?") for question in bundled.values())


@pytest.mark.parametrize("name", EVENTS)
def test_facts_of_an_event_are_inputs_or_checks_with_sources(name):
    scenario = load_scenario(name)
    roles = {role: {fact.name for fact in scenario.facts if fact.role == role} for role in ("input", "check")}
    assert roles["input"] and roles["check"] and not roles["input"] & roles["check"]
    assert all(fact.source for fact in scenario.facts)
    assert scenario.limits.endswith(".")


@pytest.mark.parametrize("name", ["quickstart", *EVENTS])
@pytest.mark.parametrize("seed", range(5))
def test_openings_are_sound_for_any_seed(name, seed):
    world = assemble(load_scenario(name), seed)
    assert world.notes == []
    assert (world.state.agents.opening >= -1e-6).all()
    assert world.state.n_agents > 100


def test_the_fund_of_black_thursday_is_the_published_one():
    """35,508 XBT at the opening price of the path, 12 March 2020, 09:00 UTC: between the waypoints 7,647 and 7,354."""
    scenario = load_scenario("black_thursday")
    opening = 7647 * (7354 / 7647) ** (3 / 4)
    assert scenario.exchanges["bitmex"].insurance_fund.size == pytest.approx(35_508 * opening, rel=0.005)
