"""A price path on a regular grid, made from bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contagion.errors import InputError
from contagion.market.ohlcv import Bars, Gap, instant

Intrabar = Literal["close_direction", "low_first", "high_first"]


@dataclass(frozen=True)
class PricePath:
    """Prices on a regular grid.

    ``times`` : shape (T,) [ns since 1970, UTC, int64]; ``values`` : shape (T, n_assets) [USD], columns as ``names``;
    ``gaps`` : the holes in the files inside the path, bridged log-linearly; ``sha256`` : file -> hash of its bytes.
    """

    times: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    gaps: tuple[Gap, ...]
    source: tuple[str, ...]
    sha256: dict[str, str]

    def warnings(self) -> list[str]:
        """What a reader of a run on this path has to know: per asset, the bars its file lacks."""
        said = []
        for name in self.names:
            gaps = [gap for gap in self.gaps if gap.asset == name]
            if gaps:
                first, last = (f"{time.astype('datetime64[m]')}" for time in (gaps[0].start, gaps[0].end))
                missing, more = sum(gap.missing_bars for gap in gaps), len(gaps) - 1
                bars = f"{missing} bar" + "s" * (missing > 1)
                others = f" and {more} other gap" + "s" * (more > 1) if more else ""
                said.append(f"prices: {name} lacks {bars}, {first} to {last} UTC{others}, bridged log-linearly")
        return said


def path_from_ohlcv(
    bars: Mapping[str, Bars],
    *,
    dt: object,
    start: object | None = None,
    end: object | None = None,
    steps: int | None = None,
    intrabar: Intrabar = "close_direction",
) -> PricePath:
    """Prices every ``dt`` from bars.

    At the end of a bar the price is its close (the open is used where no bar ends: at the beginning and after a
    gap). Inside a bar of length B the path visits low and high at B/3 and 2B/3, log-linear in between. When
    ``dt <= B/3`` both are moved to their nearest step, so that every recorded low and high is reached exactly;
    with ``B/3 < dt < B`` they can fall between steps; with ``dt >= B`` only closes are used, the last one known.

    Parameters
    ----------
    bars
        Asset -> bars, as ``read_ohlcv`` returns them.
    dt
        Step, readable by ``pandas.Timedelta``.
    start, end
        First and last time (UTC), readable by ``pandas.Timestamp``; default: what all assets have in common.
    steps
        Number of steps, in place of ``end``.
    intrabar
        Which extreme comes first. ``close_direction``: the low when the bar closes above its open, else the high.

    Raises
    ------
    InputError
        ``dt`` not positive, or ``start``/``end`` outside what every asset records.
    """
    step = _step(dt)
    if not bars:
        raise InputError("prices.source", {}, "at least one asset")
    if intrabar not in ("close_direction", "low_first", "high_first"):
        raise InputError("prices.intrabar", intrabar, "close_direction, low_first or high_first")
    first = max(int(item.times[0]) for item in bars.values())
    last = min(int(item.times[-1]) + item.length for item in bars.values())
    begin = first if start is None else _nanoseconds("prices.start", start)
    finish = last if end is None else _nanoseconds("prices.end", end)
    if steps is not None:
        finish = begin + steps * step
    for field, value in (("prices.start", begin), ("prices.end", finish)):
        if not first <= value <= last or finish < begin:
            first, last, value = (str(instant(time).astype("datetime64[s]")) for time in (first, last, value))
            raise InputError(field, value, f"{first} to {last} (common to {', '.join(bars)}), start before end")
    times = np.arange(begin, finish + 1, step, dtype=np.int64)
    values = np.column_stack([_sample(item, times, step, intrabar) for item in bars.values()])
    inside = tuple(
        gap
        for item in bars.values()
        for gap in item.gaps
        if gap.end > instant(begin) and gap.start < instant(int(times[-1]))
    )
    sources = tuple(dict.fromkeys(item.source for item in bars.values()))
    hashes = {item.source: item.sha256 for item in bars.values()}
    return PricePath(times, tuple(bars), values, inside, sources, hashes)


def _step(dt: object) -> int:
    import pandas as pd

    try:
        step = pd.Timedelta(dt).value
    except (ValueError, TypeError):
        step = 0
    if step <= 0:
        raise InputError("prices.dt", dt, "a positive duration such as '20min'")
    return step


def _nanoseconds(field: str, value: object) -> int:
    import pandas as pd

    try:
        instant = pd.Timestamp(value)
        instant = instant.tz_localize("UTC") if instant.tzinfo is None else instant
        return instant.as_unit("ns").value
    except (ValueError, TypeError) as error:
        raise InputError(field, value, "a time such as '2020-03-12T06:00' (UTC)") from error


def _sample(bars: Bars, times: np.ndarray, step: int, intrabar: Intrabar) -> np.ndarray:
    """Prices of one asset at ``times`` (a grid of width ``step``), by the rule of ``path_from_ohlcv``."""
    following = np.append(bars.times[1:], np.iinfo(np.int64).max)
    ends = np.minimum(bars.times + bars.length, following)
    if step >= bars.length:
        finished = np.searchsorted(ends, times, side="right") - 1
        return np.where(finished < 0, bars.open[0], bars.close[np.maximum(finished, 0)])
    third = (ends - bars.times) // 3
    early, late = bars.times + third, bars.times + 2 * third
    fine = third >= step
    early, late = (np.where(fine, _nearest(knots, times[0], step), knots) for knots in (early, late))
    low_first = bars.close > bars.open if intrabar == "close_direction" else intrabar == "low_first"
    opens = np.append(True, bars.times[1:] > ends[:-1])
    knots = np.concatenate((bars.times[opens], early, late, ends))
    low_high = np.where(low_first, bars.low, bars.high), np.where(low_first, bars.high, bars.low)
    prices = np.concatenate((bars.open[opens], *low_high, bars.close))
    order = np.argsort(knots, kind="stable")
    # Offsets from the first time, because nanoseconds since 1970 do not fit a float exactly.
    return np.exp(np.interp(times - times[0], knots[order] - times[0], np.log(prices[order])))


def _nearest(knots: np.ndarray, origin: int, step: int) -> np.ndarray:
    """The grid time nearest to each knot; ties go to the earlier one, so two knots a step apart never meet."""
    return origin + -((step - 2 * (knots - origin)) // (2 * step)) * step
