"""What a scenario says of a safety pool: staked money that waterfalls of other protocols and of exchanges draw on."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from contagion.errors import InputError
from contagion.scenario.issuers import Issuer


class SafetyPool(Issuer):
    """Stakers' deposits: cash, claims on what they cover or tokens (`holds`), which layers ``safety_pool`` take.

    Who covers whom, up to how much and for what premium stands in those layers. The time stakers have to wait is the
    `notice` of `exit`; until they are paid they are slashed like the others.
    """

    kind: Literal["safety_pool"] = "safety_pool"

    @model_validator(mode="after")
    def _nobody_escapes(self) -> SafetyPool:
        if self.exit.value != "payment":
            raise InputError("exit.value", self.exit.value, "payment: who waits to leave is slashed too")
        if self.exit.pays != "balance_sheet":
            raise InputError("exit.pays", self.exit.pays, "balance_sheet: stakers are slashed alike")
        return self
