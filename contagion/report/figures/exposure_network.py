"""The exposure network before and after: who is large, who is leveraged, who failed, and whose loss reached whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from contagion.report.layout import around_hubs
from contagion.report.source import plain, run_of, signature
from contagion.report.style import STEPS, Theme, Width, bare, message, sheet, sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVERAGE_EDGES = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
FATES = {
    "kept": "grey",
    "lost more than half": "orange",
    "bore others' losses, over 1%": "purple",
    "left a deficit": "red",
}
MOST_LINKS = 400  # drawn one by one; what is left is too thin to see
MARKS = {"exchange": "s", "protocol": "D", "fund": "^", "outside": "o"}
_HUBS = ("exchange", "protocol")


def exposure_network(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Traders around the venue that holds most of their money, at the opening and at the end.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Areas of circles are net worth [USD], on one scale. Before: colours are leverage, lines exposures. After:
        colours are what befell each, lines the way of losses: from accounts that left a deficit to their venue (red),
        and from there to those who bore it (purple); the wider, the more. Where a run has more traders than are kept
        one by one, a circle is a group.
    """
    run = run_of(source)
    wide = width == "page"
    nodes = None if run.exposures.empty else _nodes(run)
    shape = 0.6 if nodes is None else nodes.attrs["shape"]
    with sheet(theme, width, 1.05 + 3.3 * shape if wide else 1.9 + 6.4 * shape) as (figure, colour):
        foot = "Areas: net worth [USD], on one scale. Leverage: notional of contracts and collateral over net worth."
        sign(figure, "The exposure network before and after", signature(run, foot), colour)
        if nodes is None:
            message(figure.subplots(), "This run was saved without exposures.", colour)
            return figure
        before, after = figure.subplots(1, 2) if wide else figure.subplots(2, 1)
        figure.get_layout_engine().set(h_pad=0.04 if wide else 0.1)
        for panel, end in ((before, "start"), (after, "end")):
            bare(panel)
            panel.set_aspect("equal")
            room = nodes.attrs["room"]
            panel.set_xlim(room[0], room[1])
            panel.set_ylim(room[2], room[3])
            _lines(panel, run, nodes, end, colour)
            _circles(panel, nodes, end, colour)
            _institutions(panel, nodes, end, colour)
        before.set_title("Before: colour is leverage, lines are exposures", color=colour["muted"])
        after.set_title("After: colour is fate, lines are the ways of losses", color=colour["muted"])
        _legends(before, after, nodes, colour)
    return figure


def _nodes(run) -> pd.DataFrame:
    """Agents that have exposures, with places, radii, leverage at the opening and fate."""
    agents = run.agents.assign(agent=run.agents["agent"].astype(str))
    exposures = run.exposures
    names = set(exposures["creditor"].astype(str)) | set(exposures["debtor"].astype(str))
    if "opening_notional" not in agents:
        agents = agents.assign(opening_notional=0.0)
    rows = agents["type"].astype(str) == "trader"
    if names.isdisjoint(agents.loc[rows, "agent"]) and rows.any():  # exposures are of groups
        agents = agents.assign(agent=agents["agent"].where(~rows, agents["group"].astype(str)))
    ledger = run.ledger
    bad = ledger.loc[ledger["cause"].astype(str) == "deficit", "payee"].astype(str)
    agents["failed"] = agents["agent"].isin(set(bad)) | agents["agent"].isin(set(bad.str.split(":", n=1).str[0]))
    sums = ["opening_net_worth", "net_worth", "opening_notional", "burden"]
    keep = {"type": "first", "status": "first", "failed": "any"} | dict.fromkeys(sums, "sum")
    nodes = agents[agents["agent"].isin(names)].groupby("agent", sort=False).agg(keep).reset_index()
    kind = nodes["type"].astype(str)
    nodes["circle"] = kind.isin(["trader", "outside"])
    worth = np.maximum(nodes["opening_net_worth"].to_numpy(float), 0.0)
    nodes["leverage"] = np.divide(nodes["opening_notional"], worth, out=np.zeros(len(nodes)), where=worth > 0.0)
    lost = nodes["net_worth"].to_numpy(float) < 0.5 * worth
    nodes["fate"] = np.select(
        [nodes["failed"], nodes["burden"] > 0.01 * worth, lost],
        ["left a deficit", "bore others' losses, over 1%", "lost more than half"],
        "kept",
    )
    start = exposures[exposures["when"].astype(str) == "start"]
    main = start.sort_values("amount", ascending=False).drop_duplicates("creditor").set_index("creditor")["debtor"]
    hubs = nodes.loc[kind.isin(_HUBS), "agent"].tolist()
    hub = nodes["agent"].map(main).where(nodes["circle"]).fillna("")
    x, y, scale, room = around_hubs(hubs, hub.tolist(), worth, nodes["agent"].tolist())
    nodes["x"], nodes["y"] = x, y
    funds = np.flatnonzero(kind == "fund")
    places = {name: (a, b) for name, a, b in zip(nodes["agent"], x, y, strict=True)}
    step = 0.028 * (room[1] - room[0])
    for row in funds:  # beside their venue
        owner = nodes["agent"][row].partition("/")[0]
        if owner in places:
            nodes.loc[row, ["x", "y"]] = places[owner][0] + step, places[owner][1]
    nodes.attrs |= {"scale": scale, "room": room, "shape": (room[3] - room[2]) / (room[1] - room[0])}
    return nodes


def _circles(panel, nodes: pd.DataFrame, end: str, colour: dict[str, str]) -> None:
    from matplotlib.collections import EllipseCollection

    some = nodes[nodes["circle"]]
    worth = np.maximum(some["opening_net_worth" if end == "start" else "net_worth"].to_numpy(float), 0.0)
    room = nodes.attrs["room"]
    radius = np.maximum(np.sqrt(worth) * nodes.attrs["scale"], 0.0016 * (room[1] - room[0]))
    if end == "start":
        shade = np.searchsorted(LEVERAGE_EDGES, some["leverage"], side="right") + 1
        colours = [colour[STEPS[step]] for step in shade]
    else:
        colours = [colour[FATES[fate]] for fate in some["fate"]]
    panel.add_collection(
        EllipseCollection(
            2 * radius,
            2 * radius,
            0.0,
            units="xy",
            offsets=some[["x", "y"]].to_numpy(),
            offset_transform=panel.transData,
            facecolors=colours,
            edgecolors=colour["muted" if end == "start" else "paper"],  # the palest shades are near the paper
            linewidths=0.25 if len(some) > 200 else 0.6,
            zorder=3,
        )
    )


def _institutions(panel, nodes: pd.DataFrame, end: str, colour: dict[str, str]) -> None:
    room = nodes.attrs["room"]
    for row in nodes[~nodes["circle"]].itertuples():
        failed = end == "end" and row.status not in ("", "active")
        spent = end == "end" and row.type == "fund" and row.net_worth < 0.01 * row.opening_net_worth
        face = colour["red"] if failed or spent else colour["green"] if row.type == "fund" else colour["ink"]
        size = 6.5 if row.type in _HUBS else 5.5
        panel.plot(
            row.x, row.y, MARKS.get(row.type, "o"), color=face, markersize=size, markeredgecolor=colour["paper"],
            markeredgewidth=0.8, zorder=5,
        )  # fmt: skip
        if row.type in _HUBS:
            words = plain(row.agent) + (f"\n{row.status}" if failed else "")
            panel.text(
                row.x,
                row.y - 0.022 * (room[3] - room[2]),
                words,
                ha="center",
                va="top",
                fontsize=7,
                weight="bold",
                zorder=6,
                bbox={"facecolor": colour["paper"], "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
            )


def _lines(panel, run, nodes: pd.DataFrame, end: str, colour: dict[str, str]) -> None:
    """Exposures at the opening; at the end, the ways of losses."""
    if end == "start":
        rows = run.exposures[run.exposures["when"].astype(str) == "start"]
        _draw(panel, nodes, rows["creditor"], rows["debtor"], rows["amount"].to_numpy(float), colour["muted"], 2.0)
        return
    ledger = run.ledger
    cause = ledger["cause"].astype(str)
    for which, role, ends in (
        (cause == "deficit", "red", ("payee", "payer")),
        ((cause == "allocation") & (ledger["layer"].astype(str) != "unallocated"), "purple", ("payee", "payer")),
    ):
        rows = ledger[which].groupby([ledger["payee"].astype(str), ledger["payer"].astype(str)])["amount"].sum()
        rows = rows.sort_values(ascending=False).head(MOST_LINKS).reset_index()
        _draw(panel, nodes, rows[ends[0]], rows[ends[1]], rows["amount"].to_numpy(float), colour[role], 4.0)


def _draw(panel, nodes: pd.DataFrame, source, target, amount: np.ndarray, colour: str, widest: float) -> None:
    from matplotlib.collections import LineCollection

    places = nodes.set_index("agent")[["x", "y"]]
    known = set(places.index)
    ends = [name if name in known else name.partition(":")[0] for name in (*source.astype(str), *target.astype(str))]
    first, second = ends[: len(amount)], ends[len(amount) :]
    some = np.array([a in known and b in known and a != b for a, b in zip(first, second, strict=True)], dtype=bool)
    if not some.any():
        return
    start = places.loc[np.asarray(first, dtype=object)[some]].to_numpy()
    stop = places.loc[np.asarray(second, dtype=object)[some]].to_numpy()
    share = np.sqrt(amount[some] / amount[some].max())
    faint = min(0.6, 6.0 / np.sqrt(some.sum()))
    lines = LineCollection(np.stack([start, stop], axis=1), colors=colour, linewidths=0.25 + widest * share, zorder=2)
    lines.set_alpha(np.clip(faint * (0.25 + 0.75 * share), 0.05, 0.6))
    panel.add_collection(lines)


def _legends(before, after, nodes: pd.DataFrame, colour: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    def dot(role: str, words: str, mark: str = "o", size: float = 5.0) -> Line2D:
        return Line2D([], [], linestyle="", marker=mark, color=colour[role], label=words, markersize=size)

    edges = (0.0, *LEVERAGE_EDGES)
    used = np.unique(np.searchsorted(LEVERAGE_EDGES, nodes.loc[nodes["circle"], "leverage"], side="right"))
    words = [f"{low:g}–{high:g}x" for low, high in zip(edges, LEVERAGE_EDGES, strict=False)] + [f"{edges[-1]:g}x +"]
    kinds = nodes.loc[~nodes["circle"], "type"].unique()
    handles = [dot(STEPS[step + 1], words[step]) for step in used]
    handles += [dot("green" if kind == "fund" else "ink", kind, MARKS.get(kind, "o")) for kind in kinds]
    place = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0.0),
        "handletextpad": 0.1,
        "columnspacing": 0.8,
        "fontsize": 6.3,
    }
    before.legend(handles=handles, ncols=5, **place)
    counted = nodes.loc[nodes["circle"], "fate"].value_counts()
    handles = [dot(role, f"{fate} ({counted[fate]:,})") for fate, role in FATES.items() if fate in counted]
    after.legend(handles=handles, ncols=2, **place)
