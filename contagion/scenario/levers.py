"""What a regulator or a risk desk can set: limits, buffers, halts and capital, each a field of a scenario."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contagion.scenario.fields import Money, Positive, Share, Strict


class Limits(Strict):
    """How much a customer of an exchange may hold; makers, backstops and the venue itself are exempt from the sizes.

    Orders are cut to what the limits leave. Positions that open above one are scaled down to it at the mark, so their
    owners keep their money and trade less, or are an error.
    """

    leverage: Annotated[float, Field(ge=1)] | None = None  # notional over equity; initial rates are at least 1 over it
    position: Money | None = None  # notional per account and contract [USD]
    concentration: Annotated[float, Field(gt=0, le=1)] | None = None  # share of a contract's open interest per account
    above: Literal["scale", "error"] = "scale"


class Countercyclical(Strict):
    """Margin that does not fall to what calm markets ask for.

    Rates are the contract's times ``1 + buffer``, and at least `floor`. Under a margin rule that follows realised risk
    the buffer is used up first: rates rise only once that risk asks for more than the buffered ones (EMIR RTS 153/2013
    Art 28, options a and c).
    """

    buffer: Annotated[float, Field(ge=0)] = 0.0
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0  # maintenance rate; initial rates keep their ratio to it


class CircuitBreaker(Strict):
    """A venue stops trading, liquidating and paying out when a contract moved too much.

    After the halt the window starts anew at the price it reopens with.
    """

    move: Annotated[float, Field(gt=0)]  # of the mark against any mark of the window, as a share of that one
    window: Annotated[int, Field(ge=1)] = 5  # steps
    halt: Annotated[int, Field(ge=1)] = 5  # steps, the one of the move included


class RiskWeights(Strict):
    """Capital that a lender must have against what it lent, and haircuts on collateral.

    A lender's loans are cut at the opening, all by one share, until ``ratio`` times their weighted sum is no more than
    its net worth; what is not lent stays with the lender. Terms of a collateral asset are divided by its weight.
    """

    ratio: Share = 0.0  # capital over risk-weighted exposure; 0: no requirement
    counterparty: dict[str, Money] = {}  # borrower -> weight, 1 for those not named
    collateral: dict[str, Positive] = {}  # asset -> weight, 1 for those not named
