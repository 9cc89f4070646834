"""Price files: what is read, what is refused, and which prices a path visits."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.market.ohlcv import Gap, asset_from_name, read_ohlcv
from contagion.market.paths import path_from_ohlcv

SHARED = Path(__file__).parents[3] / "shared" / "data" / "ohlcv_1h"
HEADER = "timestamp,open,high,low,close,volume\n"
# Two rising bars and, after one missing bar, a falling one.
ROWS = [
    "2020-03-12T00:00:00Z,100,120,90,110,1\n",
    "2020-03-12T01:00:00Z,110,130,105,120,1\n",
    "2020-03-12T03:00:00Z,125,140,80,90,1\n",
]


def write(folder: Path, text: str, name: str = "BTCUSDT_1h.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path, HEADER + "".join(ROWS))


def test_path_visits_open_low_high_close_in_the_order_of_the_close(file: Path) -> None:
    path = path_from_ohlcv(read_ohlcv(file), dt="20min")
    # Bar 1 rises: low before high; bar 3 falls: high before low. Hour 2 is missing: from 120 at 02:00 log-linearly to
    # the open 125 at 03:00, so after a third 120 (125/120)^(1/3).
    bridged = [120 * (125 / 120) ** (1 / 3), 120 * (125 / 120) ** (2 / 3)]
    expected = [100, 90, 120, 110, 105, 130, 120, *bridged, 125, 140, 80, 90]
    np.testing.assert_allclose(path.values[:, 0], expected, rtol=1e-12)
    assert path.names == ("BTC",)
    assert path.times[0] == pd.Timestamp("2020-03-12T00:00Z").value
    assert set(np.diff(path.times)) == {20 * 60 * 10**9}


@pytest.mark.parametrize(("order", "second"), [("low_first", 80.0), ("high_first", 140.0), ("close_direction", 140.0)])
def test_order_inside_the_falling_bar_is_an_argument(file: Path, order: str, second: float) -> None:
    path = path_from_ohlcv(read_ohlcv(file), dt="20min", start="2020-03-12T03:00", intrabar=order)
    assert path.values[1, 0] == pytest.approx(second)


def test_log_linear_between_the_points(file: Path) -> None:
    path = path_from_ohlcv(read_ohlcv(file), dt="10min", end="2020-03-12T00:20")
    assert path.values[1, 0] == pytest.approx(np.sqrt(100 * 90))


def test_extremes_move_to_their_nearest_step(file: Path) -> None:
    # Steps at 0, 7, 14, 21 ... 42 minutes: the low of minute 20 is met at 21, the high of minute 40 at 42.
    path = path_from_ohlcv(read_ohlcv(file), dt="7min", end="2020-03-12T00:42")
    assert path.values[3, 0] == pytest.approx(90) and path.values[6, 0] == pytest.approx(120)


def test_steps_of_a_bar_or_more_see_closes_only(file: Path) -> None:
    hourly = path_from_ohlcv(read_ohlcv(file), dt="1h").values[:, 0]
    np.testing.assert_array_equal(hourly, [100, 110, 120, 120, 90])
    uneven = path_from_ohlcv(read_ohlcv(file), dt="90min").values[:, 0]
    np.testing.assert_array_equal(uneven, [100, 110, 120])


def test_start_inside_the_window_and_window_ends_are_inclusive(file: Path) -> None:
    path = path_from_ohlcv(read_ohlcv(file), dt="20min", start="2020-03-12T01:20", end="2020-03-12 02:00+00:00")
    np.testing.assert_allclose(path.values[:, 0], [105, 130, 120])


def test_gaps_are_reported_with_their_size(file: Path) -> None:
    missing = Gap("BTC", np.datetime64("2020-03-12T02:00", "ns"), np.datetime64("2020-03-12T03:00", "ns"), 1)
    assert read_ohlcv(file)["BTC"].gaps == (missing,)
    assert path_from_ohlcv(read_ohlcv(file), dt="20min").gaps == (missing,)
    assert path_from_ohlcv(read_ohlcv(file), dt="20min", end="2020-03-12T02:00").gaps == ()


def test_source_and_hash_are_those_of_the_file(file: Path) -> None:
    path = path_from_ohlcv(read_ohlcv(file), dt="1h")
    assert path.source == (str(file),)
    assert path.sha256 == {str(file): hashlib.sha256(file.read_bytes()).hexdigest()}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "iso", "naive"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_time_formats_and_containers_give_the_same_bars(tmp_path: Path, file: Path, unit: str, suffix: str) -> None:
    frame = pd.read_csv(file)
    times = pd.to_datetime(frame.pop("timestamp"), utc=True).dt.as_unit("ns")
    divisor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
    if unit in divisor:
        frame["Open_Time"] = times.astype(np.int64) // divisor[unit]
    else:
        frame["Date"] = times.dt.tz_localize(None) if unit == "naive" else times.dt.strftime("%Y-%m-%dT%H:%M:%S%z")
    frame = frame.rename(columns=str.upper)
    target = tmp_path / f"ETH-USD{suffix}"
    frame.to_parquet(target) if suffix == ".parquet" else frame.to_csv(target, index=False)
    bars = read_ohlcv(target)["ETH"]
    np.testing.assert_array_equal(bars.times, read_ohlcv(file)["BTC"].times)
    np.testing.assert_array_equal(bars.low, [90, 105, 80])


def test_several_assets_from_mapping_folder_glob_and_symbol_column(tmp_path: Path) -> None:
    text = HEADER + "".join(ROWS)
    btc, eth = write(tmp_path, text), write(tmp_path, text.replace("80", "70"), "ETHUSDT_1h.csv")
    long = "symbol," + HEADER + "".join(f"BTCUSDT,{row}" for row in ROWS) + "".join(f"SOL,{row}" for row in ROWS)
    (tmp_path / "long").mkdir()
    table = write(tmp_path / "long", long, "all.csv")
    assert list(read_ohlcv({"bitcoin": btc, "ether": eth})) == ["bitcoin", "ether"]
    assert list(read_ohlcv(tmp_path)) == list(read_ohlcv(str(tmp_path / "*_1h.csv"))) == ["BTC", "ETH"]
    assert list(read_ohlcv(table)) == ["BTC", "SOL"]
    assert list(read_ohlcv(tmp_path, asset="ETH")) == ["ETH"]
    assert list(read_ohlcv(btc, asset="XBT")) == ["XBT"]
    path = path_from_ohlcv(read_ohlcv(tmp_path), dt="20min")
    assert path.values.shape == (13, 2)
    assert path.values[11].tolist() == pytest.approx([80, 70])


@pytest.mark.parametrize(
    ("name", "asset"),
    [
        ("BTCUSDT_1h_2019-10_2025-12.csv.gz", "BTC"),
        ("ftx_2022_BTCUSDT_1m.parquet", "BTC"),
        ("usdc_svb_2023_USDCUSDT_1m.parquet", "USDC"),
        ("ETH-USD.csv", "ETH"),
        ("xUSD.csv", "xUSD"),
        ("USDC.csv", "USDC"),
    ],
)
def test_asset_is_taken_from_the_name(name: str, asset: str) -> None:
    assert asset_from_name(name) == asset


@pytest.mark.parametrize(
    ("text", "field", "accepted"),
    [
        (HEADER.replace("low", "lo") + "".join(ROWS), "column 'low'", "a column of that name"),
        (HEADER.replace("timestamp", "moment") + "".join(ROWS), "time column", "timestamp"),
        (HEADER + ROWS[1] + ROWS[0], "column 'timestamp', row 2", "2020-03-12T01:00:00Z"),
        (HEADER + ROWS[0] + ROWS[0], "row 2", "none repeated"),
        (HEADER + ROWS[0] + ROWS[1].replace("105", ""), "column 'low', row 2", "above 0"),
        (HEADER + ROWS[0] + ROWS[1].replace("105", "-5"), "column 'low', row 2", "above 0"),
        (HEADER + ROWS[0] + ROWS[1].replace("105", "n/k"), "column 'low', row 2", "above 0"),
        (HEADER + ROWS[0] + ROWS[1].replace("105", "131"), "column 'high', row 2", "at least the low, 131"),
        (HEADER + ROWS[0] + ROWS[1].replace("2020-03-12T01", "noon"), "column 'timestamp', row 2", "ISO 8601"),
        (HEADER + ROWS[0], "rows", "two bars"),
        ("", "prices.source", "readable"),
    ],
)
def test_bad_files_are_refused_by_name_and_place(tmp_path: Path, text: str, field: str, accepted: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_ohlcv(file)
    assert str(file) in str(error.value)
    assert field in error.value.field
    assert accepted in error.value.accepted


def test_unreadable_and_ambiguous_sources_are_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(InputError, match=r"an existing \.csv"):
        read_ohlcv(tmp_path / "nothing_here.csv")
    write(tmp_path, "not parquet", "SOLUSDT.parquet")
    with pytest.raises(InputError, match="a readable"):
        read_ohlcv(tmp_path / "SOLUSDT.parquet")
    write(tmp_path, HEADER + "".join(ROWS), "BTCUSD_1h.csv")
    with pytest.raises(InputError, match="one file per asset"):
        read_ohlcv(str(tmp_path / "BTC*.csv"))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"dt": "0s"}, "prices.dt"),
        ({"dt": "soon"}, "prices.dt"),
        ({"dt": "1h", "start": "2019-01-01"}, "prices.start"),
        ({"dt": "1h", "end": "2021-01-01"}, "prices.end"),
        ({"dt": "1h", "start": "2020-03-12T03:00", "end": "2020-03-12T01:00"}, "prices.start"),
        ({"dt": "1h", "start": "noon"}, "prices.start"),
        ({"dt": "1h", "intrabar": "random"}, "prices.intrabar"),
    ],
)
def test_bad_windows_are_refused(file: Path, arguments: dict[str, str], field: str) -> None:
    with pytest.raises(InputError) as error:
        path_from_ohlcv(read_ohlcv(file), **arguments)
    assert error.value.field == field


@settings(max_examples=50, deadline=None)
@given(step=st.integers(60, 1200), offset=st.integers(0, 3599))
def test_every_whole_bar_reaches_its_extremes_when_a_step_is_a_third_of_it_or_less(step: int, offset: int) -> None:
    text = HEADER + "".join(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        bars = read_ohlcv(write(Path(folder), text))
    start = pd.Timestamp("2020-03-12") + pd.Timedelta(offset, "s")
    values = path_from_ohlcv(bars, dt=pd.Timedelta(step, "s"), start=start).values[:, 0]
    for extreme in (105, 130, 140, 80):
        assert np.isclose(values, extreme, rtol=1e-12).any()
    assert values.min() >= 80 * (1 - 1e-12) and values.max() <= 140 * (1 + 1e-12)


@pytest.mark.skipif(not SHARED.exists(), reason="optional data ../shared/data/ohlcv_1h is not there")
def test_black_thursday_low_is_reached() -> None:
    bars = read_ohlcv(SHARED)
    path = path_from_ohlcv(bars, dt="20min", start="2020-03-12T06:00", end="2020-03-14T07:00")
    assert path.names == ("BTC", "ETH")
    assert path.values[:, 0].min() == pytest.approx(3782.13, rel=1e-12)
    # Lowest at hour 20 1/3 after 06:00, as the event library records.
    assert np.argmin(path.values[:, 0]) == 61
