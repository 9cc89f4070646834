"""``contagion sweep`` and ``contagion results`` as a user types them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_experiments import here, small

from contagion import sweep
from contagion.cli import main
from contagion.experiment import load_experiment, open_results
from contagion.experiment.plan import make_plan
from contagion.scenario.yaml_file import read_yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("commands") / "small"
    with here() as executor:
        sweep(small(), out, executor=executor)
    return out


def test_a_sweep_is_started_listed_and_exported(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small(replications=1), sort_keys=False))
    assert main(["sweep", "small.yaml", "--workers", "1"]) == 0
    assert capsys.readouterr().out == "small: 4 runs done, 0 failed. Tables and manifest: results/small\n"
    assert main(["results", "results/small", "--csv", "rows.csv"]) == 0
    assert main(["sweep", "small.yaml", "-q"]) == 0
    assert main(["results", "results/small", "--csv", "again.csv"]) == 0
    assert (tmp_path / "rows.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert len(pd.read_csv("rows.csv")) == 4


def test_results_are_listed(folder: Path, capsys) -> None:
    assert main(["results", str(folder)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("small: 16 runs done, 0 failed.") and "more equity" in told and "deficit" in told


def test_rows_are_filtered(folder: Path, capsys) -> None:
    runs = open_results(folder).runs
    assert main(["results", str(folder), "--where", "policy=as written", "--where", "shocks.1.size<-0.15",
                 "--csv", "-"]) == 0  # fmt: skip
    rows = capsys.readouterr().out.splitlines()[1:]
    wanted = runs[(runs.policy == "as written") & (runs["shocks.1.size"] < -0.15)]
    assert [row.split(",")[0] for row in rows] == wanted.run_key.tolist() and len(rows) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "deficitt>1"], r"--where: got 'deficitt'; accepted: a column: .*nearest: deficit"),
        (["--where", "deficit>much"], "--where: got 'much'; accepted: a number"),
        (["--where", "deficit"], "--where: got 'deficit'; accepted: COLUMN=VALUE"),
        (["--csv", "/nowhere/rows.csv"], r"/nowhere/rows.csv could not be written"),
    ],
)
def test_bad_arguments_are_explained(folder: Path, arguments: list[str], message: str, capsys) -> None:
    assert main(["results", str(folder), *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_folder_without_a_sweep_is_explained(tmp_path: Path, capsys) -> None:
    assert main(["results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"contagion: results: got '{tmp_path}'; accepted: the folder of a sweep\n"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_ready_experiments_are_valid(path: Path) -> None:
    assert load_experiment(path).question
    assert len(make_plan(load_experiment(path))) > 1


def test_the_experiment_of_the_guide_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "experiments.md").read_text(), re.DOTALL)
    assert len(make_plan(load_experiment(read_yaml(text, "the guide")))) == 100
