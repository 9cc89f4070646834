"""Redeemers: they buy a claim below what its issuer pays and hand it in; the other way round they have it issued."""

from __future__ import annotations

from contagion.agents.behaviours import Behaviour, NotNegative, Share


class Redeemer(Behaviour):
    """Closes the gap between a claim's market price and its redemption value with its own money.

    It buys while the price is below what it will be paid, less the fee of exit, the least profit and the cost of its
    money for as long as it has to wait. Who is paid at once looks at the redemption value; who has to wait trusts the
    smaller of that and the balance sheet. Money in the queue cannot buy: a long queue leaves a gap open.

    Parameters
    ----------
    minimum_profit
        Least gain per unit. [1]
    cost_of_capital
        Of money that waits, per year. [1]
    speed
        Share of its cash used per step. [1]
    """

    minimum_profit: NotNegative = 0.0
    cost_of_capital: NotNegative = 0.0
    speed: Share = 1.0
