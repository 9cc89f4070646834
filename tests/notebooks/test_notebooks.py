"""Notebooks run from top to bottom, and what they show is what they give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
spec = importlib.util.spec_from_file_location("execute_notebooks", FOLDER / "execute.py")
execute = importlib.util.module_from_spec(spec)
spec.loader.exec_module(execute)


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What its cells print, in order; tables are laid out differently by every version of pandas."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output["text"] for output in outputs if output["output_type"] == "stream"]


def figures(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path) -> None:
    shown, fresh = nbformat.read(path, as_version=4), execute.executed(path)
    nbformat.validate(shown)
    assert printed(shown), "it shows nothing: run notebooks/execute.py"
    assert printed(fresh) == printed(shown), "its outputs are old: run notebooks/execute.py and read its text again"
    assert figures(fresh) == figures(shown) >= 1
    assert path.stat().st_size < 200_000


def test_there_is_a_first_notebook() -> None:
    assert FOLDER / "01_first_run.ipynb" in NOTEBOOKS
