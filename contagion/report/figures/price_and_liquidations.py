"""Prices, depth and forced selling of a run on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contagion.report.source import clock, market_assets, run_of, scenario_of, signature, time_at
from contagion.report.style import SERIES, Theme, Width, money, percent, sheet, sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ASSETS = 5
BARS = 120
_SEEN = 0.002  # a venue's mark nearer to the index than this all the time would hide behind it


def price_and_liquidations(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Index prices and venues' marks, depth quoted by makers, and notional closed by force, over time.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Three panels: price less that of the opening, over it [%], dashed where a venue's own mark differs; depth
        [USD for a move of 1%]; notional of liquidations and of deleveraging [USD per bar]. Scheduled shocks are dotted.
    """
    run = run_of(source)
    times, unit = clock(run)
    steps = run.steps
    depth = [column for column in steps if column.startswith("depth.")]
    with sheet(theme, width, 4.3 if depth else 3.4) as (figure, colour):
        ratios = [2.2, 1.0, 1.3] if depth else [2.2, 1.3]
        panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
        _prices(panels[0], run, times, colour)
        if depth:
            total = steps[depth].sum(axis=1).to_numpy()
            panels[1].fill_between(times, total, color=colour["green"], alpha=0.25, linewidth=0)
            panels[1].plot(times, total, color=colour["green"], label="depth")
            panels[1].set_ylim(bottom=0)
            panels[1].set_title("Depth: what a move of 1% takes, makers together", color=colour["muted"])
            panels[1].set_ylabel("USD")
            money(panels[1].yaxis, most=3)
        _forced(panels[-1], run, times, unit, colour)
        for panel in panels:
            for shock in scenario_of(run).get("shocks") or ():
                panel.axvline(time_at(run, shock["at"]), color=colour["muted"], linestyle=":", linewidth=0.9)
        panels[-1].set_xlabel(f"time since the opening [{unit}]")
        if len(times):
            panels[-1].set_xlim(0.0, times[-1])
        sign(
            figure,
            "Prices, depth and forced selling",
            signature(run, f"{'Dotted: scheduled shocks. ' if scenario_of(run).get('shocks') else ''}Money in USD."),
            colour,
        )
    return figure


def marks_apart(run) -> list[str]:
    """Columns of venues' own marks that are drawn, since they leave the index."""
    found = []
    for asset in market_assets(run)[:MOST_ASSETS]:
        index = run.steps[f"price.{asset}"].to_numpy(float)
        for column in run.steps:
            if column.startswith("mark.") and column.endswith(f":{asset}"):
                mark = run.steps[column].to_numpy(float)
                if np.max(np.abs(mark / index - 1.0), initial=0.0) > _SEEN:
                    found.append(column)
    return found


def caption(run) -> str:
    """How to read the figure of this run: it speaks of what is drawn only."""
    said = ["Top: prices since the opening"]
    if marks_apart(run):
        said[0] += "; dashed lines are the venues' own marks, which decide who is liquidated"
    elif any(column.startswith("mark.") for column in run.steps):
        said[0] += f"; the venues' own marks stay within {_SEEN:.1%} of them and are not drawn"
    if any(column.startswith("depth.") for column in run.steps):
        said.append("Middle: how much money moves the price by 1%")
    said.append("Bottom: what was closed by force")
    if scenario_of(run).get("shocks"):
        said.append("Dotted: scheduled shocks")
    return ". ".join(said) + "."


def _prices(panel, run, times: np.ndarray, colour: dict[str, str]) -> None:
    assets = market_assets(run)
    apart, venues = marks_apart(run), set()
    for asset, role in zip(assets[:MOST_ASSETS], SERIES, strict=False):
        index = run.steps[f"price.{asset}"].to_numpy(float)
        opening = index[0] if len(index) else 1.0
        panel.plot(times, index / opening - 1.0, color=colour[role], label=asset)
        for column in (name for name in apart if name.endswith(f":{asset}")):
            mark = run.steps[column].to_numpy(float)
            panel.plot(times, mark / opening - 1.0, color=colour[role], linestyle=(0, (3, 1.5)), linewidth=0.9)
            venues.add(column.removeprefix("mark.").partition(":")[0])
    more = f", the {MOST_ASSETS} of {len(assets)} assets that fell most" if len(assets) > MOST_ASSETS else ""
    panel.set_title(f"Price since the opening{more}", color=colour["muted"])
    panel.set_ylabel("change [%]")
    percent(panel.yaxis)
    if venues:
        words = next(iter(venues)) if len(venues) == 1 else f"{len(venues)} venues"
        panel.plot([], [], color=colour["muted"], linestyle=(0, (3, 1.5)), linewidth=0.9, label=f"as marked by {words}")
    panel.legend(loc="best", ncols=3, handlelength=1.8, labelspacing=0.25, columnspacing=1.2)


def _forced(panel, run, times: np.ndarray, unit: str, colour: dict[str, str]) -> None:
    bars = max(1, min(BARS, len(times)))
    place = np.arange(len(times)) * bars // max(1, len(times))
    edges = (
        np.concatenate([[0.0], times[np.searchsorted(place, np.arange(bars), side="right") - 1]])
        if len(times)
        else [0, 1]
    )
    wide = np.diff(edges)
    floor = np.zeros(bars)
    for column, role, label in (
        ("liquidated_notional", "orange", "liquidations at the market"),
        ("deleveraged_notional", "purple", "deleveraging of winners"),
    ):
        amount = np.bincount(place, run.steps[column].to_numpy(float), bars) if len(times) else floor
        if amount.any():
            panel.bar(edges[:-1], amount, wide, bottom=floor, align="edge", color=colour[role], label=label)
            floor = floor + amount
    each = f"{wide[0]:.3g} {unit if wide[0] != 1.0 else unit.removesuffix('s')}"
    panel.set_title(f"Closed by force, notional in each bar of {each}", color=colour["muted"])
    panel.set_ylabel("USD")
    panel.set_ylim(bottom=0.0, top=None if floor.any() else 1.0)
    money(panel.yaxis, most=3)
    if floor.any():
        panel.legend(loc="upper left" if np.argmax(floor) > bars / 2 else "upper right")
