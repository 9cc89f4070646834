"""How much margin a venue asks for: a rule by name, each a small class that owns its parameters.

A rule says at the opening what the contract's tiers and add-ons are (:meth:`Margin.terms`); what of them moves in a
run (with open interest, funding, realised volatility, or a scan at every mark) is kept up by
:class:`contagion.margin.requirements.Requirements`. Maintenance of a position is
``N (rate + slope |u| + add-on of the side) - c``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Tier = tuple[float, float, float]  # floor [settlement asset], maintenance rate, initial rate


class AddOn(NamedTuple):
    """What comes on top of a contract's tiers."""

    maintenance_slope: float = 0.0  # maintenance rate per unit of size [1 / unit]
    initial_slope: float = 0.0  # initial rate per unit of size [1 / unit]
    long: float = 0.0  # maintenance rate on top for a long; initial margin rises in proportion [1]
    short: float = 0.0  # the same for a short [1]


def next_deduction(previous: float, floor: float, rate: float, previous_rate: float) -> float:
    """Deduction of a tier, which keeps maintenance continuous at its floor: ``c + floor (r - r_previous)``."""
    return previous + floor * (rate - previous_rate)


def deductions(floors: list[float], rates: list[float]) -> list[float]:
    """Deductions c_k of ``MM(N) = N r_k - c_k`` (Binance "cum", Hyperliquid "maintenance deduction")."""
    found, carried, before = [], 0.0, rates[0]
    for floor, rate in zip(floors, rates, strict=True):
        carried = next_deduction(carried, floor, rate, before)
        before = rate
        found.append(carried)
    return found


def open_interest_initial(base: float, lower: float, upper: float, open_interest: float) -> float:
    """Initial margin rate that rises with open interest: ``min(base + max(0, (OI - lower) / (upper - lower)) (1 -
    base), 1)`` (dYdX v4, ``x/perpetuals/types/liquidity_tier.go``); without caps (upper not above lower) the base."""
    if upper <= lower or open_interest <= lower:
        return base
    return min(base + (open_interest - lower) / (upper - lower) * (1 - base), 1)


def funding_cap(multiple: float, initial: float, maintenance: float) -> float:
    """Greatest funding rate per interval, a multiple of initial less maintenance margin rate (dYdX: 6, 8 hours)."""
    return multiple * (initial - maintenance)


def volume_at_risk_margin(
    mark: float, volume_at_risk: float, slippage: float, position: float, orders: float, risk_factor: float
) -> float:
    """Maintenance ``mark (volume at risk * slippage + (position + open orders) * risk factor)`` (Vega 0019-MCAL)."""
    return mark * (volume_at_risk * slippage + (position + orders) * risk_factor)


def funding_add_on(maintenance: float, factor: float, units: float, payment: float) -> float:
    """Maintenance with the funding a position is about to pay: ``+ factor * max(0, units * payment per unit)``."""
    return maintenance + factor * max(0.0, units * payment)


class Margin(BaseModel):
    """Base of margin rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def terms(self, asset: str, tiers: list[Tier]) -> tuple[list[Tier], AddOn]:
        """Tiers and add-ons of a contract on `asset` at the opening, from those the contract states."""
        return tiers, AddOn()

    @property
    def warning(self) -> float | None:
        """Multiple of maintenance below which owners are called, where the rule sets it."""
        return None

    @property
    def release(self) -> float:
        """Multiple of initial margin that a withdrawal must leave."""
        return 1.0

    @property
    def scan(self) -> tuple[float, float, float, float]:
        """Rates of net delta, hedged delta and fee, and maintenance over initial, under portfolio margin; or zeros."""
        return 0.0, 0.0, 0.0, 0.0


class Tiers(Margin):
    """Rates by notional, as each contract states them, continuous in size."""


class SizeSloped(Margin):
    """Rates that grow linearly with a position's size: ``rate + slope |u|`` on top of each contract's base rates.

    Deribit: BTC 0.005% per coin, ETH 0.0004%, SOL 0.0005% (support.deribit.com 25944738177565).
    """

    slope: NotNegative | dict[str, NotNegative]  # per unit of the contract, by asset where they differ

    def terms(self, asset: str, tiers: list[Tier]) -> tuple[list[Tier], AddOn]:
        slope = self.slope.get(asset, 0.0) if isinstance(self.slope, Mapping) else self.slope
        return tiers, AddOn(slope, slope)


class OpenInterestScaled(Margin):
    """Initial margin rises with a contract's open interest between two caps; maintenance does not (dYdX v4)."""

    lower: NotNegative | dict[str, NotNegative]  # open interest from which it rises [USD]
    upper: NotNegative | dict[str, NotNegative]  # open interest at which everything is margined in full [USD]

    @model_validator(mode="after")
    def _ordered(self) -> OpenInterestScaled:
        assets = {asset for cap in (self.lower, self.upper) if isinstance(cap, Mapping) for asset in cap} or {""}
        for asset in sorted(assets):
            low, high = self.caps(asset)
            if high <= low and (low, high) != (0.0, 0.0):
                name = f" of {asset}" if asset else ""
                raise ValueError(f"upper{name} must exceed lower, or both be 0 (not scaled); got {high:g} and {low:g}")
        return self

    def caps(self, asset: str) -> tuple[float, float]:
        """Lower and upper cap of an asset, (0, 0) where it is not scaled. [USD]"""
        low, high = (
            cap.get(asset, 0.0) if isinstance(cap, Mapping) else cap for cap in (self.lower, self.upper)
        )
        return float(low), float(high)


class VolumeAtRisk(Margin):
    """Slippage of closing the position plus a risk factor by side; the contracts' own tiers are not used (Vega).

    Owners are called below the search level, orders are limited by the initial level, and withdrawals leave the
    release level. Funding about to be paid is added (specs 0019-MCAL, 0053-PERP).
    """

    slippage: NotNegative = 0.25  # of notional, linear slippage factor
    risk_factor_long: NotNegative = 0.1
    risk_factor_short: NotNegative = 0.1
    search: Annotated[float, Field(ge=1)] = 1.1  # multiples of maintenance
    initial: Annotated[float, Field(ge=1)] = 1.2
    release_level: Annotated[float, Field(ge=1)] = 1.3
    funding_factor: Share = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> VolumeAtRisk:
        if not self.search <= self.initial <= self.release_level:
            raise ValueError("search must not exceed initial, nor initial release_level")
        return self

    def terms(self, asset: str, tiers: list[Tier]) -> tuple[list[Tier], AddOn]:
        long, short = (
            volume_at_risk_margin(1.0, 1.0, self.slippage, 1.0, 0.0, factor)
            for factor in (self.risk_factor_long, self.risk_factor_short)
        )
        rate = min(long, short)
        return [(0.0, rate, self.initial * rate)], AddOn(0.0, 0.0, long - rate, short - rate)

    @property
    def warning(self) -> float | None:
        return self.search

    @property
    def release(self) -> float:
        return self.release_level / self.initial


def _paradex_scenarios() -> tuple[tuple[float, float, float], ...]:
    near = tuple(
        (sign * move, volatility, 1.0)
        for move in (0.04, 0.08, 0.12, 0.16) for sign in (1.0, -1.0) for volatility in (0.40, -0.22)
    )  # fmt: skip
    far = (
        (-0.66, 0.24), (-0.33, 0.48), (0.5, 0.32), (1.0, 0.16), (2.0, 0.08), (3.0, 0.0533), (4.0, 0.04), (5.0, 0.032),
    )  # fmt: skip
    return near + tuple((move, 0.0, weight) for move, weight in far)


class Portfolio(Margin):
    """Worst of weighted scenarios of spot and implied volatility over all positions of an account, with a floor.

    Defaults are Paradex's 24 scenarios (docs.paradex.trade/risk/portfolio-margin). The contracts' tiers are not used.
    """

    scenarios: tuple[tuple[Annotated[float, Field(gt=-1)], float, Share], ...] = Field(
        default_factory=_paradex_scenarios, min_length=1
    )  # relative move of spot, relative move of volatility, weight of the loss
    net_delta_rate: Share = 0.02
    hedged_delta_rate: Share = 0.01
    fee: Share = 0.0003  # taker fee on the notional of all positions
    maintenance: Annotated[float, Field(gt=0, le=1)] = 0.5  # share of initial margin
    exponents: tuple[NotNegative, NotNegative] = (0.30, 0.13)  # of volatility shocks, below and from 30 days on

    def terms(self, asset: str, tiers: list[Tier]) -> tuple[list[Tier], AddOn]:
        # What an account without other positions needs in the scenarios whose loss is greatest: an upper bound that
        # sizes positions at the opening.
        move = max(abs(spot) * weight for spot, _, weight in self.scenarios)
        initial = min(1.0, max(move, self.net_delta_rate) + self.fee)
        return [(0.0, self.maintenance * initial, initial)], AddOn()

    @property
    def scan(self) -> tuple[float, float, float, float]:
        return self.net_delta_rate, self.hedged_delta_rate, self.fee, self.maintenance


class Dynamic(Margin):
    """Tiers whose rates follow realised risk: procyclical by design.

    The multiplier of all rates moves each step by `speed` of the gap to ``measure / reference``, kept within `floor`
    and `cap`. Measures over the last `window` steps of the index: annualised volatility, or the historical value at
    risk or expected shortfall of absolute log returns at `confidence`, over one step.
    """

    measure: Literal["volatility", "value_at_risk", "expected_shortfall"] = "volatility"
    reference: Annotated[float, Field(gt=0)] | None = None  # measure at a multiplier of 1; none: a normal asset's calm
    window: Annotated[int, Field(ge=2)] = 60  # steps
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.99
    floor: Annotated[float, Field(gt=0, le=1)] = 1.0
    cap: Annotated[float, Field(ge=1)] = 3.0
    speed: Annotated[float, Field(gt=0, le=1)] = 1.0
