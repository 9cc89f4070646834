"""How an outcome is distributed over runs, with its tail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.outcomes.risk import historical_var_es
from contagion.report.figures.comparison import named
from contagion.report.style import SERIES, Theme, Width, message, money, sheet, sign
from contagion.report.sweep_source import chosen, signature, sweep_of, unit_of, with_unit
from contagion.terminal import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 6
BINS = 40


def distribution(
    source, outcome: str | None = None, *, quantile: float = 0.95, theme: Theme = "light", width: Width = "page"
) -> Figure:
    """Histogram of an outcome for each policy, with value at risk and expected shortfall marked.

    Parameters
    ----------
    source : path, Results or DataFrame
    outcome : str, optional
        Default: the first one the experiment is about.
    quantile : float
        Of the value at risk; the expected shortfall is the mean of the worst ``1 - quantile`` of runs. [1]
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        A row for each policy (the first six), bars being runs. Mean: solid line; VaR: dashed; ES: dotted.
    """
    sweep = sweep_of(source)
    name = chosen(sweep, outcome)
    groups = {
        policy: sweep.runs.loc[sweep.runs["policy"].astype(str) == policy, name].dropna().to_numpy(float)
        for policy in sweep.policies[:MOST]
    }
    wide = width == "page"
    with sheet(theme, width, 0.85 + (0.72 if wide else 0.86) * len(groups)) as (figure, colour):
        foot = f"Solid: mean; dashed: VaR, quantile {quantile:.0%}; dotted: ES, mean beyond it. Unit: {unit_of(name)}."
        sign(figure, f"Distribution and tail: {name}", signature(sweep, foot), colour)
        everything = np.concatenate(list(groups.values()))
        if not len(everything):
            message(figure.subplots(), f"No run reports {name}.", colour)
            return figure
        edges = np.histogram_bin_edges(everything, bins=BINS)
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        top = max(int(np.histogram(values, edges)[0].max(initial=1)) for values in groups.values())
        for place, (panel, (policy, values)) in enumerate(zip(panels, groups.items(), strict=True)):
            shade = colour[SERIES[place % len(SERIES)]]
            heights, _ = np.histogram(values, edges)
            panel.bar(edges[:-1], heights, np.diff(edges), align="edge", color=shade, alpha=0.75)
            tail = historical_var_es(values, quantile)
            for value, style in ((values.mean(), "-"), (tail.var, "--"), (tail.es, ":")):
                panel.axvline(value, color=colour["ink"], linestyle=style, linewidth=1.1)
            words = f"mean {amount(values.mean())}   VaR {amount(tail.var)}   ES {amount(tail.es)}"
            if len(groups) > 1:
                words = named(policy, 60) + (": " if wide else "\n") + words
            panel.set_title(words, color=colour["muted"])
            panel.set_yticks([0, top])
            panel.set_ylim(0, 1.1 * top)
        panels[len(groups) // 2].set_ylabel("runs")
        money(panels[-1].xaxis)
        panels[-1].set_xlabel(with_unit(name))
    return figure
