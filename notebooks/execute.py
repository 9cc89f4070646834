"""Run the notebooks and keep their outputs: ``python notebooks/execute.py [NAME.ipynb ...]``.

A line ``RUNS = 200  # small: 4`` has a second value, with which the tests run a notebook quickly; what is kept, and
what ``--check`` compares with, comes from the first.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
SMALL = re.compile(r"^(\w+ = ).*?  # small: (.*)$", re.MULTILINE)


def executed(path: Path, small: bool = False) -> nbformat.NotebookNode:
    """A notebook with fresh outputs and nothing in it of where and when it ran."""
    notebook = nbformat.read(path, as_version=4)
    written = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        if small and cell.cell_type == "code":
            cell.source = SMALL.sub(r"\1\2", cell.source)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(FOLDER))
    for cell, source in zip(notebook.cells, written, strict=True):
        cell.source = source
        if cell.cell_type == "code":  # warnings name folders of this machine
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for data in (output["data"] for output in cell.outputs if "image/png" in output.get("data", {})):
                data["image/png"] = _light(data["image/png"])
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What its cells print, in order, but for cells tagged ``recorded``, which need data that are not everywhere.

    Tables that are not printed as text are laid out differently by every version of pandas.
    """
    cells = [cell for cell in notebook.cells if "recorded" not in cell.metadata.get("tags", ())]
    return [output["text"] for cell in cells for output in cell.get("outputs", ()) if output["output_type"] == "stream"]


def _light(picture: str) -> str:
    """A picture with as few colours as our figures need: a quarter of the bytes."""
    light = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(light, "PNG", optimize=True)
    return base64.b64encode(light.getvalue()).decode()


def main(arguments: list[str]) -> int:
    """Renew the notebooks, or check that they are as they run now."""
    check, old = "--check" in arguments, 0
    for path in [Path(name) for name in arguments if name != "--check"] or sorted(FOLDER.glob("*.ipynb")):
        fresh = executed(path)
        if check:
            same = printed(fresh) == printed(nbformat.read(path, as_version=4))
            print(f"{path.name}: {'as it was' if same else 'OLD: run notebooks/execute.py and read its text again'}")
            old += not same
        else:
            nbformat.write(fresh, path)
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
    return min(old, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
