"""Price bars as users have them (CSV, CSV.gz, Parquet), read and checked."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contagion.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TIME_COLUMNS = (
    "datetime_utc", "wall_clock_utc", "timestamp", "open_time", "opentime", "datetime", "date_utc", "date", "time",
    "timestamp_ms", "unix", "unix_timestamp", "ts",
)  # fmt: skip
PRICE_COLUMNS = ("open", "high", "low", "close")
SYMBOL_COLUMNS = ("symbol", "asset", "ticker", "pair", "coin")
QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "PERP")
SUFFIXES = (".csv", ".csv.gz", ".parquet")


class Gap(NamedTuple):
    """Bars that a file lacks: the missing ones run from ``start`` (their first open) to ``end`` (the next bar)."""

    asset: str
    start: np.datetime64
    end: np.datetime64
    missing_bars: int


@dataclass(frozen=True)
class Bars:
    """Checked bars of one asset, in time order.

    ``times`` is when bars open [ns since 1970, UTC, int64]; ``open, high, low, close`` have shape (n,) [USD];
    ``length`` is the commonest distance between bars [ns]; ``sha256`` is that of the file's bytes.
    """

    asset: str
    times: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    length: int
    gaps: tuple[Gap, ...]
    source: str
    sha256: str


def read_ohlcv(
    source: str | Path | Sequence[str | Path] | Mapping[str, str | Path], *, asset: str | None = None
) -> dict[str, Bars]:
    """Read bars of one or several assets.

    The time column is the first of the usual names (``timestamp``, ``open_time``, ``date`` ...) that is present and
    says when a bar opens: ISO text (UTC unless it says otherwise) or unix seconds, milliseconds, micro- or
    nanoseconds, told apart by size. Column names are case-insensitive.

    Parameters
    ----------
    source
        A file, a folder, a glob, several of them, or asset -> file. A file with a ``symbol`` column may hold several
        assets; otherwise the asset is taken from the file's name (``BTCUSDT_1h_2025.csv.gz`` is BTC).
    asset
        The name of the asset in a single file, or the only one to keep among several.

    Raises
    ------
    InputError
        Unreadable file, missing column, times unsorted or repeated, price not a positive number, high below low;
        names file, column, row (1 is the first below the header), value and what is accepted.
    """
    if isinstance(source, Mapping):
        found = [bars for name, file in source.items() for bars in _read_file(Path(file), name, named=True)]
    else:
        sources = [source] if isinstance(source, str | Path) else source
        paths = list(dict.fromkeys(path for item in sources for path in _expand(item)))
        name = asset if len(paths) == 1 else None
        found = [
            bars for path in paths for bars in _read_file(path, name or asset_from_name(path.name), named=bool(name))
        ]
    result: dict[str, Bars] = {}
    for bars in found:
        if bars.asset in result:
            accepted = f"one file per asset ({result[bars.asset].source} holds it too); give asset -> file instead"
            raise InputError(f"{bars.source}: asset", bars.asset, accepted)
        result[bars.asset] = bars
    if asset is None:
        return result
    if asset not in result:
        raise InputError(f"{source}: asset", asset, "one of " + ", ".join(result))
    return {asset: result[asset]}


def asset_from_name(name: str) -> str:
    """The asset a file name or symbol stands for: ``ftx_2022_BTCUSDT_1m.parquet`` -> BTC, ``ETH-USD`` -> ETH."""
    for suffix in (".gz", ".csv", ".parquet"):
        name = name.removesuffix(suffix)
    tokens = [token for token in name.replace("-", "_").replace("/", "_").replace(".", "_").split("_") if token]
    for token in tokens:
        for quote in QUOTES:
            base = token.removesuffix(quote)
            if base != token and len(base) >= 2 and base.isupper():
                return base
    return tokens[0] if tokens else name


def _expand(source: str | Path) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        paths = sorted(item for item in path.iterdir() if item.name.endswith(SUFFIXES))
    elif path.exists():
        paths = [path]
    else:
        paths = [Path(item) for item in sorted(glob.glob(str(source)))]
    if not paths:
        raise InputError("prices.source", str(source), "an existing .csv, .csv.gz or .parquet file, folder or glob")
    return paths


def _read_file(path: Path, asset: str, *, named: bool) -> list[Bars]:
    frame, digest = _load(path)
    frame.columns = [str(column).strip().lower() for column in frame.columns]
    time_column = next((name for name in TIME_COLUMNS if name in frame.columns), None)
    if time_column is None:
        raise InputError(f"{path}: time column", list(frame.columns), "one of " + ", ".join(TIME_COLUMNS))
    for column in PRICE_COLUMNS:
        if column not in frame.columns:
            raise InputError(f"{path}: column {column!r}", list(frame.columns), "a column of that name (any case)")
    if len(frame) < 2:
        raise InputError(f"{path}: rows", len(frame), "at least two bars")
    symbols = next((name for name in SYMBOL_COLUMNS if name in frame.columns), None)
    if symbols is None or (named and frame[symbols].nunique() == 1):
        return [_bars(frame, path, time_column, asset, digest)]
    groups = frame.groupby(symbols, sort=False)
    return [_bars(group, path, time_column, asset_from_name(str(symbol)), digest) for symbol, group in groups]


def _load(path: Path) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError, EOFError, ImportError) as error:
        reason = f"a readable .csv, .csv.gz or .parquet file ({type(error).__name__}: {error})"
        raise InputError("prices.source", str(path), reason) from error
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.rename_axis(frame.index.name or "timestamp").reset_index()
    return frame, digest


def _bars(frame: pd.DataFrame, path: Path, time_column: str, asset: str, digest: str) -> Bars:
    rows = frame.index.to_numpy() + 1
    times = _times(frame[time_column], path, rows)
    prices = {column: _prices(frame[column], path, rows) for column in PRICE_COLUMNS}
    crossed = np.flatnonzero(prices["high"] < prices["low"])
    if crossed.size:
        first = crossed[0]
        where = f"{path}: column 'high', row {rows[first]}"
        raise InputError(where, float(prices["high"][first]), f"at least the low, {prices['low'][first]:g}")
    if len(times) < 2:
        raise InputError(f"{path}: rows of {asset}", len(times), "at least two bars")
    steps, counts = np.unique(np.diff(times), return_counts=True)
    length = int(steps[np.argmax(counts)])
    gaps = _gaps(asset, times, length)
    return Bars(asset, times, **prices, length=length, gaps=gaps, source=str(path), sha256=digest)


def _times(column: pd.Series, path: Path, rows: np.ndarray) -> np.ndarray:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=float)
        largest = np.nanmax(np.abs(values), initial=0.0)
        unit = next((unit for unit, bound in (("s", 1e11), ("ms", 1e14), ("us", 1e17)) if largest < bound), "ns")
        parsed = pd.to_datetime(column, unit=unit, utc=True, errors="coerce")
    else:
        parsed = pd.to_datetime(column, utc=True, errors="coerce", format=None if _is_time(column) else "ISO8601")
    bad = np.flatnonzero(parsed.isna().to_numpy())
    if bad.size:
        where = f"{path}: column {column.name!r}, row {rows[bad[0]]}"
        raise InputError(where, column.iloc[bad[0]], "an ISO 8601 time or unix seconds, ms, us or ns")
    times = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        first = late[0] + 1
        accepted = f"a time after the row before, {column.iloc[first - 1]} (sorted, none repeated)"
        raise InputError(f"{path}: column {column.name!r}, row {rows[first]}", str(column.iloc[first]), accepted)
    return times


def _is_time(column: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.is_datetime64_any_dtype(column)


def _prices(column: pd.Series, path: Path, rows: np.ndarray) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if bad.size:
        value = column.iloc[bad[0]]
        raise InputError(f"{path}: column {column.name!r}, row {rows[bad[0]]}", value, "a finite price above 0")
    return values


def _gaps(asset: str, times: np.ndarray, length: int) -> tuple[Gap, ...]:
    distance = np.diff(times)
    return tuple(
        Gap(asset, instant(times[row] + length), instant(times[row + 1]), round(distance[row] / length) - 1)
        for row in np.flatnonzero(distance > length)
    )


def instant(nanoseconds: int) -> np.datetime64:
    """Nanoseconds since 1970 as a time (UTC)."""
    return np.datetime64(int(nanoseconds), "ns")
