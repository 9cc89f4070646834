"""A sweep in one process: what it finds, and that it finds the same however it is gone about."""

from __future__ import annotations

import errno
import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_experiments import here, runs_bytes, small

from contagion import ContagionModel, load_scenario, sweep
from contagion.errors import ContagionError, InputError
from contagion.experiment import compare_runs, open_results
from contagion.experiment.lock import only_writer
from contagion.experiment.runner import Runner


def run(folder: Path, workers: int = 1, **changes):
    options = {name: changes.pop(name) for name in ("resume", "retry") if name in changes}
    with here(workers) as executor:
        return sweep(small(**changes), folder, executor=executor, **options)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "fresh"
    run(folder)
    return folder


def test_a_row_holds_the_outcomes_of_that_run(fresh: Path) -> None:
    found = open_results(fresh)
    assert len(found.runs) == 16 and found.failures.empty and found.manifest["finished"]
    assert list(found.runs.columns[:9]) == [
        "run_key", "policy", "world", "replication", "seed", "mirrored", "shocks.1.size", "deficit", "unallocated",
    ]  # fmt: skip
    row = found.runs[(found.runs.policy == "more equity") & (found.runs.world == 1)].iloc[2]
    scenario = load_scenario(found.scenario, {"shocks.1.size": -0.2, "exchanges.perp.equity": 5e5})
    alone = ContagionModel(scenario, rng=int(row.seed)).run().outcomes
    assert alone["deficit"] > 0.0
    assert {name: row[name] for name in alone if alone[name] == alone[name]} == {
        name: value for name, value in alone.items() if value == value
    }


def test_rows_go_by_replication_world_and_policy(fresh: Path) -> None:
    runs = open_results(fresh).runs
    order = list(zip(runs.replication, runs.world, runs.policy != "as written", strict=True))
    assert order == sorted(order) and len(set(order)) == 16
    assert runs.groupby("replication").seed.nunique().eq(1).all()


@pytest.mark.parametrize("way", ["three workers", "shuffled", "resumed", "topped up", "policy added later"])
def test_bytes_do_not_depend_on_the_way(fresh: Path, tmp_path: Path, way: str, monkeypatch) -> None:
    out = tmp_path / "out"
    if way == "shuffled":
        made = Runner.run
        shuffled = lambda self, runs, count: made(self, random.Random(4).sample(list(runs), count), count)  # noqa: E731
        monkeypatch.setattr(Runner, "run", shuffled)
    if way == "resumed":
        run(out)
        for part in sorted((out / "parts").glob("*"))[1::2]:
            part.unlink()
    if way == "topped up":
        run(out, replications=2)
    if way == "policy added later":
        run(out, levers={"more equity": {"exchanges.perp.equity": 5e5}})
    run(out, workers=3 if way == "three workers" else 1, resume=way == "policy added later")
    assert runs_bytes(out) == runs_bytes(fresh)
    assert (out / "dictionary.csv").read_bytes() == (fresh / "dictionary.csv").read_bytes()


def test_what_is_done_is_not_repeated(fresh: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"
    shutil.copytree(fresh, out)
    monkeypatch.setattr("contagion.experiment.runner.work", None)  # nothing could run
    assert len(run(out).runs) == 16 and runs_bytes(out) == runs_bytes(fresh)
    assert len(open_results(out).provenance) == 2


def test_fewer_replications_show_fewer_rows_and_lose_none(fresh: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(fresh, out)
    assert len(run(out, replications=1).runs) == 4
    assert len(run(out, name="renamed", finding="None.", outcomes=[]).runs) == 16
    assert len(run(out).runs) == 16 and runs_bytes(out) == runs_bytes(fresh)


def test_an_amount_that_no_run_has_any_of_is_zero(fresh: Path, tmp_path: Path) -> None:
    """No margin call of the crisis has to cross to its venue; `discount.<venue>` is not an amount."""
    out = tmp_path / "out"
    shutil.copytree(fresh, out)
    found = run(out, outcomes=["transfers_failed", "discount.dex"])
    assert (found.runs["transfers_failed"] == 0.0).all() and "discount.dex" not in found.runs
    assert runs_bytes(out) != runs_bytes(fresh)
    assert compare_runs(found, ["torn_up"]).table["mean"].tolist() == [0.0, 0.0]


def test_another_experiment_in_the_folder_has_to_be_asked_for(fresh: Path) -> None:
    with pytest.raises(InputError, match="--resume to go on here: it holds a sweep of another experiment"):
        run(fresh, seed=5)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="a folder that is new or empty, or holds a sweep"):
        run(tmp_path)
    (tmp_path / "unwritable" / "lock").mkdir(parents=True)
    with pytest.raises(InputError, match=r"out: got .*unwritable'; accepted: a folder that can be written \("):
        run(tmp_path / "unwritable")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="out"):
        run(tmp_path / "file" / "below")


def test_two_sweeps_do_not_write_one_folder(fresh: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(fresh, out)
    with only_writer(out), pytest.raises(ContagionError, match=r"is in use by process \d+ on .* since 20"):
        run(out)
    (out / "lock").write_text(json.dumps({"process": 1, "machine": "gone", "since": "2020"}))  # its holder died
    assert len(run(out).runs) == 16


def test_a_killed_writer_leaves_nothing_half_done(fresh: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(fresh, out)
    (out / "parts" / "00000099.parquet.partial").write_bytes(b"PAR1 half a part")
    (out / "runs.parquet").unlink()
    run(out)
    assert runs_bytes(out) == runs_bytes(fresh) and not list(out.rglob("*.partial"))


def test_a_full_disk_is_said_and_the_sweep_goes_on_later(fresh: Path, tmp_path: Path, monkeypatch) -> None:
    import contagion.experiment.folder as module

    out, real, left = tmp_path / "out", module.os.fsync, [5]

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(ContagionError, match="the disk is full; runs that are done are kept, the same command goes on"):
        run(out)
    kept = len(open_results(out).runs)
    assert 0 < kept < 16 and not list(out.rglob("*.partial"))
    left[0] = 1_000
    run(out)
    assert runs_bytes(out) == runs_bytes(fresh)


def test_a_run_that_fails_is_a_row_with_its_seed_and_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "prices_that_fail.py").write_text(
        "from contagion.market.prices import Constant\n"
        "class Unlucky(Constant):\n"
        "    def sample(self, assets, dt_years, steps, stream):\n"
        "        if stream.generator('luck').random() < 0.5:\n"
        "            raise ValueError('out of\\nluck')\n"
        "        return super().sample(assets, dt_years, steps, stream)\n"
    )
    found = run(tmp_path / "out", overrides={"prices": "prices_that_fail:Unlucky"}, replications=10)
    assert set(found.failures.error) == {"ValueError: out of luck"}
    assert len(found.runs) + len(found.failures) == 40 and 0 < len(found.failures) < 40
    assert list(found.failures.columns[3:]) == ["replication", "seed", "mirrored", "shocks.1.size", "error"]
    assert pq.read_table(tmp_path / "out" / "failures.parquet").num_rows == len(found.failures)
    failed = int(found.failures.seed.iloc[0])
    with pytest.raises(ValueError, match="luck"):
        ContagionModel(load_scenario(found.scenario), rng=failed)
    again = run(tmp_path / "out", overrides={"prices": "prices_that_fail:Unlucky"}, replications=10, retry=True)
    assert len(again.failures) == len(found.failures) and again.runs.equals(found.runs)


def test_a_run_over_its_time_is_ended_between_steps(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("contagion.experiment.sweeps.COMPILING", 0.0)
    found = run(tmp_path / "out", time_limit=1e-9, replications=1)
    assert found.runs.empty and len(found.failures) == 4
    assert found.failures.error.str.fullmatch(r"OutOfTime: longer than its limit of 1e-09 s, at step \d of 7").all()


def test_runs_are_read_by_other_tools(fresh: Path) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    path, runs = fresh / "runs.parquet", open_results(fresh).runs
    pd.testing.assert_frame_equal(pd.read_parquet(path), runs)
    assert polars.read_parquet(path)["deficit"].sum() == pytest.approx(runs.deficit.sum(), rel=1e-12)
    (mean,) = duckdb.sql(f"select avg(deficit) from '{path}' where policy = 'as written'").fetchall()[0]
    assert mean == pytest.approx(runs[runs.policy == "as written"].deficit.mean(), rel=1e-12)


def test_every_column_is_in_the_dictionary(fresh: Path) -> None:
    words = pd.read_csv(fresh / "dictionary.csv", keep_default_na=False).set_index("name")
    runs = open_results(fresh).runs
    assert list(words.index) == [*runs.columns, "error"] and (words.meaning != "").all()
    assert words.loc["deficit", "unit"] == "USD" and words.loc["haircut_max", "unit"] == "1"
    assert words.loc["branching_ratio", "denominator"] == "all closures"
    assert words.loc["fund_use.dex", "meaning"].startswith("what the insurance fund or reserve bore")
    assert not words.meaning.str.contains("one's own").any()


def test_amounts_that_a_policy_has_nothing_of_are_zero_and_undefined_ones_missing(tmp_path: Path) -> None:
    levers = {"own money": {"exchanges.dex.waterfall": ["venue_equity"]}, "as written": {}}
    runs = run(tmp_path / "out", levers=levers).runs
    cut = runs.groupby("policy")["absorbed.profit_haircut"].agg(["count", "sum"])
    assert cut.loc["own money"].tolist() == [8.0, 0.0] and cut.loc["as written", "sum"] > 0.0
    calm = run(tmp_path / "calm", uncertainties={}, levers={}, overrides={"shocks": []}, replications=2).runs
    assert calm["time_to_first_deficit"].isna().all() and (calm["deficit"] == 0.0).all()


def test_swept_values_that_are_not_numbers_are_text(tmp_path: Path) -> None:
    swept = {"feedback": ["none", "full"], "exchanges.dex.waterfall": [["venue_equity"], ["insurance_fund"]]}
    runs = run(tmp_path / "out", uncertainties=swept, levers={}, replications=1).runs
    assert runs["feedback"].tolist() == ["none", "none", "full", "full"]
    assert json.loads(runs["exchanges.dex.waterfall"].iloc[0]) == ["venue_equity"]
