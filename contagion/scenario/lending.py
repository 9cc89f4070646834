"""What a scenario says of a lending pool and of the oracle that it reads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from contagion.scenario.fields import Duration, Fund, Money, Share, Strict
from contagion.scenario.rules import RuleSpec, spec_of


class Oracle(Strict):
    """What a protocol believes a price is: published late, and only when it moved enough or grew stale."""

    latency: Annotated[int, Field(ge=0)] = 0  # steps
    deviation: Annotated[float, Field(ge=0)] = 0.005  # relative move that triggers a publication
    heartbeat: Duration = Field(default="1h", validate_default=True)
    source: Literal["market", "redemption", "fixed"] = "market"  # of claims; market assets use the index
    noise: Annotated[float, Field(ge=0)] = 0.0  # standard deviation of the log error


class Collateral(Strict):
    """Terms of a collateral asset."""

    ltv: Share
    liquidation_threshold: Annotated[float, Field(gt=0, lt=1)]
    bonus: Annotated[float, Field(ge=0)] = 0.05
    oracle: Oracle | None = None  # none: the pool's

    @model_validator(mode="after")
    def _ordered(self) -> Collateral:
        if self.ltv > self.liquidation_threshold:
            raise ValueError("ltv must not exceed liquidation_threshold")
        return self


class KinkedRate(Strict):
    """Borrow rate by utilisation: base + slope1 U/U* up to the kink, then + slope2 (U-U*)/(1-U*). Per year."""

    base: Annotated[float, Field(ge=0)] = 0.0
    slope1: Annotated[float, Field(ge=0)] = 0.04
    slope2: Annotated[float, Field(ge=0)] = 0.75
    kink: Annotated[float, Field(gt=0, lt=1)] = 0.8
    reserve_factor: Share = 0.1


class LendingPool(Strict):
    """Suppliers fund borrowers against collateral in other assets; the claim is a share of the pool."""

    kind: Literal["lending_pool"] = "lending_pool"
    preset: str | None = None
    asset: str = "USD"  # what is lent
    collateral: dict[str, Collateral]
    supplied: Money = 0.0  # by holders outside the model [USD]
    reserve: Fund = Fund()
    oracle: Oracle = Oracle()
    liquidation: Annotated[RuleSpec, BeforeValidator(spec_of("design"))] = Field(
        default="close_factor", validate_default=True
    )
    rate: KinkedRate = KinkedRate()
    recourse: Literal["account"] = "account"
    waterfall: tuple[Annotated[RuleSpec, BeforeValidator(spec_of("layer"))], ...] = Field(
        default=("reserve", "depositor_write_down"), validate_default=True
    )
