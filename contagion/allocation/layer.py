"""What a waterfall layer is: one small class that says who bears how much of the deficits of a venue.

To add a layer write a subclass of :class:`Layer` anywhere, give it its parameters as fields and one method
``bear(case)``, and name it ``module:Class`` in a scenario's ``waterfall``. The waterfall moves the money, books
the rows and checks the amounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from contagion.allocation.lots import Lots

if TYPE_CHECKING:
    from contagion.allocation.candidates import PositionIndex
    from contagion.state.world import Venue, World


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
    borne: float = 0.0  # what the layer that is asked has borne in this run so far [USD]

    @property
    def need(self) -> float:
        """Sum of what is left. [USD]"""
        return float(self.open.sum())

    def open_of(self, deficits: np.ndarray) -> np.ndarray:
        """What is left of the deficits with these ids, 0 for -1 and for others. [USD]"""
        left = dict(zip(self.roots.tolist(), self.open.tolist(), strict=True))
        return np.array([left.get(int(deficit), 0.0) for deficit in deficits])


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


class Layer(BaseModel):
    """Base of every layer: frozen parameters, and who bears what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def bear(self, case: Case) -> Iterator[Payment | Transfer]:
        """Yield what this layer bears. Each item is carried out before the next is asked for; `case` then shows it."""
        raise NotImplementedError


def pro_rata(limits: np.ndarray, want: float) -> np.ndarray:
    """Share `want` over payers in proportion to `limits`, nobody above its own. [USD]

    The common rate is ``min(1, want / sum of limits)``: the variation-margin gains haircut when the limits are gains
    (ISDA 2013, "CCP Loss Allocation at the End of the Waterfall"), dynamic profit equalisation when they are profits.
    """
    total = float(limits.sum())
    return limits * min(1.0, max(0.0, want) / total) if total > 0 else np.zeros_like(limits)
