"""The table of the benchmarks says what it means."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from benchmarks import __main__ as runner
from benchmarks.measure import Measurement, medians
from benchmarks.phases import array_bytes
from benchmarks.scenarios import quiet
from contagion.scenario.assemble import assemble


def test_a_target_is_a_bound():
    assert Measurement("step", 9.0, "ns", "<= 10").met is True
    assert Measurement("step", 11.0, "ns", "<= 10").met is False
    assert Measurement("ratio", 14.0, "x", ">= 15").met is False
    assert Measurement("ratio", 15.0, "x").met is None


def test_medians_belong_to_their_functions():
    slow, fast = medians(3, lambda: time.sleep(0.01), lambda: None)
    assert slow >= 0.01 > fast


def test_an_array_counts_once_however_often_it_is_reached():
    state = assemble(quiet(50, 2), 1).state
    views = {"whole": state.accounts.balance, "part": state.accounts.balance[3:], "again": np.broadcast_to(0.0, 3)}
    assert array_bytes([views, views]) == state.accounts.balance.nbytes + 8
    assert array_bytes([state, views]) == array_bytes(state) + 8 == state.nbytes() + 8 + state.group_start.nbytes


def test_the_report_is_written_and_a_broken_case_hides_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.cases.small_step", lambda quick: [Measurement("step", 5.0, "us", "<= 60")])
    monkeypatch.setattr("benchmarks.cases.mesa_1000", lambda quick: 1 / 0)
    monkeypatch.setattr("sys.argv", ["benchmarks", "mesa_1000", "small_step", "--out", str(tmp_path / "new.json")])
    monkeypatch.setattr("os.environ", {})
    assert runner.main() == 1
    assert "mesa_1000: ZeroDivisionError" in capsys.readouterr().out
    report = json.loads((tmp_path / "new.json").read_text())
    assert report["results"] == [{"name": "step", "value": 5.0, "unit": "us", "target": "<= 60", "met": True}]
    assert {"cpu", "cores", "memory_gib", "os", "python", "mesa", "numba"} <= set(report["machine"])


def test_a_misspelt_name_says_what_is_accepted(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "mesa"])
    with pytest.raises(SystemExit) as stop:
        runner.main()
    assert stop.value.code == 2
    assert "accepted: mesa_1000" in capsys.readouterr().err
