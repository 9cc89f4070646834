"""What a worker process does: runs, one after the other, and their outcomes as the bytes of a part."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from contagion.experiment.plan import Run, load_run
from contagion.experiment.store import encode
from contagion.scenario.schema import Scenario

SCENARIOS_KEPT = 64


class OutOfTime(Exception):
    """The run took longer than it may."""


@dataclass(frozen=True)
class Task:
    """What all runs of a sweep share; it travels with every chunk, so that any worker can take any chunk."""

    key: str
    source: str | Mapping[str, Any]
    overrides: Mapping[str, Any]
    scenario: Mapping[str, Any]
    time_limit: float | None = None


@dataclass(frozen=True)
class Done:
    """A chunk that was worked off: its part, how many runs failed, and how long it took. [s]"""

    part: bytes
    runs: int
    failed: int
    seconds: float


def work(task: Task, runs: Sequence[Run]) -> Done:
    """Make these runs. One that fails is a row with its error; nothing else is affected."""
    start = time.perf_counter()
    found, errors = [], []
    for run in runs:
        outcomes, error = _outcomes(task, run)
        found.append(outcomes)
        errors.append(error)
    part = encode([run.key for run in runs], found, errors)
    failed = sum(error is not None for error in errors)
    return Done(part, len(runs), failed, time.perf_counter() - start)


def _outcomes(task: Task, run: Run) -> tuple[dict[str, float], str | None]:
    from contagion.model import ContagionModel

    try:
        model = ContagionModel(_scenario(task, run), rng=run.seed, keep_ledger=False)
        model.advance(_deadline(task.time_limit))
        return model.recorder.outcomes(), None
    except Exception as error:
        return {}, " ".join(f"{type(error).__name__}: {error}".split())


def _deadline(limit: float | None):
    """Called between steps; ends the run once its time is over."""
    if limit is None:
        return False
    end = time.monotonic() + limit

    def check(done: int, total: int) -> None:
        if time.monotonic() > end and done < total:
            raise OutOfTime(f"longer than its limit of {limit:g} s, at step {done} of {total}")

    return check


_loaded: dict[str, Scenario] = {}


def _scenario(task: Task, run: Run) -> Scenario:
    """The scenario of a run; scenarios that differ in nothing but the seed are one object, loaded once."""
    return _of_overrides(_Request(task, run))


class _Request:
    """A key for the cache that carries what a miss needs."""

    def __init__(self, task: Task, run: Run) -> None:
        self.task, self.run = task, run
        self._identity = (task.key, repr(sorted(run.overrides.items())))

    def __hash__(self) -> int:
        return hash(self._identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Request) and self._identity == other._identity


@lru_cache(SCENARIOS_KEPT)
def _of_overrides(request: _Request) -> Scenario:
    task = request.task
    if task.key not in _loaded:
        _loaded.clear()
        _loaded[task.key] = Scenario.model_validate(task.scenario)
    return load_run(_loaded[task.key], task.source, task.overrides, request.run.overrides)
