"""The tables of a comparison, each from panels of one outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from contagion.experiment.dominance import dominance, nowhere_worse
from contagion.experiment.panel import DUST, Panel
from contagion.experiment.statistics import holm, mean_interval, pairing, sign_flip, tail_interval, unit_counts
from contagion.streams import Streams

SIGNIFICANCE = 0.05
CENT = 0.01
"""Smallest change of net worth that counts. [USD]"""


class Terms(NamedTuple):
    """How to compare."""

    base: str
    better: dict[str, str]
    confidence: float
    quantile: float
    resamples: int
    streams: Streams

    def rng(self, *what: str) -> np.random.Generator:
        """A generator of its own for each number, so that one more outcome changes no other."""
        # SciPy spawns generators of its own, which a keyed one cannot.
        return np.random.default_rng(int(self.streams.generator("comparison", *what).integers(2**63)))

    def wants_more(self, outcome: str) -> bool:
        """Whether more of an outcome is better."""
        return self.better[outcome] == "higher"


def outcome_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """One row an outcome and policy: mean and expected shortfall with intervals."""
    rows = []
    for outcome, panel in panels.items():
        sign = -1.0 if terms.wants_more(outcome) else 1.0
        for policy in panel.policies:
            values, rng = panel.values[policy].to_numpy(), terms.rng("mean", outcome, policy)
            mean = mean_interval(panel.by_unit[policy], rng, terms.confidence, terms.resamples)
            tail = tail_interval(sign * values, panel.units, rng, terms.quantile, terms.confidence, terms.resamples)
            ends = sorted((sign * tail.low, sign * tail.high))
            rows.append(
                {
                    "outcome": outcome, "policy": policy, "better": terms.better[outcome], "pairs": len(values),
                    "units": panel.n_units, "mean": mean.value, "mean_low": mean.low, "mean_high": mean.high,
                    "sd": panel.by_unit[policy].std(), "median": float(np.median(values)),
                    "es": sign * tail.value, "es_low": ends[0], "es_high": ends[1],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def pair_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """One row an outcome and policy but the base: the mean difference of pairs, its interval and p-values."""
    rows = []
    for outcome, panel in panels.items():
        for policy, apart in _differences(panel, terms.base):
            differing = float(np.mean(panel.values[policy] != panel.values[terms.base]))
            who = {"outcome": outcome, "policy": policy, "base": terms.base}
            rows.append({**who, **_tested(apart, terms, outcome, policy), "differing": differing})
    return _adjusted(pd.DataFrame(rows))


def _tested(apart: np.ndarray, terms: Terms, *what: str) -> dict[str, float]:
    rng = terms.rng("difference", *what)
    found = mean_interval(apart, rng, terms.confidence, terms.resamples)
    return {"difference": found.value, "low": found.low, "high": found.high, "p_value": sign_flip(apart, rng)}


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(p_holm=holm(table["p_value"])) if len(table) else table


def _differences(panel: Panel, base: str) -> list[tuple[str, np.ndarray]]:
    means = panel.by_unit
    return [(policy, (means[policy] - means[base]).to_numpy()) for policy in panel.policies if policy != base]


def best_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """How probable it is that a policy has the best mean, and in what share of units it is the best."""
    rows = []
    for outcome, panel in panels.items():
        gains = panel.by_unit.to_numpy() * (1.0 if terms.wants_more(outcome) else -1.0)
        gains = gains - gains.mean()
        wins = np.zeros(len(panel.policies))
        for counts in unit_counts(panel.n_units, terms.rng("best", outcome), terms.resamples, gains.size):
            wins += _shared_wins(counts @ gains / panel.n_units).sum(axis=0)
        each = _shared_wins(gains).mean(axis=0)
        for order, policy in enumerate(panel.policies):
            rows.append({"outcome": outcome, "policy": policy, "probability_best": wins[order] / terms.resamples,
                         "share_of_units_best": each[order]})  # fmt: skip
    return pd.DataFrame(rows)


def _shared_wins(gains: np.ndarray) -> np.ndarray:
    """Per row 1 for the greatest; those that tie but for rounding share it."""
    top = gains.max(axis=1, keepdims=True)
    winners = gains >= top - DUST * np.maximum(np.abs(gains).max(), 1e-300)
    return winners / winners.sum(axis=1, keepdims=True)


def dominance_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """Every ordered pair of policies at first and second order.

    One dominates where its runs do so everywhere, and the test rejects the reverse.
    """
    rows = []
    for outcome, panel in panels.items():
        sign = 1.0 if terms.wants_more(outcome) else -1.0
        for order in (1, 2):
            tested = {
                (one, other): dominance(
                    sign * panel.values[one], sign * panel.values[other], panel.units, order,
                    terms.rng("dominance", outcome, one, other, str(order)), terms.resamples,
                )
                for one in panel.policies for other in panel.policies if one != other
            }  # fmt: skip
            for (one, other), found in tested.items():
                back = tested[other, one]
                nowhere = nowhere_worse(sign * panel.values[one], sign * panel.values[other], panel.units, order)
                rows.append(
                    {
                        "outcome": outcome, "order": order, "policy": one, "over": other,
                        "violation": found.violation, "p_value": found.p_value, "reverse_p_value": back.p_value,
                        "nowhere_worse": nowhere, "dominates": bool(nowhere and back.p_value < SIGNIFICANCE),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def regret_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """What each policy gives away against the best one of each world."""
    rows = []
    for outcome, panel in panels.items():
        sign = 1.0 if terms.wants_more(outcome) else -1.0
        gains = sign * panel.by_world
        regret = gains.rsub(gains.max(axis=1), axis=0)
        smallest = regret.max().min() + DUST * gains.abs().to_numpy().max()
        for policy in panel.policies:
            rows.append(
                {
                    "outcome": outcome, "policy": policy, "worlds": len(regret), "mean_regret": regret[policy].mean(),
                    "max_regret": regret[policy].max(), "worst_world": int(regret[policy].idxmax()),
                    "least_max_regret": bool(regret[policy].max() <= smallest),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def winner_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """Change of net worth by type and group of agents, policy less base. [USD]"""
    rows = []
    for name, panel in panels.items():
        who = name.removeprefix("gain.").removeprefix("group.")
        kind = "group" if name.startswith("gain.group.") else "type"
        for policy, apart in _differences(panel, terms.base):
            rows.append(
                {
                    "kind": kind, "agents": who, "policy": policy, "base": terms.base,
                    "base_gain": panel.by_unit[terms.base].mean(), **_tested(apart, terms, name, policy),
                    "units_better": float(np.mean(apart > CENT)), "units_worse": float(np.mean(apart < -CENT)),
                }
            )  # fmt: skip
    return _adjusted(pd.DataFrame(rows))


def pairing_table(panels: Mapping[str, Panel], terms: Terms) -> pd.DataFrame:
    """What common random numbers saved."""
    rows = []
    for outcome, panel in panels.items():
        for policy in panel.policies:
            if policy != terms.base and panel.n_units > 1:
                found = pairing(panel.by_unit[policy], panel.by_unit[terms.base])
                rows.append({"outcome": outcome, "policy": policy, "base": terms.base, **found._asdict()})
    return pd.DataFrame(rows)


def cell_table(panels: Mapping[str, Panel], places: pd.DataFrame, terms: Terms) -> pd.DataFrame:
    """Each policy on each world by itself, over replications: mean, and what it differs from the base by.

    Parameters
    ----------
    places : DataFrame
        Values of swept paths by world.
    """
    rows = []
    for outcome, panel in panels.items():
        for world, values in panel.values.groupby(level="world"):
            for policy in panel.policies:
                rng, apart = terms.rng("cell", outcome, str(world), policy), values[policy] - values[terms.base]
                mean = mean_interval(values[policy], rng, terms.confidence, terms.resamples)
                gap = mean_interval(apart, rng, terms.confidence, terms.resamples)
                rows.append(
                    {
                        "outcome": outcome, "world": world, **places.loc[world], "policy": policy, "runs": len(values),
                        "mean": mean.value, "mean_low": mean.low, "mean_high": mean.high,
                        "difference": gap.value, "low": gap.low, "high": gap.high,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)
