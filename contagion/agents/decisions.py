"""Phase 4: all traders decide on the same frozen state and their orders execute together; makers quote.

Two lanes. Groups under a compiled rule are looped over their rows. Groups whose archetype decides in Python, by an own
``decide`` or by an own :class:`~contagion.agents.views.Trader` class, are asked agent by agent. Both hand in signed
changes of units; initial margin cuts what it does not allow, in both alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from contagion.agents import kernels, rules
from contagion.agents.behaviours import Behaviour, Borrower, Intent, Market, MarketMaker, Observation
from contagion.agents.memory import Memory
from contagion.errors import InputError
from contagion.market.limits import OrderLimits
from contagion.state.codes import Cause, InstrumentKind, Phase
from contagion.state.world import Group, World

_NO_ROWS, _NO_UNITS = np.empty(0, np.int64), np.empty(0)


class Decisions:
    """Orders of all groups that trade, and quotes of all makers.

    Parameters
    ----------
    world : World
        At the opening: the leverage traders have then is what they hold on to by default.
    model : ContagionModel, optional
        Gives the agents of groups that have a Trader class of their own.

    Raises
    ------
    InputError
        A group needs agents and there is no model; an order is not the agent's to give.
    """

    def __init__(self, world: World, model: Any = None) -> None:
        self.world, self.model = world, model
        state = world.state
        self._borrowers, self._loopers = _borrowers(world), _loopers(world)
        self._limits = OrderLimits(world)
        trading = [group for group in world.groups if len(group.accounts) and _lane(group)]
        trading.sort(key=lambda group: _lane(group) != "built in")
        self._python = [(order, group) for order, group in enumerate(trading) if _lane(group) == "python"]
        self._own_rules = [(order, group) for order, group in enumerate(trading) if _lane(group) == "own rule"]
        self._loops = {order: kernels.loop_over(type(group.rule).rule, True) for order, group in self._own_rules}
        array = [group for group in trading if _lane(group) == "built in"]
        makers = [group for group in world.groups if isinstance(group.rule, MarketMaker) and len(group.accounts)]
        self.trades, self._quotes = bool(trading), len(state.makers.position) > 0
        if not (self.trades or self._quotes):
            return
        self.memory = Memory(world, [getattr(group.rule, "lookback", 1) for group in [*trading, *makers]])
        self._funding = _funding_rules(world)
        self._blocked, self._halted = np.zeros(len(state.instruments.names), np.bool_), []
        self._opening = np.zeros(len(state.positions.units) if self.trades else 0, np.float32)
        self._first, self._last = (
            np.array([group.accounts[end] for group in array], np.int64) + add for end, add in ((0, 0), (-1, 1))
        )
        self._codes = np.array([group.rule.code for group in array], np.int64)
        self._parameters = np.array([group.rule.vector() for group in array]).reshape(-1, rules.PARAMETERS)
        self._rows, self._units = np.empty(256, np.int64), np.empty(256)
        for group in trading:
            kernels.opening_leverage(
                self._freeze(), state.accounts.balance, state.instruments.equity_price, int(group.accounts[0]),
                int(group.accounts[-1]) + 1, self._opening,
            )  # fmt: skip
        group_of = {id(group): len(trading) + order for order, group in enumerate(makers)}
        owner = state.agents.group[state.accounts.owner[state.makers.account]]
        behaviours = [group.rule for group in [*trading, *makers]]
        self._maker = (
            np.array([group_of[id(world.groups[row])] for row in owner], np.int64),
            *(np.array([getattr(rule, name, 1.0) for rule in behaviours]) for name in ("stress", "recovery")),
        )

    # -- quotes -------------------------------------------------------------------------------------------------

    def update_quotes(self) -> None:
        """Makers quote: less in stress, after losses on any venue, and where depth was withdrawn.

        Writes ``makers.depth`` and its sums ``instruments.depth``. [USD]
        """
        if not self._quotes:
            return
        self.memory.update()
        kernels.requote(*self.quote_columns())

    def quote_columns(self) -> tuple:
        """Arguments of the kernel that quotes."""
        state, makers = self.world.state, self.world.state.makers
        accounts, instruments = state.accounts, state.instruments
        return (
            state.positions.instrument, state.positions.units, accounts.start, accounts.owner, accounts.balance,
            accounts.flags, state.agents.account_start, instruments.asset, instruments.equity_price, instruments.depth,
            instruments.book, state.books.settle, state.assets.fundamental, self.memory.normal, self.memory.volatility,
            makers.position, makers.account, makers.base_depth, makers.depth, makers.capital, makers.withdrawn,
            *self._maker,
        )  # fmt: skip

    # -- orders -------------------------------------------------------------------------------------------------

    def run(self, positions: np.ndarray | None = None, units: np.ndarray | None = None) -> bool:
        """Collect the orders of all groups and execute them together.

        Parameters
        ----------
        positions, units : ndarray of shape (n,), optional
            Orders that answer margin calls: rows of Positions and signed changes of units, which only reduce.

        Returns
        -------
        bool
            Whether anything was executed or repaid.
        """
        repaid = self._borrowers is not None and self._borrowers.run()
        if self._loopers is not None:
            repaid |= self._loopers.run()
        answered = positions is not None and len(positions) > 0
        if not (self.trades or answered):
            return repaid
        rows, wanted = self._intents() if self.trades else (_NO_ROWS, _NO_UNITS)
        if answered:
            # Whoever answers a call does not bet in the same step.
            free = ~np.isin(self.world.state.positions.account[rows], self.world.state.positions.account[positions])
            rows = np.concatenate([rows[free], positions])
            wanted = np.concatenate([wanted[free], units])
        if not len(rows):
            return repaid
        self.world.bookkeeper.phase = Phase.TRADE
        done = self.world.market.execute(rows, wanted, Cause.EXECUTION)
        return bool(np.any(done != 0.0)) or repaid

    def _intents(self) -> tuple[np.ndarray, np.ndarray]:
        self.memory.update()
        self._block()
        frozen = self._freeze()
        rows, units = self._array_lane(frozen)
        if self._own_rules or self._python:
            rows, units = rows.tolist(), units.tolist()
            for order, group in self._own_rules:
                self._own_rule_lane(frozen, order, group, rows, units)
            for order, group in self._python:
                self._python_lane(frozen, order, group, rows, units)
            rows, place = np.unique(np.array(rows, np.int64), return_inverse=True)
            units = np.bincount(place, weights=np.array(units), minlength=len(rows))
        if len(rows):
            kernels.cut_to_initial_margin(frozen, self.world.state.positions.account, rows, units)
            if self._limits.active:
                self._limits.cut(rows, units)
            some = units != 0.0
            rows, units = rows[some], units[some]
        return rows, units

    def _array_lane(self, frozen: kernels.Frozen) -> tuple[np.ndarray, np.ndarray]:
        if not len(self._codes):
            return _NO_ROWS, _NO_UNITS
        past, volatility = self.memory.past, self.memory.volatility  # these groups come first
        return self._collect(
            lambda rows, units: kernels.decide_built_in(
                frozen, self._first, self._last, self._codes, self._parameters, past, volatility, rows, units
            )
        )

    def _own_rule_lane(self, frozen, order: int, group: Group, rows: list, units: list) -> None:
        first, last = int(group.accounts[0]), int(group.accounts[-1]) + 1
        loop, parameters, market = self._loops[order], group.rule.vector(), self._look(frozen, order)
        found, wanted = self._collect(lambda r, u: loop(frozen, first, last, parameters, market, r, u, 0))
        rows += found.tolist()
        units += wanted.tolist()

    def _look(self, frozen: kernels.Frozen, order: int) -> np.ndarray:
        market = np.empty((len(self._blocked), kernels.SEEN_OF_MARKET))
        kernels.look_at(frozen, self.memory.past[order], self.memory.volatility[order], market)
        return market

    def _collect(self, ask) -> tuple[np.ndarray, np.ndarray]:
        found = ask(self._rows, self._units)
        if not found:
            return _NO_ROWS, _NO_UNITS
        if found > len(self._rows):
            self._rows, self._units = np.empty(2 * found, np.int64), np.empty(2 * found)
            ask(self._rows, self._units)
        return self._rows[:found].copy(), self._units[:found].copy()

    # -- the Python lane ----------------------------------------------------------------------------------------

    def _python_lane(self, frozen, order: int, group: Group, rows: list, units: list) -> None:
        agents = self._deciders(group)
        market = self._look(frozen, order)
        if self.model is not None:
            self.model.deciding = True
        try:
            for agent, decide in zip(range(group.agents.start, group.agents.stop), agents, strict=True):
                observation = self._observe(frozen, market, order, agent)
                for position, change in self._checked(group, observation, decide(observation)):
                    rows.append(position)
                    units.append(change)
        finally:
            if self.model is not None:
                self.model.deciding = False

    def _deciders(self, group: Group) -> Iterable:
        if self.model is not None:
            return [self.model.view(row).decide for row in range(group.agents.start, group.agents.stop)]
        if getattr(group.rule, "trader_class", None) is not None:
            raise InputError(f"traders.{group.name}", group.spec.archetype, "a run of the model, for a Trader class")
        return [group.rule.decide] * (group.agents.stop - group.agents.start)

    def _observe(self, frozen: kernels.Frozen, market: np.ndarray, order: int, agent: int) -> Observation:
        state = self.world.state
        markets = []
        for account in range(state.agents.account_start[agent], state.agents.account_start[agent + 1]):
            if state.accounts.flags[account] & kernels.OUT:
                continue
            for row in range(state.accounts.start[account], state.accounts.start[account + 1]):
                instrument = int(state.positions.instrument[row])
                kind = int(state.instruments.kind[instrument])
                if kind > InstrumentKind.INVERSE or kind == InstrumentKind.OPTION or self._blocked[instrument]:
                    continue
                prices = self.memory.window(order, int(state.instruments.asset[instrument]))
                legs = kernels.other_legs(frozen, agent, int(state.instruments.asset[instrument]), row)
                seen = kernels.see(frozen, market, row, account, *legs)
                markets.append(Market(row, state.instruments.names[instrument], prices, seen))
        return Observation(self.world.step, float(state.agents.cash[agent]), tuple(markets))

    def _checked(self, group: Group, observation: Observation, intents: Iterable[Intent] | None) -> list[Intent]:
        own = {market.position for market in observation.markets}
        intents = list(intents or [])
        for intent in intents:
            if not (isinstance(intent, tuple) and len(intent) == 2 and intent[0] in own and math.isfinite(intent[1])):
                accepted = f"Intent(position, units) with a position among {sorted(own)} and finite units"
                raise InputError(f"traders.{group.name}.decide", intent, accepted)
        return intents

    # -- common -------------------------------------------------------------------------------------------------

    def _freeze(self) -> kernels.Frozen:
        return kernels.freeze(self.world.state, self.memory.normal, self._funding, self._blocked, self._opening)

    def _block(self) -> None:
        halted = [row for row, until in self.world.halted.items() if until >= self.world.step]
        if halted != self._halted:
            self._halted = halted
            self._blocked[:] = np.isin(self.world.state.instruments.venue, halted)


def _lane(group: Group) -> str:
    """How a group decides: empty if it never trades, ``python``, ``own rule`` or ``built in``."""
    kind = type(group.rule)
    if getattr(kind, "trader_class", None) is not None or getattr(kind, "decide", None) not in (None, Behaviour.decide):
        return "python"
    if getattr(kind, "rule", None) is None:
        return ""
    if group.python_lane:
        return "python"
    return "built in" if kind.code != rules.NOTHING else "own rule"


def _borrowers(world: World) -> Any:
    """What keeps loans comfortable, where there are loans."""
    if not any(isinstance(group.rule, Borrower) for group in world.groups):
        return None
    from contagion.agents.borrowers import Borrowers

    return Borrowers(world)


def _loopers(world: World) -> Any:
    """What loops loans, where anybody does."""
    from contagion.agents.looper import Looper

    if not any(isinstance(group.rule, Looper) for group in world.groups):
        return None
    from contagion.agents.loopers import Loopers

    return Loopers(world)


def _funding_rules(world: World) -> np.ndarray:
    """Interest and cap of the funding rate per interval, shape (2, n_instruments); zero where nothing is paid."""
    found = np.zeros((2, len(world.state.instruments.names)))
    for venue in world.venues.values():
        rule = getattr(venue.spec, "funding", None)
        if rule is not None:
            found[0, venue.instruments], found[1, venue.instruments] = rule.interest, rule.cap
    if world.pricing is not None:
        found[1] = np.where(world.pricing.funding_cap > 0.0, world.pricing.funding_cap, found[1])
    return found
