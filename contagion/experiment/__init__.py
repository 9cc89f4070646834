"""Sweeps over uncertainties and levers: the experiment file, its design, the runner and the store."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagion.experiment.compared import Comparison
    from contagion.experiment.comparison import compare, compare_runs
    from contagion.experiment.file import Experiment, experiment_schema, load_experiment
    from contagion.experiment.store import Results, open_results
    from contagion.experiment.sweeps import sweep

_HOME_OF = {
    "Comparison": "contagion.experiment.compared",
    "compare": "contagion.experiment.comparison",
    "compare_runs": "contagion.experiment.comparison",
    "Experiment": "contagion.experiment.file",
    "Results": "contagion.experiment.store",
    "experiment_schema": "contagion.experiment.file",
    "load_experiment": "contagion.experiment.file",
    "open_results": "contagion.experiment.store",
    "sweep": "contagion.experiment.sweeps",
}

__all__ = [
    "Comparison", "Experiment", "Results", "compare", "compare_runs", "experiment_schema", "load_experiment",
    "open_results", "sweep",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'contagion.experiment' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
