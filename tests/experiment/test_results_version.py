"""The version of results is raised when numbers move: stored runs of older code must not count as done."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest

from contagion import ContagionModel
from contagion.experiment.plan import RESULTS_VERSION

PINNED = {
    "quickstart": "aa04eb740e38c381",
    "slow_oracle": "b6021a1a87eb3b47",
    "runs_and_disclosure": "d5c1cec54a9a63e5",
    "lending_designs": "fb1ac7bc773332a1",
    "stablecoins": "4288bfc587c8a5e9",
}
"""Digests of short runs of bundled scenarios under RESULTS_VERSION 2."""
SHORTER: dict[str, dict[str, Any]] = {"quickstart": {"steps": 40}}


def digest(name: str) -> str:
    """Of the outcomes other than zero, to six digits: a new counter that counts nothing there moves no number."""
    outcomes = ContagionModel(name, rng=7, keep_ledger=False, **SHORTER.get(name, {})).run().outcomes
    told = [f"{key}={value:.6g}" for key, value in sorted(outcomes.items()) if math.isfinite(value) and value]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", PINNED)
def test_the_version_of_results_is_raised_when_numbers_move(name: str) -> None:
    found = digest(name)
    assert (RESULTS_VERSION, found) == (2, PINNED[name]), (
        f"Outcomes of {name} moved. If that is meant: raise RESULTS_VERSION in contagion/experiment/plan.py, so that "
        f"stored runs are made again, and write the new version and digest {found} here."
    )
