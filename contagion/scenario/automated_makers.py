"""What a scenario says of an automated market maker: a pool of coins that quotes prices by a formula."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Money, Positive, Share, Strict
from contagion.scenario.issuers import Issuer
from contagion.scenario.oracle import Oracle


class PoolArbitrage(Strict):
    """Trades of others towards the outside price, up to the band that the fee leaves."""

    speed: Share = 1.0  # share of the trade to the band done per step
    capacity: Money | None = None  # USD per step and coin, none = unlimited


class AutomatedMaker(Issuer):
    """Swaps coins at the price of a formula; its claim is a share of the pool.

    The coins are what it ``holds`` and, where deposits leave something over, USD. Prices are quoted in USD, or in the
    first coin where there is none.

    Parameters
    ----------
    curve
        ``oracle`` swaps at the prices of the pool's oracle, whatever the size.
    fee
        Share of a swap that stays in the pool. [1]
    amplification
        Of a stable swap: the A of Curve's contracts, which multiply it by the number of coins. [1]
    prices
        Claims that have no other market: what a sale gets here is their market value.
    takes_sales
        Keepers sell here the collateral that it pairs with USD.
    """

    kind: Literal["amm"] = "amm"
    redemption: Literal["halted"] = "halted"  # shares are not paid out in cash
    curve: Literal["constant_product", "stable_swap", "oracle"] = "constant_product"
    fee: Annotated[float, Field(ge=0, lt=1)] = 0.003
    amplification: Positive = 100.0
    prices: tuple[str, ...] = ()
    takes_sales: bool = True
    arbitrage: PoolArbitrage = PoolArbitrage()
    oracle: Oracle = Oracle()

    waterfall: ClassVar[tuple[Any, ...]] = ()

    @model_validator(mode="after")
    def _coins(self) -> AutomatedMaker:
        coins = ["USD"] * (self.deposits > sum(self.holds.values()) * (1.0 + 1e-12)) + list(self.holds)
        if min(self.holds.values(), default=0.0) <= 0.0:
            raise InputError("holds", dict(self.holds), "a reserve above 0 of each coin")
        if len(coins) < 2 or (self.curve == "constant_product" and len(coins) > 2):
            accepted = "two coins" if self.curve == "constant_product" else "two coins or more"
            raise InputError("holds", coins, f"{accepted}; what `deposits` leave over is USD")
        for name in self.prices:
            if name not in coins or name == coins[0]:
                raise InputError("prices", name, f"coins of the pool but {coins[0]}, in which prices are quoted")
        if self.prices and self.curve == "oracle":
            raise InputError("prices", list(self.prices), "none, where the pool itself reads prices from an oracle")
        return self
