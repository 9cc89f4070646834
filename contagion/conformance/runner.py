"""Runs conformance cases: reads a folder of case files, asks the adapters, compares within the case's tolerance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from contagion.conformance.adapters import adapter_of, reason_against
from contagion.errors import InputError


class Status(StrEnum):
    """How a case ended. An unknown model has failed."""

    PASSED = "passed"
    FAILED = "failed"
    OUT_OF_SCOPE = "out of scope"
    NOT_YET = "not yet"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case and how it ended."""

    topic: str
    case: str
    model: str
    status: Status
    detail: str = ""  # what differs, or the reason


def read_cases(folder: str | Path) -> list[dict[str, Any]]:
    """Every case of every JSON file of a folder, in the order of file names; each knows its ``folder``.

    Raises
    ------
    InputError
        No such folder, no case files in it, or a file that is not one.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise InputError("cases", str(folder), "a folder with case files (*.json)")
    cases = []
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            found = [{"topic": content["topic"], **case, "folder": str(folder)} for case in content["cases"]]
            for case in found:
                _ = case["id"], case["inputs"]["model"], case["expected"], case["tolerance"]
        except (ValueError, KeyError, TypeError) as error:
            accepted = "a JSON file with topic and cases of id, inputs.model, expected and tolerance"
            raise InputError("cases", str(file), f"{accepted} ({error})") from None
        cases += found
    return cases


def run_folder(folder: str | Path, data: str | Path | None = None) -> list[Outcome]:
    """Run every case of a folder; see :func:`run_case`."""
    return [run_case(case, data) for case in read_cases(folder)]


def run_case(case: dict[str, Any], data: str | Path | None = None) -> Outcome:
    """Run one case.

    Parameters
    ----------
    data : path, optional
        Folder that inputs ending in ``_csv`` are relative to where they do not lie beside the case file. A case whose
        file lies nowhere is skipped.
    """
    model = case["inputs"]["model"]

    def ended(status: Status, detail: str = "") -> Outcome:
        return Outcome(case["topic"], case["id"], model, status, detail)

    for table, status in (("OUT_OF_SCOPE", Status.OUT_OF_SCOPE), ("NOT_YET", Status.NOT_YET)):
        reason = reason_against(table, model)
        if reason is not None:
            return ended(status, reason)
    adapter = adapter_of(model)
    if adapter is None:
        return ended(Status.FAILED, f"no adapter for the model {model}")
    inputs, missing = _with_files(case, data)
    if missing:
        return ended(Status.SKIPPED, f"{missing} is not there")
    try:
        got = adapter(inputs)
    except Exception as error:  # an adapter may fail in any way on numbers it was not written for
        return ended(Status.FAILED, f"{type(error).__name__}: {error}")
    tolerance = case["tolerance"]
    wrong = next(differences(got, case["expected"], float(tolerance["abs"]), float(tolerance["rel"])), None)
    return ended(Status.PASSED) if wrong is None else ended(Status.FAILED, wrong)


def differences(got: Any, expected: Any, absolute: float, relative: float, where: str = "") -> Iterator[str]:
    """What is expected and not got, element by element: ``abs(got - expected) <= abs + rel * abs(expected)``.

    A mapping is compared by the expected keys; a key ending in ``_below`` names an upper bound. Text, and what is
    expected to be nothing, must be equal.
    """
    if isinstance(expected, dict):
        for key, value in expected.items():
            place = f"{where}.{key}" if where else key
            part = got.get(key, got.get(_number(key))) if isinstance(got, dict) else None
            if part is None and value is not None:
                yield f"{place}: nothing, expected {_short(value)}"
            elif key.endswith("_below"):
                if not float(part) < float(value):
                    yield f"{place}: {float(part):.6g}, expected below {value}"
            else:
                yield from differences(part, value, absolute, relative, place)
    elif isinstance(expected, list):
        items = got.tolist() if isinstance(got, np.ndarray) else list(got) if _is_sequence(got) else None
        if items is None or len(items) != len(expected):
            yield f"{where}: {_short(got)}, expected {len(expected)} values {_short(expected)}"
            return
        for order, (one, other) in enumerate(zip(items, expected, strict=True)):
            yield from differences(one, other, absolute, relative, f"{where}[{order}]")
    elif isinstance(expected, bool | int | float):
        number = float(got) if _is_number(got) else float("nan")
        if not (number == expected or abs(number - expected) <= absolute + relative * abs(expected)):
            yield f"{where}: {_short(got)}, expected {expected}"
    elif got != expected:
        yield f"{where}: {_short(got)}, expected {expected!r}"


def _with_files(case: dict[str, Any], data: str | Path | None) -> tuple[dict[str, Any], str]:
    """Inputs with full paths in place of relative ones; the first file that lies nowhere."""
    inputs = dict(case["inputs"])
    folders = [Path(folder) for folder in (case.get("folder"), data) if folder is not None]
    for key, value in inputs.items():
        if key.endswith("_csv"):
            found = [folder / value for folder in folders if (folder / value).is_file()]
            if not found:
                return inputs, value
            inputs[key] = str(found[0])
    return inputs, ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_) or (isinstance(value, np.ndarray) and value.ndim == 0)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _number(key: str) -> Any:
    """Keys of JSON are text; an adapter may have used the number."""
    try:
        return float(key)
    except ValueError:
        return key


def _short(value: Any) -> str:
    text = " ".join(repr(value.tolist() if isinstance(value, np.ndarray) else value).split())
    return text if len(text) <= 60 else text[:57] + "..."
