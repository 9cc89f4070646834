"""The event told in order: what happened first, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contagion.report.source import clock, drawdown, market_assets, plain, run_of, scenario_of, signature, time_at
from contagion.report.style import Theme, Width, bare, sheet, sign
from contagion.terminal import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from contagion.results import RunResult

MOST = 14
SHORT = {"minutes": "min", "hours": "h", "days": "d"}
EMPTY = 0.01  # of what a fund held at the opening


class Event(NamedTuple):
    """Something that happened, and when."""

    step: int
    words: str
    role: str  # colour


def events(run: RunResult) -> list[Event]:
    """What happened in a run, in order: shocks, lows, first calls and closures, deficits, runs, failures."""
    steps, ledger = run.steps, run.ledger
    found = [Event(shock["at"], _shock(shock), "blue") for shock in scenario_of(run).get("shocks") or ()]
    if steps.empty:
        return found
    for asset in market_assets(run)[:2]:
        low = int(steps[f"price.{asset}"].to_numpy().argmin())
        if drawdown(run, asset) > 0.02:
            words = f"{asset} at its low, {_fall(steps, asset, low):+.1%} from the opening"
            found.append(Event(_step(steps, low), words, "blue"))
    for column, words in (
        ("margin_calls", "first margin calls"),
        ("liquidations", "first liquidation"),
        ("deleveraged_notional", "first winners deleveraged"),
    ):
        row = _first(steps[column] > 0)
        if row is not None:
            found.append(Event(_step(steps, row), words, "purple" if "winners" in words else "orange"))
    row = _first(steps["deficit"] >= 0.01)
    if row is not None:
        found.append(Event(_step(steps, row), f"first deficit, {amount(steps['deficit'].iloc[row])} USD", "red"))
        largest = int(steps["deficit"].to_numpy().argmax())
        if largest != row:
            found.append(
                Event(_step(steps, largest), f"most deficits, {amount(steps['deficit'].iloc[largest])} USD", "red")
            )
    sold = steps["liquidated_notional"].to_numpy(float)
    if sold.any():
        row = int(sold.argmax())
        found.append(Event(_step(steps, row), f"most liquidated at once, {amount(sold[row])} USD", "orange"))
    found += _spent(run) + _runs(run)
    cause = ledger["cause"].astype(str)
    for text, words in (("resolution", "a venue is wound up"), ("theft", "funds are stolen")):
        rows = ledger[cause == text]
        if len(rows):
            found.append(Event(int(rows["step"].iloc[0]), words, "red"))
    lost = ledger[(cause == "allocation") & (ledger["layer"].astype(str) == "unallocated") & (ledger["amount"] >= 0.01)]
    if len(lost):
        found.append(Event(int(lost["step"].iloc[0]), "a deficit that no layer could bear", "red"))
    ordered = sorted(dict.fromkeys(found), key=lambda event: event.step)
    return ordered


def time_line(source, *, theme: Theme = "light", width: Width = "page") -> Figure:
    """Events of a run in order, on its clock, under the price of the asset that fell most.

    Parameters
    ----------
    source : RunResult, ContagionModel or path
    theme : {"light", "dark"}
    width : {"page", "column"}

    Returns
    -------
    Figure
        Price [USD] over time, and one line for each event at its time.
    """
    run = run_of(source)
    told = events(run)[:MOST]
    times, unit = clock(run)
    with sheet(theme, width, 1.7 + 0.19 * len(told)) as (figure, colour):
        top, panel = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 0.24 * max(len(told), 1)])
        asset = next(iter(market_assets(run)), None)
        if asset is not None and len(times):
            top.plot(times, run.steps[f"price.{asset}"], color=colour["blue"])
            top.set_title(f"Index price of {asset} [USD]", color=colour["muted"])
        bare(panel, keep="x")
        end = times[-1] if len(times) else 1.0
        for row, event in enumerate(told):
            at = time_at(run, event.step)
            late = at > 0.55 * end
            panel.hlines(row, 0.0, end, color=colour["grid"], linewidth=0.6)
            panel.vlines(at, -0.8, row, color=colour[event.role], linewidth=0.5, alpha=0.6)
            panel.plot(at, row, "o", color=colour[event.role], markersize=4.5, clip_on=False)
            when = f"({at:.3g} {SHORT[unit]})" if at >= 1.0 else f"({at:.2f} {SHORT[unit]})"
            words = f"{event.words}  {when}" if late else f"{when}  {event.words}"
            panel.text(
                at + (-0.012 if late else 0.012) * end,
                row,
                words,
                ha="right" if late else "left",
                va="center",
                fontsize=7,
                bbox={"facecolor": colour["paper"], "edgecolor": "none", "pad": 0.8},
            )
        panel.set_ylim(len(told) - 0.4, -0.8)
        panel.set_xlim(0.0, end)
        panel.set_xlabel(f"time since the opening [{unit}]")
        sign(figure, "What happened, in order", signature(run, "Index price in USD."), colour)
    return figure


def _step(steps, row: int) -> int:
    return int(steps["step"].iloc[row])


def _first(true) -> int | None:
    found = np.flatnonzero(true.to_numpy())
    return int(found[0]) if len(found) else None


def _fall(steps, asset: str, row: int) -> float:
    price = steps[f"price.{asset}"]
    return float(price.iloc[row] / price.iloc[0] - 1.0)


def _shock(shock: dict) -> str:
    where = plain(shock.get("asset") or shock.get("target") or "")
    size = shock.get("size")
    signed = {"price_gap": "+", "depeg": "+", "depth_withdrawal": "", "theft": ""}.get(shock["kind"])
    many = f" {size:{signed}.0%}" if signed is not None and isinstance(size, float) and abs(size) <= 1.0 else ""
    return f"shock: {plain(shock['kind'])} {where}{many}"


def _spent(run: RunResult) -> list[Event]:
    """Funds that held money at the opening and ran out."""
    funds = run.agents[run.agents["type"].astype(str) == "fund"]
    found = []
    for fund in funds.itertuples():
        column = f"net_worth.{fund.agent}"
        if column in run.steps and fund.opening_net_worth > 0.0:
            row = _first(run.steps[column] <= EMPTY * fund.opening_net_worth)
            if row is not None:
                found.append(Event(_step(run.steps, row), f"{plain(fund.agent)} is spent", "green"))
    return found


def _runs(run: RunResult) -> list[Event]:
    asked = run.steps["withdrawals_asked"].to_numpy(float)
    if not asked.any():
        return []
    first, most = int(np.flatnonzero(asked)[0]), int(asked.argmax())
    words = f"most withdrawals asked, {amount(asked[most])} USD"
    one = [Event(_step(run.steps, first), "first withdrawals asked", "sky")] if first != most else []
    return [*one, Event(_step(run.steps, most), words, "sky")]
