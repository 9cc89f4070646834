"""Notebooks run from top to bottom, and what they show is what they give."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
spec = importlib.util.spec_from_file_location("execute_notebooks", FOLDER / "execute.py")
execute = importlib.util.module_from_spec(spec)
spec.loader.exec_module(execute)


def figures(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path) -> None:
    """With small settings where it has any; ``make validate`` runs it in full and compares what it prints."""
    shown, fresh = nbformat.read(path, as_version=4), execute.executed(path, small=True)
    nbformat.validate(shown)
    assert execute.printed(shown), "it shows nothing: run notebooks/execute.py"
    if not any(execute.SMALL.search(cell.source) for cell in shown.cells):
        old = "its outputs are old: run notebooks/execute.py and read its text again"
        assert execute.printed(fresh) == execute.printed(shown), old
    assert figures(fresh) == figures(shown) >= 1
    assert [cell.source for cell in fresh.cells] == [cell.source for cell in shown.cells]
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_and_answers(path: Path) -> None:
    told = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    assert re.search(r"\*\*[^*]*\?[^*]*\*\*", told[0])
    assert told[-1].startswith("## The answer, and its limits\n")


def test_a_line_has_a_second_value_for_the_tests() -> None:
    assert execute.SMALL.sub(r"\1\2", "RUNS = 200  # small: 4\nx = 1  # small") == "RUNS = 4\nx = 1  # small"


def test_there_is_a_first_notebook() -> None:
    assert FOLDER / "01_first_run.ipynb" in NOTEBOOKS
