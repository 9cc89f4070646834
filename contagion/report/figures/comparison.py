"""Policies side by side on the same worlds: paired differences, whole distributions, and regret."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from contagion.report.intervals import differences, panel, regrets
from contagion.report.style import SERIES, Theme, Width, message, money, percent, sheet, sign
from contagion.report.sweep_source import chosen, lower_is_better, signature, sweep_of, unit_of, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DOTS = 300


def comparison(
    source,
    outcome: str | None = None,
    *,
    baseline: str | None = None,
    theme: Theme = "light",
    width: Width = "page",
) -> Figure:
    """Differences to a baseline with 95% intervals, distribution functions (dominance), and regret.

    Parameters
    ----------
    source : path, Results or DataFrame
        A sweep with two policies or more.
    outcome : str, optional
        Default: the first one the experiment is about.
    baseline : str, optional
        Policy that others are compared with. Default: the first.
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Left: policy less baseline on the same world and seed, one dot a pair, their mean and its 95% bootstrap
        interval. Middle: share of runs at or below a value; where lower is better, a curve that is nowhere below
        another dominates it. Right, with two worlds or more: how much worse than the best policy of each world, in the
        mean over worlds and in the worst.
    """
    sweep = sweep_of(source)
    name = chosen(sweep, outcome)
    first = baseline or sweep.policies[0]
    wide = width == "page"
    policies = sweep.policies
    height = max(2.6, 1.3 + 0.34 * len(policies)) if wide else 6.6
    better = "lower" if lower_is_better(name) else "higher"
    with sheet(theme, width, height) as (figure, colour):
        foot = f"Intervals: 95%, bootstrap over independent units. Unit: {unit_of(name)}; {better} is better."
        sign(figure, f"Policies compared: {name}", signature(sweep, foot), colour)
        if len(policies) < 2:
            message(figure.subplots(), "There is one policy only.", colour)
            return figure
        places = sweep.runs["world"].nunique() > 1  # with one world regret is the difference to the best mean
        ratios = [1.25, 1.1, 1.0] if places else [1.25, 1.1]
        panels = figure.subplots(1, len(ratios), width_ratios=ratios) if wide else figure.subplots(len(ratios), 1)
        hue = {policy: colour[SERIES[place % len(SERIES)]] for place, policy in enumerate(policies)}
        _differences(panels[0], sweep, name, first, hue, colour)
        _distributions(panels[1], sweep, name, hue, colour)
        if places:
            _regret(panels[2], sweep, name, hue, colour, named=not wide)
    for label, policy in zip(panels[0].get_yticklabels(), hue, strict=True):
        label.set_color(hue[policy])
        label.set_weight("bold")
    return figure


def named(policy: str, letters: int = 20) -> str:
    """A policy's name, broken where it is long."""
    return "\n".join(textwrap.wrap(policy, letters)[:3])


def _differences(axes, sweep, name: str, first: str, hue: dict[str, str], colour: dict[str, str]) -> None:
    table, found = panel(sweep, name).values, differences(sweep, name, first)
    axes.axvline(0.0, color=colour["muted"], linewidth=0.9)
    for row, policy in enumerate(hue):
        if policy == first:
            axes.plot(0.0, row, "o", color=hue[policy], markersize=5)
            continue
        gap = (table[policy] - table[first]).to_numpy()
        shown = gap[:: max(1, len(gap) // MOST_DOTS)]
        spread = ((np.arange(len(shown)) * 0.618) % 1.0 - 0.5) * 0.5
        axes.plot(shown, row + spread, ".", color=hue[policy], alpha=0.55, markersize=3.5, markeredgewidth=0)
        mean, low, high = found.loc[policy, ["difference", "low", "high"]]
        axes.plot([low, high], [row, row], color=colour["ink"], linewidth=2.2)
        axes.plot(mean, row, "o", color=hue[policy], markersize=5.5, markeredgecolor=colour["ink"], markeredgewidth=0.8)
    axes.set_yticks(range(len(hue)), [named(policy) for policy in hue])
    axes.set_ylim(len(hue) - 0.5, -0.5)
    axes.grid(False, axis="y")
    money(axes.xaxis, most=4)
    axes.set_xlabel(f"minus {named(first, 30)} [{unit_of(name)}]")
    axes.set_title("Difference, pair by pair", color=colour["muted"])


def _distributions(panel, sweep, name: str, hue: dict[str, str], colour: dict[str, str]) -> None:
    for policy, shade in hue.items():
        values = np.sort(sweep.runs.loc[sweep.runs["policy"].astype(str) == policy, name].dropna().to_numpy(float))
        rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), 300)).astype(int))
        panel.step(values[rows], (rows + 1) / len(values), where="post", color=shade, linewidth=1.2, label=policy)
    panel.set_ylim(0, 1.01)
    percent(panel.yaxis)
    money(panel.xaxis, most=4)
    panel.set_xlabel(with_unit(name))
    panel.set_title("Share of runs at or below", color=colour["muted"])
    if len(hue) <= 6:
        panel.legend(loc="best", handlelength=1.2, fontsize=6)


def _regret(panel, sweep, name: str, hue: dict[str, str], colour: dict[str, str], *, named: bool) -> None:
    found = regrets(sweep, name)
    for row, (policy, shade) in enumerate(hue.items()):
        panel.barh(row, found.loc[policy, "max_regret"], 0.62, color=shade, alpha=0.3)
        panel.barh(row, found.loc[policy, "mean_regret"], 0.34, color=shade)
    panel.set_yticks(range(len(hue)), list(hue) if named else [""] * len(hue))
    panel.set_ylim(len(hue) - 0.5, -0.5)
    panel.grid(False, axis="y")
    panel.set_xlim(left=0.0)
    money(panel.xaxis, most=4)
    panel.set_xlabel(f"mean; pale: worst world [{unit_of(name)}]")
    panel.set_title("Regret", color=colour["muted"])
