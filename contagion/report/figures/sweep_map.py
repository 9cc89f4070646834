"""An outcome over one or two swept fields, with its uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from contagion.report.figures.comparison import named
from contagion.report.intervals import interval
from contagion.report.style import SERIES, Theme, Width, message, money, shade, sheet, short, sign
from contagion.report.sweep_source import chosen, signature, sweep_of, unit_of, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = 6  # of a field with more values than CELLS
CELLS = 9
MOST_PANELS = 4


def sweep_map(
    source, outcome: str | None = None, *, over: tuple[str, ...] = (), theme: Theme = "light", width: Width = "page"
) -> Figure:
    """Mean of an outcome where one or two fields are swept, with 95% intervals.

    Parameters
    ----------
    source : path, Results or DataFrame
    outcome : str, optional
        Default: the first one the experiment is about.
    over : tuple of one or two str, optional
        Paths of the fields. Default: the two that explain most of the outcome's variance. Others are averaged over.
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Over one field: the mean and its interval, a line for each policy. Over two: a map for each policy (the first
        four), in each cell the mean, the half-width of its interval, and the runs in it.
    """
    sweep = sweep_of(source)
    name = chosen(sweep, outcome)
    fields = over or strongest(sweep.runs, sweep.swept, name)[:2]
    policies = sweep.policies[:MOST_PANELS]
    if len(fields) < 2:
        return _lines(sweep, name, fields, theme, width)
    rest = [path for path in sweep.swept if path not in fields]
    across = 2 if width == "page" and len(policies) > 1 else 1
    down = -(-len(policies) // across)
    runs = sweep.runs.assign(**{path: binned(sweep.runs[path]) for path in fields})
    rows_ = runs[fields[1]].nunique()
    with sheet(theme, width, 0.9 + down * (0.75 + 0.3 * rows_)) as (figure, colour):
        foot = f"Cells: mean, half-width of its 95% interval, n runs. Unit: {unit_of(name)}."
        foot += f" Averaged over {', '.join(rest)}." if rest else ""
        sign(figure, f"{name} by {last(fields[0])} and {last(fields[1])}", signature(sweep, foot), colour)
        panels = figure.subplots(down, across, squeeze=False).ravel()
        tables = {
            policy: _cells(sweep, runs[runs["policy"].astype(str) == policy], fields, name) for policy in policies
        }
        ends = [value for table in tables.values() for value, *_ in table.values() if np.isfinite(value)]
        for panel, policy in zip(panels, policies, strict=False):
            _map(panel, runs, tables[policy], fields, (min(ends), max(ends)), colour)
            if len(policies) > 1:
                panel.set_title(named(policy, 60), color=colour["muted"])
        for panel in panels[len(policies) :]:
            panel.remove()
    return figure


def last(path: str) -> str:
    """The end of a path that says what it is: ``insurance_fund.size``."""
    parts = path.split(".")
    return ".".join(parts[-3 if parts[-2:-1] and parts[-2].isdigit() else -2 :])


def binned(column: pd.Series) -> pd.Series:
    """A field as few ordered classes: its values where they are few, else intervals with equal numbers of runs."""
    if column.nunique() <= CELLS:
        return column
    return pd.qcut(column.astype(float), CLASSES, duplicates="drop").map(lambda part: part.mid).astype(float)


def strongest(runs: pd.DataFrame, swept: tuple[str, ...], outcome: str) -> tuple[str, ...]:
    """Swept fields by the share of variance between their classes, largest first."""
    total = runs[outcome].var()
    share = {
        path: runs.groupby(binned(runs[path]))[outcome].mean().var() / total if total > 0 else 0.0 for path in swept
    }
    return tuple(sorted(swept, key=lambda path: -np.nan_to_num(share[path])))


def _cells(sweep, runs: pd.DataFrame, fields: tuple[str, ...], outcome: str) -> dict[tuple, tuple[float, float, int]]:
    """Mean, half-width and number of runs by (x, y)."""
    found = {}
    for key, part in runs.groupby(list(fields)):
        mean, low, high = interval(sweep, part, outcome)
        found[key] = mean, (high - low) / 2.0, len(part)
    return found


def _map(panel, runs, cells: dict, fields: tuple[str, ...], ends: tuple[float, float], colour: dict[str, str]) -> None:
    from matplotlib.patches import Rectangle

    columns, rows = (sorted(runs[path].unique()) for path in fields)
    low, high = ends
    for (x, y), (mean, half, count) in cells.items():
        column, row = columns.index(x), rows.index(y)
        face, ink = shade((mean - low) / (high - low) if high > low else 0.0)
        panel.add_patch(Rectangle((column + 0.02, row + 0.03), 0.96, 0.94, facecolor=colour[face], linewidth=0))
        place = {"ha": "center", "va": "center", "color": colour[ink]}
        panel.text(column + 0.5, row + 0.64, short(mean), fontsize=7, **place)
        words = f"± {short(float(f'{half:.2g}'))}, n {count}" if np.isfinite(half) else f"n {count}"
        panel.text(column + 0.5, row + 0.27, words, fontsize=5, **place)
    panel.set_xlim(0, len(columns))
    panel.set_ylim(0, len(rows))
    panel.set_xticks(np.arange(len(columns)) + 0.5, [_value(x) for x in columns])
    panel.set_yticks(np.arange(len(rows)) + 0.5, [_value(y) for y in rows])
    panel.tick_params(length=0)
    panel.grid(False)
    panel.set_xlabel(fields[0])
    panel.set_ylabel("\n".join(_broken(fields[1])))


def _lines(sweep, name: str, fields: tuple[str, ...], theme: Theme, width: Width) -> Figure:
    with sheet(theme, width, 2.8) as (figure, colour):
        panel = figure.subplots()
        foot = f"Mean and 95% interval, bootstrap over independent units. Unit: {unit_of(name)}."
        if not fields:
            sign(figure, name, signature(sweep, foot), colour)
            message(panel, "No field was swept.", colour)
            return figure
        path = fields[0]
        sign(figure, f"{name} by {last(path)}", signature(sweep, foot), colour)
        runs = sweep.runs.assign(**{path: binned(sweep.runs[path])})
        values = sorted(runs[path].unique())
        numbers = all(isinstance(value, int | float | np.number) for value in values)
        places = np.asarray(values, float) if numbers else np.arange(len(values))
        for place, policy in enumerate(sweep.policies):
            part = runs[runs["policy"].astype(str) == policy]
            found = np.array([
                interval(sweep, cell, name)
                for cell in (part[part[path] == value] for value in values)
            ])  # fmt: skip
            tint = colour[SERIES[place % len(SERIES)]]
            panel.fill_between(places, found[:, 1], found[:, 2], color=tint, alpha=0.18, linewidth=0)
            panel.plot(places, found[:, 0], "o-", color=tint, markersize=3, label=named(policy, 40))
        if not numbers:
            panel.set_xticks(places, [_value(value) for value in values])
        else:
            money(panel.xaxis)
        money(panel.yaxis)
        panel.set_xlabel(path)
        panel.set_ylabel(with_unit(name))
        if len(sweep.policies) > 1:
            panel.legend(loc="best")
    return figure


def _value(value: object) -> str:
    return short(float(value)) if isinstance(value, int | float | np.number) else named(str(value), 14)


def _broken(path: str, letters: int = 26) -> list[str]:
    """A path in lines that end at its dots."""
    lines = [""]
    for part in path.split("."):
        if lines[-1] and len(lines[-1]) + len(part) > letters:
            lines.append("")
        lines[-1] += part if not lines[-1] and len(lines) == 1 else f".{part}"
    return lines
