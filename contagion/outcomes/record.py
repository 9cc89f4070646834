"""Phase 10: what a run leaves behind, one row a step and one a round."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagion.margin.position_prices import distance_to_liquidation
from contagion.outcomes.cascades import cascade_outcomes
from contagion.outcomes.chain import Failures
from contagion.outcomes.exposures import ExposureEnds
from contagion.outcomes.incidence import Incidence
from contagion.outcomes.run import outcomes_of
from contagion.outcomes.tables import loss_table, notionals
from contagion.results import RunResult, describe_run
from contagion.state.codes import AgentKind, InstrumentKind
from contagion.state.world import World

ROUND_COLUMNS = (
    "step", "round", "breached", "liquidations", "takeovers", "liquidated_notional", "deleveraged_notional", "deficit",
)  # fmt: skip
STATUS = {1: "default", 2: "insolvent", 4: "illiquid", 8: "failed"}


class Recorder:
    """Keeps one row of numbers a step, in arrays declared at the start."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.incidence = Incidence(world)
        state = world.state
        self._exposures = ExposureEnds(world)
        self._failures = Failures(world)
        self._n_assets = len(state.assets.names)
        self._tracked = np.flatnonzero(np.isin(state.agents.kind, (AgentKind.FUND, AgentKind.EXCHANGE)))
        self._claims = np.flatnonzero(state.assets.issuer >= 0)
        self._counted = (
            "liquidations", "liquidated_notional", "deleveraged_notional", "accounts_bankrupt", "margin_calls",
            "withdrawals_asked", "withdrawals_paid",
        )  # fmt: skip
        names = [f"price.{name}" for name in state.assets.names[1:]]
        names += [f"net_worth.{state.agents.names[row]}" for row in self._tracked]
        # What a venue's own book shows: of contracts, without options, whose prices are not their underlying's.
        kinds = state.instruments.kind
        self._quoted = np.flatnonzero((kinds == InstrumentKind.LINEAR) | (kinds == InstrumentKind.INVERSE))
        for word in ("mark", "depth"):
            names += [f"{word}.{state.instruments.names[row]}" for row in self._quoted]
        self._inverse = [
            f"mark.{state.instruments.names[row]}" for row in self._quoted if kinds[row] == InstrumentKind.INVERSE
        ]
        names += [f"redemption.{state.assets.names[row]}" for row in self._claims]
        self._names = ["rounds", "breached", "owed", "shortfall", *names]
        self._values = np.empty((world.scenario.steps, len(self._names)))
        self._counts = np.zeros((world.scenario.steps, len(self._counted)))
        self._deficits = np.zeros(world.scenario.steps)
        self._rounds: list[tuple] = []
        self._done = 0
        self._roots = 0
        self._before: dict[str, float] = {}
        self._before_step = 0

    def open(self) -> None:
        """The world is complete, and no step has been made."""
        self._exposures.open()
        self._failures.open()

    def round(self, number: int, breached: int) -> None:
        """One cascade round that did something."""
        if self._before_step != self.world.step:
            self._before, self._before_step = {}, self.world.step
        now, before = self.world.step_counters, self._before
        roots = self.world.bookkeeper.deficits.amount
        deficit = sum(roots[int(before.get("roots", self._roots)) :])
        counted = [now.get(name, 0.0) - before.get(name, 0.0) for name in ROUND_COLUMNS[3:7]]
        self._rounds.append((self.world.step, number, breached, *counted, deficit))
        self._before = dict(now) | {"roots": len(roots)}

    def step(self, rounds: int, breached: int) -> None:
        """The state at the end of a step."""
        world, state = self.world, self.world.state
        row = self._values[self._done]
        row[0], row[1] = rounds, breached
        row[2], row[3] = state.books.owed.sum(), state.books.shortfall.sum()
        end = 4 + self._n_assets - 1
        row[4:end] = state.assets.index[1:]
        row[end : (end := end + len(self._tracked))] = state.agents.worth[self._tracked]
        row[end : (end := end + len(self._quoted))] = state.instruments.mark[self._quoted]
        row[end : (end := end + len(self._quoted))] = state.instruments.depth[self._quoted]
        row[end:] = state.assets.redemption[self._claims]
        if world.step_counters:
            self._counts[self._done] = [world.step_counters.get(name, 0.0) for name in self._counted]
        roots = world.bookkeeper.deficits.amount
        if len(roots) > self._roots:
            self._deficits[self._done] = sum(roots[self._roots :])
            self._roots = len(roots)
        self._failures.step()
        self._done += 1

    def columns(self) -> tuple:
        """What quiet steps write: rows of values, and what goes into them."""
        state = self.world.state
        books = state.books
        return (
            self._values, self._tracked, state.agents.worth, state.assets.index, books.owed, books.shortfall,
            self._done, self._quoted,
        )  # fmt: skip

    def skip(self, steps: int) -> None:
        """Rows of this many quiet steps have been written through :meth:`columns`."""
        self._done += steps

    # -- results ------------------------------------------------------------------------------------------------

    def steps(self) -> pd.DataFrame:
        """One row a step: rounds, breaches, index prices [USD], net worths [USD], each venue's marks [USD] and quoted
        depths [USD for a move of 1%], redemption values [USD], counts.
        """
        done = self._done
        frame = pd.DataFrame(self._values[:done], columns=self._names)
        frame[self._inverse] = 1.0 / frame[self._inverse]
        frame.insert(0, "step", np.arange(1, done + 1))
        frame["deficit"] = self._deficits[:done]
        for column, name in enumerate(self._counted):
            frame[name] = self._counts[:done, column]
        for name in ("rounds", "breached"):
            frame[name] = frame[name].astype("int64")
        return frame

    def rounds(self) -> pd.DataFrame:
        """One row a round that did something."""
        frame = pd.DataFrame(self._rounds, columns=list(ROUND_COLUMNS))
        return frame.astype({"step": "int64", "round": "int64", "breached": "int64"} | dict.fromkeys(
            ROUND_COLUMNS[3:], "float64"))

    def agents(self) -> pd.DataFrame:
        """Final state, one row an agent: who it is, its status, opening and final net worth, cash, notional,
        burden. [USD]

        ``burden`` is what it bore of socialised losses in the end (:class:`~contagion.outcomes.incidence.Burden`);
        ``opening_notional`` and ``notional`` are those of its contracts and collateral, long or short, debt left out;
        ``liquidation_distance`` the smallest move of one contract that would bring it to liquidation [1].
        """
        state = self.world.state
        agents = state.agents
        types = {int(kind): kind.name.lower() for kind in AgentKind}
        group = np.asarray([*state.group_names, ""], dtype=object)[agents.group]
        names = np.asarray(agents.names, dtype=object)
        traders = agents.group[state.first_trader :]
        ordinal = np.arange(state.first_trader, state.n_agents) - state.group_start[traders]
        names = np.concatenate([names, [f"{state.group_names[g]}:{o}" for g, o in zip(traders, ordinal, strict=True)]])
        status = [", ".join(word for bit, word in STATUS.items() if value & bit) for value in agents.status.tolist()]
        opening_notional, notional = notionals(self.world)
        return pd.DataFrame(
            {
                "agent": pd.array(names, dtype="str"),
                "type": pd.array([types[int(kind)] for kind in agents.kind], dtype="str"),
                "group": pd.array(group, dtype="str"),
                "status": pd.array(status, dtype="str"),
                "opening_net_worth": agents.opening,
                "net_worth": agents.worth,
                "change": agents.worth - agents.opening,
                "cash": agents.cash,
                "opening_notional": opening_notional,
                "notional": notional,
                "liquidation_distance": distance_to_liquidation(state),
                "burden": self.world.incidence.burden().by_agent,
            }
        )

    def burden(self) -> pd.DataFrame:
        """:func:`~contagion.outcomes.tables.loss_table` with a row for each pair: origin, bearer, amount [USD]."""
        table = loss_table(self.world)
        origin, bearer = np.nonzero(table.to_numpy() > 0.0)
        return pd.DataFrame(
            {
                "origin": pd.array(table.index[origin], dtype="str"),
                "bearer": pd.array(table.columns[bearer], dtype="str"),
                "amount": table.to_numpy()[origin, bearer],
            }
        )

    def outcomes(self) -> dict[str, float]:
        """The row the run contributes to a sweep, without the tables of :meth:`result`."""
        rounds = np.array(self._rounds, dtype=float).reshape(-1, len(ROUND_COLUMNS))
        cascades = cascade_outcomes(rounds[:, 0], rounds[:, 3] + rounds[:, 4])
        return outcomes_of(self.world) | cascades | self._lowest_claims()

    def _lowest_claims(self) -> dict[str, float]:
        names = self.world.state.assets.names
        prices = self._values[: self._done, 3 + self._claims]
        lowest = prices.min(axis=0, initial=1.0)
        found = {f"claim_low.{names[row]}": float(low) for row, low in zip(self._claims, lowest, strict=True)}
        redemption = self._values[: self._done, len(self._names) - len(self._claims) :]
        gap = np.divide(prices, redemption, out=np.ones_like(prices), where=redemption > 0.0)
        deepest = 1.0 - gap.min(axis=0, initial=1.0)
        return found | {f"discount.{names[row]}": float(d) for row, d in zip(self._claims, deepest, strict=True)}

    def result(self, seed: int, scenario) -> RunResult:
        """Everything recorded so far."""
        world, outcomes = self.world, self.outcomes()
        facts = pd.DataFrame(
            {
                "name": pd.array([fact.name for fact in scenario.facts], dtype="str"),
                "observed": np.array([fact.value for fact in scenario.facts], dtype=float),
                "simulated": np.array(
                    [outcomes.get(fact.outcome, np.nan) if fact.outcome else np.nan for fact in scenario.facts],
                    dtype=float,
                ),
                "unit": pd.array([fact.unit for fact in scenario.facts], dtype="str"),
                "role": pd.array([fact.role for fact in scenario.facts], dtype="str"),
                "source": pd.array([fact.source for fact in scenario.facts], dtype="str"),
            }
        )
        manifest = describe_run(
            scenario.model_dump(mode="json"), seed, self._done, self._done == scenario.steps, world.notes
        )
        if world.streams.mirrored:
            manifest["mirrored"] = True
        if world.price_files:
            manifest["price_files"] = world.price_files
        if scenario.network is not None and scenario.network.build().files:
            manifest["network_files"] = scenario.network.build().files
        ledger = world.bookkeeper.ledger.frame(world.state.agent_name)
        return RunResult(
            outcomes, self.steps(), self.rounds(), ledger, self.agents(), facts, manifest, self.burden(),
            self._exposures.frame(), self._failures.frame(),
        )  # fmt: skip
