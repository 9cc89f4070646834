"""The model: one step reads like section 5 of docs/model.md."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import mesa
import numpy as np

from contagion.agents.calls import MarginCalls
from contagion.agents.decisions import Decisions
from contagion.agents.lazy import LazyAgents
from contagion.agents.retreat import MakerRetreat
from contagion.allocation.checks import check_allocation
from contagion.allocation.resolution import Insolvency
from contagion.allocation.safety import Premiums
from contagion.allocation.waterfall import Waterfall
from contagion.errors import InputError
from contagion.liquidation.closing import Liquidation
from contagion.margin.audit import Audit
from contagion.market.breakers import CircuitBreakers
from contagion.market.flow import Market
from contagion.market.pricing import Pricing
from contagion.outcomes.record import Recorder
from contagion.protocols.claims import ClaimValues
from contagion.protocols.credit import Credit
from contagion.protocols.debt_protocols import DebtProtocols
from contagion.protocols.interest import Interest
from contagion.protocols.lenders import Lenders
from contagion.protocols.lending import Lending
from contagion.protocols.runs import Runs
from contagion.protocols.shocks import strike
from contagion.quiet import QuietSteps
from contagion.results import RunResult
from contagion.scenario.assemble import assemble
from contagion.scenario.loader import load_scenario
from contagion.scenario.schema import Scenario
from contagion.state.codes import Phase

# An enum's members are slow to look up on Python 3.11, and a quiet step is counted in microseconds.
_SHOCK, _OBSERVE, _MARK, _TRADE = Phase.SHOCK, Phase.OBSERVE, Phase.MARK, Phase.TRADE
_ALLOCATE, _PROPAGATE, _RUN, _RECORD = Phase.ALLOCATE, Phase.PROPAGATE, Phase.RUN, Phase.RECORD


class ContagionModel(LazyAgents, mesa.Model):
    """Leveraged traders, exchanges and protocols that hold claims on each other, going through a shock.

    Parameters
    ----------
    scenario : Scenario, str or None
        A scenario, a bundled name, or a path to a YAML file; default ``quickstart``.
    rng : int or None
        Seed of every draw of the run; None takes a fresh one (kept in ``seed``).
    mirrored : bool
        Take the antithetic draws of the seed: a pair of runs has a mean that varies less than that of two seeds.
    keep_ledger : bool
        Keep every ledger row, or only their sums by cause, layer and kind of agent (what a sweep needs).
    **overrides
        Scenario fields by path, with ``__`` or ``.`` between the names; a last name alone where only one field bears
        it: ``ContagionModel(insurance_fund=1e6)``.

    Raises
    ------
    InputError
        The scenario or an override is not valid.
    InvariantError
        During a step: the books do not add up.
    """

    scenario = None  # Mesa 3.5 would write into a scenario it is handed; ours is frozen

    def __init__(
        self,
        scenario: Scenario | str | None = None,
        rng: int | None = None,
        *,
        mirrored: bool = False,
        keep_ledger: bool = True,
        **overrides,
    ) -> None:
        if rng is None:
            rng = secrets.randbits(48)
        elif isinstance(rng, np.random.Generator):
            rng = int(rng.integers(2**48))
        super().__init__(rng=int(rng))
        self.seed = int(rng)
        if scenario is None:
            scenario = "quickstart"
        if overrides or not isinstance(scenario, Scenario):
            scenario = load_scenario(scenario, overrides or None)
        self.scenario = scenario
        self._build(assemble(scenario, self.seed, mirrored=mirrored, keep_ledger=keep_ledger))

    def _build(self, world) -> None:
        self.world = world
        self.step_number = 0
        self.pricing = world.pricing = Pricing(world)
        self.market = world.market = Market(world, self.pricing)
        self.breakers = CircuitBreakers(world)
        self.audit = Audit(world)
        self.calls = MarginCalls(world)
        self.decisions = Decisions(world, self)
        self.waterfall = Waterfall(world)
        self.insolvency = Insolvency(world)
        self.liquidation = Liquidation(world, self.market, self.waterfall)
        self.interest = Interest(world)
        self.premiums = Premiums(world)
        self.debt_protocols = DebtProtocols(world)
        self.lending = Lending(world)
        self.claims = ClaimValues(world)
        self.credit = Credit(world)
        self.lenders = Lenders(world)
        self.runs = Runs(world)
        self.retreat = MakerRetreat(world)
        self.recorder = Recorder(world)
        self.pricing.reprice()
        if self.claims.solve():
            self.pricing.reprice()
        # The opening books claims at par; net worth at the opening counts them at their issuers' balance sheets.
        self.audit.run()
        world.state.agents.opening[:] = world.state.agents.worth
        self.decisions.update_quotes()
        self.recorder.open()

    # -- a step -------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Shock, observe, mark, call and trade; then rounds of liquidation, allocation and propagation; run; record."""
        self._open()
        self._shock()
        self._observe()
        self._mark()
        self._finish()
        self.running = self.step_number < self.scenario.steps

    def _finish(self) -> None:
        """A step from where accounts are marked to its record."""
        self._breached_first = len(self.audit.breached)
        self._rows_at_mark = len(self.world.bookkeeper.ledger)
        moved = self._call_and_trade()
        rounds = 1
        while self._round(rounds) or (moved and rounds == 1):
            if rounds == self.scenario.max_rounds:
                self._note_round_bound()
                break
            rounds += 1
            self._mark_again(rounds)
        self._run()
        self._record(rounds)

    def _open(self) -> None:
        if self.step_number >= self.scenario.steps:
            raise InputError("steps", self.step_number + 1, f"at most {self.scenario.steps}, as the scenario says")
        self.step_number += 1
        self.world.step = self.step_number
        self.world.bookkeeper.ledger.open_step(self.step_number)
        self.world.step_counters.clear()
        self.liquidation.open_step()

    def _shock(self) -> None:
        self.world.bookkeeper.phase = _SHOCK
        if self.pricing.shock(self.step_number):
            for shock in self.pricing.due(self.step_number):
                strike(self.world, shock)

    def _observe(self) -> None:
        self.world.bookkeeper.phase = _OBSERVE
        self.interest.accrue()
        self.premiums.pay()
        self.debt_protocols.run()
        self.pricing.advance(self.step_number)
        self.decisions.update_quotes()

    def _mark(self) -> None:
        self.world.bookkeeper.phase = _MARK
        if self.claims.solve():
            self.pricing.reprice()
        if self.breakers.active:
            self.breakers.watch()
        self.market.open_round()
        self.audit.run()

    def _call_and_trade(self) -> bool:
        self.world.bookkeeper.phase = _TRADE
        self.lenders.decide()
        moved = self.calls.run(self.audit.warned, execute=False)
        return self.decisions.run(*self.calls.orders) or moved

    def _round(self, number: int) -> bool:
        """Phases 5 to 8 at one vector of marks; whether anything happened."""
        world = self.world
        world.bookkeeper.ledger.round = number
        happened = False
        if len(self.audit.breached) or self.liquidation.has_inventory:
            happened |= self.liquidation.run(self.audit.breached)
        if len(self.audit.breached) or self.lending.busy:
            happened |= self.lending.liquidate()
        world.bookkeeper.phase = _ALLOCATE
        happened |= self.waterfall.allocate()
        happened |= self.insolvency.resolve()
        world.bookkeeper.phase = _PROPAGATE
        happened |= self.credit.settle(final=False)
        if happened:
            self.recorder.round(number, len(self.audit.breached))
        return happened

    def _mark_again(self, number: int) -> None:
        """New marks for the next round: executions of earlier rounds are in them."""
        world = self.world
        world.bookkeeper.phase = _MARK
        world.bookkeeper.ledger.round = number
        self.pricing.reprice()
        if self.claims.solve():
            self.pricing.reprice()
        self.market.open_round()
        self.audit.run()

    def _run(self) -> None:
        self.world.bookkeeper.phase = _PROPAGATE
        self.credit.settle(True, self.runs.raise_cash)
        self.world.bookkeeper.phase = _RUN
        self.runs.run()
        self.retreat.run()

    def _record(self, rounds: int) -> None:
        world = self.world
        world.bookkeeper.phase = _RECORD
        ledger = world.bookkeeper.ledger
        if len(ledger) > self.audit.rows_seen:
            self.claims.solve()
            self.pricing.reprice()
            self.audit.run()
        if len(ledger) > self._rows_at_mark:
            check_allocation(world)
        self.recorder.step(rounds, self._breached_first)

    def _note_round_bound(self) -> None:
        self.world.notes.append(f"step {self.step_number}: stopped after {self.scenario.max_rounds} rounds")
        self.world.count("round_bound_hit")

    # -- a run --------------------------------------------------------------------------------------------------

    def run(self, progress: bool | Callable[[int, int], None] = False) -> RunResult:
        """Run the steps that are left and return the result; an interrupt leaves the finished part in :meth:`result`.

        Parameters
        ----------
        progress : bool or callable
            True shows a bar; a callable is called with (steps done, steps) after every step.
        """
        self.advance(progress)
        return self.result()

    def advance(self, progress: bool | Callable[[int, int], None] = False) -> None:
        """Run the steps that are left. The same numbers as calling :meth:`step`, with quiet steps in compiled code."""
        # A subclass with a step() of its own wants it called every time.
        quiet = QuietSteps(self) if type(self).step is ContagionModel.step else None
        with _reporting(progress, self.scenario.name) as report:
            while self.step_number < self.scenario.steps:
                if quiet is not None and quiet.run():
                    self._finish()
                elif self.step_number < self.scenario.steps:
                    self.step()
                report(self.step_number, self.scenario.steps)
        self.running = False

    def result(self) -> RunResult:
        """What has happened so far."""
        return self.recorder.result(self.seed, self.scenario)

    @property
    def datacollector(self) -> mesa.DataCollector:
        """A collector of one's own, once set; else one that holds the rows of ``result.steps``, so batch runs work."""
        own = self.__dict__.get("_own_collector")
        if own is not None:
            return own
        rows = self.recorder.steps().drop(columns="step")
        collector = mesa.DataCollector(model_reporters=dict.fromkeys(rows, "step_number"))
        collector.model_vars = {name: column.tolist() for name, column in rows.items()}
        collector._collection_steps = list(range(len(rows)))
        return collector

    @datacollector.setter
    def datacollector(self, collector: mesa.DataCollector) -> None:
        self.__dict__["_own_collector"] = collector

    # -- the exposure graph -------------------------------------------------------------------------------------

    def exposure_graph(self, traders: str = "all", *, stress: float | Mapping[str, float] | None = None):
        """Who loses what if whom fails, now: a ``networkx.MultiDiGraph`` with edges creditor -> debtor.

        Parameters, attributes and errors: see :func:`contagion.network.of_model.graph_of`.
        """
        from contagion.network.of_model import graph_of

        return graph_of(self.world, traders, stress=stress)

    @classmethod
    def from_graph(
        cls, graph, scenario: Scenario | str | None = None, rng: int | None = None, **reading
    ) -> ContagionModel:
        """A model whose opening exposures are those of a graph; the scenario gives everything a graph cannot say.

        Parameters, what each node and edge becomes, and errors: see
        :func:`contagion.scenario.from_graph.scenario_from_graph`.
        """
        from contagion.network.of_model import check_same_exposures
        from contagion.scenario.from_graph import given_graph, scenario_from_graph

        if rng is None:
            rng = secrets.randbits(48)
        given = given_graph(graph, rng, **reading)
        model = cls(scenario_from_graph(given, scenario), rng=rng)
        check_same_exposures(given, model.exposure_graph())
        return model


def _reporting(progress: bool | Callable[[int, int], None], label: str):
    if callable(progress):
        return nullcontext(progress)
    if not progress:
        return nullcontext(lambda done, total: None)
    from contagion.terminal import progress_bar

    return progress_bar(label)
