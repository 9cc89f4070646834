"""What a scenario says: frozen pydantic models in which an unknown key is an error.

Money is USD, ratios are decimals, times are anything pandas reads as a Timedelta, rates are per year unless named.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Duration, Money, Positive, Real, Share, Strict
from contagion.scenario.levers import CircuitBreaker, Countercyclical, Limits, RiskWeights
from contagion.scenario.rules import RuleSpec, spec_of


class Asset(Strict):
    """A market asset."""

    price: Positive = 1.0
    volatility: Annotated[float, Field(ge=0)] = 0.6  # annualised
    implied_volatility: Annotated[float, Field(ge=0)] | None = None  # flat, of its options; none: `volatility`


class Shock(Strict):
    """Something that happens to the world at a step, whatever the agents do."""

    at: Annotated[int, Field(ge=0)]  # step
    kind: Literal[
        "price_gap", "depeg", "oracle_freeze", "oracle_manipulation", "theft", "depth_withdrawal", "halt", "default",
        "volatility_jump",
    ]
    asset: str | None = None
    target: str | None = None  # venue, protocol or agent
    size: Real = 0.0  # relative move, share of depth, USD stolen, factor of volatility
    lasts: Annotated[int, Field(ge=0)] = 0  # steps; 0 = until the end, or at once


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
    takeover_below: Annotated[float, Field(ge=0)] = 0.0  # taken over when equity < this share of maintenance
    disposal: Disposal = Disposal()
    fee: Annotated[float, Field(ge=0, lt=1)] = 0.005  # from the owner, to the fund
    fee_base: Literal["notional", "maintenance"] = "notional"  # what of the closed part the fee is a share of
    fee_within_margin: Share | None = None  # share of the margin left beside shortage and discount the fee may take
    surplus_to: Literal["owner", "fund", "owner_after_fee", "fund_up_to_fee"] = "owner_after_fee"
    liquidators: LiquidatorTerms | None = None  # none: orders go to the market


class Fund(Strict):
    """Ring-fenced money of a venue or protocol."""

    size: Money = 0.0


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
    mark: Literal["book", "index"] = "book"
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


class Oracle(Strict):
    """What a protocol believes a price is: published late, and only when it moved enough or grew stale."""

    latency: Annotated[int, Field(ge=0)] = 0  # steps
    deviation: Annotated[float, Field(ge=0)] = 0.005  # relative move that triggers a publication
    heartbeat: Duration = Field(default="1h", validate_default=True)
    source: Literal["market", "redemption", "fixed"] = "market"  # of claims; market assets use the index
    noise: Annotated[float, Field(ge=0)] = 0.0  # standard deviation of the log error


class Collateral(Strict):
    """Terms of a collateral asset."""

    ltv: Share
    liquidation_threshold: Annotated[float, Field(gt=0, lt=1)]
    bonus: Annotated[float, Field(ge=0)] = 0.05
    oracle: Oracle | None = None  # none: the pool's

    @model_validator(mode="after")
    def _ordered(self) -> Collateral:
        if self.ltv > self.liquidation_threshold:
            raise ValueError("ltv must not exceed liquidation_threshold")
        return self


class KinkedRate(Strict):
    """Borrow rate by utilisation: base + slope1 U/U* up to the kink, then + slope2 (U-U*)/(1-U*). Per year."""

    base: Annotated[float, Field(ge=0)] = 0.0
    slope1: Annotated[float, Field(ge=0)] = 0.04
    slope2: Annotated[float, Field(ge=0)] = 0.75
    kink: Annotated[float, Field(gt=0, lt=1)] = 0.8
    reserve_factor: Share = 0.1


class LendingPool(Strict):
    """Suppliers fund borrowers against collateral in other assets; the claim is a share of the pool."""

    kind: Literal["lending_pool"] = "lending_pool"
    preset: str | None = None
    asset: str = "USD"  # what is lent
    collateral: dict[str, Collateral]
    supplied: Money = 0.0  # by holders outside the model [USD]
    reserve: Fund = Fund()
    oracle: Oracle = Oracle()
    close_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    full_close_health: Share = 0.95  # at or below it the whole debt may be repaid
    rate: KinkedRate = KinkedRate()
    recourse: Literal["account"] = "account"
    waterfall: tuple[Annotated[RuleSpec, BeforeValidator(spec_of("layer"))], ...] = Field(
        default=("reserve", "depositor_write_down"), validate_default=True
    )


class Vault(Strict):
    """Pools deposits into holdings of its own: other issuers' claims, assets, or the backstop of an exchange."""

    kind: Literal["vault"] = "vault"
    preset: str | None = None
    deposits: Money = 0.0  # by holders outside the model [USD]
    holds: dict[str, Money] = {}  # protocol or asset -> USD at the start, out of the deposits
    backs: str | None = None  # exchange at which it holds a margin account
    backstop_share: Share = 1.0  # share of its cash posted at that exchange
    redemption: Literal["open", "halted"] = "open"


class Traders(Strict):
    """A group of traders."""

    archetype: str  # built-in name or module:Class
    name: str | None = None  # default: the archetype, numbered when it repeats
    count: Annotated[int, Field(ge=1)] = 1
    venue: tuple[str, ...] = ()  # none: a passive trader without a size, or one that only `holds`, has no account
    venue_weights: dict[str, Positive] = {}  # of the notional by venue; empty: evenly
    holds: dict[str, Money] = {}  # claims of a member at the start: protocol -> USD, besides its capital
    assets: dict[str, Positive] = {}  # weights of the notional; empty: all contracts but options equally
    posts: dict[str, Share] = {}  # share of the opening margin posted in an asset the venue accepts
    margin: Literal["cross", "isolated"] = "cross"
    # notional per trader [USD]: {pareto: alpha, truncate: share, total|mean: USD}, {lognormal: [median, sigma]}
    # or {fixed: USD}
    size: dict[str, Any] = {}
    leverage: dict[str, Any] = {}  # {lognormal: [median, sigma]} | {fixed: x}
    long_share: Share = 0.5  # probability of being long
    capital: Money = 0.0  # per trader [USD]: cash of makers, keepers, depositors, funds
    wallet: Annotated[float, Field(ge=0)] = 0.0  # cash outside the venue as a multiple of posted margin
    answers: dict[Literal["top_up", "reduce", "ignore"], Share] = {"top_up": 0.3, "reduce": 0.3, "ignore": 0.4}
    delay: Annotated[int, Field(ge=0)] = 1  # steps between a margin call and its answer
    parameters: dict[str, Any] = {}  # of the archetype class

    @model_validator(mode="before")
    @classmethod
    def _one_venue(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("venue"), str):
            data = {**data, "venue": (data["venue"],)}
        return data

    @model_validator(mode="after")
    def _shares(self) -> Traders:
        total = sum(self.answers.values())
        if abs(total - 1.0) > 1e-9:
            raise InputError("answers", self.answers, f"answers must add up to 1, got {total:g}")
        if sum(self.posts.values()) > 1.0 + 1e-9:
            raise InputError("posts", self.posts, "shares that add up to at most 1")
        return self

    def rule(self) -> RuleSpec:
        """The archetype with its parameters."""
        return RuleSpec(kind="archetype", name=self.archetype, parameters=self.parameters)


class Loan(Strict):
    """Uncollateralised credit between two agents."""

    lender: str
    borrower: str
    amount: Positive
    due: Annotated[int, Field(ge=0)]  # step


class Credit(Strict):
    """Bilateral loans and how they are cleared when due."""

    loans: tuple[Loan, ...] = ()
    recovery_cash: Share = 1.0  # Rogers-Veraart alpha
    recovery_claims: Share = 1.0  # Rogers-Veraart beta
    risk_weights: RiskWeights = RiskWeights()


class Fact(Strict):
    """An observed fact of the event: an input of the scenario, or a check its outcome is set beside."""

    name: str
    value: Real
    unit: str
    role: Literal["input", "check"]
    source: str
    outcome: str | None = None  # outcome a check is compared with

    @model_validator(mode="after")
    def _outcome(self) -> Fact:
        if (self.role == "check") != (self.outcome is not None):
            raise ValueError("a check names the outcome it is compared with, an input names none")
        return self


class Scenario(Strict):
    """One world: assets, prices, shocks, venues, protocols, traders and credit."""

    name: str
    question: str = ""
    limits: str = ""  # what it does not capture
    dt: Duration = Field(default="1min", validate_default=True)
    steps: Annotated[int, Field(ge=1)] = 240
    feedback: Literal["none", "local", "full"] = "full"
    max_rounds: Annotated[int, Field(ge=1)] = 100
    assets: dict[str, Asset]
    prices: Annotated[RuleSpec, BeforeValidator(spec_of("process"))] = Field(default="gbm", validate_default=True)
    impact: Annotated[RuleSpec, BeforeValidator(spec_of("impact"))] = Field(
        default="square_root", validate_default=True
    )
    shocks: tuple[Shock, ...] = ()
    exchanges: dict[str, Exchange] = {}
    protocols: dict[str, Annotated[LendingPool | Vault, Field(discriminator="kind")]] = {}
    traders: tuple[Traders, ...] = ()
    credit: Credit = Credit()
    facts: tuple[Fact, ...] = ()

    @model_validator(mode="after")
    def _clock_and_facts(self) -> Scenario:
        if not self.dt.total_seconds() > 0.0:
            raise InputError("dt", str(self.dt), "a duration above 0 such as '1min'")
        names = [fact.name for fact in self.facts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"facts listed twice: {', '.join(twice)}")
        return self
