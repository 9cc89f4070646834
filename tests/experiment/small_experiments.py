"""A small experiment, as plain data, and a worker in this process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worlds import crisis

from contagion.experiment.store import RUNS


def small(**changes: Any) -> dict[str, Any]:
    """Two worlds, two policies, four replications: sixteen runs of milliseconds."""
    return {
        "name": "small",
        "scenario": crisis(),
        "uncertainties": {"shocks.1.size": [-0.1, -0.2]},
        "levers": {"as written": {}, "more equity": {"exchanges.perp.equity": 5e5}},
        "outcomes": ["deficit", "unallocated"],
        "replications": 4,
        **changes,
    }


@contextmanager
def here(workers: int = 1) -> Iterator[ThreadPoolExecutor]:
    """An executor without processes to start."""
    with ThreadPoolExecutor(workers) as executor:
        yield executor


def runs_bytes(folder: Path) -> bytes:
    """What two sweeps that did the same have in common."""
    return (folder / RUNS).read_bytes()
