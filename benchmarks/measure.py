"""Timing: medians of interleaved repetitions, what they were to reach, and the machine they were taken on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("mesa", "numba", "numpy", "pandas", "pydantic", "networkx")


@dataclass(frozen=True)
class Measurement:
    """One number of the table; `target` in words ("<= 10"), empty where there is none."""

    name: str
    value: float
    unit: str
    target: str = ""

    @property
    def met(self) -> bool | None:
        if not self.target:
            return None
        sign, limit = self.target.split()
        return self.value <= float(limit) if sign == "<=" else self.value >= float(limit)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call. [s]"""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def medians(repetitions: int, *functions: Callable[[], Any]) -> list[float]:
    """Median wall time of each function; they take turns, so that a slow moment of the machine hits all alike. [s]"""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repetitions):
        for function, found in zip(functions, times, strict=True):
            found.append(seconds(function))
    return [statistics.median(found) for found in times]


def machine() -> dict[str, Any]:
    """Processor, cores, memory [GiB], operating system, and the versions of what ran."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    } | {package: version(package) for package in PACKAGES}


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
