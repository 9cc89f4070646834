"""Figures and reports of runs, sweeps and comparisons. Nothing that draws is loaded before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contagion.report.figures.burden import burden
    from contagion.report.figures.comparison import comparison
    from contagion.report.figures.distribution import distribution
    from contagion.report.figures.exposure_network import exposure_network
    from contagion.report.figures.flows import flows
    from contagion.report.figures.price_and_liquidations import price_and_liquidations
    from contagion.report.figures.rounds import rounds
    from contagion.report.figures.sensitivity_bars import sensitivity_bars
    from contagion.report.figures.sweep_map import sweep_map
    from contagion.report.figures.time_line import time_line
    from contagion.report.figures.waterfall import waterfall
    from contagion.report.html import write_report
    from contagion.report.style import save_figure

_HOME_OF = {"save_figure": "style", "write_report": "html"}

__all__ = [
    "burden",
    "comparison",
    "distribution",
    "exposure_network",
    "flows",
    "price_and_liquidations",
    "rounds",
    "save_figure",
    "sensitivity_bars",
    "sweep_map",
    "time_line",
    "waterfall",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'contagion.report' has no attribute {name!r}")
    return getattr(import_module(f"contagion.report.{_HOME_OF.get(name, f'figures.{name}')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
