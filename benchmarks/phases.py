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


def phase_times(model: Any, steps: int) -> dict[str, float]:
    """Time per step spent in each phase: the median call times the calls per step. [s]"""
    calls: dict[str, list[float]] = defaultdict(list)
    for method, name in PHASES.items():
        setattr(model, method, _clocked(getattr(model, method), calls[name]))
    for _ in range(steps):
        model.step()
    return {name: statistics.median(times) * len(times) / steps for name, times in calls.items() if times}


def _clocked(method, times: list[float]):
    @wraps(method)
    def timed(*arguments):
        start = time.perf_counter()
        result = method(*arguments)
        times.append(time.perf_counter() - start)
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
