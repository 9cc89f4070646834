"""What a scenario says of a lending pool."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Disclosed, Fund, Money, Share, Strict
from contagion.scenario.issuers import Exit
from contagion.scenario.oracle import Oracle
from contagion.scenario.rates import AnyRate, KinkedRate
from contagion.scenario.rules import RuleSpec, spec_of


class Collateral(Strict):
    """Terms of a collateral asset.

    An asset may be listed a second time under another key with terms of its own, for borrowers who choose that key:
    an efficiency mode (Aave v3).
    """

    asset: str | None = None  # none: its key
    ltv: Share
    liquidation_threshold: Annotated[float, Field(gt=0, lt=1)]
    bonus: Annotated[float, Field(ge=0)] = 0.05
    oracle: Oracle | None = None  # none: the pool's
    debt_ceiling: Money | None = None  # isolated: owed against it at most, and who posts it posts nothing else [USD]

    @model_validator(mode="after")
    def _ordered(self) -> Collateral:
        if self.ltv > self.liquidation_threshold:
            raise ValueError("ltv must not exceed liquidation_threshold")
        return self


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
    rate: AnyRate = KinkedRate()
    recourse: Literal["account"] = "account"
    exit: Exit = Exit()  # of suppliers
    disclosure: Disclosed = "accounts"  # what suppliers are shown
    waterfall: tuple[Annotated[RuleSpec, BeforeValidator(spec_of("layer"))], ...] = Field(
        default=("reserve", "depositor_write_down"), validate_default=True
    )

    @model_validator(mode="after")
    def _share_of_the_pool(self) -> LendingPool:
        if self.exit.pays != "balance_sheet":
            raise InputError("exit.pays", self.exit.pays, "balance_sheet: a claim is a share of the pool")
        return self

    @property
    def coins(self) -> dict[str, str]:
        """Key of each collateral -> its asset."""
        return {key: terms.asset or key for key, terms in self.collateral.items()}
