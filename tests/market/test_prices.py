"""Price processes: moments against closed forms, and draws that belong to an asset's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagion.errors import InputError
from contagion.market.prices import (
    Constant,
    EventPath,
    FilePath,
    GeometricBrownian,
    JumpDiffusion,
    PriceProcess,
    StudentT,
)
from contagion.streams import Streams

BTC, ETH, SOL = ("BTC", 100.0, 0.6), ("ETH", 10.0, 0.8), ("SOL", 1.0, 1.0)
DAY = 1 / 365
N = 40_000
RANDOM = [
    GeometricBrownian(correlation=0.5),
    JumpDiffusion(correlation=0.5, intensity=300.0),
    JumpDiffusion(correlation=0.5, intensity=300.0, common_share=0.3),
    StudentT(correlation=0.5, df=5.0),
]


def log_returns(process, assets=(BTC, ETH), dt=DAY, steps=N, seed=1) -> np.ndarray:
    return np.diff(np.log(process.sample(assets, dt, steps, Streams(seed))), axis=0)


def excess_kurtosis(values: np.ndarray) -> float:
    centred = values - values.mean()
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2 - 3)


def test_constant_stays() -> None:
    np.testing.assert_array_equal(Constant().sample([BTC, ETH], DAY, 2, Streams(1)), [[100, 10]] * 3)


def test_geometric_brownian_moments() -> None:
    returns = log_returns(GeometricBrownian(correlation=0.7, drift=0.5))
    sd = np.array([0.6, 0.8]) * np.sqrt(DAY)
    # Standard errors of mean, standard deviation and correlation of n normals; four of them each.
    mean = (0.5 - np.array([0.36, 0.64]) / 2) * DAY
    np.testing.assert_allclose(returns.mean(axis=0), mean, atol=4 * sd.max() / np.sqrt(N))
    np.testing.assert_allclose(returns.std(axis=0), sd, rtol=4 / np.sqrt(2 * N))
    assert np.corrcoef(returns.T)[0, 1] == pytest.approx(0.7, abs=4 * (1 - 0.49) / np.sqrt(N))
    assert excess_kurtosis(returns[:, 0]) == pytest.approx(0, abs=4 * np.sqrt(24 / N))


def test_a_correlation_matrix_may_be_negative_or_singular() -> None:
    matrix = ((1.0, -0.6, 1.0), (-0.6, 1.0, -0.6), (1.0, -0.6, 1.0))
    returns = log_returns(GeometricBrownian(correlation=matrix), assets=(BTC, ETH, SOL))
    measured = np.corrcoef(returns.T)
    assert measured[0, 1] == pytest.approx(-0.6, abs=4 * (1 - 0.36) / np.sqrt(N))
    assert measured[0, 2] == pytest.approx(1.0, abs=1e-12)


def test_jump_diffusion_moments() -> None:
    # A jump a day on average: variance (s^2 + l (m^2 + d^2)) dt, fourth cumulant l dt E[J^4], with
    # E[J^4] = m^4 + 6 m^2 d^2 + 3 d^4; mean (mu - s^2/2 - l (exp(m + d^2/2) - 1) + l m) dt.
    rate, mean, sd = 365.0, -0.03, 0.05
    process = JumpDiffusion(intensity=rate, mean=mean, sd=sd, common_share=0.4, correlation=0.5)
    returns = log_returns(process)
    volatility = np.array([0.6, 0.8])
    second, fourth = mean**2 + sd**2, mean**4 + 6 * mean**2 * sd**2 + 3 * sd**4
    variance = (volatility**2 + rate * second) * DAY
    kurtosis = fourth * rate * DAY / variance**2
    expected = (-(volatility**2) / 2 - rate * (np.exp(mean + sd**2 / 2) - 1) + rate * mean) * DAY
    np.testing.assert_allclose(returns.mean(axis=0), expected, atol=4 * np.sqrt(variance.max() / N))
    np.testing.assert_allclose(returns.var(axis=0), variance, rtol=4 * np.sqrt((kurtosis.max() + 2) / N))
    # Covariance: diffusion 0.5 x 0.6 x 0.8 and the common 40% of jumps, both per year.
    covariance = (0.5 * 0.6 * 0.8 + 0.4 * rate * second) * DAY
    assert np.cov(returns.T)[0, 1] == pytest.approx(covariance, abs=4 * np.sqrt((kurtosis.max() + 2) / N) * variance[1])
    # The eighth moment rules the error of the kurtosis: it is taken from the sample.
    standard = (returns[:, 0] - returns[:, 0].mean()) / returns[:, 0].std()
    assert excess_kurtosis(returns[:, 0]) == pytest.approx(kurtosis[0], abs=4 * (standard**4).std() / np.sqrt(N))


def test_more_jumps_under_the_same_seed_keep_the_earlier_ones() -> None:
    def still(rate: float) -> np.ndarray:
        flat = ("X", 1.0, 0.0)
        process = JumpDiffusion(intensity=rate, mean=-0.1, sd=0.0)
        returns = log_returns(process, assets=[flat], steps=500)[:, 0]
        return np.round((returns + rate * np.expm1(-0.1) * DAY) / -0.1, 6)

    assert (still(200.0) >= still(100.0)).all()
    assert still(200.0).sum() > still(100.0).sum() > 0


def test_student_moments_and_common_tails() -> None:
    # df = 9: excess kurtosis 6 / (9 - 4) = 1.2; the squares of two uncorrelated components have correlation
    # Cov(x^2, y^2) / Var(x^2) = (E[m^2] - 1) / (3 E[m^2] - 1), E[m^2] = (df - 2) / (df - 4) = 7/5: 0.4 / 3.2 = 0.125.
    returns = log_returns(StudentT(df=9.0))
    sd = np.array([0.6, 0.8]) * np.sqrt(DAY)
    np.testing.assert_allclose(returns.std(axis=0), sd, rtol=4 * np.sqrt((1.2 + 2) / (4 * N)))
    standard = returns / sd
    error = 4 * (standard[:, 0] ** 4).std() / np.sqrt(N)
    assert excess_kurtosis(returns[:, 0]) == pytest.approx(1.2, abs=error)
    assert np.corrcoef((standard**2).T)[0, 1] == pytest.approx(0.125, abs=4 * 2 / np.sqrt(N))
    assert np.corrcoef(returns.T)[0, 1] == pytest.approx(0, abs=4 * 1.5 / np.sqrt(N))


@pytest.mark.parametrize("process", RANDOM)
def test_adding_or_moving_an_asset_or_lengthening_the_run_shifts_no_price(process) -> None:
    alone = process.sample([BTC, ETH], DAY, 50, Streams(3))
    more = process.sample([SOL, ETH, BTC], DAY, 80, Streams(3))
    np.testing.assert_array_equal(alone, more[:51, [2, 1]])
    assert (process.sample([BTC, ETH], DAY, 50, Streams(4))[1:] != alone[1:]).all()


def test_with_a_matrix_an_asset_added_last_shifts_no_price() -> None:
    small = GeometricBrownian(correlation=((1.0, 0.3), (0.3, 1.0)))
    large = GeometricBrownian(correlation=((1.0, 0.3, 0.2), (0.3, 1.0, 0.1), (0.2, 0.1, 1.0)))
    three = large.sample([BTC, ETH, SOL], DAY, 50, Streams(3))
    np.testing.assert_allclose(small.sample([BTC, ETH], DAY, 50, Streams(3)), three[:, :2], rtol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 3), st.floats(1e-7, 0.1), st.floats(0, 1))
def test_prices_are_positive_finite_and_open_where_stated(seed, volatility, dt, correlation) -> None:
    for process in (GeometricBrownian(correlation=correlation), StudentT(), JumpDiffusion(correlation=correlation)):
        path = process.sample([("A", 5.0, volatility), ("B", 0.01, 0.0)], dt, 20, Streams(seed))
        assert path.shape == (21, 2) and path[0].tolist() == [5.0, 0.01]
        assert np.isfinite(path).all() and (path > 0).all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.2, "in [0, 1]"),
        (-0.1, "or a matrix"),
        (float("nan"), "finite"),
        (((1.0, 0.9, -0.9), (0.9, 1.0, 0.9), (-0.9, 0.9, 1.0)), "positive semidefinite"),
        (((1.0, 0.9), (0.8, 1.0)), "symmetric"),
        (((1.0, 0.9), (0.9,)), "square"),
    ],
)
def test_impossible_correlations_are_refused(value, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        GeometricBrownian(correlation=value)
    assert words in str(error.value)


def test_bad_parameters_and_sizes_are_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 2"):
        StudentT(df=2.0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        GeometricBrownian(corelation=0.5)
    with pytest.raises(InputError, match="3 x 3"):
        GeometricBrownian(correlation=((1.0, 0.3), (0.3, 1.0))).sample([BTC, ETH, SOL], DAY, 1, Streams(1))


def test_event_path_in_years_and_held_assets() -> None:
    process = EventPath(event="black_thursday", held=("DAI",))
    minutes = 20 / (365 * 24 * 60)
    path = process.sample([("DAI", 1.01, 0.0), ("BTC", 1.0, 0.6)], minutes, 147, Streams(1))
    assert path[:, 1].min() == pytest.approx(3782, rel=1e-9)
    assert path[0, 1] == pytest.approx(7647, rel=1e-12)
    assert set(path[:, 0]) == {1.01}
    scaled = EventPath(event="black_thursday", rescale=True).sample([("BTC", 100.0, 0.6)], minutes, 147, Streams(1))
    assert scaled.min() == pytest.approx(100 * 3782 / 7647, rel=1e-9)
    with pytest.raises(InputError, match="one of BTC, ETH"):
        EventPath(event="black_thursday").sample([("DAI", 1.0, 0.0)], minutes, 1, Streams(1))
    with pytest.raises(InputError, match=r"prices\.held"):
        EventPath(event="black_thursday", held=("DIA",)).sample([BTC], minutes, 1, Streams(1))


def test_file_path(tmp_path: Path) -> None:
    rows = "2020-03-12T00:00Z,100,120,90,110\n2020-03-12T01:00Z,110,130,105,120\n"
    file = tmp_path / "BTCUSDT.csv"
    file.write_text("timestamp,open,high,low,close\n" + rows)
    process = FilePath(source=str(file), start="2020-03-12T01:00")
    minutes = 20 / (365 * 24 * 60)
    np.testing.assert_allclose(process.sample([BTC], minutes, 3, Streams(1))[:, 0], [110, 105, 130, 120])
    assert process.load(["BTC"], 1200.0, 3).sha256.keys() == {str(file)}
    with pytest.raises(InputError, match=r"prices\.end"):
        process.sample([BTC], minutes, 4, Streams(1))
    with pytest.raises(InputError, match="files of BTC were found"):
        process.sample([ETH], minutes, 1, Streams(1))


def test_every_process_keeps_the_interface() -> None:
    for process in (*RANDOM, Constant(), EventPath(event="ftx_2022"), FilePath(source="x.csv")):
        assert isinstance(process, PriceProcess)


def test_importing_prices_compiles_nothing() -> None:
    import subprocess
    import sys

    code = "import sys, contagion.market.prices; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
