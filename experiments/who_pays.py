"""Who pays on 10 October 2025 under three rules: the same shocks, traders and luck, another waterfall.

    python experiments/who_pays.py [--scenario october_2025] [--seeds 20] [--set PATH=VALUE ...]

Seed by seed the three runs differ in nothing but the rule, so a difference between rules is the mean of differences
under common random numbers, which varies less than the difference of two means. Intervals are bootstrapped over seeds.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from contagion import ContagionModel, load_scenario

VAULT, VENUE = {"layer": "backstop_vault", "vault": "hlp"}, {"layer": "venue_equity"}
DELEVERAGE = {"layer": "auto_deleverage", "price": "previous_mark"}
RULES = {
    "deleverage by rank": [VAULT, {**DELEVERAGE, "ranking": "hyperliquid"}, VENUE],
    "deleverage pro rata": [VAULT, {**DELEVERAGE, "ranking": "pro_rata"}, VENUE],
    "cut profits": [VAULT, {"layer": "profit_haircut"}, VENUE],
}
BORNE_BY = {  # column -> layers
    "vault": ["backstop_vault"],
    "winners": ["auto_deleverage", "profit_haircut"],
    "venue": ["venue_equity"],
    "nobody": ["unallocated"],
}


def run(scenario: str, settings: dict[str, Any], rule: str, seed: int) -> dict[str, Any]:
    """What the deficits of the exchange came to and who bore them. [USD]"""
    loaded = load_scenario(scenario, {**settings, "exchanges.perp.waterfall": RULES[rule]})
    outcomes = ContagionModel(loaded, rng=seed, keep_ledger=False).run().outcomes
    absorbed = {layer: outcomes.get(f"absorbed.{layer}", 0.0) for layers in BORNE_BY.values() for layer in layers}
    absorbed["unallocated"] = outcomes["unallocated"]
    borne = {who: sum(absorbed[layer] for layer in layers) for who, layers in BORNE_BY.items()}
    pool = outcomes.get("bad_debt.pool", 0.0)
    return {"rule": rule, "seed": seed, "deficit": outcomes["deficit"] - pool, **borne}


def runs(scenario: str, settings: dict[str, Any], seeds: range, workers: int) -> pd.DataFrame:
    """One row per rule and seed."""
    jobs = [(scenario, settings, rule, seed) for seed, rule in product(seeds, RULES)]
    if workers == 1:
        return pd.DataFrame([run(*job) for job in jobs])
    with ProcessPoolExecutor(workers) as pool:
        return pd.DataFrame(pool.map(run, *zip(*jobs, strict=True)))


def interval(values: np.ndarray, draws: int = 4_000) -> tuple[float, float]:
    """95% bootstrap interval (percentiles) of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, size=(draws, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def table(frame: pd.DataFrame, paired: bool = False) -> pd.DataFrame:
    """Mean and interval per rule, in millions; or of the difference to the first rule, seed by seed."""
    columns = ["deficit", *BORNE_BY]
    by_rule = {rule: rows.set_index("seed")[columns] for rule, rows in frame.groupby("rule", sort=False)}
    if paired:
        first, *others = by_rule
        by_rule = {rule: by_rule[rule] - by_rule[first] for rule in others}
    return pd.DataFrame({rule: rows.apply(_cell) for rule, rows in by_rule.items()}).T


def _cell(values: pd.Series) -> str:
    low, high = interval(values.to_numpy())
    return f"{values.mean() / 1e6:.1f} [{low / 1e6:.1f}, {high / 1e6:.1f}]"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", default="october_2025", help="one with the exchange perp and the vault hlp")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--set", dest="settings", metavar="PATH=VALUE", action="append", default=[])
    given = parser.parse_args(arguments)
    settings = dict(setting.split("=", 1) for setting in given.settings)
    frame = runs(given.scenario, settings, range(given.seeds), given.workers)
    print(f"{given.scenario}, {given.seeds} seeds; mean and 95% interval [m USD]")
    print(table(frame).to_string())
    print(f"\nDifference to '{next(iter(RULES))}', seed by seed [m USD]")
    print(table(frame, paired=True).to_string())


if __name__ == "__main__":
    main()
