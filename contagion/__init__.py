"""Loss contagion in leveraged crypto and derivatives markets: when counterparties cannot pay, who does?

The public names below are loaded when they are first used, so that ``import contagion`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from contagion.errors import ContagionError, ConvergenceError, InputError, InvariantError

if TYPE_CHECKING:
    from contagion.experiment import compare, sweep
    from contagion.model import ContagionModel
    from contagion.results import RunResult
    from contagion.scenario import Scenario, bundled_scenarios, load_scenario

__version__ = "0.1.0"

_HOME_OF = {
    "ContagionModel": "contagion.model",
    "RunResult": "contagion.results",
    "Scenario": "contagion.scenario",
    "bundled_scenarios": "contagion.scenario",
    "compare": "contagion.experiment.comparison",
    "load_scenario": "contagion.scenario",
    "sweep": "contagion.experiment.sweeps",
}

__all__ = [
    "ContagionError",
    "ContagionModel",
    "ConvergenceError",
    "InputError",
    "InvariantError",
    "RunResult",
    "Scenario",
    "bundled_scenarios",
    "compare",
    "load_scenario",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'contagion' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
