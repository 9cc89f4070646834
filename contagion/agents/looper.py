"""The archetype that loops loans: how far, and when it stops."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from contagion.agents.behaviours import Borrower, NotNegative, Positive


class Looper(Borrower):
    """Buys collateral with what it borrows against it, again and again, and winds this down when it stops paying.

    One step's loops, or their unwinding, are one transaction: it borrows and buys, or sells and repays, what brings
    debt over collateral to the target.

    Parameters
    ----------
    target_ltv
        Debt over collateral at the oracle's price that it opens at and returns to. [1]
    band
        Relative distance from the target within which it does nothing. [1]
    releverages
        Whether it borrows more when it is below the target.
    most_rate
        Borrow rate above which its carry is gone and it winds down. [1 / year]
    speed
        Share of its debt it repays per step while it winds down. [1]
    spot_depth
        Notional of the market it trades collateral in that moves the price by 1%; none: no impact. [USD]
    """

    target_ltv: Annotated[float, Field(gt=0, lt=1)] = 0.7
    band: NotNegative = 0.05
    releverages: bool = True
    most_rate: Positive = 10.0
    speed: Annotated[float, Field(gt=0, le=1)] = 0.25
    spot_depth: Positive | None = None
    comfort: Positive = 1.0

    @model_validator(mode="before")
    @classmethod
    def _opens_at_its_target(cls, data: Any) -> Any:
        target = cls.model_fields["target_ltv"].default
        return {"ltv": data.get("target_ltv", target), **data} if isinstance(data, dict) else data
