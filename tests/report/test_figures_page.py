"""The page on figures: its example runs, and every figure is on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contagion import report

PAGE = (Path(__file__).parents[2] / "docs" / "figures.md").read_text(encoding="utf-8")


def test_every_figure_is_on_the_page() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert listed == set(report.__all__) - {"save_figure", "write_report"}


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    assert (tmp_path / "who_paid.pdf").read_bytes().startswith(b"%PDF")
