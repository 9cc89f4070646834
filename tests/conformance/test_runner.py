"""The runner itself: what counts as equal, what fails, and how much may be left out of scope."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contagion.cli import main
from contagion.conformance import Status, read_cases, run_case
from contagion.conformance.adapters import NO_MECHANISM, gathered
from contagion.conformance.report import default_folder
from contagion.conformance.runner import differences
from contagion.errors import InputError

GINI = {"model": "gini", "values": [1, 2, 3, 4]}  # (2 (1 + 4 + 9 + 16) / (4 * 10)) - 5 / 4 = 0.25


def case_of(inputs: dict[str, Any], expected: dict[str, Any], absolute: float = 1e-9) -> dict[str, Any]:
    tolerance = {"abs": absolute, "rel": 0.0}
    return {"id": "hand", "topic": "metrics", "inputs": inputs, "expected": expected, "tolerance": tolerance}


@pytest.mark.parametrize(
    ("got", "expected", "agrees"),
    [
        (1.009, 1.0, True), (1.011, 1.0, False), (float("nan"), 1.0, False), (None, 1.0, False), ("1", 1.0, False),
        (np.float64(1.0), 1, True), (True, 1, True), (np.array([True, False]), [1, 0], True),
        (np.array([[1.0, 2.0]]), [[1, 2]], True), ([1.0], [1, 2], False), ((1, (2, 3)), [1, [2, 3]], True),
        ({"a": [1]}, {"a": [1]}, True), ({"a": 1, "b": 9}, {"a": 1}, True), ({}, {"a": 1}, False),
        ({0.5: 1}, {"0.5": 1}, True), ("healed", "healed", True), ("healed", "bad_debt", False), (None, None, True),
        ({"error_below": 0.5}, {"error_below": 1}, True), ({"error_below": 1.0}, {"error_below": 1}, False),
        (float("inf"), float("inf"), True), (True, "true", False), (1.0, None, False),
    ],
)  # fmt: skip
def test_what_counts_as_equal(got: object, expected: object, agrees: bool) -> None:
    assert (next(differences(got, expected, 0.01, 0.0), None) is None) == agrees


def test_tolerances_add_up() -> None:
    assert not list(differences(102.1, 100.0, 0.1, 0.02))  # 0.1 + 0.02 * 100 = 2.1
    assert list(differences(102.11, 100.0, 0.1, 0.02))


def test_a_case_passes_fails_or_says_why() -> None:
    assert run_case(case_of(GINI, {"gini": 0.25})).status is Status.PASSED
    wrong = run_case(case_of(GINI, {"gini": 0.3}))
    assert wrong.status is Status.FAILED and "gini: 0.25, expected 0.3" in wrong.detail
    assert run_case(case_of({"model": "gini", "values": []}, {"gini": 0})).status is Status.FAILED
    unknown = run_case(case_of({"model": "ginni"}, {"gini": 0.25}))
    assert unknown.status is Status.FAILED and "no adapter for the model ginni" in unknown.detail
    absent = run_case(case_of({"model": "nrm_uniform", "edges_csv": "data/nowhere.csv"}, {"rows": 1}))
    assert absent.status is Status.SKIPPED and "data/nowhere.csv" in absent.detail


def test_files_of_a_case_lie_beside_it_or_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sheet.csv").write_text("bank\n")
    case = case_of({"model": "nrm_uniform", "edges_csv": "data/sheet.csv"}, {"rows": 1})
    assert run_case({**case, "folder": str(tmp_path)}).status is Status.FAILED  # it was read
    assert run_case(case, tmp_path).status is Status.FAILED
    assert run_case(case, tmp_path / "data").status is Status.SKIPPED


@pytest.mark.parametrize("text", ["[]", "{", '{"topic": "x", "cases": [{"id": "x"}]}'])
def test_a_file_that_is_no_case_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InputError, match=r"bad\.json"):
        read_cases(tmp_path)


def test_command_prints_counts_and_fails_with_the_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [case_of(GINI, {"gini": 0.25}), {**case_of(GINI, {"gini": 0.3}), "id": "wrong.one"}]
    (tmp_path / "cases.json").write_text(json.dumps({"topic": "metrics", "cases": cases[:1]}))
    assert main(["conformance", str(tmp_path)]) == 0
    assert "metrics" in capsys.readouterr().out
    (tmp_path / "cases.json").write_text(json.dumps({"topic": "metrics", "cases": cases}))
    assert main(["conformance", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "wrong.one: gini: 0.25, expected 0.3" in text
    assert ["metrics", "1", "1", "0", "0", "0"] in [line.split() for line in text.splitlines()]
    assert max(map(len, text.splitlines())) <= 80
    assert main(["conformance", str(tmp_path / "nowhere")]) == 2


def test_no_model_is_answered_twice() -> None:
    adapters, out, later = (set(gathered(table)) for table in ("ADAPTERS", "OUT_OF_SCOPE", "NOT_YET"))
    assert not (adapters & out or adapters & later or out & later)
    assert set(gathered("TARGETS")) <= adapters


def test_of_the_mechanisms_of_a_topic_at_most_a_tenth_is_out_of_scope() -> None:
    out, topics = gathered("OUT_OF_SCOPE"), {}
    for case in read_cases(default_folder()):
        topics.setdefault(case["topic"], set()).add(case["inputs"]["model"])
    for topic, models in topics.items():
        mechanisms = models - NO_MECHANISM
        left_out = mechanisms & set(out)
        assert len(left_out) <= 0.1 * len(mechanisms), (topic, left_out)
    assert all(reason.strip() for reason in out.values())
