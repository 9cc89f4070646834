from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from contagion.cli import main
from contagion.errors import InputError
from contagion.results import RunResult, describe_run, load
from contagion.terminal import WIDTH, amount, cut, payer_type, progress_bar, stdout, summary

# Two accounts end 70 and 30 below zero. The fund bears 40 and two winners 35 of it; 25 is left.
LEDGER = pd.DataFrame(
    {
        "step": 3,
        "round": [0, 0, 0, 1, 1, 1],
        "phase": "allocate",
        "cause": ["deficit", "deficit", "allocation", "allocation", "allocation", "liquidation_fee"],
        "layer": ["", "", "insurance_fund", "auto_deleverage", "auto_deleverage", ""],
        "deficit_id": [1, 2, 1, 1, 2, -1],
        "payer": ["perp", "perp", "perp/insurance_fund", "trader:4", "trader:5", "trader:1"],
        "payee": ["trader:1", "trader:2", "perp", "perp", "perp", "perp/insurance_fund"],
        "amount": [70e6, 30e6, 40e6, 25e6, 10e6, 1_234.0],
    }
)
FACTS = pd.DataFrame(
    {
        "name": ["fund before", "liquidated notional [all venues] of the day, as the venues reported it"],
        "observed": [35_508.0, 2.25e9],
        "simulated": [float("nan"), 1.98e9],
        "unit": ["XBT", "USD"],
        "role": ["input", "check"],
        "source": ["a venue", "the press"],
    }
)


@dataclass
class FakeScenario:
    name: str = "tiny"
    question: str = "Who pays?"
    steps: int = 4

    def model_dump(self, mode: str) -> dict[str, Any]:
        return {"name": self.name, "question": self.question, "steps": self.steps}


def tiny_result(seed: int = 0, done: int = 4, warnings: list[str] | None = None) -> RunResult:
    scenario = FakeScenario()
    return RunResult(
        outcomes={"liquidations": 2.0, "hedges": float("nan")},
        steps=pd.DataFrame({"step": range(done)}),
        rounds=pd.DataFrame({"step": [3, 3], "round": [0, 1]}),
        ledger=LEDGER,
        agents=pd.DataFrame({"name": ["perp", "trader:1"]}),
        facts=FACTS,
        manifest=describe_run(scenario.model_dump("json"), seed, done, done == scenario.steps, warnings),
    )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A stand-in for the scenario reader and the model, which records what the command line asks of them."""
    world = SimpleNamespace(asked=[], stop_after=None, fail=None, built=0)

    def load_scenario(name: str, overrides: dict[str, Any] | None = None) -> FakeScenario:
        world.asked.append((name, overrides))
        if name != "tiny":
            raise InputError("scenario", name, "tiny, or the path of a YAML file")
        return FakeScenario()

    class ContagionModel:
        def __init__(self, scenario: FakeScenario, rng: int) -> None:
            world.built += 1
            self.seed, self.done = rng, 0

        def run(self, progress: Any) -> RunResult:
            if world.fail:
                raise world.fail
            for step in range(4):
                if step == world.stop_after:
                    raise KeyboardInterrupt
                self.done = step + 1
                progress(self.done, 4)
            return self.result()

        def result(self) -> RunResult:
            return tiny_result(self.seed, self.done)

    scenario, model = ModuleType("contagion.scenario"), ModuleType("contagion.model")
    scenario.load_scenario = load_scenario
    scenario.bundled_scenarios = lambda: {"tiny": "Who pays?", "other": "Why?"}
    scenario.scenario_schema = lambda: {"type": "object"}
    scenario.scenario_text = lambda name, overrides=None: f"name: {load_scenario(name, overrides).name}\n"
    scenario.preset_text = lambda name: f"# {name}\n"
    model.ContagionModel = ContagionModel
    monkeypatch.setitem(sys.modules, "contagion.scenario", scenario)
    monkeypatch.setitem(sys.modules, "contagion.model", model)
    monkeypatch.chdir(tmp_path)
    return world


def rendered(result: RunResult, capsys: pytest.CaptureFixture[str]) -> str:
    stdout().print(summary(result))
    return capsys.readouterr().out


# The commands


def test_run_saves_and_says_who_paid(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--seed", "7"]) == 0
    said = capsys.readouterr()
    assert "tiny, seed 7" in said.out
    assert "results/tiny-7" in said.out
    assert said.err == ""
    pd.testing.assert_frame_equal(load("results/tiny-7").ledger, LEDGER)


def test_the_same_run_twice_says_how_to_go_on(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny"]) == 0
    before = Path("results/tiny-0/manifest.json").read_bytes()
    capsys.readouterr()
    assert main(["run", "tiny"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("contagion: --out: got 'results/tiny-0'; accepted: a folder that is new or empty")
    assert said.err.rstrip().endswith("name another one with --out DIR")
    assert said.err.count("\n") == 1
    assert world.built == 1  # refused before any work
    assert Path("results/tiny-0/manifest.json").read_bytes() == before
    assert main(["run", "tiny", "--out", "elsewhere"]) == 0


def test_overrides_reach_the_scenario_with_their_types(world: SimpleNamespace) -> None:
    settings = ["steps=12", "assets.BTC.price=5e4", "feedback=none", "halt=true", "venue=[a, b]", "dt=30s", "note=a=b"]
    assert main(["validate", "tiny", *(part for setting in settings for part in ("--set", setting))]) == 0
    expected = {
        "steps": 12, "assets.BTC.price": 50_000.0, "feedback": "none", "halt": True, "venue": ["a", "b"], "dt": "30s",
        "note": "a=b",
    }
    assert world.asked == [("tiny", expected)]
    assert type(world.asked[0][1]["steps"]) is int


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["--prices", "btc.csv"], ["btc.csv"]),
        (["--prices", "btc.csv", "--prices", "eth.csv"], ["btc.csv", "eth.csv"]),
        (["--prices", "btc.csv", "eth.csv", "--quiet"], ["btc.csv", "eth.csv"]),
        (["--prices", "BTC=b.csv", "ETH=e.csv"], {"BTC": "b.csv", "ETH": "e.csv"}),
    ],
)
def test_price_files_replace_the_prices(world: SimpleNamespace, arguments: list[str], files: Any) -> None:
    assert main(["run", "tiny", *arguments]) == 0
    assert world.asked == [("tiny", {"prices": {"process": "file", "source": files}})]


def test_quiet_prints_the_folder_only(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--quiet", "--out", "here"]) == 0
    assert capsys.readouterr() == ("here\n", "")


def test_json_is_for_machines(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny", "--json", "--seed", "3"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["outcomes"] == {"liquidations": 2.0, "hedges": None}
    assert (said["seed"], said["folder"], said["steps_done"]) == (3, "results/tiny-3", 4)


def test_scenarios_show_and_schema(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios", "--names"]) == 0
    assert capsys.readouterr().out == "tiny\nother\n"
    assert main(["scenarios"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["tiny", "other"]
    assert main(["show", "tiny"]) == 0
    assert capsys.readouterr().out == "name: tiny\n"
    assert main(["show", "preset:okx"]) == 0
    assert capsys.readouterr().out == "# okx\n"
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "object"}


# Mistakes and mishaps: one line on standard error, and an exit code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'SCENARIO'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["run", "tiny", "--speed", "9"], "No such option"),
        (["run", "tiny", "--seed", "x"], "--seed"),
        (["run", "tiny", "--seed", "-1"], "--seed"),
        (["run", "tinny"], "scenario: got 'tinny'; accepted: tiny, or the path of a YAML file"),
        (["run", "tiny", "b.csv"], "price files follow --prices"),
        (["run", "tiny", "--set", "steps"], "--set: got 'steps'; accepted: PATH=VALUE"),
        (["run", "tiny", "--prices", "BTC=b.csv", "e.csv"], "either FILE or ASSET=FILE for all of them"),
        (["show", "tinny"], "scenario: got 'tinny'"),
        (["validate", "tinny"], "scenario: got 'tinny'"),
    ],
)
def test_a_mistake_is_one_line(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("contagion: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_folder_that_cannot_be_written_is_found_before_any_work(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("mine")
    assert main(["run", "tiny", "--out", "file/run"]) == 2
    assert capsys.readouterr().err.startswith("contagion: --out: got 'file/run'; accepted: a folder")
    assert world.built == 0


def test_an_interrupted_run_keeps_its_finished_part(world: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    world.stop_after = 3
    assert main(["run", "tiny"]) == 130
    said = capsys.readouterr()
    assert said.err == "contagion: interrupted after 3 of 4 steps; the finished part is in results/tiny-0\n"
    kept = load("results/tiny-0")
    assert (len(kept.steps), kept.manifest["finished"], kept.manifest["steps_done"]) == (3, False, 3)


def test_an_interrupt_before_the_run_saves_nothing(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["contagion.scenario"], "load_scenario", interrupted)
    assert main(["run", "tiny"]) == 130
    assert capsys.readouterr().err == "contagion: interrupted; nothing was saved\n"
    assert list(Path().iterdir()) == []


def test_a_defect_is_one_line_and_says_how_to_see_more(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.fail = ZeroDivisionError("float division\nby zero")
    assert main(["run", "tiny"]) == 1
    hint = "CONTAGION_DEBUG=1 shows the traceback"
    expected = f"contagion: internal error: ZeroDivisionError: float division by zero ({hint})\n"
    assert capsys.readouterr().err == expected
    for arguments in (["--debug", "run", "tiny"], ["run", "tiny"]):
        assert main(arguments) == 1
        said = capsys.readouterr().err
        assert said.startswith("Traceback") and said.endswith(expected)
        monkeypatch.setenv("CONTAGION_DEBUG", "1")


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "contagion.cli", *arguments]
    return subprocess.run(program, text=True, timeout=60, stderr=subprocess.PIPE, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = command("--version", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "contagion: No space left on device\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = command("--help", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from contagion.cli import main; code = main(['--help']);"
        "heavy = {'mesa', 'numba', 'numpy', 'pandas', 'pyarrow', 'matplotlib', 'scipy', 'networkx'} & set(sys.modules);"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy or code else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "scenarios" in done.stdout


# The summary


def test_every_amount_of_the_summary_is_a_sum_of_ledger_rows(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in rendered(tiny_result(), capsys).splitlines()]
    assert "4 steps, 2 cascade rounds." in lines
    assert "2 deficits 100.0 m" in lines
    assert "borne by insurance_fund 40.00 m 40.0%" in lines
    assert "borne by auto_deleverage 35.00 m 35.0%" in lines
    assert "borne by no layer (unallocated) 25.00 m 25.0%" in lines
    assert "insurance_fund perp/insurance_fund 1 40.00 m 53.3%" in lines  # 40 / 75
    assert "auto_deleverage trader 2 35.00 m 46.7%" in lines
    assert "liquidation fee 1 1.234 k" in lines


def test_what_no_layer_takes_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    # The 25 that nobody bears (100 - 40 - 35) as a row of its own, as runs book it.
    rest = LEDGER[LEDGER.cause == "allocation"].iloc[[0]].assign(layer="unallocated", payer="perp", amount=25e6)
    ledger = pd.concat([LEDGER, rest], ignore_index=True)
    lines = [" ".join(line.split()) for line in rendered(replace(tiny_result(), ledger=ledger), capsys).splitlines()]
    assert "borne by no layer (unallocated) 25.00 m 25.0%" in lines
    assert not any(line.startswith("borne by unallocated") for line in lines)


def test_only_facts_that_were_no_inputs_stand_beside_simulated_ones(capsys: pytest.CaptureFixture[str]) -> None:
    text = rendered(tiny_result(), capsys)
    assert "2,250,000,000" in text and "1,980,000,000" in text
    assert "liquidated notional [all venues]" in text
    assert "35,508" not in text
    assert "1 other fact served as input." in text


def test_the_summary_fits_eighty_columns_and_has_no_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    text = rendered(tiny_result(warnings=["the bound on rounds was hit at step 3 [100 rounds]"]), capsys)
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "…" not in text and "\x1b" not in text
    assert "Note: the bound on rounds was hit at step 3 [100 rounds]" in text


def test_a_quiet_run_and_a_cut_one_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = RunResult({}, *(frame.iloc[:0] for frame in (FACTS, FACTS, LEDGER, FACTS, FACTS)))
    assert "there was no deficit to allocate" in rendered(quiet, capsys)
    cut = rendered(tiny_result(done=3), capsys)
    assert "3 of 4 steps" in cut
    assert "the run was interrupted" in cut


def test_many_payers_are_cut_to_the_largest(capsys: pytest.CaptureFixture[str]) -> None:
    venues = [f"venue_{number}" for number in range(40)]
    ledger = pd.DataFrame(
        {"cause": "allocation", "layer": "venue_equity", "payer": venues, "deficit_id": 1, "amount": 2.0}
    )
    root = pd.DataFrame({"cause": ["deficit"], "layer": [""], "deficit_id": [1], "amount": [80.0]})
    text = rendered(RunResult({}, FACTS, FACTS, pd.concat([root, ledger], ignore_index=True), FACTS), capsys)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "others 28 56.00 70.0%" in lines
    assert "borne by no layer (unallocated) 0.00 0.0%" in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"), (0.4, "0.40"), (999.94, "999.90"), (1_000.0, "1.000 k"), (-12_346.0, "-12.35 k"),
        (999_960.0, "1.000 m"), (123_456_789.0, "123.5 m"), (19.35e9, "19.35 bn"), (1.5e13, "15,000 bn"),
        (float("nan"), "nan"),
    ],
)
def test_amounts_keep_four_digits(value: float, text: str) -> None:
    assert amount(value) == text


def test_payers_of_a_kind_are_added_up() -> None:
    names = pd.Series(["trader:12", "perp", "perp/insurance_fund"])
    assert list(payer_type(names)) == ["trader", "perp", "perp/insurance_fund"]


def test_progress_is_silent_when_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("tiny") as progress:
        for step in range(10):
            progress(step + 1, 10)
    assert capfd.readouterr() == ("", "")


def test_progress_shows_rate_and_ends_complete(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("tiny") as progress:
        progress(250, 250)
    said = capfd.readouterr()
    assert said.out == ""
    assert "250/250" in said.err and "steps/s" in said.err
    with progress_bar("tiny", quiet=True) as progress:
        progress(250, 250)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [("ru", "run"), ("run quick", "quickstart"), ("compare octo", "october_2025"), ("run --js", "--json")],
)
def test_a_shell_completes_commands_options_and_scenarios(words: str, offered: str) -> None:
    place = str(len(words.split()))
    asked = {"_CONTAGION_COMPLETE": "complete_bash", "COMP_WORDS": f"contagion {words}", "COMP_CWORD": place}
    script = [sys.executable, "-c", "import sys; from contagion.cli import main; sys.exit(main([]))"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, env=os.environ | asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert offered in done.stdout.split()


def test_modules_of_rules_are_found_in_the_folder_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "rules_of_the_folder.py").write_text(
        "from contagion.allocation.funds import VenueEquity\nclass Own(VenueEquity): pass\n"
    )
    setting = 'exchanges.perp.waterfall=["rules_of_the_folder:Own"]'
    script = "import sys; sys.path = [place for place in sys.path if place]; from contagion.cli import main; "
    script += f"sys.exit(main(['validate', 'quickstart', '--set', {setting!r}]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("short", 8, "short"), ("exchanges.perp.fund.size=5", 8, "….size=5"), ("a longer fund", 8, "a longe…")],
)
def test_a_long_name_keeps_what_tells_it_apart(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown
