"""The runner: chunks of about a second, kept as they come; runs of dead workers are made again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice

from contagion.errors import ContagionError
from contagion.experiment.folder import encode
from contagion.experiment.plan import Run
from contagion.experiment.pools import Pool
from contagion.experiment.store import Store
from contagion.experiment.worker import Done, Task, work

CHUNK_SECONDS = 1.0
GROWTH = 4
"""Largest ratio of a chunk's runs to those of the one before."""
LARGEST_CHUNK = 5_000
DEATHS = 2
"""A run that kills its worker this often, with no other run beside it, is recorded as failed."""

Report = Callable[[int, int], None]
"""Called with how many more runs are finished, and how many of those failed."""


class Pace:
    """How many runs make a chunk of about a second."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._size = 1

    def learn(self, done: Done) -> None:
        """Take in how long a chunk took; the first of a process says little, because it compiles."""
        if done.first:
            return
        one = done.seconds / done.runs
        self._seconds = one if self._seconds is None else 0.5 * (self._seconds + one)
        self._size = max(1, min(int(CHUNK_SECONDS / self._seconds), GROWTH * self._size, LARGEST_CHUNK))

    def size(self, left: int, in_flight: int) -> int:
        """Runs of the next chunk; fewer towards the end, so that all workers end together."""
        return max(1, min(self._size, -(-left // in_flight)))


@dataclass
class _Chunk:
    runs: list[Run]
    alone: bool = False
    deaths: int = 0
    since: float = 0.0


class Runner:
    """Makes runs in a pool and keeps them in a store.

    Parameters
    ----------
    report : callable
        Told of every chunk that is finished.
    """

    def __init__(self, pool: Pool, store: Store, task: Task, report: Report) -> None:
        self._pool, self._store, self._task, self._report = pool, store, task, report
        self._pace = Pace()
        self._suspects: deque[_Chunk] = deque()

    def run(self, runs: Iterable[Run], count: int) -> None:
        """Make `count` runs.

        Raises
        ------
        ContagionError
            The store cannot be written, or no worker can do anything.
        """
        pending: dict[Future, _Chunk] = {}
        chunks = self._chunks(iter(runs), count)
        while True:
            self._fill(pending, chunks)
            if not pending:
                return
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            if len(pending) == 1:  # if its worker died, it was this chunk
                (last,) = pending.values()
                last.alone = len(last.runs) == 1
            if any([self._take(future, pending.pop(future)) for future in finished]):
                # A broken pool takes along what else was in it; the suspects need it empty in any case.
                for future in wait(pending).done:
                    self._take(future, pending.pop(future))
                self._pool.renew()

    def _chunks(self, runs: Iterator[Run], left: int) -> Iterator[_Chunk]:
        while chunk := list(islice(runs, self._pace.size(left, self._pool.in_flight))):
            left -= len(chunk)
            yield _Chunk(chunk)

    def _fill(self, pending: dict[Future, _Chunk], chunks: Iterator[_Chunk]) -> None:
        """Keep the workers busy. Runs that were with a worker when it died go one by one, to see which one does it."""
        while self._suspects or len(pending) < self._pool.in_flight:
            if self._suspects:
                if pending:
                    return
                chunk = self._suspects.popleft()
            elif (chunk := next(chunks, None)) is None:
                return
            chunk.since = time.monotonic()
            try:
                pending[self._pool.submit(work, self._task, chunk.runs)] = chunk
            except RuntimeError as error:
                if not self._pool.lost(error):
                    raise
                self._suspects.appendleft(chunk)
                self._pool.renew()

    def _take(self, future: Future, chunk: _Chunk) -> bool:
        """Keep what a chunk found; whether its worker died instead."""
        try:
            done = future.result()
        except Exception as error:
            if not self._pool.lost(error):
                reason = f"{type(error).__name__}: {error}"
                raise ContagionError(f"workers cannot make runs ({reason}); runs that are done are kept") from error
            self._put_back(chunk)
            return True
        self._pace.learn(done)
        self._store.append(done.part)
        self._report(done.runs, done.failed)
        return False

    def _put_back(self, chunk: _Chunk) -> None:
        if not chunk.alone:
            self._suspects.extend(_Chunk([run], alone=True) for run in chunk.runs)
            return
        chunk.deaths += 1
        limit = self._task.time_limit
        late = limit is not None and time.monotonic() - chunk.since > limit
        if chunk.deaths < DEATHS and not late:
            self._suspects.appendleft(chunk)
            return
        error = "its worker process died" + (f", past the time limit of {limit:g} s" if late else f" {DEATHS} times")
        self._store.append(encode([run.key for run in chunk.runs], [{}], [error]))
        self._report(1, 1)
