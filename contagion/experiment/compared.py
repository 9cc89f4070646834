"""What a comparison of policies found: tables, a text of 80 columns, and their place in the sweep's folder."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from contagion.experiment.folder import write
from contagion.terminal import cut

WIDTH = 80
CENT = 0.01
FOLDER = "comparison"
TABLES = ("table", "pairs", "best", "dominance", "regret", "winners", "pairing", "cells")


@dataclass(frozen=True)
class Comparison:
    """Policies compared on the same worlds.

    Attributes
    ----------
    table : DataFrame
        One row an outcome and policy: mean and ``es`` (expected shortfall, on the worse side) with intervals.
    pairs : DataFrame
        One row an outcome and policy but the base: mean paired difference (policy less base) with its BCa bootstrap
        interval, sign-flip ``p_value``, ``p_holm`` adjusted over all rows (Holm), share of pairs ``differing``.
    best : DataFrame
        Probability that the policy has the best mean (bootstrap over units), and share of units where it is the best.
    dominance : DataFrame
        Order 1 and 2 of every pair of policies: largest ``violation``, ``p_value`` of dominance and of its reverse;
        ``dominates`` where the runs do so at every value (``nowhere_worse``) and the reverse is rejected at 0.05.
    regret : DataFrame
        Against the best policy of each world: mean, largest, and the world of that.
    winners : DataFrame
        Change of net worth by type and group of agents, policy less base. [USD]
    pairing : DataFrame
        Correlation of pairs; runs of independent seeds per paired run for an equal interval.
    cells : DataFrame
        Where worlds are places to compare, not draws: each policy on each world by itself.
    notes : list of str
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    best: pd.DataFrame
    dominance: pd.DataFrame
    regret: pd.DataFrame
    winners: pd.DataFrame
    pairing: pd.DataFrame
    cells: pd.DataFrame
    notes: list[str]
    question: str
    base: str
    policies: dict[str, dict[str, Any]]
    unit: str
    confidence: float
    quantile: float

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.policies)}>"

    def summary(self) -> str:
        """The findings as text, at most 80 columns wide."""
        return "\n".join(line for part in self._parts() for line in part).rstrip() + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what is not a finite number is None."""
        plain = {name: _records(getattr(self, name)) for name in TABLES}
        keys = ("question", "base", "policies", "unit", "confidence", "quantile", "notes")
        return {**{key: getattr(self, key) for key in keys}, **plain}

    def save(self, folder: Path) -> Path:
        """Write the tables as CSV and the rest as JSON and text below a sweep's folder."""
        inside = folder / FOLDER
        inside.mkdir(exist_ok=True)
        for name in TABLES:
            write(inside / f"{name}.csv", getattr(self, name).to_csv(index=False, lineterminator="\n").encode())
        write(inside / "comparison.json", (json.dumps(self.as_dict(), indent=1) + "\n").encode())
        write(inside / "summary.txt", self.summary().encode())
        return inside

    def _parts(self) -> Iterator[list[str]]:
        if self.question:
            yield [*textwrap.wrap(" ".join(self.question.split()), WIDTH), ""]
        for outcome in self.table["outcome"].unique():
            yield self._outcome(outcome)
        if len(self.winners):
            yield self._winners()
        yield [line for note in self.notes for line in textwrap.wrap(f"Note: {note}", WIDTH, subsequent_indent="  ")]

    def _outcome(self, outcome: str) -> list[str]:
        rows = self.table[self.table["outcome"] == outcome].set_index("policy")
        pairs, best, regret, saved = (
            frame[frame["outcome"] == outcome].set_index("policy") if len(frame) else frame
            for frame in (self.pairs, self.best, self.regret, self.pairing)
        )
        first = rows.iloc[0]
        percent, tail = f"{100 * self.confidence:g}%", f"ES {100 * self.quantile:g}%"
        title = f"{outcome} ({first.better} is better; {first.pairs:,} runs each, {first.units:,} {self.unit}s)"
        lines = [title, f"  {'policy':<16}{'mean':>9} {percent + ' interval':>19}{tail:>9}"
                 f"{'best':>6}{'regret':>9}{'largest':>9}"]  # fmt: skip
        for name, row in rows.iterrows():
            lines.append(
                f"  {cut(name, 16):<16}{_short(row['mean']):>9} {_range(row.mean_low, row.mean_high):>19}"
                f"{_short(row.es):>9}{best.probability_best[name]:>6.0%}"
                f"{_short(regret.mean_regret[name]):>9}{_short(regret.max_regret[name]):>9}"
            )
        lines.append(f"  {'less ' + cut(self.base, 20):<25} {'':>19}{'p':>9}{'Holm':>7}{'differ':>8}{'pairing':>9}")
        for name, row in pairs.iterrows():
            ratio = f"{_short(saved.variance_ratio[name])}x" if len(saved) and row.differing else "same"
            lines.append(
                f"  {cut(name, 16):<16}{_short(row.difference):>9} {_range(row.low, row.high):>19}"
                f"{row.p_value:>9.2g}{row.p_holm:>7.2g}{row.differing:>8.0%}{ratio:>9}"
            )
        return [*lines, *self._dominating(outcome), ""]

    def _dominating(self, outcome: str) -> list[str]:
        found = self.dominance[(self.dominance["outcome"] == outcome) & self.dominance["dominates"]]
        first = {(row.policy, row.over) for row in found.itertuples() if row.order == 1}
        lines = []
        for row in found.itertuples():
            if row.order == 1 or (row.policy, row.over) not in first:
                word = "first" if row.order == 1 else "second"
                text = f"{row.policy} dominates {row.over} at {word} order"
                lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
        rows = self.table[self.table["outcome"] == outcome]
        sign = -1.0 if len(rows) and rows["better"].iloc[0] == "higher" else 1.0
        for one, tail in self._worse_tails(rows, sign):
            text = f"{one} has the better mean, but the worse tail (ES), than {', '.join(tail)}"
            lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
        return lines

    @staticmethod
    def _worse_tails(rows: pd.DataFrame, sign: float) -> Iterator[tuple[str, list[str]]]:
        for one in rows.itertuples():
            worse = rows[(sign * rows["mean"] > sign * one.mean) & (sign * rows["es"] < sign * one.es)]
            if len(worse):
                yield one.policy, worse["policy"].tolist()

    def _winners(self) -> list[str]:
        lines = [f"Who wins and who loses against {cut(self.base, 20)} (mean net worth gained, USD)",
                 f"  {'agents':<20}{'policy':<20}{'gain':>9} {'interval':>19}{'Holm':>7}"]  # fmt: skip
        for row in self.winners.itertuples():
            if max(abs(row.difference), abs(row.low), abs(row.high)) >= CENT:
                lines.append(
                    f"  {cut(row.agents, 19):<20}{cut(row.policy, 19):<20}{_short(row.difference):>9} "
                    f"{_range(row.low, row.high):>19}{row.p_holm:>7.2g}"
                )
        return [*lines, ""] if len(lines) > 2 else []


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(frame.to_json(orient="records", double_precision=15))


def _range(low: float, high: float) -> str:
    return f"{_short(low)} to {_short(high)}"


def _short(value: float) -> str:
    """Three digits, with k, m, bn for thousands and up."""
    if value != value:
        return "-"
    for size, mark in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if 0.9995 * size <= abs(value) < float("inf"):
            return f"{value / size:.3g}{mark}" if abs(value) < 999.5 * size else f"{value / size:,.0f}{mark}"
    return f"{value:.3g}"
