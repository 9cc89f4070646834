"""What a scenario says of a group of traders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Money, Positive, Share, Strict
from contagion.scenario.rules import RuleSpec


class Transfer(Strict):
    """How a group's money reaches venues that are on another chain, or behind a bank."""

    steps: Annotated[int, Field(ge=0)] = 0  # from sending to arrival
    failure: Share = 0.0  # probability that it does not arrive
    returns: Annotated[int, Field(ge=0)] = 24  # steps after which failed money can be used again


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
    transfer: Transfer = Transfer()  # of what answers a margin call or repays a loan
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
