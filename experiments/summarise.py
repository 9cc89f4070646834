"""Run experiment files and write what came out of each as a small table with its provenance.

    python experiments/summarise.py                      all of them
    python experiments/summarise.py leverage_by_fund     one

Runs go to results/NAME and are not repeated; summaries to results/experiments/NAME.csv and NAME.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from contagion.experiment import Comparison, Results, compare_runs, sweep

HERE = Path(__file__).parent
SUMMARIES = HERE.parent / "results" / "experiments"
DIGITS = 4


def summarise(file: Path) -> Path:
    """The summary of one experiment, in USD unless docs/outcomes.md gives another unit."""
    results = sweep(file, HERE.parent / "results" / file.stem, resume=True, progress=True)
    found = compare_runs(results)
    SUMMARIES.mkdir(parents=True, exist_ok=True)
    place = SUMMARIES / f"{file.stem}.csv"
    rows(found).to_csv(place, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
    place.with_suffix(".json").write_text(json.dumps(provenance_of(results, found), indent=1) + "\n", encoding="utf-8")
    return place


def rows(found: Comparison) -> pd.DataFrame:
    """Policies by world where worlds are places to compare, otherwise policies over all worlds."""
    if len(found.cells):
        return found.cells
    pairs = found.pairs.drop(columns=["base", "differing", "p_value"])
    return found.table.merge(pairs, on=["outcome", "policy"], how="left").drop(columns=["better", "units", "sd"])


def provenance_of(results: Results, found: Comparison) -> dict:
    """What it takes to repeat it, and how far to trust it."""
    kept = ("question", "base", "unit", "confidence", "notes")
    manifest = results.manifest
    return {
        "command": f"python experiments/summarise.py {results.experiment.name}",
        "runs": len(results.runs), "failures": len(results.failures),
        "scenario_hash": manifest["scenario_hash"], "results_version": manifest["results_version"],
        "seed": results.experiment.seed, **{name: getattr(found, name) for name in kept},
        "software": results.provenance[-1],
        "pairing": json.loads(found.pairing.round(DIGITS).to_json(orient="records")),
    }  # fmt: skip


if __name__ == "__main__":
    chosen = [HERE / f"{name}.yaml" for name in sys.argv[1:]] or sorted(HERE.glob("*.yaml"))
    for file in chosen:
        print(summarise(file))
