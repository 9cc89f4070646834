"""Who acts: archetypes of traders, what they see, decide and answer, and the Mesa agents that show them.

Loaded when first used, so that importing the package needs neither Mesa nor compiled code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagion.agents.behaviours import Behaviour, Intent, Observation
    from contagion.agents.institutions import Exchange, Protocol
    from contagion.agents.views import Trader

_HOME_OF = {
    "Behaviour": "contagion.agents.behaviours",
    "Exchange": "contagion.agents.institutions",
    "Intent": "contagion.agents.behaviours",
    "Observation": "contagion.agents.behaviours",
    "Protocol": "contagion.agents.institutions",
    "Trader": "contagion.agents.views",
}

__all__ = ["Behaviour", "Exchange", "Intent", "Observation", "Protocol", "Trader"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'contagion.agents' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
