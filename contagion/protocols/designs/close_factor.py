"""Keepers repay up to a share of a loan and take collateral at a fixed bonus (Aave v2 and v3)."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from contagion.protocols.designs.design import Design, Loan, Pool
from contagion.protocols.keepers import Bid
from contagion.protocols.lending_rules import largest_partial, largest_repayment, seizure
from contagion.scenario.fields import Money, Share


class CloseFactor(Design):
    """A keeper repays at most `close_factor` of a loan, all of it at low health or where little is at stake.

    Parameters
    ----------
    close_factor : float
        Of the whole debt, in one liquidation. [1]
    full_close_health : float
        At or below it the whole debt may be repaid; 0: never (Aave v2). [1]
    small_position : float
        The whole debt may be repaid where debt or collateral is below it (Aave v3.3: 2,000). [USD]
    least_left : float
        Debt and collateral that a liquidation which leaves both must leave of each (Aave v3.3: 1,000). [USD]
    protocol_share : float
        Of the bonus, to the pool's reserve in collateral (Aave v3's liquidation protocol fee). [1]
    """

    close_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    full_close_health: Share = 0.95
    small_position: Money = 0.0
    least_left: Money = 0.0
    protocol_share: Share = 0.0

    def bids(self, loan: Loan, pool: Pool) -> list[Bid]:
        result = []
        for position, instrument, asset, units, price in pool.posted(loan.account):
            bonus = pool.bonus(instrument, loan.health)
            most = largest_repayment(
                loan.debt, loan.health, self.close_factor, self.full_close_health, collateral=units * price,
                small_position=self.small_position,
            )  # fmt: skip
            most = min(most, loan.owed, units * price / (1.0 + bonus))
            partial, closes = math.inf, True
            if self.least_left > 0.0:
                debt, collateral = largest_partial(loan.owed, units * price, self.least_left)
                partial = min(debt, collateral / (1.0 + bonus))
                closes = most >= min(loan.owed, units * price / (1.0 + bonus)) * (1.0 - 1e-12)
            taken = seizure(1.0, bonus, share_of_bonus=self.protocol_share)
            fee = taken.to_reserve / taken.seized
            bid = Bid(position, asset, units, price, bonus, most if closes else min(most, partial), fee, partial)
            if bid.most > 0.0:
                result.append(bid)
        return result
