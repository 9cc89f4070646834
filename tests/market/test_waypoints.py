"""The event library: facts as recorded, exact at waypoints, noise only between them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import kolmogorov

from contagion.errors import InputError
from contagion.market.waypoints import event_names, event_path, load_event, recorded_bridge_volatility
from contagion.streams import Streams

HOUR = 3600.0


def test_library_holds_the_nine_events() -> None:
    assert event_names() == [
        "black_thursday",
        "crv_short_2022",
        "ftx_2022",
        "leverage_flush_2021",
        "october_2025",
        "terra_2022",
        "three_arrows_2022",
        "usdc_svb_2023",
        "xusd_2025",
    ]


@pytest.mark.parametrize("name", event_names())
def test_every_series_is_in_order_within_its_extremes_and_sourced(name: str) -> None:
    event = load_event(name)
    assert event.title and event.description
    for series in event.series.values():
        assert (np.diff(series.seconds) > 0).all()
        # Bar extremes stand at halves or thirds of an hour or of a minute: multiples of 20 or 30 seconds.
        assert ((series.seconds % 20 == 0) | (series.seconds % 30 == 0)).all()
        # Waypoints are rounded to four digits, the extremes are not.
        assert series.prices.min() == pytest.approx(series.low, rel=2e-3)
        assert series.prices.max() == pytest.approx(series.high, rel=3e-3)
        assert series.largest_deviation > 0 and series.source


@pytest.mark.parametrize(
    ("name", "asset", "start", "first", "lowest", "hours_of_lowest"),
    [
        ("black_thursday", "BTC", "2020-03-12T06:00", 7647, 3782, 20 + 1 / 3),
        ("black_thursday", "ETH", "2020-03-12T06:00", 181.8, 86, 20 + 1 / 3),
        ("october_2025", "BTC", "2025-10-10T12:00", 121600, 102000, 9 + 2 / 3),
        ("october_2025", "ETH", "2025-10-10T12:00", 4343, 3435, 9 + 1 / 3),
        ("xusd_2025", "xUSD", "2025-11-03T00:00", 1.264, 0.05271, 201),
    ],
)
def test_facts_of_the_crashes(name, asset, start, first, lowest, hours_of_lowest) -> None:
    event = load_event(name)
    series = event.series[asset]
    assert event.start == np.datetime64(start)
    assert series.prices[0] == first
    assert series.prices.min() == lowest
    assert series.seconds[np.argmin(series.prices)] == pytest.approx(hours_of_lowest * HOUR)


def test_path_is_log_linear_through_the_waypoints() -> None:
    # BTC 0:7647 4:7354 on 12 March 2020: after two hours the geometric mean.
    path = event_path("black_thursday", ["ETH", "BTC"], dt=2 * HOUR, steps=2)
    np.testing.assert_allclose(path[:, 1], [7647, np.sqrt(7647 * 7354), 7354], rtol=1e-12)
    assert path[0, 0] == pytest.approx(181.8)


def test_twenty_minute_steps_reach_the_low() -> None:
    path = event_path("black_thursday", ["BTC"], dt=1200.0, steps=147)
    assert path.min() == pytest.approx(3782, rel=1e-12)
    assert event_path("black_thursday", ["BTC"], dt=1200.0, steps=9, from_hours=20.0)[1, 0] == pytest.approx(3782)


def test_noise_is_zero_at_waypoints_and_between_the_recorded_extremes() -> None:
    plain = event_path("black_thursday", ["BTC"], dt=600.0, steps=200)
    noisy = event_path("black_thursday", ["BTC"], 600.0, 200, Streams(3), bridge_volatility=1.0)
    at_waypoint = np.isin(600.0 * np.arange(201), load_event("black_thursday").series["BTC"].seconds)
    np.testing.assert_allclose(noisy[at_waypoint], plain[at_waypoint], rtol=1e-12)
    assert (noisy[~at_waypoint] != plain[~at_waypoint]).all()
    assert noisy.min() >= 3782 * (1 - 1e-12) and noisy.max() <= 7649.94 * (1 + 1e-12)


def test_noise_has_the_variance_of_a_brownian_bridge() -> None:
    # First segment of BTC: 4 hours; 20% volatility; bridge variance s^2 t (T - t) / T at t = 1 h and T = 4 h:
    # 0.04 / 8760 x 3/4, covariance of t = 1 h and u = 3 h: s^2 t (T - u) / T = 0.04 / 8760 x 1/4.
    # The recorded high is 1.0% above the path at 1 h: more than five standard deviations, so nothing is clipped.
    runs = 4000
    plain = np.log(event_path("black_thursday", ["BTC"], HOUR, 4)[:, 0])
    paths = [event_path("black_thursday", ["BTC"], HOUR, 4, Streams(seed), 0.2)[:, 0] for seed in range(runs)]
    noise = np.log(paths) - plain
    unit = 0.04 / 8760
    tolerance = 4 * np.sqrt(2 / runs)
    assert noise[:, 3].var() == pytest.approx(unit * 3 / 4, rel=tolerance)
    assert noise[:, 2].var() == pytest.approx(unit, rel=tolerance)
    assert np.mean(noise[:, 1] * noise[:, 3]) == pytest.approx(unit / 4, abs=4 * unit * 3 / 4 / np.sqrt(runs))
    assert np.abs(noise[:, [0, 4]]).max() < 1e-12


def test_recorded_volatility_makes_the_recorded_deviation_the_median() -> None:
    series = load_event("october_2025").series["ETH"]
    volatility = recorded_bridge_volatility(series)
    years = np.diff(series.seconds) / (8760 * HOUR)
    # Kolmogorov: P(sup |bridge| > x) over a segment is 2 sum (-1)^(k-1) exp(-2 k^2 x^2 / (s^2 T)).
    below = np.prod(1 - kolmogorov(series.largest_deviation / (volatility * np.sqrt(years))))
    assert below == pytest.approx(0.5, abs=1e-6)
    path = event_path("october_2025", ["ETH"], 60.0, 1500, Streams(1), "recorded")
    deviation = np.abs(np.log(path / event_path("october_2025", ["ETH"], 60.0, 1500))).max()
    assert 0.3 * series.largest_deviation < deviation < 3 * series.largest_deviation


def test_noise_of_an_asset_does_not_depend_on_the_others_or_on_the_horizon() -> None:
    both = event_path("october_2025", ["ETH", "BTC"], 60.0, 600, Streams(5), 0.5)
    alone = event_path("october_2025", ["BTC"], 60.0, 300, Streams(5), 0.5)
    np.testing.assert_array_equal(both[:301, 1], alone[:, 0])
    assert (event_path("october_2025", ["BTC"], 60.0, 300, Streams(6), 0.5) != alone).any()


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        ({"name": "black_friday"}, "black_thursday"),
        ({"assets": ["DOGE"]}, "BTC, ETH"),
        ({"steps": 50}, "from 0 to 49 hours"),
        ({"from_hours": -1.0}, "from 0 to 49 hours"),
        ({"name": "usdc_svb_2023", "assets": ["USDC"]}, "from 38 to 98.0167 hours"),
        ({"bridge_volatility": 0.5}, "a stream"),
    ],
)
def test_what_the_library_does_not_hold_is_refused(arguments: dict, accepted: str) -> None:
    with pytest.raises(InputError) as error:
        event_path(**{"name": "black_thursday", "assets": ["BTC"], "dt": HOUR, "steps": 4} | arguments)
    assert accepted in error.value.accepted
