"""What every phase is handed: the state, the books, the rules of each venue and the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contagion.state.bookkeeper import Bookkeeper
from contagion.state.tables import State
from contagion.streams import Streams


@dataclass(slots=True)
class Venue:
    """An exchange or protocol with its rules ready to run."""

    name: str
    row: int  # agent row
    spec: Any  # contagion.scenario.schema.Exchange | LendingPool | Vault
    books: list[int]  # rows of Books, empty for a vault
    instruments: list[int]  # rows of Instruments
    fund: int = -1  # agent row of its insurance fund or reserve, -1 if none
    claim: int = -1  # asset row of the claim it issues, -1 if none
    engine: Any = None  # liquidation engine
    layers: list[Any] = field(default_factory=list)  # waterfall, first payer first
    fees: float = 0.0  # collected so far [USD]
    contributions: Any = None  # rows of Loans that are its default fund, None if it has none
    contributed: Any = None  # what each of them was at the opening [USD]
    debts: list[int] = field(default_factory=list)  # its instruments that are owed to it as a lending pool


@dataclass(slots=True)
class Group:
    """Traders of one archetype: a contiguous block of agent rows."""

    name: str
    spec: Any  # contagion.scenario.schema.Traders
    rule: Any  # the archetype with its parameters
    agents: slice
    accounts: np.ndarray  # rows of Accounts, shape (n_accounts of the group,)
    python_lane: bool = False  # decisions are made by Mesa agents' own method


@dataclass(slots=True)
class World:
    """State of a run, its rules and its clock."""

    scenario: Any
    state: State
    bookkeeper: Bookkeeper
    streams: Streams
    venues: dict[str, Venue]
    groups: list[Group]
    impact: Any
    path: np.ndarray  # exogenous index prices, shape (steps + 1, n market assets incl. USD); column = asset row [USD]
    agent_rows: dict[str, int]  # institutions, funds, and groups of one trader, by name
    dt_years: float
    market: Any = None  # contagion.market.flow.Market, set by the model
    pricing: Any = None  # contagion.market.pricing.Pricing, set by the model
    margin: Any = None  # contagion.margin.requirements.Requirements, set by the audit
    waterfall: Any = None  # contagion.allocation.waterfall.Waterfall, set by itself
    incidence: Any = None  # contagion.outcomes.incidence.Incidence, set by the recorder
    covers: dict[int, Any] = field(default_factory=dict)  # row of a safety pool -> contagion.allocation.safety.Cover
    pegs: Any = None  # row of an issuer -> contagion.protocols.peg.Peg, set by pegs_of
    step: int = 0
    halted: dict[int, int] = field(default_factory=dict)  # venue agent row -> step until which it trades nothing
    asked: dict[int, float] = field(default_factory=dict)  # venue agent row -> USD to be asked back in this step's runs
    notes: list[str] = field(default_factory=list)  # things a reader of the results must know
    price_files: dict[str, str] = field(default_factory=dict)  # files the path was read from -> SHA-256
    counters: dict[str, float] = field(default_factory=dict)  # sums over the run, by outcome name
    step_counters: dict[str, float] = field(default_factory=dict)  # the same for the current step

    def count(self, name: str, amount: float = 1.0) -> None:
        """Add to a counter of the step and of the run."""
        self.step_counters[name] = self.step_counters.get(name, 0.0) + amount
        self.counters[name] = self.counters.get(name, 0.0) + amount
