"""Scenarios: what a world is made of, how it is read, and the bundled library."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagion.scenario.annotate import preset_text, scenario_text
    from contagion.scenario.json_schema import scenario_schema
    from contagion.scenario.loader import bundled_scenarios, describe, load_scenario
    from contagion.scenario.schema import Scenario

_HOME_OF = {
    "Scenario": "contagion.scenario.schema",
    "bundled_scenarios": "contagion.scenario.loader",
    "describe": "contagion.scenario.loader",
    "load_scenario": "contagion.scenario.loader",
    "preset_text": "contagion.scenario.annotate",
    "scenario_schema": "contagion.scenario.json_schema",
    "scenario_text": "contagion.scenario.annotate",
}

__all__ = [
    "Scenario",
    "bundled_scenarios",
    "describe",
    "load_scenario",
    "preset_text",
    "scenario_schema",
    "scenario_text",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'contagion.scenario' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
