"""Keepers repay any part of a loan at a bonus that follows from the market's loan-to-value limit (Morpho Blue)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contagion.protocols.designs.design import Design, Incentive, Loan, Pool
from contagion.protocols.keepers import Bid
from contagion.protocols.lending_rules import incentive_factor
from contagion.scenario.fields import Share
from contagion.scenario.lending import Collateral


class IncentiveByThreshold(Design):
    """The tighter the limit, the smaller the bonus: ``min(most, 1 / (1 - cursor (1 - threshold))) - 1``.

    The `bonus` of the collateral is not used. What is owed without collateral is written off at once; with the
    waterfall ``[depositor_write_down]`` that falls on the suppliers of this market alone.

    Parameters
    ----------
    cursor, most : float
        Constants of the incentive factor. [1]
    """

    cursor: Share = 0.3
    most: Annotated[float, Field(ge=1)] = 1.15

    def incentive(self, terms: Collateral) -> Incentive:
        return Incentive(incentive_factor(terms.liquidation_threshold, self.cursor, self.most) - 1.0)

    def bids(self, loan: Loan, pool: Pool) -> list[Bid]:
        result = []
        for position, instrument, asset, units, price in pool.posted(loan.account):
            bonus = pool.bonus(instrument, loan.health)
            most = min(loan.owed, units * price / (1.0 + bonus))
            result.append(Bid(position, asset, units, price, bonus, most))
        return result
