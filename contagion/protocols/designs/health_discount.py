"""Keepers buy collateral at a discount that grows as health falls, and may take only what heals the loan (Euler)."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from contagion.protocols.designs.design import Design, Incentive, Loan, Pool
from contagion.protocols.keepers import Bid
from contagion.protocols.lending_rules import repayment_to_health
from contagion.scenario.lending import Collateral


class HealthDiscount(Design):
    """A keeper pays ``max(health, 1 - most_discount)`` of the oracle's price; the `bonus` of collateral is not used.

    Parameters
    ----------
    most_discount : float
        Greatest discount. [1]
    target_health : float, optional
        A keeper repays at most what lifts health to it (soft liquidation, Euler v1: 1.25); none: any part of the loan
        (Euler vault kit). [1]
    follows : {"price", "bonus"}
        What health sets: the keeper's price over the oracle's (Euler), or its bonus, which is then `most_discount`
        times one less health (McFarlane 2025, arXiv 2510.10171).
    """

    most_discount: Annotated[float, Field(gt=0, lt=1)] = 0.15
    target_health: Annotated[float, Field(ge=1)] | None = None
    follows: Literal["price", "bonus"] = "price"

    def incentive(self, terms: Collateral) -> Incentive:
        if self.follows == "bonus":
            return Incentive(self.most_discount, slope=self.most_discount)
        return Incentive(1.0 / (1.0 - self.most_discount) - 1.0, slope=1.0, power=1.0)

    def bids(self, loan: Loan, pool: Pool) -> list[Bid]:
        result = []
        for position, instrument, asset, units, price in pool.posted(loan.account):
            bonus = pool.bonus(instrument, loan.health)
            heals = math.inf
            if self.target_health is not None:
                threshold = pool.terms[instrument].liquidation_threshold
                heals = repayment_to_health(loan.debt, loan.health, self.target_health, threshold, bonus)
            most = min(heals, loan.owed, units * price / (1.0 + bonus))
            result.append(Bid(position, asset, units, price, bonus, most))
        return result
