"""How unequally a burden lies on traders: its Lorenz curve, and where it lies by leverage and size."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from contagion.outcomes.measures import gini, lorenz, top_share
from contagion.report.source import run_of, signature
from contagion.report.style import Theme, Width, message, percent, shade, sheet, short, sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_EDGES = (0.0, 1e3, 1e4, 1e5, 1e6, 1e7, np.inf)
LEVERAGE_EDGES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, np.inf)


def burden(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Lorenz curve of the burden over traders, and its share by leverage and size of the bearer at the opening.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Left: share of the burden [%] on the traders that bore least, all traders counted; the nearer to the corner, the
        more unequal. Right: share of traders' burden [%] in each class of leverage (gross notional of contracts and
        collateral over net worth) and net worth [USD], both at the opening.
    """
    run = run_of(source)
    traders = run.agents[run.agents["type"].astype(str) == "trader"]
    borne = np.maximum(traders["burden"].to_numpy(float), 0.0)
    wide = width == "page"
    height = (2.9 if wide else 5.4) if borne.sum() > 0.0 else 1.3
    with sheet(theme, width, height) as (figure, colour):
        foot = f"Burden of {len(traders):,} traders by the state of each at the opening. Shares; net worth in USD."
        sign(figure, "How the burden lies on traders", signature(run, foot), colour)
        if not borne.sum() > 0.0:
            message(figure.subplots(), "No trader bore anything.", colour)
            return figure
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.35]) if wide else figure.subplots(2, 1)
        population, share = _thinned(*lorenz(borne))
        left.plot([0, 1], [0, 1], color=colour["grey"], linewidth=0.9, linestyle="--")
        left.plot(population, share, color=colour["purple"], clip_on=False, zorder=3)
        left.fill_between(population, share, population, color=colour["purple"], alpha=0.12, linewidth=0)
        left.text(0.04, 0.93, f"Gini {gini(borne):.2f}", transform=left.transAxes, weight="bold")
        left.text(
            0.04, 0.85, f"{(borne > 0).sum():,} of {len(borne):,} bore anything\nthe 1% that bore most: "
            f"{top_share(borne, 0.01):.0%}", transform=left.transAxes, va="top", color=colour["muted"], fontsize=7,
        )  # fmt: skip
        left.annotate("if all bore the same", (0.36, 0.27), color=colour["muted"], fontsize=6.5, ha="left")
        left.set_title("Lorenz curve", color=colour["muted"])
        left.set_xlabel("traders, those that bore least first [%]")
        left.set_ylabel("share of the burden [%]")
        left.set_xlim(0, 1)
        left.set_ylim(0, 1)
        percent(left.xaxis)
        percent(left.yaxis)
        _classes(right, traders, borne, colour)
    return figure


def _thinned(population: np.ndarray, share: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Points of a curve, evenly spaced along it, so that a million traders make no heavier picture than a hundred."""
    length = population + share
    rows = np.unique(np.searchsorted(length, np.linspace(0.0, 2.0, most)).clip(0, len(length) - 1))
    return (population, share) if len(population) <= most else (population[rows], share[rows])


def classes(traders) -> tuple[np.ndarray, np.ndarray]:
    """Class of leverage and of net worth of each trader at the opening, counted from 0."""
    worth, notional = traders["opening_net_worth"].to_numpy(float), traders["opening_notional"].to_numpy(float)
    leverage = np.divide(notional, worth, out=np.zeros(len(worth)), where=worth > 0.0)
    return tuple(
        np.searchsorted(edges, np.maximum(values, 0.0), side="right") - 1
        for edges, values in ((LEVERAGE_EDGES, leverage), (SIZE_EDGES, worth))
    )


def _classes(panel, traders, borne: np.ndarray, colour: dict[str, str]) -> None:
    if "opening_notional" not in traders:
        message(panel, "This run was saved before notionals were kept.", colour)
        return
    from matplotlib.patches import Rectangle

    leverage, size = classes(traders)
    shape = (len(LEVERAGE_EDGES) - 1, len(SIZE_EDGES) - 1)
    amounts, members = np.zeros(shape), np.zeros(shape, int)
    np.add.at(amounts, (leverage, size), borne)
    np.add.at(members, (leverage, size), 1)
    share = amounts / amounts.sum()
    rows, columns = np.flatnonzero(members.any(axis=1)), np.flatnonzero(members.any(axis=0))
    share, members = share[np.ix_(rows, columns)], members[np.ix_(rows, columns)]
    top = share.max()
    panel.set_xlim(0, len(columns))
    panel.set_ylim(0, len(rows))
    for (row, column), value in np.ndenumerate(share):
        if members[row, column]:
            face, ink = shade(value / top)
            panel.add_patch(Rectangle((column + 0.02, row + 0.03), 0.96, 0.94, facecolor=colour[face], linewidth=0))
            words = f"{value:.0%}" if value >= 0.005 else ("<1%" if value > 0 else "0")
            count = f"of {members[row, column]:,}"
            place = {"ha": "center", "va": "center", "color": colour[ink]}
            panel.text(column + 0.5, row + 0.62, words, fontsize=7.5, **place)
            panel.text(column + 0.5, row + 0.25, count, fontsize=5.5, **place)
    panel.grid(False)
    panel.set_yticks(np.arange(len(rows)) + 0.5, [_between(LEVERAGE_EDGES, row, "x") for row in rows])
    panel.set_xticks(
        np.arange(len(columns)) + 0.5,
        [_between(SIZE_EDGES, column, "").replace("–", "–\n").replace("below ", "below\n") for column in columns],
    )
    panel.tick_params(length=0)
    panel.set_ylabel("leverage at the opening")
    panel.set_xlabel("net worth at the opening [USD]")
    panel.set_title("Share of the burden, and of how many traders", color=colour["muted"])


def _between(edges: tuple[float, ...], place: int, sign_: str) -> str:
    low, high = list(pairwise(edges))[place]
    if low == 0.0:
        return f"below {short(high)}{sign_}"
    return f"{short(low)}{sign_} +" if np.isinf(high) else f"{short(low)}–{short(high)}{sign_}"
