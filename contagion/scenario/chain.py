"""What a scenario says of the blockchain that keepers send their transactions to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contagion.scenario.fields import Duration, Positive, Strict


class Chain(Strict):
    """Room for transactions, and how its price answers when more are wanted than fit.

    The price of gas is ``(wanted / capacity) ** exponent`` times the calm one, never below it. Wanted is what others
    send, which grows with the market's last move, and one transaction for every unsafe loan and open auction.

    Parameters
    ----------
    capacity
        Transactions that fit into a step.
    others
        Transactions that everybody but keepers wants in a step in which prices stand still.
    activity
        Growth of that per unit of the largest absolute log return of a market asset over `window`, on the scenario's
        price path. [1]
    exponent
        Growth of the log price of gas per unit of the log of wanted over capacity. [1]
    """

    capacity: Positive = 600.0
    others: Annotated[float, Field(ge=0)] = 500.0
    activity: Annotated[float, Field(ge=0)] = 0.0
    window: Duration = Field(default="1h", validate_default=True)
    exponent: Positive = 1.0
