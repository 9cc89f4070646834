"""What a scenario says of an exchange: contracts, margin, liquidation, funds and waterfall."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Disclosed, Duration, Fund, Money, Positive, Real, Share, Strict
from contagion.scenario.issuers import Exit
from contagion.scenario.levers import CircuitBreaker, Countercyclical, Limits
from contagion.scenario.rules import RuleSpec, spec_of


class Tier(Strict):
    """Maintenance and initial margin from a notional upwards. [settlement asset, ratio, ratio]"""

    floor: Money = 0.0
    maintenance: Annotated[float, Field(ge=0, lt=1)]
    initial: Annotated[float, Field(gt=0, le=1)]


class Contract(Strict):
    """A perpetual contract on an asset, or a European option that is settled in cash when it expires."""

    kind: Literal["linear", "inverse", "option"] = "linear"
    settlement: str = "USD"  # inverse: always the underlying asset; option: always USD
    asset: str | None = None  # underlying of an option; of other contracts it is their name
    strike: Positive | None = None  # options only [USD]
    expiry: Annotated[int, Field(ge=1)] | None = None  # options only [step]
    right: Literal["call", "put"] | None = None  # options only
    tiers: tuple[Tier, ...] = (Tier(maintenance=0.005, initial=0.01),)

    @model_validator(mode="after")
    def _increasing(self) -> Contract:
        floors = [tier.floor for tier in self.tiers]
        rates = [tier.maintenance for tier in self.tiers]
        if not floors or floors[0] != 0:
            raise ValueError("tiers must start at floor 0")
        if any(b <= a for a, b in pairwise(floors)):
            raise ValueError(f"tier floors must increase, got {floors}")
        for kind, by_tier in (("maintenance", rates), ("initial", [tier.initial for tier in self.tiers])):
            if any(b < a for a, b in pairwise(by_tier)):
                raise ValueError(f"{kind} rates must not decrease, got {by_tier}")
        if any(tier.initial < tier.maintenance for tier in self.tiers):
            raise ValueError("initial margin must not be below maintenance margin")
        return self

    @model_validator(mode="after")
    def _option_or_not(self) -> Contract:
        given = {name: getattr(self, name) for name in ("asset", "strike", "expiry", "right")}
        if self.kind == "option":
            missing = [name for name, value in given.items() if value is None]
            if missing or self.settlement != "USD":
                raise ValueError(f"an option settled in USD with {', '.join(missing or given)}")
        elif any(value is not None for value in given.values()):
            raise ValueError("asset, strike, expiry and right are for kind: option")
        return self


class Disposal(Strict):
    """How a venue sells what it took over: each step a share of the position, or of the book if that is less."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of what is left of a position
    all_below: Money = 0.0  # notional that is sold at once [USD]
    of_book: Annotated[float, Field(gt=0, le=1)] | None = None  # of the notional the book can take


class Caps(Strict):
    """What may be closed of one account in one step (a step stands for a block)."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of a position
    least: Money = 0.0  # notional of a position that may be closed whatever the share [USD]
    notional: Positive | None = None  # of one account [USD]
    insurance: Positive | None = None  # expected loss beyond its equity of one account [USD]


class LiquidatorTerms(Strict):
    """Third parties take positions over at a discount to the mark, which grows while nobody does."""

    fee: Share = 0.01  # discount at first
    most: Share = 0.05  # its cap
    grace: Duration = Field(default="10min", validate_default=True)  # time without growth
    growth: Annotated[float, Field(ge=0)] = 0.009  # of the discount per hour

    @model_validator(mode="after")
    def _capped(self) -> LiquidatorTerms:
        if self.most < self.fee:
            raise ValueError(f"most, the cap of the discount, must not be below fee, got {self.most} and {self.fee}")
        return self


class Gradual(Strict):
    """Only part of the margin that is missing may be freed at first, the more the longer a breach lasts."""

    initial: Share = 0.1  # of the margin that was missing
    duration: Duration = Field(default="1min", validate_default=True)  # until all of it may be freed
    all_below: Money = 50.0  # missing margin that may be freed at once [USD]


class Liquidation(Strict):
    """How a venue closes breached accounts."""

    engine: Annotated[RuleSpec, BeforeValidator(spec_of("engine"))] = Field(default="full", validate_default=True)
    # worst price an order accepts: any; that of zero equity (an account as a whole is closed at it or not at all);
    # the same, the zero price or the fillable price, each filled as far as it goes
    limit: Literal[
        "market", "bankruptcy", "bankruptcy_or_cancel", "zero_or_cancel", "fillable_or_cancel"
    ] = "bankruptcy"  # fmt: skip
    latency: Annotated[int, Field(ge=0)] = 0  # steps between breach and order
    throughput: Annotated[int, Field(ge=1)] | None = None  # accounts per step
    order: Literal["arrival", "worst_first", "largest_first", "random"] = "arrival"  # who is first where that binds
    caps: Caps | None = None
    gradual: Gradual | None = None  # none: all that the engine wants at once
    takeovers: Annotated[int, Field(ge=1)] | None = None  # accounts taken over, and deleveraged, per step
    takeover_below: Annotated[float, Field(ge=0, le=1)] = 0.0  # taken over when equity < this share of maintenance
    disposal: Disposal = Disposal()
    fee: Annotated[float, Field(ge=0, lt=1)] = 0.005  # from the owner, to the fund
    fee_base: Literal["notional", "maintenance"] = "notional"  # what of the closed part the fee is a share of
    fee_within_margin: Share | None = None  # share of the margin left beside shortage and discount the fee may take
    surplus_to: Literal["owner", "fund", "owner_after_fee", "fund_up_to_fee"] = "owner_after_fee"
    liquidators: LiquidatorTerms | None = None  # none: orders go to the market
    # Posted coins that are sold before contracts are closed: all, or what frees the margin that is missing.
    collateral: Literal["all", "to_cover"] = "all"


class DefaultFundTerms(Strict):
    """A clearing house's default fund: paid in by its members pro rata to margin, sized by stress losses."""

    cover: Annotated[int, Field(ge=1)] = 2  # members whose losses beyond margin it must bear (EMIR: the two largest)
    stress: Annotated[float, Field(gt=0, lt=1)] = 0.2  # relative move of every price, up and down
    members: Annotated[int, Field(ge=1)] | None = None  # those with the most margin; none: every customer
    size: Money | None = None  # in place of cover and stress [USD]


class Arbitrage(Strict):
    """Closes part of the gap between a venue's price and the index each step, up to a capacity."""

    speed: Share = 0.2  # share of the gap closed per step without a limit
    capacity: Money | None = None  # USD of flow per step and contract, none = unlimited


class Funding(Strict):
    """Longs pay shorts the clamped basis per interval: clamp(interest + basis, +-cap)."""

    interval: Duration = Field(default="8h", validate_default=True)
    interest: Real = 0.0001  # per interval
    cap: Annotated[float, Field(ge=0)] = 0.0075  # per interval
    # In place of `cap`: this multiple of initial less maintenance margin rate of each contract (dYdX: 6).
    margin_multiple: Annotated[float, Field(ge=0)] | None = None


class PostedAsset(Strict):
    """Terms of an asset that customers may post as margin beside the settlement asset."""

    haircut: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of its price that does not count as margin


class Exchange(Strict):
    """A margin venue."""

    preset: str | None = None
    contracts: dict[str, Contract] = {}  # empty: a linear contract on every market asset
    collateral: dict[str, PostedAsset] = {}  # market assets accepted as margin in the USD book
    equity: Money = 0.0  # own capital; the waterfall layer `venue_equity` draws on it
    insurance_fund: Fund = Fund()
    default_fund: DefaultFundTerms | None = None  # layers default_fund, defaulter_fund and assessments draw on it
    reserve_ratio: Share = 1.0  # share of customers' cash held liquid
    lent_to: str | None = None  # agent that owes the rest of it
    exit: Exit = Exit()  # of customers, for free margin
    disclosure: Disclosed = "accounts"  # what customers are shown
    mark: Literal["book", "index", "median"] = "book"  # median: of index and its averaged gap, book, other books
    margin: Annotated[RuleSpec, BeforeValidator(spec_of("margin"))] = Field(default="tiers", validate_default=True)
    warning: Annotated[float, Field(ge=1)] = 1.5  # margin call below this multiple of maintenance
    liquidation: Liquidation = Liquidation()
    arbitrage: Arbitrage = Arbitrage()
    funding: Funding | None = None
    trading_limits: Limits = Limits()
    countercyclical: Countercyclical = Countercyclical()
    circuit_breaker: CircuitBreaker | None = None
    recourse: Literal["account", "full"] = "account"
    waterfall: tuple[Annotated[RuleSpec, BeforeValidator(spec_of("layer"))], ...] = Field(
        default=("insurance_fund", "venue_equity"), validate_default=True
    )
    # At resolution: customers' own money first, or everybody and every claim alike.
    custody: Literal["commingled", "segregated"] = "commingled"
    on_insolvency: Literal["operate", "halt", "resolve"] = "operate"
    resolution_delay: Annotated[int, Field(ge=0)] = 0  # steps

    @model_validator(mode="after")
    def _owed_in_money(self) -> Exchange:
        if self.exit.value != "payment" or self.exit.pays != "balance_sheet":
            field = "value" if self.exit.value != "payment" else "pays"
            raise InputError(f"exit.{field}", getattr(self.exit, field), "nothing: customers are owed money, not units")
        return self
