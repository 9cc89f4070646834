"""What a sweep costs beside its runs: throughput, storing and dispatching, memory, and Mesa's own batch runner."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import mesa

from benchmarks.measure import Measurement, seconds
from benchmarks.mesa_baseline import MesaExchangeModel
from benchmarks.scenarios import exchange_only
from contagion.experiment import sweep
from contagion.experiment.folder import encode
from contagion.experiment.worker import prepare
from contagion.model import ContagionModel
from contagion.scenario.assemble import assemble

TRADERS, STEPS, GAPS = 1_000, 250, (-0.03, 0.02, -0.03, 0.03)


def sweep_throughput(quick: bool) -> list[Measurement]:
    """Runs a second of warm workers, everything stored; what the parent and the store add to a run."""
    runs, trials = (60, 1) if quick else (400, 5)
    spent: list[float] = []
    with _pool(1) as one, _pool(2) as two:
        for executor in (one, two):
            _sweep(executor, 20)
        alone, together = [], []
        for _ in range(trials):
            alone.append(runs / seconds(lambda: _sweep(one, runs)))
            begun = time.process_time()
            together.append(runs / seconds(lambda: _sweep(two, runs)))
            whole = time.process_time() - begun
            _sweep(two, 20)  # what a sweep costs however many runs it has
            spent.append((2.0 * whole - (time.process_time() - begun)) / (runs - 20))
    ratios = [pair / (2.0 * single) for single, pair in zip(alone, together, strict=True)]
    what = f"sweep, {TRADERS:,} traders, {STEPS} steps"
    return [
        Measurement(f"{what}: two processes", statistics.median(together), "runs/s", ">= 100"),
        Measurement(f"{what}: one process", statistics.median(alone), "runs/s"),
        Measurement(f"{what}: two processes / twice one process", statistics.median(ratios), "1", ">= 0.8"),
        Measurement("storing and dispatching a run", 1e3 * (statistics.median(spent) + _encoding()), "ms", "<= 0.5"),
    ]


def sweep_beside_mesa(quick: bool) -> list[Measurement]:
    """A sweep on two processes beside ``mesa.batch_run`` on two, with plain Mesa agents: seconds for one more run."""
    few, more, trials = (2, 12, 1) if quick else (2, 40, 3)
    plain, ours = [], []
    with _pool(2) as two:
        _sweep(two, 20)
        for _ in range(trials):
            plain.append((seconds(lambda: _batch(more)) - seconds(lambda: _batch(few))) / (more - few))
            ours.append(seconds(lambda: _sweep(two, 10 * more)) / (10 * more))
    one_more = statistics.median(plain)
    found = one_more / statistics.median(ours)
    return [
        Measurement("one more run of plain Mesa by mesa.batch_run, two processes", 1e3 * one_more, "ms"),
        Measurement("  as many times one more run of a sweep", found, "x", ">= 20"),
    ]


def sweep_10000(quick: bool) -> list[Measurement]:
    """Ten thousand runs from the command's own start: rate after start-up, and memory of parent and workers."""
    runs = 300 if quick else 10_000
    done: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder) / "out" / "parts"
        over = threading.Event()
        watch = threading.Thread(target=lambda: _watch(parts, over, done))
        watch.start()
        sweep(_experiment(runs), Path(folder) / "out", workers=2)
        over.set()
        watch.join()
    times, sizes = zip(*done, strict=True)
    begun = times[0] + 0.2 * (times[-1] - times[0])
    early = [size for when, size in done if when < begun][-5:]
    rate = runs / (times[-1] - times[0])
    growth = max(sizes[-len(sizes) // 5 :]) / statistics.median(early) - 1.0
    return [
        Measurement(f"{runs:,} runs after start-up, two processes", rate, "runs/s", ">= 100"),
        Measurement("  memory of parent and workers in the end", sizes[-1] / 2**20, "MiB"),
        Measurement("  its growth after the first fifth", growth, "1", "<= 0.1"),
    ]


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=prepare)


def _experiment(runs: int) -> dict[str, Any]:
    scenario = exchange_only(TRADERS, STEPS, gaps=GAPS).model_dump(mode="json")
    return {"name": "speed", "scenario": scenario, "replications": runs, "outcomes": ["deficit"]}


def _sweep(executor: Executor, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = sweep(_experiment(runs), Path(folder) / "out", executor=executor)
        if len(found.runs) != runs:
            raise RuntimeError(f"{len(found.failures)} runs failed: {found.failures.error.iloc[0]}")


def _encoding() -> float:
    """Seconds of a worker to turn one run of a hundred into bytes."""
    model = ContagionModel(exchange_only(TRADERS, STEPS, gaps=GAPS), rng=1, keep_ledger=False)
    model.advance()
    rows: list[dict[str, float]] = [model.recorder.outcomes()] * 100
    keys, errors = [f"{order:032x}" for order in range(100)], [None] * 100
    work: Callable[[], Any] = lambda: encode(keys, rows, errors)  # noqa: E731
    work()
    return statistics.median(seconds(work) for _ in range(9)) / 100


class PlainRun(MesaExchangeModel):
    """The plain Mesa model as Mesa's batch runner wants it; its population is laid out once a process."""

    def __init__(self, number: int = 0, **_: Any) -> None:
        super().__init__(_opening())

    def step(self) -> None:
        """One step; the path of prices ends with the last."""
        super().step()
        self.taken = getattr(self, "taken", 0) + 1
        self.running = self.taken < STEPS


@cache
def _opening():
    return assemble(exchange_only(TRADERS, STEPS, gaps=GAPS), 1)


def _batch(runs: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mesa.batch_run(
            PlainRun, {"number": list(range(runs))}, number_processes=2, max_steps=2 * STEPS, display_progress=False,
            data_collection_period=-1,
        )  # fmt: skip


def _watch(parts: Path, over: threading.Event, done: list[tuple[float, int]]) -> None:
    """Time and memory [bytes] of this process and its children, from the second part on."""
    while not over.wait(0.5):
        if parts.is_dir() and sum(1 for _ in parts.glob("*.parquet")) >= 2:
            done.append((time.perf_counter(), _resident()))


def _resident() -> int:
    """Memory of this process and its children, pages that they share counted in each. [bytes]"""
    own = str(os.getpid())
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:  # it ended meanwhile
            continue
        if own in (fields["Pid"], fields["PPid"]):
            total += 1024 * int(fields.get("VmRSS", "0 kB").split()[0])
    return total
