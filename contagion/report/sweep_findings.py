"""Which policy did best, how surely, and what mattered, in sentences made from the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from contagion.outcomes.risk import historical_var_es
from contagion.report.figures.sweep_map import binned, strongest
from contagion.report.intervals import differences, means, regrets
from contagion.report.page import written
from contagion.report.sweep_source import Sweep, lower_is_better, unit_of

DRAWN = 3  # outcomes that get figures of their own
TOLD = 6  # outcomes with sentences and rows
QUANTILE = 0.95


def findings(sweep: Sweep) -> list[str]:
    """What came out in plain sentences, with intervals."""
    said = [_summary(sweep)]
    for outcome in sweep.outcomes[:TOLD]:
        if sweep.runs[outcome].nunique(dropna=True) < 2:
            value = sweep.runs[outcome].dropna()
            if len(value):
                said.append(f"{outcome} is {_value(float(value.iloc[0]), outcome)} in every run.")
            continue
        said.append(_best(sweep, outcome) if len(sweep.policies) > 1 else _mean(sweep, outcome))
        if sweep.swept and outcome in sweep.outcomes[:DRAWN]:
            said.append(_driver(sweep, outcome))
    return [sentence for sentence in said if sentence]


def _varied(sweep: Sweep) -> list[str]:
    """Outcomes that differ between runs, which can be compared."""
    return [name for name in sweep.outcomes[:TOLD] if sweep.runs[name].nunique(dropna=True) > 1]


def _order(sweep: Sweep, outcome: str) -> list[str]:
    """Policies by their mean, the best first."""
    table = means(sweep, outcome).set_index("policy")["mean"]
    return list(table.sort_values(ascending=lower_is_better(outcome), kind="stable").index)


def _not_worse(sweep: Sweep, outcome: str, best: str) -> list[str]:
    """Policies that the interval of the paired difference does not tell apart from the best."""
    gaps = differences(sweep, outcome, best)
    return gaps.loc[~((gaps["low"] > 0.0) | (gaps["high"] < 0.0)), "policy"].tolist()


def _summary(sweep: Sweep) -> str:
    """One sentence on all outcomes: who is best on which, and whether that is sure."""
    if len(sweep.policies) < 2 or not _varied(sweep):
        return ""
    parts = []
    for outcome in _varied(sweep):
        best = _order(sweep, outcome)[0]
        tied = _not_worse(sweep, outcome, best)
        sure = "surely" if not tied else f"but not surely before {_listed(tied)}"
        parts.append(f"“{best}” on {outcome}, {sure}")
    sure = "Sure means that 95% intervals of the paired differences to all others leave out zero."
    return f"Best policies: {'; '.join(parts)}. {sure}"


def _listed(names: list[str]) -> str:
    quoted = [f"“{name}”" for name in names[:3]]
    return ", ".join(quoted) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _best(sweep: Sweep, outcome: str) -> str:
    """Which policy is best on an outcome, and by how much before the next."""
    table = means(sweep, outcome).set_index("policy")
    best, second = _order(sweep, outcome)[:2]
    word = "lowest" if lower_is_better(outcome) else "highest"
    head = f"{outcome}: “{best}” has the {word} mean, {_between(table.loc[best], outcome)}"
    gap = differences(sweep, outcome, second).set_index("policy").loc[best]
    if not np.isfinite(gap["low"]):
        return f"{head}; “{second}” comes next with {_between(table.loc[second], outcome)}. One seed gives no interval."
    share = gap["lower"] if lower_is_better(outcome) else gap["higher"]
    regret = regrets(sweep, outcome).set_index("policy").loc[best]
    worlds = sweep.runs["world"].nunique()
    tail = f"it is the best in {regret['best'] * worlds:.0f} of {worlds:,} worlds" if worlds > 1 else ""
    if regret["most"] > 0.0:
        tail += f", and {_value(regret['most'], outcome)} behind the best in the worst for it"
    return (
        f"{head}. On the same worlds and seeds it differs from the next, “{second}”, by {_between(gap, outcome)}, "
        f"and is "
        f"better in {share:.0%} of {gap['n']:,.0f} pairs{'; ' + tail if tail else ''}."
    )


def _mean(sweep: Sweep, outcome: str) -> str:
    row = means(sweep, outcome).iloc[0]
    tail = historical_var_es(sweep.runs[outcome].dropna().to_numpy(float), QUANTILE)
    return (
        f"{outcome}: {_between(row, outcome)} in the mean; in the worst {1.0 - QUANTILE:.0%} of runs "
        f"{_value(tail.es, outcome)} in the mean (expected shortfall)."
    )


def _driver(sweep: Sweep, outcome: str) -> str:
    """How the field that matters most moves an outcome."""
    path = strongest(sweep.runs, sweep.swept, outcome)[0]
    column = binned(sweep.runs[path])
    by = sweep.runs[outcome].groupby(column).mean()
    if len(by) < 2:
        return ""
    total = sweep.runs[outcome].var(ddof=0)
    within = sweep.runs.groupby(column)[outcome].transform("mean").var(ddof=0)
    return (
        f"Of the swept fields {path} moves {outcome} most: from {_value(by.iloc[0], outcome)} at "
        f"{place(by.index[0])} to "
        f"{_value(by.iloc[-1], outcome)} at {place(by.index[-1])} in the mean; its classes explain "
        f"{within / total:.0%} of "
        "the variance over runs."
    )


def _between(row: pd.Series, outcome: str) -> str:
    text = _value(row["mean"], outcome)
    if not np.isfinite(row["low"]):
        return text
    return f"{text} (95% interval {_number(row['low'], outcome)} to {_number(row['high'], outcome)})"


def _value(number: float, outcome: str) -> str:
    unit = unit_of(outcome)
    return f"{_number(number, outcome)}{'' if unit == '1' else ' ' + unit}"


def _number(number: float, outcome: str) -> str:
    return written(float(f"{number:.4g}"), f"[{unit_of(outcome)}]")


def place(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float | np.number) else f"“{value}”"
