"""Which inputs matter, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.report.style import SERIES, Theme, Width, message, sheet, sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("input", "value", "low", "high")


def sensitivity_bars(
    indices: pd.DataFrame, outcome: str = "", *, note: str = "", theme: Theme = "light", width: Width = "page"
) -> Figure:
    """Bars of sensitivity indices with their intervals, the largest at the top.

    Parameters
    ----------
    indices : DataFrame
        One row an input and index: ``input``, ``value``, ``low``, ``high`` (ends of the interval; nan for none), and
        ``index``, the name of the index, where there are several (first order and total, say).
    outcome : str
        What they explain.
    note : str
        Experiment, seeds, number of runs and unit of the indices.
    theme : {"light", "dark"}
    width : {"page", "column"}

    Raises
    ------
    InputError
        A column is missing.
    """
    if missing := [name for name in COLUMNS if name not in indices]:
        raise InputError("indices", missing, f"a table with columns {', '.join(COLUMNS)}")
    kinds = list(dict.fromkeys(indices["index"].astype(str))) if "index" in indices else [""]
    order = indices.groupby("input")["value"].max().sort_values(ascending=False).index.tolist()
    thick = 0.76 / len(kinds)
    with sheet(theme, width, 1.0 + len(order) * max(0.26, 0.17 * len(kinds))) as (figure, colour):
        panel = figure.subplots()
        sign(figure, f"Which inputs matter{' for ' + outcome if outcome else ''}", note, colour)
        if indices.empty:
            message(panel, "No input was varied.", colour)
            return figure
        for place, kind in enumerate(kinds):
            rows = indices[indices["index"].astype(str) == kind] if "index" in indices else indices
            y = np.array([order.index(name) for name in rows["input"]]) + (place - (len(kinds) - 1) / 2) * thick
            value = rows["value"].to_numpy(float)
            panel.barh(y, value, 0.9 * thick, color=colour[SERIES[place]], label=kind)
            panel.hlines(
                y, rows["low"].to_numpy(float), rows["high"].to_numpy(float), color=colour["ink"], linewidth=1.3
            )
        panel.axvline(0.0, color=colour["muted"], linewidth=0.8)
        panel.set_yticks(range(len(order)), order)
        panel.set_ylim(len(order) - 0.5, -0.5)
        panel.grid(False, axis="y")
        panel.set_xlabel("index, with its 95% interval")
        if len(kinds) > 1:
            panel.legend(loc="lower right")
    return figure
