"""Small worlds for the tests of agents, and a market that fills everything at the mark."""

from __future__ import annotations

from typing import Any, ClassVar

import mesa
import numba
import numpy as np
from pydantic import ConfigDict

from contagion.agents import Behaviour, Intent, Observation, Trader
from contagion.agents.behaviours import Directional
from contagion.agents.lazy import LazyAgents
from contagion.scenario.assemble import assemble
from contagion.scenario.schema import Scenario
from contagion.state.world import World

MAKER = {
    "archetype": "market_maker", "count": 2, "venue": "perp", "capital": 1e8, "parameters": {"depth": 1e6},
}  # fmt: skip


class AtMark:
    """Everything fills at the mark against the first maker of the contract; keeps what was asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []

    def execute(self, positions: np.ndarray, units: np.ndarray, cause: Any) -> np.ndarray:
        self.asked.append((positions.copy(), units.copy()))
        state = self.world.state
        instrument = state.positions.instrument[positions]
        for row in np.unique(instrument):
            here = instrument == row
            maker = state.makers.position[np.flatnonzero(state.makers.instrument == row)[0]]
            rows = np.append(positions[here], maker)
            change = np.append(units[here], -units[here].sum())
            price = np.full(len(rows), state.instruments.equity_price[row])
            self.world.bookkeeper.trade(cause, rows, change, price)
        return units


def make_world(traders: list[dict], *, assets: tuple[str, ...] = ("BTC",), seed: int = 7, **scenario: Any) -> World:
    """A world at its opening; one exchange `perp` and one more, `other`, when a group trades there."""
    prices = {"BTC": 100_000.0, "ETH": 4_000.0}
    exchange = {"equity": 1e7, "waterfall": ["venue_equity"], "warning": 2.0}
    venues = {name for group in traders for name in np.atleast_1d(group["venue"])}
    exchanges = {name: exchange for name in ("perp", "other") if name in venues | {"perp"}}
    world = assemble(
        Scenario(
            name="test", assets={name: {"price": prices[name], "volatility": 0.6} for name in assets},
            **({"exchanges": exchanges, "traders": traders} | scenario),
        ),
        seed,
    )  # fmt: skip
    world.market = AtMark(world)
    return world


def group(archetype: str, count: int = 3, **more: Any) -> dict:
    """A group of traders with notional 1e5 at leverage 5: equity 2e4 each."""
    base = {"archetype": archetype, "count": count, "venue": "perp", "size": {"fixed": 1e5}, "leverage": {"fixed": 5}}
    return base | more


def move(world: World, asset: str, factor: float) -> None:
    """A new step in which an index and the marks of its linear contracts are multiplied by a factor."""
    state = world.state
    row = state.assets.row(asset)
    world.step += 1
    world.bookkeeper.ledger.open_step(world.step)
    for table in (state.assets.index, state.assets.fundamental, state.assets.market, state.assets.redemption):
        table[row] *= factor
    here = state.instruments.asset == row
    for table in (state.instruments.mark, state.instruments.equity_price, state.instruments.value_price):
        table[here] *= factor


def mark(world: World) -> Any:
    """Mark accounts and audit the books: raises when value was made or lost."""
    from contagion.margin.audit import Audit

    audit = Audit(world)
    audit.run()
    return audit


class Model(LazyAgents, mesa.Model):
    """The least a model needs for agents."""

    def __init__(self, traders: list[dict] | None = None, **more: Any) -> None:
        super().__init__(rng=3)
        self.world = make_world(traders or [group("directional", wallet=1.0), MAKER], **more)

    def step(self) -> None:
        self.world.step += 1


class Halve(Behaviour):
    """Sells half of everything, deciding in Python."""

    def decide(self, observation: Observation) -> list[Intent]:
        return [Intent(market.position, -0.5 * market.seen.units) for market in observation.markets]


@numba.njit
def _halve(seen, parameters):
    return -parameters[0] * seen.units


class HalveByRule(Behaviour):
    """The same with a compiled rule."""

    share: float = 0.5
    rule: ClassVar[Any] = _halve

    def vector(self) -> np.ndarray:
        return np.array([self.share])


class Seller(Trader):
    """A trader class of one's own."""

    def decide(self, observation: Observation) -> list[Intent]:
        self.asked = observation
        return [(market.position, -0.5 * market.seen.units) for market in observation.markets]


class HalveByAgent(Behaviour):
    """The same with agents of a class of their own."""

    trader_class: ClassVar[type] = Seller


class Wild(Behaviour):
    """Hands in what it is told to."""

    position: int = 0
    units: float = 1.0
    model_config = ConfigDict(extra="forbid", frozen=True)

    def decide(self, observation: Observation) -> list[Intent]:
        position = observation.markets[0].position if self.position < 0 else self.position
        return [Intent(position, self.units if self.position > -2 else float("nan"))]


class DirectionalInPython(Directional):
    """A directional trader that is asked agent by agent."""

    def decide(self, observation: Observation) -> list[Intent]:
        return super().decide(observation)
