"""Scheduled shocks that act on agents: theft, a halt, the default of a named agent."""

from __future__ import annotations

import numpy as np

from contagion.protocols import verbs
from contagion.state.codes import Cause
from contagion.state.world import World

DEFAULTED = 1


def strike(world: World, shock) -> None:
    """Carry out one shock.

    ``theft`` takes `size` USD from the target's cash and holdings, ``rescue`` pays `size` USD into its cash,
    ``slashing`` takes the share `size` of what it holds. ``withdrawal`` has its customers or holders ask for `size` USD
    together in this step's runs, whatever they see. ``halt`` stops trading and withdrawals at the target
    for `lasts` steps (0: for good). ``default`` takes the share `size` (0 means all) of the target's own cash and makes
    its loans due now.
    """
    target = agent_row(world, shock.target)
    if shock.kind == "theft":
        world.count("stolen", verbs.theft(world.bookkeeper, target, shock.size))
    elif shock.kind == "rescue":
        world.bookkeeper.pay(Cause.INTERVENTION, verbs.OUTSIDE, target, shock.size)
        world.count("rescued", shock.size)
    elif shock.kind == "slashing":
        world.count("slashed", verbs.slash(world.bookkeeper, target, shock.size))
    elif shock.kind == "withdrawal":
        world.asked[target] = world.asked.get(target, 0.0) + shock.size
    elif shock.kind == "halt":
        world.halted[target] = world.step + shock.lasts - 1 if shock.lasts else world.scenario.steps + 1
    else:
        _default(world, target, shock.size or 1.0)


def agent_row(world: World, name: str) -> int:
    """Row of an agent by name: an institution, a group of one, or ``group:ordinal``."""
    if name in world.agent_rows:
        return world.agent_rows[name]
    group, _, ordinal = name.rpartition(":")
    return next(found.agents.start for found in world.groups if found.name == group) + int(ordinal)


def _default(world: World, target: int, share: float) -> None:
    state = world.state
    state.agents.status[target] |= DEFAULTED
    lost = share * max(0.0, float(state.agents.cash[target]))
    if lost > 0.0:
        world.bookkeeper.pay(Cause.DEFAULT_COST, target, verbs.OUTSIDE, lost)
    owed = np.flatnonzero((state.loans.borrower == target) & (state.loans.face > 0.0))
    state.loans.due[owed] = np.minimum(state.loans.due[owed], world.step)
