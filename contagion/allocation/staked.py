"""Claims on a pool that stakers have put up: they are burned before the other suppliers lose anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagion.allocation.funds import NOBODY_TRADING
from contagion.allocation.layer import Case, Layer, Memory, Payment, Properties
from contagion.allocation.shares import pro_rata
from contagion.allocation.transfers import means_of
from contagion.errors import InputError
from contagion.state.world import Venue, World


class StakedClaims(Layer):
    """A vault that holds claims on the pool is slashed: its units are burned up to a share of what it has.

    Its depositors, the stakers, bear it (Aave's Umbrella over staked aTokens; with claims on a token of the protocol
    in place of the pool's it would be the older safety module).

    Parameters
    ----------
    vault : str
        Issuer that `holds` the pool's claim.
    most : float
        Share of what the vault had at the opening that can be taken in a run. [1]
    """

    has: ClassVar[Properties] = NOBODY_TRADING
    watches: ClassVar[bool] = True  # what it can take is a share of what there is at the opening

    vault: str
    most: Annotated[float, Field(gt=0, le=1)] = 1.0

    @property
    def properties(self) -> Properties:
        return self.has._replace(budget_balance=self.most == 1.0)

    def begin(self, world: World, venue: Venue, memory: Memory) -> None:
        agent, state = world.agent_rows.get(self.vault, -1), world.state
        rows = slice(int(state.agents.holding_start[agent]), int(state.agents.holding_start[agent + 1]))
        if agent < 0 or venue.claim not in state.holdings.asset[rows]:
            accepted = f"a vault that holds {venue.name}"
            raise InputError(f"protocols.{venue.name}.waterfall.staked_claims.vault", self.vault, accepted)
        memory.by_agent[agent] = self.most * means_of(state, venue, agent)

    def bear(self, case: Case) -> Iterator[Payment]:
        agent = case.world.agent_rows[self.vault]
        room = case.memory.by_agent[agent] - case.borne
        limits = np.array([max(0.0, min(means_of(case.world.state, case.venue, agent), room))])
        yield Payment(pro_rata(limits, case.need), limits, agents=np.array([agent]))
