"""Where socialised losses come from and on whose account they come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from contagion.report.source import kind_of, plain, run_of, signature
from contagion.report.style import Theme, Width, bare, message, sheet, sign
from contagion.terminal import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 9
ROLES = {
    "trader": "purple",
    "fund": "green",
    "exchange": "orange",
    "protocol": "blue",
    "outside": "grey",
    "nobody": "red",
}
WORDS = {
    "trader": "traders", "fund": "funds and reserves", "exchange": "exchanges", "protocol": "protocols",
    "outside": "holders outside the model", "nobody": "nobody",
}  # fmt: skip
NAMES = {"unallocated": "nobody (unallocated)", "outside": "holders outside the model"}
_GAP = 0.025


def flows(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Bands from the venue where a loss arose to who bore it in the end, as wide as the amount.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Venues at the left, bearers at the right [USD], coloured by kind; those beyond nine are added up as "others".
        What an issuer of claims gave is passed on to its holders (:func:`contagion.outcomes.loss_table`).
    """
    run = run_of(source)
    kinds = kind_of(run)
    table = run.burden.groupby(["origin", "bearer"], sort=False, as_index=False)["amount"].sum()
    table = table[table["amount"] > 1e-6 * table["amount"].sum()]
    table = _merged(_merged(table, "bearer", MOST), "origin", MOST)
    count = max(table["bearer"].nunique(), table["origin"].nunique(), 2)
    with sheet(theme, width, 1.0 + 0.34 * count) as (figure, colour):
        panel = figure.subplots()
        foot = "Burden: deleveraging at its price against the mark, what issuers gave passed on to holders. USD."
        sign(figure, "From where losses arose to who bore them", signature(run, foot), colour)
        if table.empty:
            message(panel, "No loss was passed on: nobody bore a deficit of somebody else.", colour)
            return figure
        bare(panel)
        _bands(panel, table, kinds, colour, wide=width == "page")
    return figure


def _merged(table: pd.DataFrame, column: str, most: int) -> pd.DataFrame:
    sums = table.groupby(column)["amount"].sum().sort_values(ascending=False, kind="stable")
    if len(sums) <= most:
        return table
    small = set(sums.index[most - 1 :])
    name = f"{len(small)} others"
    table = table.assign(**{column: [name if value in small else value for value in table[column].astype(str)]})
    return table.groupby(["origin", "bearer"], sort=False, as_index=False)["amount"].sum()


def _bands(panel, table: pd.DataFrame, kinds: dict[str, str], colour: dict[str, str], *, wide: bool) -> None:
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.path import Path

    total = float(table["amount"].sum())
    ends = {}
    for column in ("origin", "bearer"):
        sums = table.groupby(column)["amount"].sum().sort_values(ascending=False, kind="stable")
        scale = 1.0 - _GAP * (len(sums) - 1)
        top, spans = 1.0, {}
        for name, value in sums.items():
            spans[name] = (top, value)
            top -= float(value) / total * scale + _GAP
        ends[column] = (spans, scale)
    count = max(len(spans) for spans, _ in ends.values())
    left, right, thick = 0.0, 1.0, 0.018
    used = {(column, name): 0.0 for column in ends for name in ends[column][0]}
    order = {name: number for number, name in enumerate(ends["bearer"][0])}
    rows = sorted(table.itertuples(), key=lambda row: (order[row.bearer], row.origin))
    for row in rows:
        role = colour[ROLES.get(kinds.get(row.bearer, ""), "grey")]
        spans = []
        for column, name in (("origin", row.origin), ("bearer", row.bearer)):
            (top, _), scale = ends[column][0][name], ends[column][1]
            start = top - used[column, name]
            used[column, name] += row.amount / total * scale
            spans.append((start, start - row.amount / total * scale))
        (a, b), (c, d) = spans
        x0, x1, middle = left + thick, right - thick, 0.5
        points = [(x0, a), (middle, a), (middle, c), (x1, c), (x1, d), (middle, d), (middle, b), (x0, b), (x0, a)]
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        panel.add_patch(PathPatch(Path(points, codes), facecolor=role, alpha=0.42, linewidth=0))
    for column, x, align, off in (
        ("origin", left, "right", -0.012),
        ("bearer", right - thick, "left", thick + 0.012),
    ):
        spans, scale = ends[column]
        middles = _apart([top - float(value) / total * scale / 2 for top, value in spans.values()], 0.48 / count)
        for (name, (top, value)), middle in zip(spans.items(), middles, strict=True):
            role = ROLES.get(kinds.get(name, ""), "grey") if column == "bearer" else "ink"
            height = float(value) / total * scale
            panel.add_patch(Rectangle((x, top - height), thick, height, color=colour[role], linewidth=0))
            share = f"{value / total:.0%}" if value >= 0.005 * total else "<1%"
            words = f"{NAMES.get(name, plain(name))}  {amount(float(value))}" + (f" ({share})" if wide else "")
            panel.text(x + off, middle, words, ha=align, va="center", fontsize=7.5 if wide else 6.2)
    side = 0.42 if wide else 1.15
    panel.set_xlim(-side, 1.0 + side)
    panel.set_ylim(-0.02, 1.02)
    seen = [kind for kind in WORDS if any(kinds.get(row.bearer) == kind for row in rows)]
    handles = [Rectangle((0, 0), 1, 1, color=colour[ROLES[kind]]) for kind in seen]
    panel.legend(
        handles,
        [WORDS[kind] for kind in seen],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=len(seen) if wide else 2,
        handlelength=1.2,
        title="borne by",
        title_fontsize=7,
        fontsize=7 if wide else 6,
        columnspacing=1.2 if wide else 0.8,
    )


def _apart(places: list[float], least: float) -> list[float]:
    """Places from the top down, moved so that neighbours are at least this far apart and the last is not below 0."""
    moved: list[float] = []
    for place in places:
        moved.append(min(place, moved[-1] - least) if moved else place)
    for row in range(len(moved) - 1, -1, -1):
        moved[row] = max(moved[row], moved[row + 1] + least if row + 1 < len(moved) else 0.0)
    return moved
