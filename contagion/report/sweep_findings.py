"""Which policy did best, how surely, and what mattered, in sentences made from the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from contagion.report.figures.sweep_map import binned, strongest
from contagion.report.intervals import QUANTILE, chances, differences, dominance, means, panel, regrets
from contagion.report.page import written
from contagion.report.sweep_source import Sweep, lower_is_better, unit_of
from contagion.report.sweep_winners import winning_sentences
from contagion.report.words import between, quoted, usd

DRAWN = 3  # outcomes that get figures of their own
MOST_TAILS = 3
TOLD = 6  # outcomes with sentences and rows


def findings(sweep: Sweep) -> list[str]:
    """What came out in plain sentences, with intervals."""
    said = [_summary(sweep), *winning_sentences(sweep)] if len(sweep.policies) > 1 else []
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


def _same(sweep: Sweep, outcome: str) -> bool:
    values = panel(sweep, outcome).values
    return bool(values.eq(values.iloc[:, 0], axis=0).all(axis=None))


def _order(sweep: Sweep, outcome: str) -> list[str]:
    """Policies by their mean, the best first."""
    return list(means(sweep, outcome)["mean"].sort_values(ascending=lower_is_better(outcome), kind="stable").index)


def _not_worse(sweep: Sweep, outcome: str, best: str) -> list[str]:
    """Policies that are not told apart from the best: adjusted for the number of comparisons, chance may do it."""
    found = differences(sweep, outcome, best)
    return found.index[(found["p_holm"] >= 0.05) | ~np.isfinite(found["low"])].tolist()


def _summary(sweep: Sweep) -> str:
    """One sentence on all outcomes: who is best on which, and whether that is sure."""
    if len(sweep.policies) < 2 or not _varied(sweep):
        return ""
    parts = []
    for outcome in _varied(sweep):
        if _same(sweep, outcome):
            continue
        best = _order(sweep, outcome)[0]
        tied = _not_worse(sweep, outcome, best)
        word = "lowest" if lower_is_better(outcome) else "highest"
        sure = "surely" if not tied else f"but not surely before {quoted(tied)}"
        parts.append(f"“{best}” has the {word} mean {outcome}, {sure}")
    if not parts:
        return "On the outcomes looked at, the policies differ in no run."
    said = f"{'; '.join(parts)}.".replace("; ", ". ")
    return f"{said} {_how_sure(sweep)} {_gross(sweep)}".strip()


def _how_sure(sweep: Sweep) -> str:
    one = (
        " This is about chance only: all runs are of one world, and say nothing about other shocks or sizes."
        if sweep.runs["world"].nunique() == 1 else ""
    )  # fmt: skip
    return (
        "“Surely” means that chance alone would make differences as large to every other policy in fewer than one "
        f"experiment in twenty (p-values adjusted after Holm).{one}"
    )


def _gross(sweep: Sweep) -> str:
    """What the outcome that comes first leaves out."""
    if not any(name.startswith(("system_loss", "deficit", "burden")) for name in sweep.outcomes[:1]):
        return ""
    won = any(str(name).startswith("gain.") for name in sweep.runs)
    return (
        f"A low {sweep.outcomes[0]} does not make a policy the better one: it adds up losses and leaves out what "
        "others gain." + (" Who wins and who loses is said next." if won else "")
    )


def _best(sweep: Sweep, outcome: str) -> str:
    """Which policy is best on an outcome, by how much before the next, and with what probability."""
    table = means(sweep, outcome)
    if _same(sweep, outcome):
        return f"{outcome}: all policies give the same in every run, {_mean_of(table.iloc[0], outcome)} in the mean."
    best, second = _order(sweep, outcome)[:2]
    word = "lowest" if lower_is_better(outcome) else "highest"
    head = f"{outcome}: “{best}” has the {word} mean, {_mean_of(table.loc[best], outcome)}"
    gap = differences(sweep, outcome, second).loc[best]
    if not np.isfinite(gap["low"]):
        return f"{head}; “{second}” comes next with {_mean_of(table.loc[second], outcome)}. One draw gives no interval."
    regret = regrets(sweep, outcome).loc[best]
    chance = chances(sweep, outcome).loc[best, "probability_best"]
    said = [
        f"{head}",
        f"Run by run it differs from the next, “{second}”, by "
        f"{_between(gap['difference'], gap['low'], gap['high'], outcome)}; the probability that its mean is the best "
        f"of all is {_chance(chance)}",
    ]
    if regret["worlds"] > 1:
        behind = regret["max_regret"]
        said.append(
            "In no world is another policy better"
            if behind <= 0.0
            else f"In the world that suits it least it is {_value(behind, outcome)} behind the best"
        )
    said += _risk(sweep, outcome, best)
    return ". ".join(said) + "."


def _risk(sweep: Sweep, outcome: str, best: str) -> list[str]:
    """Whether the policy with the best mean is the better one for those who fear the tail too."""
    table, under = means(sweep, outcome), dominance(sweep, outcome)
    under = under[(under["policy"] == best) & under["dominates"]]
    first, second = (list(under[under["order"] == order]["over"]) for order in (1, 2))
    later = [name for name in second if name not in first]
    sign = 1.0 if lower_is_better(outcome) else -1.0
    worse = [
        name
        for name in table.index
        if name not in (*first, *second) and sign * table.loc[best, "es"] > sign * table.loc[name, "es"]
    ]  # fmt: skip
    said = []
    if first:
        said.append(
            f"On {outcome} alone it is better than {quoted(first)} whatever one thinks of risk: at every quantile of "
            "the runs (first-order dominance; the reverse is rejected)"
        )
    if later:
        said.append(
            f"On {outcome} alone it is better than {quoted(later)} for everyone who dislikes risk (second-order "
            "dominance; the reverse is rejected)"
        )
    if worse:
        word, tail = "Lower" if sign > 0.0 else "Higher", {name: _value(float(table.loc[name, "es"]), outcome)
                                                          for name in table.index}  # fmt: skip
        others = ", ".join(f"{tail[name]} under “{name}”" for name in worse[:MOST_TAILS])
        said.append(
            f"{word} mean, worse tail: its expected shortfall (mean of the worst {1.0 - QUANTILE:.0%} of runs) is "
            f"{tail[best]}, against {others}"
        )
    return said


def _chance(share: float) -> str:
    return "above 99%" if share > 0.99 else f"{share:.0%}"


def _mean(sweep: Sweep, outcome: str) -> str:
    row = means(sweep, outcome).iloc[0]
    tail = _between(row["es"], row["es_low"], row["es_high"], outcome)
    return (
        f"{outcome}: {_mean_of(row, outcome)} in the mean; in the worst {1.0 - QUANTILE:.0%} of runs {tail} in "
        f"the mean "
        "(expected shortfall)."
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


def _mean_of(row: pd.Series, outcome: str) -> str:
    return _between(row["mean"], row["mean_low"], row["mean_high"], outcome)


def _between(value: float, low: float, high: float, outcome: str) -> str:
    text = _value(value, outcome)
    if not np.isfinite(low):
        return text
    if unit_of(outcome) == "USD":
        return f"{text} (95% interval {between(low, high)})"
    return f"{text} (95% interval {_number(low, outcome)} to {_number(high, outcome)})"


def _value(number: float, outcome: str) -> str:
    unit = unit_of(outcome)
    if unit == "USD":
        return usd(number)
    return f"{_number(number, outcome)}{'' if unit == '1' else ' ' + unit}"


def _number(number: float, outcome: str) -> str:
    return written(float(f"{number:.4g}"), f"[{unit_of(outcome)}]")


def place(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float | np.number) else f"“{value}”"
