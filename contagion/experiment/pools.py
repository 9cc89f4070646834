"""Where runs are made: local processes, a Dask cluster, or any executor that is handed over."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from contagion.errors import ContagionError, InputError
from contagion.experiment.worker import prepare

CHUNKS_PER_WORKER = 2
"""One in work, one waiting."""


class Pool(Protocol):
    """What the runner asks of a place to run."""

    @property
    def in_flight(self) -> int:
        """Chunks to have there at a time."""

    def submit(self, function: Callable, *arguments: Any) -> Future: ...

    def lost(self, error: BaseException) -> bool:
        """Whether an error of a future says that its worker died."""

    def renew(self) -> None:
        """After workers died: be ready for more."""

    def close(self, now: bool = False) -> None: ...


class LocalPool:
    """Processes on this machine, started afresh (``spawn``) so that they are the same on every system.

    Parameters
    ----------
    workers : int, optional
        Number of processes; by default one a core.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = cores() if workers is None else workers
        if self.workers < 1:
            raise InputError("workers", workers, "a whole number, 1 or more")
        self._executor: ProcessPoolExecutor | None = None

    @property
    def in_flight(self) -> int:
        return CHUNKS_PER_WORKER * self.workers

    def submit(self, function: Callable, *arguments: Any) -> Future:
        if self._executor is None:
            self._executor = self._start()
        return self._executor.submit(function, *arguments)

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def renew(self) -> None:
        self.close(now=True)

    def close(self, now: bool = False) -> None:
        executor, self._executor = self._executor, None
        if executor is None:
            return
        processes = list((executor._processes or {}).values())
        executor.shutdown(wait=not now, cancel_futures=now)
        for process in processes if now else ():
            process.kill()

    def _start(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"), initializer=prepare)
        with _without_main():
            for _ in range(self.workers):  # a process starts with each task
                executor.submit(int)
        return executor


class GivenPool:
    """An executor of the caller's, who starts and ends it."""

    def __init__(self, executor: Executor, workers: int | None = None) -> None:
        self._executor = executor
        self._workers = workers or getattr(executor, "_max_workers", None) or cores()

    @property
    def in_flight(self) -> int:
        return CHUNKS_PER_WORKER * self._workers

    def submit(self, function: Callable, *arguments: Any) -> Future:
        try:
            return self._executor.submit(function, *arguments)
        except BrokenExecutor as error:
            raise ContagionError(f"the executor given is broken ({error}); runs that are done are kept") from None

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def renew(self) -> None:
        """The next chunk shows whether the executor goes on."""

    def close(self, now: bool = False) -> None:
        """The caller does."""


class DaskPool(GivenPool):
    """The workers of a Dask cluster; those that die are replaced by it.

    Parameters
    ----------
    scheduler : str
        Its address, say ``tcp://10.0.0.1:8786``.
    """

    def __init__(self, scheduler: str) -> None:
        try:
            import distributed
        except ImportError:
            raise InputError("scheduler", scheduler, "after: pip install 'contagion-abm[dask]'") from None
        try:
            self._client = distributed.Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            accepted = f"the address of a Dask scheduler that answers ({reason})"
            raise InputError("scheduler", scheduler, accepted) from None
        self._died = (distributed.KilledWorker, CancelledError, distributed.CancelledError)
        # A chunk makes the same runs wherever it is made, and again; a worker with several threads shares one core.
        super().__init__(self._client.get_executor(pure=False))

    @property
    def in_flight(self) -> int:
        return CHUNKS_PER_WORKER * max(1, sum(self._client.nthreads().values()))

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, self._died)

    def close(self, now: bool = False) -> None:
        with suppress(Exception):
            self._executor.shutdown(wait=not now)
        self._client.close()


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that are started here do not run the user's script or notebook again: they need nothing from it.

    Without this a script would have to hide its first line behind ``if __name__ == "__main__"``.
    """
    main = sys.modules["__main__"]
    kept = {name: main.__dict__[name] for name in ("__file__", "__spec__") if name in main.__dict__}
    main.__dict__.pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(kept)
