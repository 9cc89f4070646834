"""Kinds of fields a scenario is made of, and the strict model they stand in."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _timedelta(value: Any) -> pd.Timedelta:
    try:
        # pandas would read a bare number as nanoseconds.
        bare = not isinstance(value, bool) and float(value) != 0.0
    except (ValueError, TypeError):
        bare = False
    if bare:
        raise ValueError("a duration with its unit, such as '1min', '8h' or '30s'")
    try:
        delta = pd.Timedelta(value)
    except (ValueError, TypeError) as error:
        raise ValueError("a duration such as '1min', '8h' or '30s'") from error
    if delta is pd.NaT or delta < pd.Timedelta(0):
        raise ValueError("a duration that is not negative")
    return delta


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("a finite number")
    return value


Duration = Annotated[pd.Timedelta, BeforeValidator(_timedelta)]
Real = Annotated[float, AfterValidator(_finite)]
Money = Annotated[float, Field(ge=0), AfterValidator(_finite)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_finite)]
Share = Annotated[float, Field(ge=0, le=1)]
Disclosed = Literal["positions", "accounts", "proof_of_solvency", "none"]
"""What creditors are shown: all at market, recognised values, reserves beside liabilities, or nothing."""


class Strict(BaseModel):
    """Frozen, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Fund(Strict):
    """Ring-fenced money of a venue or protocol."""

    size: Money = 0.0
