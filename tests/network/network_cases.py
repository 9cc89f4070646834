"""Reads the conformance cases; a comparison passes within the tolerance that the case states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CASES = Path(__file__).parent.parent / "conformance" / "cases"


def cases(topic: str, *models: str) -> list[Any]:
    """Cases of a topic that follow one of the models, as pytest parameters named by their id."""
    found = [case for case in json.loads((CASES / f"{topic}.json").read_text())["cases"]
             if case["inputs"]["model"] in models]
    assert found, f"no case of {models} in {topic}.json"
    return [pytest.param(case, id=case["id"]) for case in found]


def agree(case: dict, got: object, *keys: str) -> None:
    """Compare every element with ``case["expected"][key][key]...``."""
    expected = case["expected"]
    for key in keys:
        expected = expected[key]
    tolerance = case["tolerance"]
    got, expected = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance["rel"], atol=tolerance["abs"], err_msg=case["id"])
