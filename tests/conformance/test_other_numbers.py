"""Adapters on numbers that no case file has: each rule against plain arithmetic written from its formula."""

from __future__ import annotations

from random import Random

import plain_allocation  # noqa: F401  (registers its rules)
import plain_lending  # noqa: F401
import plain_liquidation  # noqa: F401
import plain_margin  # noqa: F401
import pytest
from plain_rules import RULES

from contagion.conformance import run_case


@pytest.mark.parametrize("model", RULES)
def test_other_numbers(model: str) -> None:
    rng = Random(model)
    for _ in range(60):
        inputs, expected = RULES[model](rng)
        case = {
            "id": model, "topic": "other", "inputs": {"model": model} | inputs, "expected": expected,
            "tolerance": {"abs": 1e-6, "rel": 1e-11},
        }  # fmt: skip
        outcome = run_case(case)
        assert outcome.status == "passed", (outcome.detail, inputs)
