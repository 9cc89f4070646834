"""A bundled event on price files: its own window, what the files lack, and which files they were."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contagion import load_scenario
from contagion.cli import main
from contagion.results import load

DATA = Path(__file__).parents[3] / "shared" / "data" / "ohlcv_1h"
FILES = [DATA / f"{coin}USDT_1h_2019-10_2025-12.csv.gz" for coin in ("BTC", "ETH")]
recorded = pytest.mark.skipif(not FILES[0].exists(), reason=f"no recorded prices at {DATA}")

# 8 March 2020, 00:00 to 17 March: more than the event on both sides, and its open, which is 09:00 on the 12th.
HOURS = pd.date_range("2020-03-08", periods=216, freq="1h")
OPENING = pd.Timestamp("2020-03-12T09:00")


def bars(price: float) -> pd.DataFrame:
    """Hourly bars that stay within 1% of a price, but for 4% below it at 12:00 on 12 March."""
    frame = pd.DataFrame({"timestamp": HOURS, "open": price, "high": 1.01 * price, "low": 0.99 * price, "close": price})
    frame.loc[frame["timestamp"] == "2020-03-12T12:00", "low"] = 0.96 * price
    return frame


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """BTC complete; ETH without the bars of 14:00 and 15:00 on the 12th, and one long before the event."""
    lacking = ["2020-03-08T05:00", "2020-03-12T14:00", "2020-03-12T15:00"]
    bars(7_400.0).to_csv(tmp_path / "BTCUSDT_1h.csv", index=False)
    frame = bars(172.0)
    frame[~frame["timestamp"].isin(pd.to_datetime(lacking))].to_csv(tmp_path / "ETHUSDT_1h.csv", index=False)
    return [str(tmp_path / name) for name in ("BTCUSDT_1h.csv", "ETHUSDT_1h.csv")]


SMALL = [f"--set=traders.{number}.count={count}" for number, count in ((0, 100), (1, 50), (2, 2), (4, 50))]


def test_files_run_over_the_events_window(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["run", "black_thursday", "--prices", *files, *SMALL, "--set=steps=400", "-q", f"--out={out}"]) == 0
    result = load(out)
    # The event starts at 06:00 and the scenario 3 hours later; the 12:00 bar has its low 200 or 220 minutes on.
    assert result.manifest["scenario"]["prices"]["start"] == OPENING.isoformat()
    lowest = result.steps["price.BTC"].idxmin()
    assert result.steps["step"][lowest] in (200, 220)
    assert result.steps["price.BTC"][lowest] == pytest.approx(0.96 * 7_400, rel=1e-12)


def test_the_manifest_says_what_the_files_lack_and_which_they_were(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["run", "black_thursday", "--prices", *files, *SMALL, "--set=steps=400", "-q", f"--out={out}"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    # The gap of 8 March is outside the run.
    said = "prices: ETH lacks 2 bars, 2020-03-12T14:00 to 2020-03-12T16:00 UTC, bridged log-linearly"
    assert [warning for warning in manifest["warnings"] if warning.startswith("prices")] == [said]
    assert manifest["price_files"] == {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}


def test_a_start_of_ones_own_wins(files: list[str]) -> None:
    prices = {"process": "file", "source": files}
    written = load_scenario("black_thursday", {"prices": {**prices, "start": "2020-03-09T00:00"}})
    assert written.prices.parameters["start"] == "2020-03-09T00:00"
    after = load_scenario("black_thursday", {"prices.start": "2020-03-10", "prices": prices})
    assert after.prices.parameters["start"] == "2020-03-10"
    assert "start" not in load_scenario("quickstart", {"prices": prices}).prices.parameters


def test_files_of_another_time_say_what_they_cover(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "october_2025", "--prices", *files, f"--out={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err
    assert "prices.start: got '2025-10-10T12:00:00" in said and "2020-03-08T00:00" in said
    assert not (tmp_path / "out").exists()


@recorded
@pytest.mark.parametrize("dt", ["1min", "20min"])
def test_black_thursday_on_recorded_bars_reaches_the_recorded_low(dt: str, tmp_path: Path) -> None:
    steps = int(pd.Timedelta("20h") / pd.Timedelta(dt))
    settings = [*SMALL, f"--set=dt={dt}", f"--set=steps={steps}"]
    files = ["--prices", *map(str, FILES)]
    assert main(["run", "black_thursday", "--seed=7", *files, *settings, "-q", f"--out={tmp_path / 'out'}"]) == 0
    lowest = load(tmp_path / "out").steps[["price.BTC", "price.ETH"]].min()
    # Lows of the bars of 13 March, 02:00 UTC.
    np.testing.assert_allclose(lowest, [3782.13, 86.0], rtol=1e-12)


@recorded
def test_october_2025_on_recorded_bars_reaches_the_recorded_low(tmp_path: Path) -> None:
    files = ["--prices", *map(str, FILES)]
    small = [f"--set=traders.{number}.count=100" for number in (0, 1, 2, 4, 6)]
    assert main(["run", "october_2025", "--seed=7", *files, *small, "-q", f"--out={tmp_path / 'out'}"]) == 0
    lowest = load(tmp_path / "out").steps[["price.BTC", "price.ETH"]].min()
    # Lows of the bars of 10 October, 21:00 UTC.
    np.testing.assert_allclose(lowest, [102_000.0, 3_435.0], rtol=1e-12)
