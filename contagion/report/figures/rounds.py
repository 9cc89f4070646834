"""How a cascade unfolds: round after round at one instant, and instant after instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.report.source import clock, run_of, signature, time_at
from contagion.report.style import Theme, Width, message, money, sheet, sign
from contagion.terminal import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROUNDS = 40


def rounds(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Accounts closed by force over time, and in the largest cascade by round.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Left: closures [accounts] of each step. Right: liquidation orders and takeovers [accounts] in each round of the
        step with most of them, and deficits [USD] that arose in it.
    """
    run = run_of(source)
    table = run.rounds
    wide = width == "page"
    closed = (table["liquidations"] + table["takeovers"]).to_numpy(float)
    height = (2.5 if wide else 4.2) if closed.any() else 1.3
    with sheet(theme, width, height) as (figure, colour):
        sign(figure, "Cascade rounds", signature(run, "Counts are accounts; deficits in USD."), colour)
        if not closed.any():
            message(figure.subplots(), "No account was closed by force: there was no cascade.", colour)
            return figure
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25]) if wide else figure.subplots(2, 1)
        _steps(left, run, closed, colour)
        _largest(right, run, closed, colour)
    return figure


def _steps(panel, run, closed: np.ndarray, colour: dict[str, str]) -> None:
    times, unit = clock(run)
    by_step = np.bincount(run.rounds["step"].to_numpy(int), closed, len(times) + 1)[1:]
    some = np.flatnonzero(by_step)
    panel.vlines(times[some], 0.0, by_step[some], color=colour["orange"], linewidth=1.2)
    panel.plot(times[some], by_step[some], "o", color=colour["orange"], markersize=2.5)
    panel.set_title(
        f"All cascades: forced closures in {len(some):,} step{'s' * (len(some) > 1)}", color=colour["muted"]
    )
    panel.set_xlabel(f"time since the opening [{unit}]")
    panel.set_ylabel("accounts closed")
    panel.set_xlim(0.0, times[-1])
    panel.set_ylim(bottom=0.0)


def _largest(panel, run, closed: np.ndarray, colour: dict[str, str]) -> None:
    _, unit = clock(run)
    table = run.rounds.assign(closed=closed)
    step = int(table.groupby("step")["closed"].sum().idxmax())
    chosen = table[table["step"] == step].head(MOST_ROUNDS)
    number = chosen["round"].to_numpy(int)
    taken, ordered = chosen["takeovers"].to_numpy(float), chosen["liquidations"].to_numpy(float)
    panel.bar(number, ordered, 0.7, color=colour["orange"], label="liquidation orders")
    panel.bar(number, taken, 0.7, bottom=ordered, color=colour["orange"], alpha=0.5, label="takeovers")
    panel.set_title(
        f"The largest: {chosen['closed'].sum():,.0f} closures at {time_at(run, step):.4g} {unit}, by round"
        + ("" if chosen["deficit"].any() else ", no deficit"),
        color=colour["muted"],
    )  # fmt: skip
    panel.set_xlabel("round")
    panel.set_ylabel("accounts closed")
    panel.set_xlim(0.3, max(number.max(), 3) + 0.7)
    panel.xaxis.get_major_locator().set_params(integer=True)
    room = 1.5 if panel.figure.get_figwidth() > 5 else 2.1  # for the legend
    panel.set_ylim(0.0, room * (taken + ordered).max())
    deficit = chosen["deficit"].to_numpy(float)
    if deficit.any():
        other = panel.twinx()
        other.plot(
            number,
            deficit,
            "D-",
            color=colour["red"],
            markersize=3,
            linewidth=1.0,
            label=f"deficits, {amount(float(deficit.sum()))} in all (right) [USD]",
        )
        other.set_ylim(0.0, room * deficit.max())
        other.grid(False)
        other.spines["right"].set_visible(False)
        money(other.yaxis, most=4)
        handles, labels = other.get_legend_handles_labels()
        other.set_ylabel("USD")
    else:
        handles, labels = [], []
    own = panel.get_legend_handles_labels()
    panel.legend(own[0] + handles, own[1] + labels, loc="upper right")
