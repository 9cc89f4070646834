"""Where a step's time goes: each phase method of a model, wrapped by a clock."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from functools import wraps
from typing import Any

import numpy as np

from benchmarks.measure import seconds

PHASES = {
    "_open": "open", "_shock": "shock", "_observe": "observe", "_mark": "mark and audit",
    "_call_and_trade": "call and trade", "_round": "liquidate, allocate, propagate", "_mark_again": "mark again",
    "_run": "run", "_record": "record",
}  # fmt: skip


def clock_phases(model: Any) -> dict[str, float]:
    """Make a model add up the seconds spent in each phase; the sums, by name, which grow as it steps. [s]"""
    spent: dict[str, float] = defaultdict(float)
    for method, name in PHASES.items():
        setattr(model, method, _clocked(getattr(model, method), name, spent))
    return spent


def _clocked(method, name: str, spent: dict[str, float]):
    @wraps(method)
    def timed(*arguments):
        start = time.perf_counter()
        result = method(*arguments)
        spent[name] += time.perf_counter() - start
        return result

    return timed


def step_time(model: Any, steps: int) -> float:
    """Median wall time of a step. [s]"""
    return statistics.median(seconds(model.step) for _ in range(steps))


def array_bytes(root: Any) -> int:
    """Bytes of every array that an object of this package reaches, each counted once."""
    seen: set[int] = set()
    owners: dict[int, int] = {}
    stack = [root]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray):
            while isinstance(item.base, np.ndarray):
                item = item.base
            owners[id(item)] = item.nbytes
        elif isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list | tuple | set):
            stack += item
        elif type(item).__module__.startswith("contagion"):
            stack += getattr(item, "__dict__", {}).values()
            slots = (slot for kind in type(item).__mro__ for slot in getattr(kind, "__slots__", ()))
            stack += [getattr(item, slot) for slot in slots if hasattr(item, slot)]
    return sum(owners.values())
