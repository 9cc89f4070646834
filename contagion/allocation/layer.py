"""What a waterfall layer is: one small class that says who bears how much of the deficits of a venue.

To add a layer write a subclass of :class:`Layer` anywhere, give it its parameters as fields and one method
``bear(case)``, and name it ``module:Class`` in a scenario's ``waterfall``. The waterfall moves the money, books
the rows and checks the amounts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contagion.allocation.lots import Lots
from contagion.allocation.shares import pro_rata
from contagion.errors import InputError

if TYPE_CHECKING:
    from contagion.allocation.candidates import PositionIndex
    from contagion.state.world import Venue, World


class Properties(NamedTuple):
    """What holds of a rule whatever the market; ``None`` where the question does not arise.

    Attributes
    ----------
    budget_balance : bool
        Nothing is left while its payers have something that the rule can take.
    no_over_collection : bool
        It never takes more than the deficit.
    monotone_in_profit : bool
        Of two accounts that differ in their profit only, the richer does not pay less.
    scale_invariant : bool
        All sums times a factor: payments times that factor.
    split_proof : bool
        Nobody pays less by holding its units and margin in several accounts.
    principal_untouched : bool
        Nobody pays more than its profit.
    """

    budget_balance: bool | None
    no_over_collection: bool | None
    monotone_in_profit: bool | None
    scale_invariant: bool | None
    split_proof: bool | None
    principal_untouched: bool | None


@dataclass(slots=True)
class Memory:
    """What one layer of one venue remembers of a run. USD."""

    borne: float = 0.0
    recent: deque = field(default_factory=deque)  # (step, paid)
    peaks: deque = field(default_factory=deque)  # (step, balance), falling
    by_root: dict[int, float] = field(default_factory=dict)  # paid for a deficit
    by_market: dict[int, float] = field(default_factory=dict)  # paid for an instrument
    by_agent: dict[int, float] = field(default_factory=dict)  # paid by an agent
    opening: np.ndarray | None = None  # by account, when the interval began [settlement asset]
    latest: np.ndarray | None = None  # by account, at the last look [settlement asset]
    step: int = -1
    due: int = -1  # step

    def paid_within(self, step: int, steps: int) -> float:
        """What was paid in the last `steps` steps, this one included."""
        while self.recent and self.recent[0][0] <= step - steps:
            self.recent.popleft()
        return sum(amount for _, amount in self.recent)


@dataclass(slots=True)
class Case:
    """The deficits of one venue that a layer is asked to bear, as left by the layers before it."""

    world: World
    venue: Venue
    roots: np.ndarray  # deficit ids, in the order of the keys of their accounts
    open: np.ndarray  # what is left of each [USD]
    lots: list[Lots]  # units on the takeover accounts, by instrument name
    index: PositionIndex
    previous_marks: np.ndarray  # by instrument, of the round before [settlement asset per unit]
    memory: Memory = field(default_factory=Memory)  # of the layer that is asked
    markets: dict[int, dict[int, float]] = field(default_factory=dict)  # deficit id -> share of it by instrument

    @property
    def need(self) -> float:
        """Sum of what is left. [USD]"""
        return float(self.open.sum())

    @property
    def borne(self) -> float:
        """What the layer that is asked has borne in this run so far. [USD]"""
        return self.memory.borne

    def steps(self, duration: pd.Timedelta) -> int:
        """A duration in steps of the run, at least one."""
        return steps_of(self.world, duration)

    def open_of(self, deficits: np.ndarray) -> np.ndarray:
        """What is left of the deficits with these ids, 0 for -1 and for others. [USD]"""
        return np.append(self.open, 0.0)[self.rows_of(deficits)]

    def rows_of(self, deficits: np.ndarray) -> np.ndarray:
        """Where the deficits with these ids stand in `roots`, -1 for -1 and for others."""
        rows = {root: row for row, root in enumerate(self.roots.tolist())}
        return np.array([rows.get(deficit, -1) for deficit in deficits.tolist()], dtype=np.int64)


@dataclass(slots=True)
class Payment:
    """Money for the deficits. Payers are accounts at the venue, or agents, or (neither given) the venue itself.

    Attributes
    ----------
    amounts : ndarray of shape (n,)
        What each pays, together not above the need. [USD]
    limits : ndarray of shape (n,)
        The most that the rule lets each pay. [USD]
    capacity : float
        The most that the layer can bear now; default: the sum of the limits. [USD]
    deficits : ndarray of shape (n,)
        Deficit id each amount is for; default: all open ones pro rata to what is left of them.
    """

    amounts: np.ndarray
    limits: np.ndarray
    accounts: np.ndarray | None = None
    agents: np.ndarray | None = None
    capacity: float | None = None
    deficits: np.ndarray | None = None
    contributions: bool = False  # agents pay with their part of the default fund
    claims_first: bool = False  # agents pay with claims on the venue before they pay in cash
    diluted: bool = False  # agents have paid already: what they hold is worth less

    def __post_init__(self) -> None:
        if self.capacity is None:
            self.capacity = float(np.sum(self.limits))


@dataclass(slots=True)
class Transfer:
    """Taken-over units of one instrument pass to position holders at one price.

    Attributes
    ----------
    lots : Lots
        Where the units come from.
    chosen : ndarray of shape (n_chosen,)
        Rows of `lots`, all of one side; each gives the same share of its units.
    prices : ndarray of shape (n_chosen,)
        The rule's price for each lot; holders trade at their average weighted by units. [settlement asset]
    positions, units : ndarray of shape (n,)
        Rows of Positions that receive, and the signed units each receives.
    available : float
        Units of all candidates the rule accepts, without sign.
    """

    lots: Lots
    chosen: np.ndarray
    prices: np.ndarray
    positions: np.ndarray
    units: np.ndarray
    available: float = field(default=np.inf)

    @property
    def price(self) -> float:
        """Average price. [settlement asset per unit]"""
        return float(np.average(self.prices, weights=np.abs(self.lots.units[self.chosen])))


def steps_of(world: World, duration: pd.Timedelta) -> int:
    """A duration in steps of the run, at least one."""
    return max(1, round(duration.total_seconds() / (world.dt_years * 365.0 * 86_400.0)))


def last_step(world: World) -> bool:
    """Whether the run ends with this step: then everything is recognised."""
    return world.scenario is not None and world.step >= world.scenario.steps


class Layer(BaseModel):
    """Base of every layer: frozen parameters, and who bears what.

    Parameters
    ----------
    recognition : {"now", "close"}
        When the layer acts: in the round in which a deficit arises, or at a close (and at the end of the run). In
        between the deficit is carried by the venue, layers behind wait too, and customers can withdraw.
    close_every : int
        Steps from close to close, with ``recognition: close`` only; a layer that knows its closes itself has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    has: ClassVar[Properties | None] = None
    watches: ClassVar[bool] = False  # :meth:`watch` is called every round
    by_market: ClassVar[bool] = False  # it asks which markets a deficit came from

    recognition: Literal["now", "close"] = "now"
    close_every: Annotated[int, Field(ge=1)] = 1  # steps

    @model_validator(mode="after")
    def _closes(self) -> Layer:
        given, own = "close_every" in self.model_fields_set, type(self).due is not Layer.due
        if given and own:
            raise InputError("close_every", self.close_every, "nothing: the layer acts at closes of its own")
        if given and self.recognition == "now":
            raise InputError("close_every", self.close_every, "nothing, or recognition: close beside it")
        if self.recognition == "close" and self.close_every == 1 and not own:
            raise InputError("close_every", 1, "at least 2 steps: a close at every step is recognition: now")
        return self

    def due(self, case: Case) -> bool:
        """Whether the layer acts now; until then the deficit is carried, and layers behind it wait."""
        return self.recognition == "now" or case.world.step % self.close_every == 0 or last_step(case.world)

    def begin(self, world: World, venue: Venue, memory: Memory) -> None:
        """Look at the opening of a run."""

    def watch(self, world: World, venue: Venue, memory: Memory) -> None:
        """Look at the state before deficits are allocated (only where `watches`)."""

    @property
    def properties(self) -> Properties | None:
        """Which properties the rule has with these parameters."""
        return self.has

    def bear(self, case: Case) -> Iterator[Payment | Transfer]:
        """Yield what this layer bears. Each item is carried out before the next is asked for; `case` then shows it."""
        raise NotImplementedError


__all__ = ["Case", "Layer", "Memory", "Payment", "Properties", "Transfer", "pro_rata"]
