"""What the checks of an allocation keep until the end of a step, and how they stop a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from contagion.allocation.standing import settle_price
from contagion.errors import InvariantError
from contagion.state.world import World

RELATIVE = 1e-9


@dataclass(slots=True)
class Used:
    """One use of a layer. USD for money, units for positions."""

    case: int  # allocations of one venue in one pass share a number
    venue: int
    round: int
    place: int  # of the layer in the waterfall
    taken: float
    spare: float  # what it could have taken more, of what was asked
    scale: float


@dataclass(slots=True)
class Evidence:
    """What the checks at the end of a step need; emptied when a step opens."""

    step: int = -1
    case: int = 0
    used: list[Used] = field(default_factory=list)
    by_lots: dict[int, float] = field(default_factory=dict)  # deficit id -> loss of its lots at bankruptcy price [USD]
    carried: dict[int, float] = field(default_factory=dict)  # deficit id -> borne in earlier steps [USD]
    gross: float = 0.0  # value that passed through the waterfalls in this step [USD]

    def open_step(self, step: int) -> None:
        if step != self.step:
            self.step, self.case, self.gross = step, 0, 0.0
            self.used.clear()
            self.by_lots.clear()

    def lots(self, world: World, instruments, units, prices, deficits) -> None:
        """Note many lots; those of no deficit are left out. Arrays of shape (n,)."""
        self.open_step(world.step)
        state, table = world.state, world.state.instruments
        settle = state.assets.fundamental[state.books.settle[table.book[instruments]]]
        loss = settle * units * (prices - table.value_price[instruments])
        some = deficits >= 0
        for deficit, amount in zip(deficits[some].tolist(), loss[some].tolist(), strict=True):
            self.by_lots[deficit] = self.by_lots.get(deficit, 0.0) + amount

    def lot(self, world: World, instrument: int, units: float, price: float, deficit: int) -> None:
        """Note a lot of a deficit at its bankruptcy price. [settlement asset per unit]"""
        self.open_step(world.step)
        gap = price - float(world.state.instruments.value_price[instrument])
        self.by_lots[deficit] = self.by_lots.get(deficit, 0.0) + settle_price(world.state, instrument) * units * gap


def fail(world: World, agent: int, amount: float, what: str, root: int = -1) -> NoReturn:
    deficits, ledger = world.bookkeeper.deficits, world.bookkeeper.ledger
    rounds = deficits.round[root] if root >= 0 else ledger.round
    name = world.state.agent_name(agent)
    raise InvariantError(f"phase allocate, step {ledger.step}, round {rounds}, agent {name}: {what} ({amount:g} USD)")
