"""Price processes: how index prices move before any order flow of the model touches them.

Every process has one method, ``sample(assets, dt_years, steps, stream)``, and owns its parameters. A new process is
a pydantic class with that method. Draws belong to an asset's name: adding an asset never shifts those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from contagion.errors import InputError
from contagion.market.ohlcv import read_ohlcv
from contagion.market.paths import Intrabar, PricePath, path_from_ohlcv
from contagion.market.waypoints import SECONDS_PER_YEAR, Stream, event_path, load_event


class PricedAsset(NamedTuple):
    """Name, opening price [USD] and annualised volatility [1 / sqrt(year)] of a market asset."""

    name: str
    price: float
    volatility: float


@runtime_checkable
class PriceProcess(Protocol):
    """Anything that can draw a price path."""

    def sample(
        self, assets: Sequence[PricedAsset | tuple[str, float, float]], dt_years: float, steps: int, stream: Stream
    ) -> np.ndarray:
        """Prices of shape (steps + 1, len(assets)), row 0 at the opening. [USD]

        ``dt_years`` is the step in years of 365 days.
        """
        ...


def _correlation(value: float | tuple[tuple[float, ...], ...]) -> float | tuple[tuple[float, ...], ...]:
    if isinstance(value, float):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"a number in [0, 1], or a matrix; got {value:g}")
        return value
    if not value or any(len(row) != len(value) for row in value):
        raise ValueError("a square matrix, one row per asset")
    matrix = np.array(value)
    if not (np.allclose(matrix, matrix.T, atol=1e-12) and np.allclose(np.diag(matrix), 1.0, atol=1e-12)):
        raise ValueError("a symmetric matrix with ones on the diagonal")
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest < -1e-10:
        raise ValueError(f"a positive semidefinite matrix; the smallest eigenvalue is {smallest:.3g}")
    return value


Correlation = Annotated[float | tuple[tuple[float, ...], ...], AfterValidator(_correlation)]


class _Process(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Constant(_Process):
    """Prices stay where they open; only shocks and order flow move them."""

    def sample(self, assets: Sequence[Any], dt_years: float, steps: int, stream: Stream) -> np.ndarray:
        return np.tile([float(price) for _, price, _ in assets], (steps + 1, 1))


class GeometricBrownian(_Process):
    """Correlated geometric Brownian motion: E[P_t] = P_0 exp(drift t), Var[log P_t] = volatility^2 t.

    Parameters
    ----------
    correlation
        Between the log returns of any two assets: one number in [0, 1] (a common factor), or a matrix with one row
        per asset in the scenario's order, positive semidefinite.
    drift
        Of the expected price, the same for all assets. [1 / year]
    """

    correlation: Correlation = 0.0
    drift: float = 0.0

    def sample(self, assets: Sequence[Any], dt_years: float, steps: int, stream: Stream) -> np.ndarray:
        _, _, volatility = _columns(assets)
        normals = self._normals(assets, steps, stream)
        returns = (self.drift - volatility**2 / 2) * dt_years + volatility * np.sqrt(dt_years) * normals
        return _compound(assets, returns)

    def _normals(self, assets: Sequence[Any], steps: int, stream: Stream) -> np.ndarray:
        """Correlated standard normals of shape (steps, n_assets); each asset draws from a generator of its own."""
        names, _, _ = _columns(assets)
        own = [stream.generator("prices", "diffusion", name).standard_normal(steps) for name in names]
        normals = np.column_stack(own)
        if isinstance(self.correlation, float):
            # A common factor gives the same prices to an asset wherever it stands in the list.
            common = stream.generator("prices", "common diffusion").standard_normal(steps)[:, None]
            return np.sqrt(self.correlation) * common + np.sqrt(1.0 - self.correlation) * normals
        if len(self.correlation) != len(names):
            shape = f"{len(self.correlation)} x {len(self.correlation)}"
            raise InputError("prices.correlation", shape, f"{len(names)} x {len(names)} ({', '.join(names)})")
        return normals @ _lower_factor(np.array(self.correlation)).T


class JumpDiffusion(GeometricBrownian):
    """Merton's jump diffusion: Brownian motion plus normally distributed jumps of the log price.

    Jumps are compensated, so E[P_t] = P_0 exp(drift t) still holds; the variance of a log return is
    (volatility^2 + intensity (mean^2 + sd^2)) t.

    Parameters
    ----------
    intensity
        Jumps an asset suffers on average. [1 / year]
    mean, sd
        Of the log jump.
    common_share
        Share of the jumps that hit all assets at once with the same size; it is the correlation between the jump
        parts of two assets.

    References
    ----------
    Merton (1976), "Option pricing when underlying stock returns are discontinuous", eq. 1-3.
    """

    intensity: float = Field(default=12.0, ge=0)
    mean: float = -0.03
    sd: float = Field(default=0.05, ge=0)
    common_share: float = Field(default=1.0, ge=0, le=1)

    def sample(self, assets: Sequence[Any], dt_years: float, steps: int, stream: Stream) -> np.ndarray:
        names, _, volatility = _columns(assets)
        common = self._jumps(self.common_share, dt_years, steps, stream, "common jumps")
        own = [self._jumps(1.0 - self.common_share, dt_years, steps, stream, "jumps", name) for name in names]
        compensator = self.intensity * np.expm1(self.mean + self.sd**2 / 2)
        normals = self._normals(assets, steps, stream)
        returns = (self.drift - volatility**2 / 2 - compensator) * dt_years
        returns = returns + volatility * np.sqrt(dt_years) * normals + common[:, None] + np.column_stack(own)
        return _compound(assets, returns)

    def _jumps(self, share: float, dt_years: float, steps: int, stream: Stream, *keys: str) -> np.ndarray:
        """Sum of the log jumps in each step, shape (steps,)."""
        uniforms = stream.generator("prices", "count", *keys).random(steps)
        normals = stream.generator("prices", "size", *keys).standard_normal(steps)
        # Counts by inversion: a higher intensity under the same seed adds jumps and removes none.
        counts = _poisson_inverse(uniforms, share * self.intensity * dt_years)
        return counts * self.mean + np.sqrt(counts) * self.sd * normals


class StudentT(GeometricBrownian):
    """Log returns per step from a multivariate Student t, scaled to the variance volatility^2 dt.

    One chi-square draw per step scales all assets, so that large moves come together. A Student return has no
    finite mean price; the drift is that of the log price with the Gaussian correction -volatility^2 / 2.

    Parameters
    ----------
    df
        Degrees of freedom, above 2; the tail index of a step's return. Excess kurtosis is 6 / (df - 4) for df > 4.
    """

    df: float = Field(default=4.0, gt=2)

    def sample(self, assets: Sequence[Any], dt_years: float, steps: int, stream: Stream) -> np.ndarray:
        _, _, volatility = _columns(assets)
        chi_square = stream.generator("prices", "common chi-square").chisquare(self.df, steps)
        student = self._normals(assets, steps, stream) * np.sqrt((self.df - 2.0) / chi_square)[:, None]
        returns = (self.drift - volatility**2 / 2) * dt_years + volatility * np.sqrt(dt_years) * student
        return _compound(assets, returns)


class _Recorded(_Process):
    """What recorded paths share.

    Row 0 is the recorded price: the model opens there, whatever price the scenario states, unless ``rescale``.
    """

    rescale: bool = False
    held: tuple[str, ...] = ()

    def sample(self, assets: Sequence[Any], dt_years: float, steps: int, stream: Stream) -> np.ndarray:
        names, opening, _ = _columns(assets)
        unknown = [name for name in self.held if name not in names]
        if unknown:
            raise InputError("prices.held", unknown[0], "one of " + ", ".join(names))
        moving = [column for column, name in enumerate(names) if name not in self.held]
        prices = np.tile(opening, (steps + 1, 1))
        if not moving:
            return prices
        # Years are a float: seconds come back to the microsecond.
        seconds = round(dt_years * SECONDS_PER_YEAR, 6)
        recorded = self._recorded([names[column] for column in moving], seconds, steps, stream)
        prices[:, moving] = recorded * (opening[moving] / recorded[0]) if self.rescale else recorded
        return prices

    def _recorded(self, names: list[str], seconds: float, steps: int, stream: Stream) -> np.ndarray:
        raise NotImplementedError


class EventPath(_Recorded):
    """A crisis of the event library (see ``contagion.market.waypoints``).

    Parameters
    ----------
    event
        Name in the library.
    from_hours
        Time of the first row after the event's start. [h]
    bridge_volatility
        Annualised volatility of the noise between waypoints; ``recorded`` fits the recorded largest deviation.
    rescale
        Multiply each series so that it opens at the scenario's price; otherwise prices are the recorded ones.
    held
        Assets that keep the scenario's price, because the event has no series for them.
    """

    event: str
    from_hours: float = Field(default=0.0, ge=0)
    bridge_volatility: Annotated[float, Field(ge=0)] | Literal["recorded"] = 0.0

    def opens(self) -> str:
        """Time of the first row (UTC), ISO 8601."""
        return str(load_event(self.event).start + np.timedelta64(round(self.from_hours * 3600.0), "s"))

    def _recorded(self, names: list[str], seconds: float, steps: int, stream: Stream) -> np.ndarray:
        return event_path(self.event, names, seconds, steps, stream, self.bridge_volatility, self.from_hours)


class FilePath(_Recorded):
    """Recorded bars from files (see ``contagion.market.ohlcv``).

    Parameters
    ----------
    source
        File, folder or glob, several of them, or asset -> file.
    start
        Time of the first row (UTC); default: the first time all files share.
    intrabar
        Which extreme of a bar comes first.
    rescale, held
        As in ``EventPath``.
    """

    source: str | tuple[str, ...] | dict[str, str]
    start: Annotated[str | None, BeforeValidator(lambda time: time and str(time))] = None  # YAML reads it as a time
    intrabar: Intrabar = "close_direction"
    _recording: PricePath | None = PrivateAttr(None)

    @property
    def recording(self) -> PricePath | None:
        """What the last ``sample`` read, with its gaps and file hashes."""
        return self._recording

    def load(self, names: Sequence[str], seconds: float, steps: int) -> PricePath:
        """The path with its times, gaps and file hashes, for a manifest and warnings. ``seconds`` is the step. [s]"""
        bars = read_ohlcv(self.source)
        for name in names:
            if name not in bars:
                raise InputError(f"prices.source: asset {name}", self.source, f"files of {', '.join(bars)} were found")
        chosen, dt = {name: bars[name] for name in names}, f"{round(seconds * 1e9)}ns"
        return path_from_ohlcv(chosen, dt=dt, start=self.start, steps=steps, intrabar=self.intrabar)

    def _recorded(self, names: list[str], seconds: float, steps: int, stream: Stream) -> np.ndarray:
        self._recording = self.load(names, seconds, steps)
        return self._recording.values


def _columns(assets: Sequence[Any]) -> tuple[list[str], np.ndarray, np.ndarray]:
    names = [str(name) for name, _, _ in assets]
    return names, np.array([price for _, price, _ in assets], float), np.array([sd for _, _, sd in assets], float)


def _compound(assets: Sequence[Any], returns: np.ndarray) -> np.ndarray:
    _, opening, _ = _columns(assets)
    path = np.empty((len(returns) + 1, len(opening)))
    path[0] = 0.0
    np.cumsum(returns, axis=0, out=path[1:])
    return opening * np.exp(path)


def _lower_factor(matrix: np.ndarray) -> np.ndarray:
    """Cholesky factor that also takes singular matrices; row i uses assets up to i, so later ones do not matter."""
    factor = np.zeros_like(matrix)
    for column in range(len(matrix)):
        pivot = matrix[column, column] - factor[column, :column] @ factor[column, :column]
        if pivot > 1e-12:
            below = matrix[column:, column] - factor[column:, :column] @ factor[column, :column]
            factor[column:, column] = below / np.sqrt(pivot)
    return factor


def _poisson_inverse(uniforms: np.ndarray, expected: float) -> np.ndarray:
    """Poisson counts as floats, by inverting the distribution function."""
    from scipy.stats import poisson

    # SciPy gives -1 at a uniform of exactly 0.
    return np.maximum(poisson.ppf(uniforms, expected), 0.0) if expected > 0.0 else np.zeros(len(uniforms))
