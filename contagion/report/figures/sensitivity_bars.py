"""Which inputs matter, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.report.style import SERIES, Theme, Width, sheet, sign
from contagion.report.sweep_source import unit_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("input", "index_name", "value", "low", "high")
NOT_DRAWN = ("mu", "sigma", "S2")
NOTHING = "(none)"
WORDS = {
    "mu_star": "mean absolute elementary effect (Morris)",
    "S1": "share of variance, alone (Sobol)",
    "ST": "share of variance, with interactions (Sobol)",
    "pawn": "distance of distributions (PAWN)",
    "delta": "moment-independent index (delta)",
}


def sensitivity_bars(
    source, outcome: str | None = None, *, policy: str | None = None, theme: Theme = "light", width: Width = "page"
) -> Figure:
    """Bars of sensitivity indices with their intervals, the input that matters most at the top.

    Parameters
    ----------
    source : Sensitivity, path, Results or DataFrame
        What :func:`contagion.experiment.sensitivity` gives, a sweep to ask it about, or a table with columns ``input``,
        ``index_name``, ``value``, ``low``, ``high``.
    outcome, policy : str, optional
        Of the sweep; a table is taken as it is.
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Bars are indices, lines 95% intervals [1; Morris: unit of the outcome]. Grey: a random number that cannot
        matter; an input whose bar is no longer may matter by chance only. Signed and second-order indices are left out.

    Raises
    ------
    InputError
        A column is missing, or what :func:`contagion.experiment.sensitivity` raises.
    """
    table, head, foot = _asked(source, outcome, policy)
    table = table[~table["index_name"].isin(NOT_DRAWN)]
    kinds = list(dict.fromkeys(table["index_name"].astype(str)))
    order = table.groupby("input")["value"].max().sort_values(ascending=False, kind="stable").index.tolist()
    thick = 0.76 / max(len(kinds), 1)
    with sheet(theme, width, 1.1 + len(order) * max(0.26, 0.17 * len(kinds))) as (figure, colour):
        axes = figure.subplots()
        sign(figure, head, foot, colour)
        for place, kind in enumerate(kinds):
            rows = table[table["index_name"].astype(str) == kind]
            y = np.array([order.index(name) for name in rows["input"]]) + (place - (len(kinds) - 1) / 2) * thick
            hues = [colour["grey" if name == NOTHING else SERIES[place]] for name in rows["input"]]
            axes.barh(y, rows["value"].to_numpy(float), 0.9 * thick, color=hues)
            axes.hlines(
                y, rows["low"].to_numpy(float), rows["high"].to_numpy(float), color=colour["ink"], linewidth=1.3
            )
            axes.barh([0.0], [0.0], color=colour[SERIES[place]], label=WORDS.get(kind, kind))
        axes.axvline(0.0, color=colour["muted"], linewidth=0.8)
        axes.set_yticks(range(len(order)), ["a random number" if name == NOTHING else name for name in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.grid(False, axis="y")
        unit = f" [{unit_of(outcome)}]" if outcome and kinds == ["mu_star"] else " [1]"
        axes.set_xlabel((WORDS.get(kinds[0], kinds[0]) if len(kinds) == 1 else "index") + unit)
        if len(kinds) > 1:
            axes.legend(loc="lower right")
    return figure


def _asked(source, outcome: str | None, policy: str | None) -> tuple[pd.DataFrame, str, str]:
    """Indices, head and foot."""
    if isinstance(source, pd.DataFrame):
        if missing := [name for name in COLUMNS if name not in source]:
            raise InputError("indices", missing, f"a table with columns {', '.join(COLUMNS)}")
        return source, f"Which inputs matter{' for ' + outcome if outcome else ''}", "Lines: 95% intervals."
    if not hasattr(source, "indices"):
        from contagion.experiment.sensitivity import sensitivity

        source = sensitivity(source, outcome, policy=policy)
    foot = (
        f"Policy {source.policy}: n = {source.worlds * source.replications:,} runs, {source.worlds:,} worlds, "
        f"{source.replications:,} replications. Method: {source.method}. Lines: {source.confidence:.0%} intervals."
    )
    if np.isfinite(source.noise_share):
        foot += f" Noise: {source.noise_share:.1%} of the variance between worlds."
    return source.indices, f"Which inputs matter for {source.outcome}", foot
