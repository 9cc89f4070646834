"""Real processes: one that is killed, one that hangs, a parent that dies, a cluster that loses a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from small_experiments import here, runs_bytes, small

from contagion import sweep
from contagion.experiment import load_experiment, open_results
from contagion.experiment.plan import make_plan

PRICES = """
import os, signal, time
from pathlib import Path
from contagion.market.prices import GeometricBrownian

class Perilous(GeometricBrownian):
    raises: int = -1
    kills: int = -1
    kills_once: int = -1
    hangs: int = -1
    folder: str = "."

    def sample(self, assets, dt_years, steps, stream):
        if stream.seed == self.raises:
            raise ValueError("as told")
        first = Path(self.folder) / "killed"
        if stream.seed == self.kills or (stream.seed == self.kills_once and not first.exists()):
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if stream.seed == self.hangs:
            time.sleep(600)
        return super().sample(assets, dt_years, steps, stream)
"""

RUNS = 48
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to end a process with")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of 48 runs that nothing happened to."""
    out = tmp_path_factory.mktemp("pools") / "whole"
    with here() as executor:
        sweep(small(replications=12), out, executor=executor)
    return out


@posix
def test_runs_of_dead_workers_are_repeated_and_the_culprits_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("contagion.experiment.sweeps.COMPILING", 20.0)
    (tmp_path / "perilous_prices.py").write_text(PRICES)
    plain = small(levers={}, uncertainties={}, replications=12)
    seeds = [run.seed for run in make_plan(load_experiment(plain)).runs(range(12))]
    told = dict(zip(("raises", "kills", "kills_once"), (seeds[3], seeds[5], seeds[8]), strict=True))
    prices = {"process": "perilous_prices:Perilous", "folder": str(tmp_path), **told}
    found = sweep({**plain, "overrides": {"prices": prices}}, tmp_path / "out", workers=1)
    assert (tmp_path / "killed").exists()
    errors = dict(zip(found.failures.seed, found.failures.error, strict=True))
    assert errors == {seeds[3]: "ValueError: as told", seeds[5]: "its worker process died 2 times"}
    assert sorted(found.runs.seed) == sorted(set(seeds) - set(errors))


@posix
def test_a_run_that_hangs_within_a_step_is_ended(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("contagion.experiment.sweeps.COMPILING", 5.0)
    (tmp_path / "perilous_prices.py").write_text(PRICES)
    plain = small(levers={}, uncertainties={}, replications=2, time_limit=1.0)
    seeds = [run.seed for run in make_plan(load_experiment(plain)).runs(range(2))]
    prices = {"process": "perilous_prices:Perilous", "hangs": seeds[1]}
    found = sweep({**plain, "overrides": {"prices": prices}}, tmp_path / "out", workers=1)
    assert found.runs.seed.tolist() == seeds[:1]
    assert found.failures.error.tolist() == ["its worker process died, past the time limit of 1 s"]


@posix
def test_kill_9_loses_at_most_what_was_in_flight(tmp_path: Path, whole: Path) -> None:
    psutil = pytest.importorskip("psutil")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small(replications=12), sort_keys=False))
    command = [sys.executable, "-m", "contagion.cli", "sweep", "small.yaml", "--out", "out", "--workers", "1", "-q"]
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    parts = tmp_path / "out" / "parts"
    wait_until(lambda: parts.is_dir() and len(list(parts.glob("*.parquet"))) >= 3, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = open_results(tmp_path / "out")
    assert 0 < len(kept.runs) < RUNS and not kept.manifest["finished"]
    assert not psutil.wait_procs(children, timeout=10)[1], "workers outlive their parent"
    with here() as executor:
        sweep(tmp_path / "small.yaml", tmp_path / "out", executor=executor)
    assert runs_bytes(tmp_path / "out") == runs_bytes(whole)
    assert len(open_results(tmp_path / "out").runs) == RUNS


@posix
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_finds_the_same(tmp_path: Path, whole: Path) -> None:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        processes = list(client.run(os.getpid).values())
        parts, killed = tmp_path / "out" / "parts", []

        def kill_one() -> None:
            wait_until(lambda: parts.is_dir() and len(list(parts.glob("*.parquet"))) >= 3)
            os.kill(processes[0], signal.SIGKILL)
            killed.append(len(list(parts.glob("*.parquet"))))

        thread = threading.Thread(target=kill_one)
        thread.start()
        found = sweep(small(replications=12), tmp_path / "out", scheduler=cluster.scheduler_address)
        thread.join()
    assert killed and killed[0] < len(list(parts.glob("*.parquet")))
    assert found.failures.empty, found.failures.error.iloc[0]
    assert len(found.runs) == RUNS and runs_bytes(tmp_path / "out") == runs_bytes(whole)


def wait_until(condition, process: subprocess.Popen | None = None, timeout: float = 60.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        assert process is None or process.poll() is None, "it ended early"
        time.sleep(0.01)
