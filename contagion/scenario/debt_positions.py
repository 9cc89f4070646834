"""What a scenario says of a protocol whose borrowers mint a stablecoin against collateral."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Duration, Fund, Money, Positive, Strict
from contagion.scenario.issuers import Exit
from contagion.scenario.lending import KinkedRate, LendingPool


class SurplusAuction(Strict):
    """Surplus above a buffer buys the protocol's token, which is destroyed (Maker: flap).

    Parameters
    ----------
    buffer
        Surplus that stays (hump). [USD]
    lot
        Sold at a time, once buffer and lot are there (bump). [USD]
    token
        A market asset.
    supply
        Its units outstanding before the first auction.
    """

    buffer: Money = 500_000.0
    lot: Positive = 10_000.0
    token: str
    supply: Positive


class CollateralisedDebt(LendingPool):
    """A lending pool whose liquidity is minted: what borrowers owe is the supply of its claim, a stablecoin.

    Its claim is a promise of one dollar that the protocol does not redeem: it trades on the market, where repaying
    borrowers and keepers who bid in auctions have to buy it. Fees and penalties go to the reserve as claims (the
    system surplus), deficits come out of it.

    Parameters
    ----------
    depth
        Notional of the stablecoin whose purchase moves its price by 1%; none: no impact. [USD]
    peg_half_life
        Time in which owners who mint above par, and buy back below it, close half of a gap to par.
    dust
        Least debt of a position. [USD]
    """

    par: ClassVar[float] = 1.0
    redeemable: ClassVar[bool] = False

    kind: Literal["collateralised_debt"] = "collateralised_debt"
    reserve: Fund = Fund()  # system surplus, held in the stablecoin
    rate: KinkedRate = KinkedRate(slope1=0.0, slope2=0.0, reserve_factor=1.0)  # `base` is the stability fee
    depth: Positive | None = None
    peg_half_life: Annotated[Duration, Field(validate_default=True)] = "12h"  # type: ignore[assignment]
    dust: Money = 0.0
    surplus_auction: SurplusAuction | None = None

    @model_validator(mode="after")
    def _minted(self) -> CollateralisedDebt:
        if self.supplied:
            raise InputError("supplied", self.supplied, "0: its claim is minted by borrowers, not supplied")
        if self.exit != Exit():
            raise InputError("exit", "set", "nothing: its claim is traded, not redeemed")
        rate = self.rate
        if rate.slope1 or rate.slope2 or rate.reserve_factor != 1.0:
            given = {"slope1": rate.slope1, "slope2": rate.slope2, "reserve_factor": rate.reserve_factor}
            raise InputError("rate", given, "slopes of 0 and a reserve_factor of 1: the stability fee is `base` alone")
        return self
