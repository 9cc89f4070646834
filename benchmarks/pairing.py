"""How many runs common random numbers save: policies on the same seeds beside policies on seeds of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.measure import Measurement
from contagion.experiment.statistics import unit_counts
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

OUTCOME = "system_loss"
VENUE = "exchanges.perp"
POLICIES: dict[str, dict[str, Any]] = {
    "four times the fund": {f"{VENUE}.insurance_fund.size": 2e5},
    "twice the margin": {f"{VENUE}.contracts.*.tiers": [{"maintenance": 0.06, "initial": 0.12}]},
    "pro rata instead of a queue": {
        f"{VENUE}.waterfall": [
            "insurance_fund", {"layer": "backstop_vault", "vault": "backstop"},
            {"layer": "auto_deleverage", "ranking": "pro_rata"}, "venue_equity",
        ],
    },
}  # fmt: skip
RESAMPLES = 2_000


def pairing(quick: bool) -> list[Measurement]:
    """Runs of independent seeds per paired run, for intervals of the difference that are equally wide.

    Quickstart as it is against each policy. The variance of a paired difference is taken over the same seeds, that of
    an independent one adds what the policy varies by over other seeds. A policy binds in a run whose outcome it
    changes.
    """
    runs = 20 if quick else 100
    base = _losses({}, range(runs))
    found = []
    for order, (name, overrides) in enumerate(POLICIES.items(), start=1):
        paired, apart = (_losses(overrides, range(start, start + runs)) for start in (0, order * 1_000))
        ratio, low = _saved(base, paired, apart)
        binds = float(np.mean(paired != base))
        what = f"independent seeds / pairs, {name} ({runs} runs each)"
        found += [
            Measurement(what, ratio, "x", ">= 20"),
            Measurement("  lower end of its 95% interval", low, "x"),
            Measurement("  binds in this share of runs", binds, "", ">= 0.5" if order == 1 else ""),
        ]
    return found


def _losses(overrides: Mapping[str, Any], seeds: range) -> np.ndarray:
    scenario = load_scenario("quickstart", overrides)
    return np.array([_loss(ContagionModel(scenario, rng=seed, keep_ledger=False)) for seed in seeds])


def _loss(model: ContagionModel) -> float:
    model.advance(False)
    return model.recorder.outcomes()[OUTCOME]


def _saved(base: np.ndarray, paired: np.ndarray, apart: np.ndarray) -> tuple[float, float]:
    """Ratio of variances, and the 2.5% quantile of its bootstrap."""
    runs = len(base)
    weights = np.concatenate(list(unit_counts(runs, np.random.default_rng(1), RESAMPLES)))
    others = np.concatenate(list(unit_counts(runs, np.random.default_rng(2), RESAMPLES)))
    one = np.ones((1, runs))
    value = (_variance(base, one) + _variance(apart, one)) / _variance(paired - base, one)
    drawn = (_variance(base, weights) + _variance(apart, others)) / _variance(paired - base, weights)
    return float(value[0]), float(np.quantile(drawn, 0.025))


def _variance(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    share = weights / weights.sum(axis=1, keepdims=True)
    return share @ values**2 - (share @ values) ** 2
