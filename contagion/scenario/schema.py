"""What a scenario says: frozen pydantic models in which an unknown key is an error.

Money is USD, ratios are decimals, times are anything pandas reads as a Timedelta, rates are per year unless named.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from contagion.errors import InputError
from contagion.scenario.automated_makers import AutomatedMaker
from contagion.scenario.chain import Chain
from contagion.scenario.curated_vaults import CuratedVault
from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.scenario.fields import Disclosed, Duration, Positive, Real, Share, Strict
from contagion.scenario.issuers import AnyIssuer
from contagion.scenario.lending import LendingPool
from contagion.scenario.levers import RiskWeights
from contagion.scenario.members import Traders
from contagion.scenario.rules import RuleSpec, spec_of
from contagion.scenario.rumours import Rumours
from contagion.scenario.safety_pools import SafetyPool
from contagion.scenario.venues import Exchange

AnyProtocol = Annotated[
    LendingPool | CollateralisedDebt | AutomatedMaker | CuratedVault | SafetyPool | AnyIssuer,
    Field(discriminator="kind"),
]


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
        "volatility_jump", "pool_push", "rescue", "slashing", "withdrawal",
    ]
    asset: str | None = None
    target: str | None = None  # venue, protocol or agent
    # relative move, share of depth, USD stolen, paid in or asked back, share slashed, factor of volatility
    size: Real = 0.0
    lasts: Annotated[int, Field(ge=0)] = 0  # steps; 0 = until the end, or at once


class Loan(Strict):
    """Uncollateralised credit between two agents.

    Parameters
    ----------
    due
        Step.
    term
        Steps by which the lender extends it each time it falls due and nothing wrong is seen; none: it is to be paid.
    notice
        Steps after which a called loan is due. The lender calls when it sees something wrong, or needs the money to
        pay those who have money with it; none: it cannot.
    tolerance
        Loss per dollar lent that the lender has to see. [1]
    disclosure
        What the borrower shows this lender. Of a default everybody knows.
    """

    lender: str
    borrower: str
    amount: Positive
    due: Annotated[int, Field(ge=0)]
    term: Annotated[int, Field(ge=1)] | None = None
    notice: Annotated[int, Field(ge=1)] | None = None
    tolerance: Share = 0.01
    disclosure: Disclosed = "accounts"


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
    protocols: dict[str, AnyProtocol] = {}
    traders: tuple[Traders, ...] = ()
    chain: Chain | None = None  # none: gas costs what keepers say, and every transaction gets in
    credit: Credit = Credit()
    rumours: Rumours = Rumours()
    network: Annotated[RuleSpec, BeforeValidator(spec_of("reader"))] | None = None  # what reads protocols from files
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
