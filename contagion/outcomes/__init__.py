"""Measures per run and across runs. Functions of plain arrays work without the simulator."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagion.outcomes.origins import claim_origins
    from contagion.outcomes.paired import Amplification, amplification
    from contagion.outcomes.tables import burden_by, loss_table

_HOME_OF = {
    "Amplification": "contagion.outcomes.paired",
    "amplification": "contagion.outcomes.paired",
    "burden_by": "contagion.outcomes.tables",
    "claim_origins": "contagion.outcomes.origins",
    "loss_table": "contagion.outcomes.tables",
}

__all__ = ["Amplification", "amplification", "burden_by", "claim_origins", "loss_table"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'contagion.outcomes' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
