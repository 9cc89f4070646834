"""Runs bundled scenarios without compilation and prints, as JSON, the targets of adapters that none of them entered.

Started by the trace test in a process of its own: compilation is switched off before anything is imported.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import numba
import numpy as np

from contagion.state import ledger


def _plain(*given: Any, **_: Any) -> Any:
    """In place of ``numba.vectorize``, which compiles even where compilation is switched off."""
    return np.vectorize(given[0]) if given and callable(given[0]) else np.vectorize


numba.vectorize = _plain

# Compiled code reads a field of a row as an attribute, which NumPy allows of records only.
ledger.ROW = np.dtype((np.record, ledger.ROW))

from contagion.conformance.adapters import ENGINE_MODULES, gathered  # noqa: E402
from contagion.model import ContagionModel  # noqa: E402
from contagion.scenario import bundled_scenarios, load_scenario  # noqa: E402

MOST_TRADERS = 400  # larger scenarios take minutes without compilation


def small_scenarios() -> Iterator[Any]:
    for name in bundled_scenarios():
        scenario = load_scenario(name)
        if sum(group.count for group in scenario.traders) <= MOST_TRADERS:
            yield scenario


def entered(scenarios: Iterator[Any]) -> set[CodeType]:
    """Code of every function entered while the scenarios are built and run."""
    seen: set[CodeType] = set()

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code)

    for scenario in scenarios:
        sys.setprofile(watch)
        try:
            ContagionModel(scenario, rng=1).run()
        finally:
            sys.setprofile(None)
    return seen


def codes(target: Callable) -> set[CodeType]:
    """Code of a function, of a property, or of the methods of a class."""
    if inspect.isclass(target):
        members = [value for value in vars(target).values() if inspect.isfunction(value)]
        return {member.__code__ for member in members}
    target = getattr(target, "fget", None) or getattr(target, "func", None) or target
    target = inspect.unwrap(getattr(target, "py_func", getattr(target, "pyfunc", target)))
    return {target.__code__} if hasattr(target, "__code__") else set()


def main() -> None:
    """Print ``[[model, function], ...]``."""
    seen = entered(small_scenarios())
    missing = [
        [model, getattr(target, "__qualname__", str(target))]
        for model, targets in gathered("TARGETS", ENGINE_MODULES).items() for target in targets
        if not codes(target) & seen
    ]  # fmt: skip
    print(json.dumps(missing))


if __name__ == "__main__":
    main()
