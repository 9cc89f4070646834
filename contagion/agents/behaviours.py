"""Archetypes of traders: each class owns the parameters of one way to behave.

A class of your own joins by being named ``module:Class`` in a scenario. Derive it from :class:`Behaviour` and give it
either ``decide(self, observation)``, called for each agent, or ``rule``, a compiled scalar function of
(:class:`~contagion.agents.rules.Seen`, parameter vector) looped over the rows. ``trader_class`` names a subclass of
:class:`~contagion.agents.views.Trader` whose own ``decide`` is called instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from contagion.agents import rules
from contagion.agents.rules import Seen

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=0)]


class Market(NamedTuple):
    """One position of an observing trader."""

    position: int  # row of Positions: what an intent refers to
    instrument: str  # venue:asset
    prices: np.ndarray  # index prices, oldest first, the last is now; read-only [USD]
    seen: Seen


@dataclass(frozen=True, slots=True)
class Observation:
    """What phase 2 let one trader see; nothing in it can be changed."""

    step: int
    cash: float  # wallet [USD]
    markets: tuple[Market, ...]


class Intent(NamedTuple):
    """An order: the signed change of units wanted in one position."""

    position: int
    units: float


class Behaviour(BaseModel):
    """What all archetypes share.

    Parameters
    ----------
    entry_spread
        Standard deviation of the log of opening entry prices around the opening price. [1]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    entry_spread: NotNegative = 0.0

    code: ClassVar[int] = rules.NOTHING
    rule: ClassVar[Any] = None
    trader_class: ClassVar[type | None] = None

    def vector(self) -> np.ndarray:
        """Parameters as the compiled rule takes them, float64."""
        return np.zeros(rules.PARAMETERS)

    def decide(self, observation: Observation) -> list[Intent]:
        """Orders of one agent: its rule on each of its positions."""
        rule, parameters = type(self).rule, self.vector()
        if rule is None:
            return []
        wanted = ((market.position, rule(market.seen, parameters)) for market in observation.markets)
        return [Intent(position, units) for position, units in wanted if units != 0.0]


def _vector(*values: float) -> np.ndarray:
    vector = np.zeros(rules.PARAMETERS)
    vector[: len(values)] = values
    return vector


class Directional(Behaviour):
    """Bets on the direction of the index: with the last move (momentum) or against it (contrarian).

    Parameters
    ----------
    lookback
        Steps over which the move is measured.
    threshold
        Smallest move acted on. [1]
    speed
        Share of the gap to the target traded per step. [1]
    target_leverage
        Exposure over equity per position aimed at; none: the trader's own at the start. [1]
    max_leverage
        Bound of the target. [1]
    """

    style: Literal["momentum", "contrarian"] = "momentum"
    lookback: Annotated[int, Field(ge=1)] = 15
    threshold: NotNegative = 0.01
    speed: Share = 0.1
    target_leverage: Positive | None = None
    max_leverage: Positive = 20.0

    code: ClassVar[int] = rules.DIRECTIONAL
    rule: ClassVar[Any] = rules.directional

    def vector(self) -> np.ndarray:
        style = 1.0 if self.style == "momentum" else -1.0
        return _vector(style, self.threshold, self.speed, self.target_leverage or 0.0, self.max_leverage)


class Hedger(Behaviour):
    """Short contracts against spot in hand; trades the basis and rebuilds a hedge that was taken from it.

    Parameters
    ----------
    threshold
        Basis beyond which it trades. [log]
    aggressiveness
        Flow per step, USD per USD of equity and unit of basis beyond the threshold. [1]
    band
        Open exposure tolerated, as a share of the larger leg. [1]
    speed
        Share of the open exposure closed per step, over all legs. [1]
    """

    threshold: NotNegative = 0.005
    aggressiveness: NotNegative = 5.0
    band: NotNegative = 0.05
    speed: Share = 1.0

    code: ClassVar[int] = rules.HEDGER
    rule: ClassVar[Any] = rules.hedger

    def vector(self) -> np.ndarray:
        return _vector(self.threshold, self.aggressiveness, self.band, self.speed)


class Rebalancer(Behaviour):
    """Holds a leverage within a drift band.

    Parameters
    ----------
    target_leverage
        Exposure over equity per position; none: the trader's own at the start. [1]
    band
        Relative drift tolerated. [1]
    speed
        Share of the gap traded per step. [1]
    """

    target_leverage: Positive | None = None
    max_leverage: Positive = 20.0
    band: NotNegative = 0.1
    speed: Share = 0.5

    code: ClassVar[int] = rules.REBALANCER
    rule: ClassVar[Any] = rules.rebalancer

    def vector(self) -> np.ndarray:
        return _vector(self.band, self.speed, self.target_leverage or 0.0, self.max_leverage)


class LeveragedFund(Behaviour):
    """A fund under a value-at-risk limit with positions on several venues.

    Parameters
    ----------
    lookback
        Steps over which volatility is measured.
    band, speed, max_leverage
        As for a rebalancer.
    """

    lookback: Annotated[int, Field(ge=2)] = 60
    band: NotNegative = 0.1
    speed: Share = 0.2
    max_leverage: Positive = 20.0

    code: ClassVar[int] = rules.FUND
    rule: ClassVar[Any] = rules.fund

    def vector(self) -> np.ndarray:
        return _vector(self.band, self.speed, self.max_leverage)


class MarketMaker(Behaviour):
    """Quotes both sides of its contracts: depth = base * capital factor / (1 + stress * excess volatility).

    Parameters
    ----------
    depth
        Quoted in calm with full capital, per contract, for a 1% move; none: a share of the capital. [USD]
    inventory_limit
        Greatest notional of a contract as a multiple of capital. [1]
    stress
        How strongly depth falls with volatility above normal: k in 1 / (1 + k (realised / normal - 1)+). [1]
    lookback
        Steps over which volatility is measured.
    recovery
        Share of the gap to a greater target depth that comes back per step; depth falls at once. [1]
    retreat
        Share of its depth withdrawn on every venue once it was deleveraged or cut. [1]
    retreat_for
        Steps it stays away.
    """

    depth: Positive | None = None
    inventory_limit: Positive = 3.0
    stress: NotNegative = 1.0
    lookback: Annotated[int, Field(ge=2)] = 30
    recovery: Share = 0.1
    retreat: Share = 0.5
    retreat_for: Annotated[int, Field(ge=1)] = 60


class Keeper(Behaviour):
    """Closes unsafe loans when it pays.

    Parameters
    ----------
    gas
        Cost of one liquidation. [USD]
    minimum_profit
        Least gain after gas it acts for. [USD]
    latency
        Steps it reacts after.
    per_step
        Liquidations it can do in a step.
    spot_depth
        Market it sells seized collateral in, for a 1% move; none: the greatest depth quoted. [USD]
    overbid
        What it offers for gas above the price of the step before, where the chain is congested. [1]
    gas_limit
        Most it offers, over the calm price. [1]
    opening_bid
        First bid at an auction over what the lot is worth to it; 0: it tries to get it for nothing. [1]
    raises
        Share of the gap between a rival's bid and that worth which its own bid closes; 0: it never outbids. [1]
    """

    gas: NotNegative = 10.0
    minimum_profit: NotNegative = 0.0
    latency: Steps = 0
    per_step: Annotated[int, Field(ge=1)] = 50
    spot_depth: Positive | None = None
    overbid: NotNegative = 0.1
    gas_limit: Positive = 1e9
    opening_bid: Share = 1.0
    raises: Share = 0.5


class Depositor(Behaviour):
    """Holds claims and withdraws on fear of loss.

    Parameters
    ----------
    tolerance
        Loss per unit of claim that makes it leave. [1]
    utilisation
        Utilisation of a pool above which it leaves while it can. [1]
    rumour
        Share of its neighbours in the graph whose leaving makes it leave. [1]
    fraction
        Share of its claim asked back when it leaves. [1]
    delay
        Steps between deciding and asking.
    """

    tolerance: NotNegative = 0.01
    utilisation: Share = 0.95
    rumour: Share = 0.5
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    delay: Steps = 0


class Borrower(Behaviour):
    """Borrows against collateral and repays from its wallet when its health gets uncomfortable.

    Parameters
    ----------
    collateral
        Weights of the collateral assets in value; empty: equally what the pool accepts.
    ltv
        Debt over collateral at the start; none: from the group's leverage. [1]
    comfort
        Health factor below which it acts, and to which it returns. [1]
    answers_with
        What it then brings: a repayment, or more of its largest collateral, in hand or bought at the market.
    """

    collateral: dict[str, Positive] = {}
    ltv: Annotated[float, Field(gt=0, lt=1)] | None = None
    comfort: Positive = 1.1
    answers_with: Literal["repayment", "collateral"] = "repayment"


class Passive(Behaviour):
    """Holds what it has."""
