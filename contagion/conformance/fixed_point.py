"""Fixed-point numbers that round down, so that a formula rounds where a venue's integers do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering


@total_ordering
@dataclass(frozen=True, eq=False)
class Fixed:
    """``raw / scale`` with the rounding of integers: products and quotients are floored.

    A product has the finer scale of its factors, a quotient that of the dividend; sums are of one scale.
    """

    raw: int
    scale: int = 1_000_000

    def __add__(self, other: Fixed) -> Fixed:
        return Fixed(self.raw + self._like(other), self.scale)

    def __sub__(self, other: Fixed) -> Fixed:
        return Fixed(self.raw - self._like(other), self.scale)

    def __mul__(self, other: Fixed | int) -> Fixed:
        if isinstance(other, int):
            return Fixed(self.raw * other, self.scale)
        scale = max(self.scale, other.scale)
        return Fixed(self.raw * other.raw * scale // (self.scale * other.scale), scale)

    __rmul__ = __mul__

    def __truediv__(self, other: Fixed | int) -> Fixed:
        if isinstance(other, int):
            return Fixed(self.raw // other, self.scale)
        return Fixed(self.raw * other.scale // other.raw, self.scale)

    def __eq__(self, other: object) -> bool:
        return self.raw == self._like(other)

    def __lt__(self, other: Fixed | int) -> bool:
        return self.raw < self._like(other)

    def __hash__(self) -> int:
        return hash((self.raw, self.scale))

    def _like(self, other: object) -> int:
        if isinstance(other, int):
            return other * self.scale
        if isinstance(other, Fixed) and other.scale == self.scale:
            return other.raw
        raise TypeError(f"a fixed-point number of scale {self.scale}, not {other!r}")


class RoundedToNearest(Fixed):
    """The same, but a product of two of them is rounded to the nearest, halves up."""

    def __mul__(self, other: Fixed | int) -> Fixed:
        if isinstance(other, RoundedToNearest) and other.scale == self.scale:
            return RoundedToNearest((self.raw * other.raw + self.scale // 2) // self.scale, self.scale)
        return super().__mul__(other)

    __rmul__ = __mul__
