from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from contagion.errors import ContagionError, InputError
from contagion.provenance import git_state, scenario_hash
from contagion.results import MANIFEST, TABLES, RunResult, describe_run, load, require_free, save


@pytest.fixture
def result() -> RunResult:
    ledger = pd.DataFrame(
        {
            "step": np.array([3, 3], dtype=np.int32),
            "round": np.array([0, 1], dtype=np.int16),
            "cause": pd.Categorical(["deficit", "allocation"], categories=["deficit", "allocation", "funding"]),
            "layer": ["", "insurance_fund"],
            "deficit_id": pd.array([1, None], dtype="Int64"),
            "payer": ["trader:1", "perp/insurance_fund"],
            "payee": ["perp", "perp"],
            "amount": [0.1 + 0.2, np.nan],
        }
    )
    times = pd.date_range("2020-03-12 06:00", periods=3, freq="min", tz="UTC")
    return RunResult(
        outcomes={"deficit": 0.1 + 0.2, "insurance_depletion": float("nan"), "amplification": float("inf")},
        steps=pd.DataFrame({"step": np.arange(3), "time": times, "halted": [False, True, False]}),
        rounds=pd.DataFrame({"step": pd.Series(dtype=np.int32), "name": pd.Series(dtype=str)}),
        ledger=ledger,
        agents=pd.DataFrame({"name": ["perp", "trader:1"], "net_worth": np.array([1.0, -2.0], dtype=np.float32)}),
        facts=pd.DataFrame({"name": ["fall", "rise"], "source": pd.Series(["a venue", None], dtype=object)}),
        manifest=describe_run({"name": "tiny", "steps": 3}, seed=7, steps_done=3, finished=True),
    )


def test_reading_back_gives_the_same_frames(result: RunResult, tmp_path: Path) -> None:
    loaded = load(save(result, tmp_path / "run"))
    for name in TABLES:
        assert_frame_equal(getattr(loaded, name), getattr(result, name), check_exact=True)
    assert list(loaded.outcomes) == list(result.outcomes)
    np.testing.assert_array_equal(list(loaded.outcomes.values()), list(result.outcomes.values()))


def test_the_manifest_says_what_ran_and_with_what(result: RunResult, tmp_path: Path) -> None:
    manifest = load(save(result, tmp_path / "run")).manifest
    assert manifest["scenario"] == {"name": "tiny", "steps": 3}
    assert (manifest["seed"], manifest["steps_done"], manifest["finished"]) == (7, 3, True)
    assert manifest["versions"]["python"] == "{}.{}.{}".format(*sys.version_info)
    assert manifest["versions"]["numpy"] == np.__version__
    # Hand calculation: SHA-256 of the canonical JSON text itself.
    assert manifest["scenario_hash"] == hashlib.sha256(b'{"name":"tiny","steps":3}').hexdigest()
    recorded = manifest["files"]["ledger.parquet"]
    assert recorded["rows"] == 2
    assert recorded["sha256"] == hashlib.sha256((tmp_path / "run/ledger.parquet").read_bytes()).hexdigest()


def test_saving_a_loaded_result_keeps_where_it_came_from(result: RunResult, tmp_path: Path) -> None:
    first = save(replace(result, manifest={**result.manifest, "created": "2025-10-10T21:00:00+00:00"}), tmp_path / "a")
    second = save(load(first), tmp_path / "b")
    assert (first / MANIFEST).read_bytes() == (second / MANIFEST).read_bytes()


def test_equal_frames_give_equal_bytes(result: RunResult, tmp_path: Path) -> None:
    copies = {name: getattr(result, name).copy(deep=True) for name in TABLES}
    first, second = save(result, tmp_path / "a"), save(replace(result, **copies), tmp_path / "b")
    files = sorted(path.name for path in first.glob("*.parquet"))
    assert len(files) == 1 + len(TABLES)
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_scenario_hash_ignores_the_order_of_keys() -> None:
    assert scenario_hash({"a": 1, "b": {"c": 2, "d": 3}}) == scenario_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert scenario_hash({"a": 1}) != scenario_hash({"a": 2})


def test_a_folder_in_use_is_refused_and_left_alone(result: RunResult, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="new or empty; this one exists and is not empty"):
        save(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_and_missing_parents_are_fine(result: RunResult, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "new/deep/er"):
        assert len(list(save(result, out).iterdir())) == 2 + len(TABLES)
        assert load(out).manifest["seed"] == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


@pytest.mark.parametrize("below", ["file", "file/run"])
def test_a_file_in_the_way_is_named(result: RunResult, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"^out: got '.*file") as caught:
        require_free(tmp_path / below)
    assert "a folder that is new or empty" in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("out", ["new/deep", "empty"])
@pytest.mark.parametrize("failing_write", [1, 4])
def test_a_full_disk_is_one_message_and_leaves_nothing(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, failing_write: int
) -> None:
    (tmp_path / "empty").mkdir()
    write, writes = pq.write_table, []

    def full(table, path, **options) -> None:
        writes.append(path)
        if len(writes) == failing_write:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, path, **options)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ContagionError, match=r"could not be written to .*: No space left on device; nothing is left"):
        save(result, tmp_path / out)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.parametrize(("out", "failing_move"), [("new/deep", 1), ("empty", 3)])
def test_a_failure_at_the_last_moment_leaves_nothing(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, failing_move: int
) -> None:
    (tmp_path / "empty").mkdir()
    rename, moves = Path.rename, []

    def unreliable(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == failing_move:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", unreliable)
    with pytest.raises(ContagionError, match="Input/output error; nothing is left"):
        save(result, tmp_path / out)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file size are a POSIX facility")
def test_a_real_refusal_of_the_system_leaves_nothing(tmp_path: Path) -> None:
    script = """
        import resource, sys
        import numpy as np, pandas as pd
        from contagion.errors import ContagionError
        from contagion.results import RunResult, save
        frame = pd.DataFrame({"x": np.random.default_rng(0).random(10_000)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            save(RunResult({}, frame, frame, frame, frame), sys.argv[1])
        except ContagionError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "could not be written" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_saving_leaves_nothing(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(result, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "ledger.parquet").write_bytes(b"PAR1"), r"ledger\.parquet.*does not match the hash"),
        (lambda run: (run / "steps.parquet").unlink(), r"steps\.parquet.*No such file"),
        (lambda run: (run / MANIFEST).unlink(), r"manifest\.json: No such file"),
        (lambda run: (run / MANIFEST).write_text("{"), r"manifest\.json is damaged"),
        (lambda run: (run / MANIFEST).write_text("[]"), r"manifest\.json is damaged"),
        (lambda run: (run / MANIFEST).write_text('{"format": 1, "files": {}}'), r"outcomes\.parquet.*does not list it"),
        (lambda run: (run / MANIFEST).write_text('{"format": 99, "files": {}}'), "format 1; the manifest says 99"),
    ],
)
def test_damage_is_found_on_reading(result: RunResult, tmp_path: Path, damage, message: str) -> None:
    run = save(result, tmp_path / "run")
    damage(run)
    with pytest.raises(InputError, match=message):
        load(run)


def test_one_flipped_bit_is_found(result: RunResult, tmp_path: Path) -> None:
    path = save(result, tmp_path / "run") / "agents.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="hash"):
        load(tmp_path / "run")


def test_a_table_with_its_own_index_is_refused(result: RunResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"agents\.index: .*reset_index"):
        save(replace(result, agents=result.agents.set_index("name")), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_git_state_of_a_checkout(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "new.py").write_text("")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": True}


def test_a_result_shows_itself_in_a_line(result: RunResult) -> None:
    assert repr(result) == "<RunResult tiny, seed 7: 3 steps, 2 ledger rows>"
    cut = replace(result, manifest=describe_run({"name": "tiny"}, seed=7, steps_done=1, finished=False))
    assert repr(cut).endswith(", interrupted>")


def test_the_manifest_is_plain_json(result: RunResult, tmp_path: Path) -> None:
    text = (save(result, tmp_path / "run") / MANIFEST).read_text()
    assert json.loads(text)["warnings"] == []
    assert "NaN" not in text
