"""Keepers repay up to half of a loan; the protocol keeps a share of all that is seized (Compound v2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contagion.protocols.designs.design import Design, Loan, Pool
from contagion.protocols.keepers import Bid
from contagion.protocols.lending_rules import largest_repayment, seizure
from contagion.scenario.fields import Share


class CompoundV2(Design):
    """A keeper repays at most `close_factor` of a loan whatever its health; `bonus` is the incentive less one.

    Parameters
    ----------
    close_factor : float
        Of the whole debt, in one liquidation. [1]
    protocol_seize_share : float
        Of the seized collateral, to the pool's reserve in kind. [1]
    """

    close_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    protocol_seize_share: Share = 0.028

    def bids(self, loan: Loan, pool: Pool) -> list[Bid]:
        result = []
        for position, instrument, asset, units, price in pool.posted(loan.account):
            bonus = pool.bonus(instrument, loan.health)
            most = largest_repayment(loan.debt, loan.health, self.close_factor, full_close_health=0.0)
            taken = seizure(most, bonus, share_of_seized=self.protocol_seize_share)
            most = min(most, loan.owed, units * price / (1.0 + bonus))
            result.append(Bid(position, asset, units, price, bonus, most, taken.to_reserve / taken.seized))
        return result
