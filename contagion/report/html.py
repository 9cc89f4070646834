"""A report: one HTML file about a run or a sweep that can be mailed, opened offline and printed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from contagion.errors import ContagionError, InputError
from contagion.report.page import Page, rendered
from contagion.report.source import run_of
from contagion.results import MANIFEST


def write_report(source, out: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run or a sweep as one self-contained HTML file.

    Parameters
    ----------
    source : path, RunResult, ContagionModel or Results
        The folder of a run or of a sweep, or either in memory.
    out : path, optional
        The file, replaced if it exists; ``report.html`` in the folder by default.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The folder holds neither a run nor a sweep, or `out` is needed.
    ContagionError
        The file cannot be written.
    """
    folder = Path(source) if isinstance(source, str | os.PathLike) else None
    if out is None and folder is None:
        raise InputError("out", out, "the path of the HTML file, where results are not read from a folder")
    path = Path(out) if out is not None else folder / "report.html"
    text = rendered(page_of(source))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ContagionError(f"the report could not be written to {path}: {error.strerror or error}") from error
    return path


def page_of(source) -> Page:
    """What the report of a run or a sweep says."""
    from contagion.report.run_page import run_page

    if isinstance(source, str | os.PathLike):
        if not _is_sweep(Path(source)):
            return run_page(run_of(source))
        from contagion.experiment.store import open_results

        source = open_results(source)
    if hasattr(source, "experiment"):
        from contagion.report.sweep_page import sweep_page

        return sweep_page(source)
    return run_page(run_of(source))


def _is_sweep(folder: Path) -> bool:
    try:
        return "experiment" in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise InputError("PATH", str(folder), "the folder of a run or of a sweep") from error
