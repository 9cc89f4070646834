"""Who wins and who loses by a policy, in sentences: gains with intervals, their sum, and what only changed hands."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagion.experiment.statistics import Estimate, mean_interval
from contagion.report.intervals import CONFIDENCE, RESAMPLES, panel, winners
from contagion.report.source import plain
from contagion.report.sweep_source import Sweep
from contagion.report.words import between, joined, usd

TYPES = ("traders", "exchanges", "funds", "protocols", "outside")
NAMES = {"funds": "insurance funds and reserves", "outside": "holders outside the model", "traders": "all traders"}
MOST = 3
TRANSFER = 0.25
"""Where the sum of all changes is below this share of what winners gained, the gain is mostly a transfer. [1]"""
DUST = 1.0  # USD


def winning_sentences(sweep: Sweep, most: int = 4) -> list[str]:
    """For every policy but the first: who gains, who loses, what the changes sum to, and what is a transfer."""
    table = winners(sweep)
    if not len(table):
        return []
    return [_sentence(sweep, table[table["policy"] == policy], policy) for policy in sweep.policies[1 : 1 + most]]


def net_change(sweep: Sweep, policy: str) -> Estimate:
    """Sum over all types of agents of the change of net worth, policy less the first, with its interval. [USD]"""
    names = [f"gain.{kind}" for kind in TYPES if f"gain.{kind}" in sweep.runs]
    apart = sum(panel(sweep, name).by_unit[policy] - panel(sweep, name).by_unit[sweep.policies[0]] for name in names)
    return mean_interval(np.asarray(apart, float), np.random.default_rng(0), CONFIDENCE, RESAMPLES)


def agents_in_words(name: str) -> str:
    """A type or group of agents as it is said."""
    return NAMES.get(name, plain(name))


def _sentence(sweep: Sweep, rows: pd.DataFrame, policy: str) -> str:
    # Groups say more than the traders they add up to; other types have no groups.
    split = (rows["kind"] == "group").any()
    rows = rows[(rows["kind"] == "group") | ((rows["agents"] != "traders") if split else True)]
    gains = rows[rows["difference"] > DUST].sort_values("difference", ascending=False)
    losses = rows[rows["difference"] < -DUST].sort_values("difference")
    head = f"Under “{policy}” instead of “{sweep.policies[0]}”"
    if not len(gains) and not len(losses):
        return f"{head} nobody's net worth at the end changes by more than a dollar in the mean."
    parts = [
        f"{joined([_row(row) for row in side.head(MOST).itertuples()])} {verb}"
        for side, verb in ((_sure(gains), "gain"), (_sure(losses), "lose")) if len(side)
    ]  # fmt: skip
    net = net_change(sweep, policy)
    said = (f"{head}, in the mean, {'; '.join(parts) or 'nobody gains or loses surely'}. "
            f"Over all types of agents net worth changes by {usd(net.value)}{_ends(net.low, net.high)}")
    won, lost = float(gains["difference"].sum()), float(-losses["difference"].sum())
    if min(won, lost) > DUST and abs(net.value) < TRANSFER * max(won, lost):
        first = losses.iloc[0]
        said += (
            f": mostly a transfer, since winners gain {usd(won)} in all and losers lose {usd(lost)}, of which "
            f"{agents_in_words(first.agents)} {usd(-first.difference)}"
        )
    return f"{said}."


def _sure(side: pd.DataFrame) -> pd.DataFrame:
    """Rows whose interval does not span zero, or all where there are no intervals."""
    return side[(side["low"] * side["high"] > 0.0) | side["low"].isna()]


def _row(row) -> str:
    amount = f"{'+' if row.difference > 0.0 else ''}{usd(row.difference)}"
    ends = f", 95% interval {between(row.low, row.high)}" if np.isfinite(row.low) else ""
    return f"{agents_in_words(row.agents)} ({amount}{ends})"


def _ends(low: float, high: float) -> str:
    return f" (95% interval {between(low, high)})" if np.isfinite(low) else ""
