"""The loss waterfall: from what accounts lacked to who paid, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from contagion.report.source import (
    borne,
    deficits,
    drawdown,
    kind_of,
    market_assets,
    payer_in_words,
    plain,
    run_of,
    signature,
)
from contagion.report.style import Theme, Width, bare, message, money, sheet, sign
from contagion.terminal import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_VENUES = 4
_ROOM = 108  # letters that fit beside each other in a panel of page width
ROLES = {"fund": "green", "vault": "green", "reserve": "green", "unallocated": "red"}


def waterfall(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Deficits of each venue, and what every layer of its waterfall bore of them, in order.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        A panel for each venue with deficits (beyond four the others share one): a bar for the deficits [USD], one for
        each layer that starts where the one before it ended, and the payers. The bars end where nothing is left; what
        no layer took is red.
    """
    run = run_of(source)
    by_venue, table = deficits(run), borne(run)
    shown = list(by_venue.index[:MOST_VENUES])
    if len(by_venue) > MOST_VENUES:
        shown = [*by_venue.index[: MOST_VENUES - 1], f"{len(by_venue) - MOST_VENUES + 1} other venues"]
        rest = list(by_venue.index[MOST_VENUES - 1 :])
        by_venue = pd.concat([by_venue.iloc[: MOST_VENUES - 1], pd.Series({shown[-1]: by_venue[rest].sum()})])
        table = table.assign(venue=table["venue"].where(~table["venue"].isin(rest), shown[-1]))
    parts = [_layers(table, venue, kind_of(run)) for venue in shown]
    height = 0.95 + sum(0.24 * (2 + len(part)) for part in parts) if parts else 1.8
    with sheet(theme, width, height) as (figure, colour):
        foot = "Layers in the order in which they are asked; deleveraging counts at its price against the mark. USD."
        if not shown:
            sign(figure, "Who paid for the deficits, layer by layer", signature(run, foot), colour)
            message(figure.subplots(), "No account ended below zero: there was no deficit to allocate.", colour)
            return figure
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[2 + len(part) for part in parts])[:, 0]
        most, far = max(float(by_venue[venue]) for venue in shown), 0.0
        for panel, venue, part in zip(panels, shown, parts, strict=True):
            far = max(far, _stairs(panel, venue, float(by_venue[venue]), part, colour, wide=width == "page"))
        for panel in panels:  # one scale, so that bars of different venues can be compared
            panel.set_xlim(0.0, far)
            money(panel.xaxis)
            panel.set_xticks([tick for tick in panel.get_xticks() if 0.0 <= tick <= most * 1.0001])
        sign(figure, f"Who paid for the deficits, after {_shock(run)}", signature(run, foot), colour)
    return figure


def _shock(run) -> str:
    falls = [f"{asset} fell {drawdown(run, asset):.0%}" for asset in market_assets(run)[:2]]
    return f"{' and '.join(falls)} from peak to low" if falls else "the shock"


def _layers(table: pd.DataFrame, venue: str, kinds: dict[str, str]) -> list[tuple[str, float, str]]:
    """Name, amount and payers of each layer of a venue, in order."""
    rows = table[table["venue"] == venue]
    found = []
    for layer in sorted(rows["layer"].unique(), key="unallocated".__eq__):
        payers = rows[rows["layer"] == layer].groupby("payer")["amount"].sum().sort_values(ascending=False)
        words = "nobody: the venue is left with it" if layer == "unallocated" else _payers(payers, kinds)
        found.append((layer, float(payers.sum()), words))
    return found


def _payers(payers: pd.Series, kinds: dict[str, str]) -> str:
    names = [payer_in_words(name, kinds) for name in payers.index]
    if len(names) == 1:
        return names[0]
    total = float(payers.sum()) or 1.0
    listed = [f"{name} {value / total:.0%}" for name, value in zip(names[:3], payers[:3], strict=True)]
    return ", ".join(listed) + (f", {len(names) - 3} more" if len(names) > 3 else "")


def _role(layer: str) -> str:
    return next((role for word, role in ROLES.items() if word in layer), "purple")


def _stairs(panel, venue: str, total: float, part: list, colour: dict[str, str], *, wide: bool) -> float:
    """Draw a venue's panel; how far to the right its words reach."""
    bare(panel, keep="x")
    left = total
    rows = ["deficits", *(plain(layer) for layer, _, _ in part)]
    panel.barh(0, total, 0.72, color=colour["ink"], alpha=0.75)
    panel.text(total * 1.015, 0, amount(total), va="center", weight="bold")
    far, room = 1.3 * total, _ROOM if wide else _ROOM * 0.33
    for number, (layer, value, payers) in enumerate(part, start=1):
        start = max(0.0, left - value)
        panel.barh(number, left - start, 0.72, left=start, color=colour[_role(layer)])
        panel.vlines(left, number - 0.64, number + 0.36, color=colour["muted"], linewidth=0.6)
        words = f"{amount(value)}, {value / total:.1%}" if total else amount(value)
        if wide:
            words += f", {'' if layer == 'unallocated' else 'paid by '}{payers}"
        panel.text(left + 0.012 * total, number, words, va="center", fontsize=7)
        far = max(far, (left + 0.02 * total) / max(0.2, 1.0 - len(words) / room))
        left = start
    panel.set_yticks(range(len(rows)), rows)
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(rows) - 0.45, -0.6)
    panel.spines["left"].set_visible(True)
    panel.set_title(f"{plain(venue)} [USD]", color=colour["muted"])
    return far
