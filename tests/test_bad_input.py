"""A stranger's mistakes at the command line: one message with field, value and what is accepted, nothing written."""
# ruff: noqa: E501 (a mistake and its answer stand on one line)

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from contagion.cli import main
from contagion.model import ContagionModel
from contagion.results import load

NAN = float("nan")
QUICKSTART = yaml.safe_load((files("contagion.scenario") / "library" / "quickstart.yaml").read_text(encoding="utf-8"))
MAKER = 2  # its place among the trader groups
POOL = {"ltv": 0.8, "liquidation_threshold": 0.83, "bonus": 0.05}

Change = tuple[str, Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], *said: str) -> None:
    """The command ends with code 2 and one line that says all this, and leaves the folder as it was."""
    before = tree()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("contagion: ") and err.count("\n") == 1
    for part in said:
        assert part in err
    assert tree() == before


def tree() -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(Path().rglob("*"))}


def written(path: str, value: Any) -> str:
    """A file that holds the quickstart with one field replaced."""
    data = copy.deepcopy(QUICKSTART) | {"steps": 2}
    place, keys = data, [int(key) if key.isdecimal() else key for key in path.split("/")]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    Path("mine.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return "mine.yaml"


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        # misspelt keys and names of rules
        ("exchangs", {}, "exchangs: got {}; accepted: keys name, |; nearest: exchanges"),
        ("exchanges/perp/insurence_fund", {}, "exchanges.perp.insurence_fund: got {}; accepted: keys |; nearest: insurance_fund"),
        ("exchanges/perp/liquidation/engin", "full", "exchanges.perp.liquidation.engin: got 'full'|; nearest: engine"),
        ("exchanges/perp/preset", "hyperliqid", "exchanges.perp.preset: got 'hyperliqid'|; nearest: hyperliquid"),
        ("exchanges/perp/waterfall", ["insurance_fnd"], "exchanges.perp.waterfall.0: layer: got 'insurance_fnd'|; nearest: insurance_fund"),
        ("exchanges/perp/waterfall", [{"layer": "auto_deleverage", "ranking": "best"}], "waterfall.0: layer auto_deleverage.ranking: got 'best'; accepted: |bitmex"),
        ("exchanges/perp/waterfall", [{"layer": "auto_deleverage", "rankng": "okx"}], "layer auto_deleverage.rankng: got 'okx'|; nearest: ranking"),
        ("protocols/pool/kind", "lending_pol", "protocols.pool.kind: got 'lending_pol'; accepted: lending_pool, collateralised_debt"),
        ("traders/0/archetype", "directionl", "traders.0: archetype: got 'directionl'|; nearest: directional"),
        ("traders/0/archetype", "nowhere:Nobody", "traders.0: archetype: got 'nowhere:Nobody'; accepted: an importable module:Class"),
        ("traders/0/parameters", {"entry_spred": 1}, "archetype directional.entry_spred: got 1|; nearest: entry_spread"),
        ("traders/0/answers", {"topup": 1}, "traders.0.answers.topup: got 'topup'; accepted: 'top_up', 'reduce' or 'ignore'"),
        ("traders/1/size", {"fxed": 5}, "traders.1.size: got {'fxed': 5}; accepted: {fixed: x}"),
        ("shocks/0/kind", "price_gp", "shocks.0.kind: got 'price_gp'; accepted: 'price_gap'"),
        ("prices", {"process": "gbmm"}, "prices: process: got 'gbmm'|; nearest: gbm"),
        ("prices", {"process": "event", "event": "black_friday"}, "prices.event: got 'black_friday'; accepted: one of black_thursday"),
        ("prices", "file", "prices: process file.source: got None; accepted: a value"),
        # assets, venues and agents that nobody declared
        ("exchanges/perp/contracts", {"DOGE": {}}, "exchanges.perp.contracts: got 'DOGE'; accepted: one of BTC, ETH"),
        ("shocks/0/asset", "BTCC", "shocks.0.asset: got 'BTCC'; accepted: one of BTC, ETH; nearest: BTC"),
        ("protocols/pool/collateral", {"ETHH": POOL}, "protocols.pool.collateral: got 'ETHH'|; nearest: ETH"),
        ("protocols/other", {"kind": "vault", "backs": "prp"}, "protocols.other.backs: got 'prp'; accepted: one of perp"),
        ("exchanges/perp/waterfall", [{"layer": "backstop_vault", "vault": "pool"}], "waterfall.0.vault: got 'pool'; accepted: a vault with backs: perp"),
        ("traders/0/venue", "prp", "traders.0.venue: got 'prp'; accepted: one of perp"),
        ("traders/0/venue_weights", {"prp": 1}, "traders.0.venue_weights: got 'prp'; accepted: one of perp"),
        ("traders/0/assets", {"DOGE": 1}, "traders.0.assets: got 'DOGE'; accepted: contracts of perp: BTC, ETH"),
        ("traders/0/holds", {"poool": 1}, "traders.0.holds: got 'poool'; accepted: one of backstop, pool; nearest: pool"),
        ("credit", {"loans": [{"lender": "perp", "borrower": "nobody", "amount": 5, "due": 1}]}, "credit.loans.0.borrower: got 'nobody'; accepted: one of outside, perp"),
        # numbers that are none
        ("exchanges/perp/insurance_fund/size", NAN, "exchanges.perp.insurance_fund.size: got nan; accepted: "),
        ("exchanges/perp/insurance_fund/size", -1, "exchanges.perp.insurance_fund.size: got -1; accepted: greater than or equal to 0"),
        ("exchanges/perp/equity", "lots", "exchanges.perp.equity: got 'lots'; accepted: a valid number"),
        ("assets/BTC/price", float("inf"), "assets.BTC.price: got inf; accepted: a finite number"),
        ("assets/BTC/price", -5, "assets.BTC.price: got -5; accepted: greater than 0"),
        ("assets/BTC/volatility", NAN, "assets.BTC.volatility: got nan; accepted: "),
        ("shocks/0/size", NAN, "shocks.0.size: got nan; accepted: a finite number"),
        ("shocks/0/size", -1.0, "shocks.0.size: got -1.0; accepted: a relative move above -1"),
        ("traders/0/count", -3, "traders.0.count: got -3; accepted: greater than or equal to 1"),
        ("traders/0/size", {"pareto": 1.1, "total": -5}, "traders.0.size: got -5; accepted: a finite number above 0"),
        ("traders/0/size", {"pareto": 1.1, "total": 5, "truncate": 1e-6}, "traders.0.size.truncate: got 1e-06; accepted: a share from 1 / 130"),
        ("traders/1/size", {"fixed": NAN}, "traders.1.size: got nan; accepted: a finite number above 0"),
        ("traders/1/leverage", {"fixed": -1}, "traders.1.leverage: got -1; accepted: a finite number above 0"),
        ("traders/2/capital", NAN, "traders.2.capital: got nan; accepted: "),
        ("traders/2/parameters", {"depth": NAN}, "archetype market_maker.depth: got nan; accepted: a finite number"),
        ("protocols/pool/collateral/ETH/ltv", NAN, "protocols.pool.collateral.ETH.ltv: got nan; accepted: "),
        ("prices", {"process": "gbm", "correlation": 2}, "prices: process gbm.correlation: got 2; accepted: a number in [0, 1]"),
        ("dt", "0s", "contagion: dt: got '0 days 00:00:00'; accepted: a duration above 0"),
        ("dt", 5, "contagion: dt: got 5; accepted: a duration with its unit"),
        ("dt", "soon", "contagion: dt: got 'soon'; accepted: a duration such as '1min'"),
        ("steps", 1.5, "contagion: steps: got 1.5; accepted: a valid integer"),
        # parts that do not fit together
        ("traders/0/answers", {"top_up": 0.5, "reduce": 0.2}, "traders.0: answers: got {'reduce': 0.2, 'top_up': 0.5}; accepted: answers must add up to 1"),
        ("protocols/pool/collateral/ETH/ltv", 0.9, "protocols.pool.collateral.ETH: got |ltv must not exceed liquidation_threshold"),
        ("protocols", {"a": {"kind": "vault", "holds": {"b": 9}}, "b": {"kind": "vault", "holds": {"a": 9}}, **QUICKSTART["protocols"]}, "protocols.holds: got 'a and b'; accepted: vaults with depositors besides each other"),
        (f"traders/{MAKER}/capital", 0, "exchanges.perp.contracts.BTC: got 'zero initial depth'; accepted: a market_maker group"),
        (f"traders/{MAKER}/parameters", {"depth": 0}, "archetype market_maker.depth: got 0; accepted: greater than 0"),
        ("assets", ["BTC"], "assets: got ['BTC']; accepted: a mapping"),
        ("traders", {"a": {}}, "traders: got {'a': {}}; accepted: a list"),
    ],
)  # fmt: skip
def test_a_field_of_a_scenario(
    here: Path, capsys: pytest.CaptureFixture[str], command: str, path: str, value: Any, said: str
) -> None:
    refused([command, written(path, value)], capsys, *said.split("|"))


def test_a_market_without_makers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traders = [group for group in QUICKSTART["traders"] if group["archetype"] != "market_maker"]
    refused(["run", written("traders", traders)], capsys, "exchanges.perp.contracts.BTC: got 'zero initial depth'")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("exchanges.perp.insurance_fnd.size=5", "got 'insurance_fnd'; accepted: one of |; nearest: insurance_fund"),
        ("exchanges.prep.equity=5", "exchanges.prep.equity: got 'prep'; accepted: one of "),
        ("exchanges.*.equty=5", "got 'equty'; accepted: one of |; nearest: equity"),
        ("exchanges.perp.equity.size=5", "exchanges.perp.equity.size: got |; accepted: no field below exchanges.perp.equity"),
        ("exchanges.perp.equity=lots", "exchanges.perp.equity: got 'lots'; accepted: a valid number"),
        ("exchanges.perp.equity=nan", "exchanges.perp.equity: got nan; accepted: "),
        ("exchanges.perp.equity=", "exchanges.perp.equity: got None; accepted: a valid number"),
        ("exchanges.prp.preset=hyperliquid", "exchanges.prp.preset: got 'hyperliquid'; accepted: exchanges.name.preset"),
        ("assets.DOGE.price=5", "assets.DOGE.price: got 'DOGE'; accepted: one of BTC, ETH"),
        ("traders.directinal.count=5", "got 'directinal'; accepted: one of |; nearest: directional"),
        ("traders.99.count=5", "traders.99.count: got '99'; accepted: one of directional"),
        ("prices.corelation=0.5", "prices.corelation: got 'corelation'; accepted: one of |; nearest: correlation"),
        ("insurance_fnd=5", "insurance_fnd: got 'no such field'; accepted: |; nearest: exchanges.perp.insurance_fund"),
        ("size=5", "size: got 'several fields'; accepted: one of exchanges.perp.insurance_fund.size"),
        ("steps", "--set: got 'steps'; accepted: PATH=VALUE"),
        ("=5", "--set: got '=5'; accepted: PATH=VALUE"),
    ],
)  # fmt: skip
def test_a_setting(here: Path, capsys: pytest.CaptureFixture[str], setting: str, said: str) -> None:
    refused(["run", "quickstart", "--set", setting], capsys, *said.split("|"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["quikstart"], "scenario: got 'quikstart'; accepted: a bundled name (quickstart, |; nearest: quickstart"),
        (["nowhere/mine.yaml"], "scenario: got 'nowhere/mine.yaml'; accepted: a bundled name"),
        (["folder"], "scenario: got 'folder'; accepted: a bundled name"),
        (["list.yaml"], "scenario: got 'list.yaml'; accepted: a YAML mapping"),
        (["broken.yaml"], "broken.yaml, line 2|accepted: a YAML document"),
        (["twice.yaml"], "twice.yaml, line 2: got 'name'; accepted: a key given once"),
        (["binary.yaml"], "scenario: got 'binary.yaml'; accepted: a readable text file"),
        (["quickstart", "--seed", "x"], "--seed: got 'x'; accepted: a whole number, 0 or above"),
        (["quickstart", "--seed=-1"], "--seed: got '-1'; accepted: a whole number, 0 or above"),
        (["quickstart", "--out", "folder"], "--out: got 'folder'; accepted: a folder that is new or empty; this one exists"),
        (["quickstart", "--out", "list.yaml"], "--out: got 'list.yaml'; accepted: a folder that is new or empty"),
        (["quickstart", "--out", "list.yaml/run"], "--out: got 'list.yaml/run'; accepted: a folder |can be written"),
        (["quickstart", "--out", ""], "--out: got ''; accepted: a folder"),
        (["quickstart", "--prices", "BTC="], "--prices: got 'BTC='; accepted: FILE or ASSET=FILE"),
    ],
)  # fmt: skip
def test_an_argument(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    Path("folder").mkdir()
    Path("folder/mine").write_text("mine")
    Path("list.yaml").write_text("- 1\n")
    Path("broken.yaml").write_text("a: [1\nb: 2\n")
    Path("twice.yaml").write_text("name: a\nname: b\n")
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    refused(["run", *arguments], capsys, *said.split("|"))


BARS = ["timestamp,open,high,low,close", *(f"2024-01-01T{hour:02d}:00,100,101,99,100" for hour in range(10))]
FIRST, SECOND = BARS[1], BARS[2]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([BARS[0].replace("low", "lo"), *BARS[1:]], "column 'low': got ['timestamp', 'open', 'high', 'lo', 'close']; accepted: "),
        ([BARS[0].replace("timestamp", "when"), *BARS[1:]], "time column: got ['when'|; accepted: one of datetime_utc"),
        ([BARS[0], SECOND, FIRST, *BARS[3:]], "'timestamp', row 2: got '2024-01-01T00:00'; accepted: a time after the row before"),
        ([BARS[0], FIRST, *BARS[1:]], "'timestamp', row 2: got '2024-01-01T00:00'; accepted: |none repeated"),
        ([*BARS[:2], "yesterday,1,1,1,1"], "column 'timestamp', row 2: got 'yesterday'; accepted: an ISO 8601 time"),
        ([*BARS[:2], "2024-01-01T01:00,,101,99,100"], "column 'open', row 2: got nan; accepted: a finite price above 0"),
        ([*BARS[:2], "2024-01-01T01:00,-100,101,99,100"], "column 'open', row 2: got -100; accepted: a finite price above 0"),
        ([*BARS[:2], "2024-01-01T01:00,100,98,99,100"], "column 'high', row 2: got 98.0; accepted: at least the low"),
        (BARS[:2], "rows: got 1; accepted: at least two bars"),
        ([], "prices.source: got 'BTC.csv'; accepted: a readable .csv"),
        (None, "prices.source: got 'BTC.csv'; accepted: a readable .csv"),
    ],
)  # fmt: skip
def test_a_price_file(here: Path, capsys: pytest.CaptureFixture[str], lines: list[str] | None, said: str) -> None:
    Path("ETH.csv").write_text("\n".join(BARS))
    if lines is not None:
        Path("BTC.csv").write_text("\n".join(lines))
    refused(["run", "quickstart", "--prices", "BTC=BTC.csv", "ETH=ETH.csv"], capsys, *said.split("|"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["BTCUSDT.csv"], "prices.source: asset ETH: got ('BTCUSDT.csv',); accepted: files of BTC were found"),
        (["BTC=BTCUSDT.csv", "ETH=ETHUSDT.csv", "DOGE=BTCUSDT.csv"], "prices.source: got 'DOGE'; accepted: one of BTC, ETH"),
        (["BTCUSDT.csv", "ETHUSDT.csv", "--set=steps=5000"], "prices.end: got '2024-01-04T11:20:00'; accepted: 2024-01-01T00:00:00 to 2024-01-01T10:00:00"),
        (["BTCUSDT.csv", "ETHUSDT.csv", "--set=prices.start=soon"], "prices.start: got 'soon'; accepted: a time such as"),
    ],
)  # fmt: skip
def test_price_files_that_do_not_fit(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    for name in ("BTCUSDT.csv", "ETHUSDT.csv"):
        Path(name).write_text("\n".join(BARS))
    refused(["run", "quickstart", "--prices", *arguments], capsys, *said.split("|"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom file modes stop")
def test_a_folder_without_permission(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("locked").mkdir(mode=0o500)
    refused(["run", "quickstart", "--out", "locked/run"], capsys, "--out: got 'locked/run'; accepted: a folder", "Permission denied")


# A run that says when it is in the middle of a step from the 50th on, and stays there for a moment.
IN_A_STEP = """
import sys, time
from contagion.cli import main
from contagion.model import ContagionModel
from contagion.model import ContagionModel

observe = ContagionModel._observe

def slow(model):
    observe(model)
    if model.step_number >= 50:
        ContagionModel._observe = observe
        print(model.step_number, flush=True)
        time.sleep(0.5)

ContagionModel._observe = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="the signal of Ctrl-C is sent as on Unix")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_the_finished_part(here: Path, times: int) -> None:
    command = [sys.executable, "-c", IN_A_STEP, "run", "quickstart", "--set", "steps=100000", "--out", "kept"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    running = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        step = int(running.stdout.readline())
        for _ in range(times):
            running.send_signal(signal.SIGINT)
            time.sleep(0.1)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    if times == 2:  # at once: no whole step to keep
        assert said == "contagion: interrupted; nothing was saved\n"
        assert list(here.iterdir()) == []
        return
    assert said == f"contagion: interrupted after {step} of 100000 steps; the finished part is in kept\n"
    assert list(here.iterdir()) == [here / "kept"]
    kept = load("kept")
    assert (kept.manifest["finished"], kept.manifest["steps_done"]) == (False, step)
    assert kept.steps["step"].tolist() == list(range(1, step + 1))
    assert kept.ledger["step"].max() <= step
    whole = ContagionModel("quickstart", rng=0, steps=step).run()
    assert kept.ledger.equals(whole.ledger)
