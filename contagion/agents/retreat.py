"""Makers who were deleveraged or cut quote less for a while, on every venue they serve."""

from __future__ import annotations

import numpy as np

from contagion.agents.behaviours import MarketMaker
from contagion.state.codes import Cause
from contagion.state.world import World


class MakerRetreat:
    """Withdraws a share of a maker's depth in the step after one in which it bore part of a deficit.

    A deleveraging exactly at the mark bears nothing and drives nobody away.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        owner = state.accounts.owner[state.makers.account]
        self._owner = owner
        self._terms: dict[int, tuple[float, int]] = {}  # maker's agent row -> share, steps
        for group in world.groups:
            if isinstance(group.rule, MarketMaker) and group.rule.retreat > 0.0:
                for agent in range(group.agents.start, group.agents.stop):
                    self._terms[agent] = group.rule.retreat, group.rule.retreat_for
        self._makers = np.array(sorted(self._terms), dtype=np.int64)
        self._until: dict[int, int] = {}  # maker's agent row -> last step away
        self._number: dict[int, int] = {}  # of its withdrawal
        self._roots = 0

    def run(self) -> None:
        """At the end of a step: who was hit leaves, who has been away long enough comes back."""
        if self._until:
            for agent in [agent for agent, until in self._until.items() if until <= self.world.step]:
                self.world.pricing.return_depth(self._number.pop(agent))
                del self._until[agent]
        roots = len(self.world.bookkeeper.deficits)
        if roots == self._roots and "deleveraging_fills" not in self.world.step_counters:
            return
        self._roots = roots
        if self._terms:
            for agent in self._hit():
                self._leave(int(agent))

    def _hit(self) -> np.ndarray:
        hit = np.zeros(len(self._makers), dtype=bool)
        for rows in self.world.bookkeeper.ledger.parts_of_step(Cause.ALLOCATION):
            hit |= np.isin(self._makers, rows["payer"]) | np.isin(self._makers, rows["payee"])
        return self._makers[hit]

    def _leave(self, agent: int) -> None:
        share, steps = self._terms[agent]
        self._until[agent] = self.world.step + steps
        if agent not in self._number:
            self._number[agent] = self.world.pricing.withdraw_depth(self._owner == agent, share)
            self.world.count("makers_retreated")
