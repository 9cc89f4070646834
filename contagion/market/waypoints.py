"""The event library: recorded crises as a few dozen prices each, joined by interpolation and bridge noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, Protocol

import numpy as np
import yaml

from contagion.errors import InputError

SECONDS_PER_YEAR = 365 * 86_400
"""Markets that never close: volatilities are annualised over 365 days."""


class Stream(Protocol):
    """A source of keyed generators: equal keys give equal draws, whatever else was drawn."""

    def generator(self, purpose: str, *keys: str | int) -> np.random.Generator: ...


@dataclass(frozen=True)
class Series:
    """One asset in one event.

    ``seconds`` and ``prices`` (shape (n,)) are the waypoints [s after the event's start, USD]; ``low`` and ``high``
    the recorded extremes [USD]; ``largest_deviation`` the largest distance of a recorded price from the log-linear
    path through the waypoints [log].
    """

    seconds: np.ndarray
    prices: np.ndarray
    low: float
    high: float
    largest_deviation: float
    source: str


@dataclass(frozen=True)
class Event:
    """A recorded crisis: its start (UTC) and a series per asset."""

    name: str
    title: str
    description: str
    start: np.datetime64
    series: dict[str, Series]


def event_names() -> list[str]:
    """Names in the event library, sorted."""
    folder = files("contagion.market") / "events_data"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


@cache
def load_event(name: str) -> Event:
    """An event of the library.

    Raises
    ------
    InputError
        The name is not in the library.
    """
    if name not in event_names():
        raise InputError("prices.event", name, "one of " + ", ".join(event_names()))
    text = (files("contagion.market") / "events_data" / f"{name}.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    series = {asset: _series(entry) for asset, entry in raw["series"].items()}
    return Event(raw["name"], raw["title"], raw["description"], np.datetime64(raw["start"].removesuffix("Z")), series)


def _series(entry: dict) -> Series:
    pairs = np.array([item.split(":") for item in entry["waypoints"].split()], dtype=float)
    # Hours are printed to three decimals; extremes of a bar stand at halves or thirds of an hour or a minute,
    # so the nearest ten seconds undo the rounding exactly.
    seconds, prices = np.round(pairs[:, 0] * 360.0) * 10.0, pairs[:, 1]
    seconds.flags.writeable = prices.flags.writeable = False
    return Series(seconds, prices, entry["low"], entry["high"], entry["largest_deviation"], entry["source"])


def event_path(
    name: str,
    assets: Sequence[str],
    dt: float,
    steps: int,
    rng: Stream | None = None,
    bridge_volatility: float | Literal["recorded"] | None = None,
    from_hours: float = 0.0,
) -> np.ndarray:
    """Prices of an event on a grid: log-linear through the waypoints, plus Brownian-bridge noise between them.

    The noise is zero at every waypoint, independent across assets, keyed by (event, asset), and kept inside the
    recorded low and high, so that it never invents a deeper crash.

    Parameters
    ----------
    name, assets
        Event of the library and series in it.
    dt : float
        Step. [s]
    steps : int
        Number of steps.
    rng : Stream, optional
        Needed when there is noise.
    bridge_volatility : float, "recorded" or None
        Volatility of the noise, annualised; ``"recorded"``: per series, the volatility at which the largest
        deviation exceeds the recorded one with probability one half; None or 0: no noise. [1 / sqrt(year)]
    from_hours : float
        Time of row 0 after the event's start. [h]

    Returns
    -------
    ndarray of shape (steps + 1, len(assets))
        Prices. [USD]

    Raises
    ------
    InputError
        Unknown event or asset, or a grid that leaves the recorded time.
    """
    event = load_event(name)
    grid = from_hours * 3600.0 + dt * np.arange(steps + 1)
    prices = np.empty((steps + 1, len(assets)))
    for column, asset in enumerate(assets):
        if asset not in event.series:
            raise InputError(f"prices.event {name}: asset", asset, "one of " + ", ".join(event.series))
        series = event.series[asset]
        _check_covered(name, asset, series, grid)
        log_price = np.interp(grid, series.seconds, np.log(series.prices))
        volatility = recorded_bridge_volatility(series) if bridge_volatility == "recorded" else bridge_volatility
        if volatility:
            if rng is None:
                raise InputError("rng", rng, "a stream of random numbers when bridge_volatility is not 0")
            draws = rng.generator("prices", "bridge", name, asset).standard_normal(steps)
            log_price = log_price + volatility * _bridge_noise(grid, series.seconds, draws)
            lowest, highest = min(series.low, series.prices.min()), max(series.high, series.prices.max())
            log_price = np.clip(log_price, np.log(lowest), np.log(highest))
        prices[:, column] = np.exp(log_price)
    return prices


def _check_covered(name: str, asset: str, series: Series, grid: np.ndarray) -> None:
    first, last, tolerance = series.seconds[0], series.seconds[-1], 1e-6
    if grid[0] < first - tolerance or grid[-1] > last + tolerance:
        asked = f"hours {grid[0] / 3600:g} to {grid[-1] / 3600:g}"
        recorded = f"from {first / 3600:g} to {last / 3600:g} hours after the start (dt x steps, from_hours)"
        raise InputError(f"prices.event {name}: time of {asset}", asked, recorded)


def _bridge_noise(grid: np.ndarray, knots: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Brownian bridge of unit annual volatility, zero at knots; ``draws[k]`` moves it from row k to row k + 1.

    Inside (a, b) a bridge is (b - t) times the sum of independent increments of variance
    (t' - t) / ((b - t)(b - t')), which consumes one draw a row in time order.
    """
    noise = np.zeros(len(grid))
    segment = np.searchsorted(knots, grid, side="right") - 1
    inside = segment < len(knots) - 1
    for index in np.unique(segment[inside]):
        rows = np.flatnonzero(inside & (segment == index))
        start, end = knots[index], knots[index + 1]
        # The bridge starts at its knot, or at row 0 where the grid starts inside a segment.
        before = np.concatenate(([start], grid[rows[:-1]]))
        left, left_before = end - grid[rows], end - before
        steps = np.sqrt((grid[rows] - before) / (left * left_before))
        normals = np.where(rows > 0, draws[np.maximum(rows - 1, 0)], 0.0)
        noise[rows] = left * np.cumsum(steps * normals)
    return noise / np.sqrt(SECONDS_PER_YEAR)


def recorded_bridge_volatility(series: Series) -> float:
    """Annualised volatility at which the noise's largest deviation has the recorded one as its median.

    The largest absolute value of a Brownian bridge of variance s^2 T follows Kolmogorov's law in x / (s sqrt(T));
    segments are independent, so the distribution of the overall maximum is the product over segments.
    """
    from scipy.optimize import brentq
    from scipy.special import kolmogorov

    roots = np.sqrt(np.diff(series.seconds) / SECONDS_PER_YEAR)

    def excess(log_volatility: float) -> float:
        survival = kolmogorov(series.largest_deviation / (np.exp(log_volatility) * roots))
        return float(np.sum(np.log1p(-np.minimum(survival, 1.0 - 1e-15)))) - np.log(0.5)

    return float(np.exp(brentq(excess, np.log(1e-4), np.log(1e3), xtol=1e-10)))
