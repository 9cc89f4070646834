"""What an uncertain field can be: a list of values, or a distribution given by its quantiles."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_serializer, model_validator
from scipy.special import ndtri

from contagion.errors import InputError

SHAPES = {
    "values": "a list of one or more values",
    "uniform": "[low, high], low below high",
    "log_uniform": "[low, high], 0 < low < high",
    "integer": "[low, high], whole numbers, both included",
    "triangular": "[low, mode, high], in rising order",
    "normal": "[mean, standard deviation], the second above 0",
    "lognormal": "[median, sigma of the logarithm], both above 0",
}
ACCEPTED = "a list of values, or one of " + ", ".join(f"{{{name}: {words}}}" for name, words in SHAPES.items())
OUTERMOST = 0.025
"""Quantile of the lowest level of a distribution without bounds, and one less that of its highest."""


class Range(BaseModel):
    """Values of one uncertain field.

    Written as a list, ``[1, 2, 3]``, or as a mapping with the name of a distribution: ``{uniform: [0, 1]}``,
    ``{log_uniform: [1e5, 1e8]}``, ``{integer: [1, 10]}``, ``{triangular: [low, mode, high]}``,
    ``{normal: [mean, sd]}``, ``{lognormal: [median, sigma]}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Literal["values", "uniform", "log_uniform", "integer", "triangular", "normal", "lognormal"]
    given: tuple[Any, ...]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, Range):
            return {"shape": value.shape, "given": value.given}
        if isinstance(value, list | tuple):
            return {"shape": "values", "given": tuple(value)}
        if isinstance(value, dict) and len(value) == 1:
            ((shape, given),) = value.items()
            if shape in SHAPES and isinstance(given, list | tuple):
                return {"shape": shape, "given": tuple(given)}
            if shape in SHAPES:
                raise InputError(shape, given, SHAPES[shape])
        raise InputError("range", value, ACCEPTED)

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not _fits(self.shape, self.given):
            raise InputError(self.shape, list(self.given), SHAPES[self.shape])
        return self

    @model_serializer
    def _as_written(self) -> Any:
        return list(self.given) if self.shape == "values" else {self.shape: list(self.given)}

    def at(self, quantiles: np.ndarray) -> list[Any]:
        """Values at these quantiles, each in [0, 1]."""
        q = np.asarray(quantiles, dtype=float)
        if self.shape == "values":
            order = np.minimum((q * len(self.given)).astype(int), len(self.given) - 1)
            return [self.given[place] for place in order]
        if self.shape == "integer":
            low, high = self.given
            return np.minimum(low + np.floor(q * (high - low + 1)), high).astype(int).tolist()
        return self._continuous(q).tolist()

    def levels(self, count: int) -> list[Any]:
        """Values to step through: those listed, or `count` of them evenly spaced in quantiles, both ends among them."""
        if self.shape == "values":
            return list(self.given)
        if self.shape == "integer":
            low, high = self.given
            return sorted({round(level) for level in np.linspace(low, high, count)})
        ends = (OUTERMOST, 1.0 - OUTERMOST) if self.shape in ("normal", "lognormal") else (0.0, 1.0)
        return self.at(np.linspace(*ends, count) if count > 1 else np.array([0.5]))

    def _continuous(self, q: np.ndarray) -> np.ndarray:
        if self.shape == "triangular":
            low, mode, high = map(float, self.given)
            turn = (mode - low) / (high - low)
            rising = low + np.sqrt(q * (high - low) * (mode - low))
            return np.where(q < turn, rising, high - np.sqrt((1.0 - q) * (high - low) * (high - mode)))
        first, second = map(float, self.given)
        if self.shape == "uniform":
            return first + q * (second - first)
        if self.shape == "log_uniform":
            return np.clip(first * (second / first) ** q, first, second)
        inside = np.clip(q, 1e-9, 1.0 - 1e-9)
        return first + second * ndtri(inside) if self.shape == "normal" else first * np.exp(second * ndtri(inside))


def _fits(shape: str, given: tuple[Any, ...]) -> bool:
    if shape == "values":
        return len(given) > 0
    numeric = all(isinstance(item, int | float) and not isinstance(item, bool) and np.isfinite(item) for item in given)
    if not numeric or len(given) != (3 if shape == "triangular" else 2):
        return False
    if shape == "triangular":
        return given[0] <= given[1] <= given[2] and given[0] < given[2]
    first, second = given
    if shape == "integer":
        return isinstance(first, int) and isinstance(second, int) and first < second
    if shape == "normal":
        return second > 0
    return (first > 0 or shape == "uniform") and (second > 0 if shape == "lognormal" else first < second)
