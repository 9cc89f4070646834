"""What a scenario says of a pool's interest: a curve over utilisation, fixed or moving with it. Rates are per year."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from contagion.scenario.fields import Positive, Share, Strict

Rate = Annotated[float, Field(ge=0)]


class SupplyCurve(Strict):
    """What suppliers earn by utilisation, where that is a curve of its own with the kink of the borrow rate."""

    base: Rate = 0.0
    slope1: Rate
    slope2: Rate


class KinkedRate(Strict):
    """Borrow rate by utilisation: base + slope1 U/U* up to the kink, then + slope2 (U-U*)/(1-U*)."""

    kind: Literal["kinked"] = "kinked"
    base: Rate = 0.0
    slope1: Rate = 0.04
    slope2: Rate = 0.75
    kink: Annotated[float, Field(gt=0, lt=1)] = 0.8
    slopes_are_totals: bool = True  # over their segments (Aave); else per unit of utilisation (Compound v3)
    reserve_factor: Share = 0.1  # of the interest, to the reserve
    supply: SupplyCurve | None = None  # then the reserve gets what suppliers do not (Compound v3)


class AdaptiveRate(Strict):
    """Borrow rate that moves by itself until utilisation is at its target (Morpho's AdaptiveCurveIRM).

    The rate at the target grows by ``speed`` times the error a year; around it the curve falls to 1 / steepness at no
    utilisation and rises to steepness times at full utilisation. The error is utilisation less target over the room on
    that side of the target.
    """

    kind: Literal["adaptive"] = "adaptive"
    target: Annotated[float, Field(gt=0, lt=1)] = 0.9  # utilisation
    at_target: Positive = 0.04  # at the opening
    steepness: Annotated[float, Field(ge=1)] = 4.0
    speed: Rate = 50.0
    least: Rate = 0.001  # of the rate at the target
    most: Positive = 2.0
    reserve_factor: Share = 0.0


def _kind(value: Any) -> str:
    return value.get("kind", "kinked") if isinstance(value, dict) else getattr(value, "kind", "kinked")


AnyRate = Annotated[
    Annotated[KinkedRate, Tag("kinked")] | Annotated[AdaptiveRate, Tag("adaptive")], Discriminator(_kind)
]
