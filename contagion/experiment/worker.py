"""What a worker does: runs, one after the other, and their outcomes as the bytes of a part."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contagion.experiment.folder import encode
from contagion.experiment.plan import Run, load_run
from contagion.scenario.schema import Scenario

SCENARIOS_KEPT = 256


class OutOfTime(Exception):
    """The run took longer than it may."""


@dataclass(frozen=True)
class Task:
    """What all runs of a sweep share; it travels with every chunk, so that any worker can take any chunk.

    Attributes
    ----------
    key
        Hash of what follows.
    source, overrides
        Scenario and overrides as the experiment gives them.
    scenario
        Both together, as plain values.
    time_limit
        Of a run. [s]
    compiling
        Added to it for the first run of a process, which compiles. [s]
    """

    key: str
    source: str | Mapping[str, Any]
    overrides: Mapping[str, Any]
    scenario: Mapping[str, Any]
    time_limit: float | None = None
    compiling: float = 300.0

    def limit(self, first: bool) -> float | None:
        """Longest a run may take here. [s]"""
        return None if self.time_limit is None else self.time_limit + (self.compiling if first else 0.0)


@dataclass(frozen=True)
class Done:
    """A chunk that was worked off: its part, how many runs failed, how long it took [s], if its process was new."""

    part: bytes
    runs: int
    failed: int
    seconds: float
    first: bool


class _Process:
    """What this process keeps from one chunk to the next."""

    owned = False  # by a sweep, which may end it
    ran = False
    loading = threading.Lock()  # a worker of a cluster may have several threads
    loaded: OrderedDict[tuple[str, str], Scenario] = OrderedDict()


def prepare() -> None:
    """Start of a process that belongs to a sweep: it leaves Ctrl-C to its parent, and ends when that does."""
    _Process.owned = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    import contagion.model  # noqa: F401  now, rather than inside the first run


def work(task: Task, runs: Sequence[Run]) -> Done:
    """Make these runs. One that fails is a row with its error; nothing else is affected."""
    start, first = time.perf_counter(), not _Process.ran
    found, errors = [], []
    for run in runs:
        outcomes, error = _outcomes(task, run)
        found.append(outcomes)
        errors.append(error)
        _Process.ran = True
    part = encode([run.key for run in runs], found, errors)
    if _Process.owned:
        _collect(first)
    failed = sum(error is not None for error in errors)
    return Done(part, len(runs), failed, time.perf_counter() - start, first)


def _collect(first: bool) -> None:
    """Free what the runs left. What is there after the first chunk stays for good, so the collector may pass it by.

    Without this a process grows by some ten kilobytes a run.
    """
    gc.collect()
    if first:
        gc.freeze()


def _outcomes(task: Task, run: Run) -> tuple[dict[str, float], str | None]:
    from contagion.model import ContagionModel

    limit = task.limit(not _Process.ran)
    hard = _Process.owned and limit is not None
    if hard:  # between steps is soon enough for most runs; one that hangs within a step takes its process along
        faulthandler.dump_traceback_later(limit + max(1.0, 0.5 * task.time_limit), exit=True)
    try:
        model = ContagionModel(_scenario(task, run), rng=run.seed, mirrored=run.mirrored, keep_ledger=False)
        model.advance(_deadline(limit) if limit is not None else False)
        return model.recorder.outcomes(), None
    except Exception as error:
        return {}, " ".join(f"{type(error).__name__}: {error}".split())
    finally:
        if hard:
            faulthandler.cancel_dump_traceback_later()


def _deadline(limit: float) -> Callable[[int, int], None]:
    """Called between steps; ends the run once its time is over."""
    end = time.monotonic() + limit

    def check(done: int, total: int) -> None:
        if time.monotonic() > end and done < total:
            raise OutOfTime(f"longer than its limit of {limit:g} s, at step {done} of {total}")

    return check


def _scenario(task: Task, run: Run) -> Scenario:
    """The scenario of a run; runs that differ in nothing but the seed share one object."""
    own = repr(run.overrides)
    with _Process.loading:
        if (task.key, own) not in _Process.loaded:
            base = _Process.loaded.get((task.key, "")) or Scenario.model_validate(task.scenario)
            _Process.loaded[task.key, ""] = base
            _Process.loaded.move_to_end((task.key, ""))
            _Process.loaded[task.key, own] = load_run(base, task.source, task.overrides, run.overrides)
            while len(_Process.loaded) > SCENARIOS_KEPT:
                _Process.loaded.popitem(last=False)
        return _Process.loaded[task.key, own]
