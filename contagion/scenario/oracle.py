"""What a scenario says of an oracle: what it reads, how late it publishes, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Duration, Positive, Strict

READINGS = ("market", "redemption", "fixed")
"""What an oracle can read besides the price of an automated market maker, which it reads by the maker's name."""


def _tuple(value):
    return (value,) if isinstance(value, str) else value


class Oracle(Strict):
    """What a protocol believes a price is: published late, and only when it moved enough or grew stale.

    A source is the market, the redemption value of a claim, a fixed price, or the name of an automated market maker
    in which the asset is traded. Of several sources the median is taken; one named twice is two feeds with noise of
    their own.
    """

    source: Annotated[tuple[str, ...], BeforeValidator(_tuple), Field(min_length=1)] = ("market",)
    price: Positive | None = None  # of a fixed source [USD]; none: the opening price
    window: Duration = Field(default="0s", validate_default=True)  # over which sources are averaged; 0: the last price
    average: Literal["arithmetic", "geometric"] = "arithmetic"
    noise: Annotated[float, Field(ge=0)] = 0.0  # standard deviation of the log error of each source
    latency: Annotated[int, Field(ge=0)] = 0  # steps
    deviation: Annotated[float, Field(ge=0)] = 0.005  # relative move that triggers a publication
    heartbeat: Duration = Field(default="1h", validate_default=True)
    # Maker's security module: every `delay` the price that was queued takes effect and the one of now is queued
    delay: Duration = Field(default="0s", validate_default=True)

    @model_validator(mode="after")
    def _one_fixed_price(self) -> Oracle:
        if self.price is not None and "fixed" not in self.source:
            raise InputError("price", self.price, "none, but with source: fixed")
        return self
