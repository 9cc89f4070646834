"""Outcomes of one run, each named and defined with its denominator."""

from __future__ import annotations

import numpy as np

from contagion.state.codes import AgentKind
from contagion.state.world import World


def outcomes_of(world: World) -> dict[str, float]:
    """The row a run contributes to a sweep. Money is USD, shares are decimals.

    ``system_loss`` is the sum of the negative parts of agents' net-worth changes, outside excepted: contracts are
    zero-sum, so a plain sum would hide it. ``deficit`` counts roots once. ``absorbed.<layer>`` and ``unallocated`` are
    what waterfalls did with them; they add to ``deficit``.
    """
    state, deficits = world.state, world.bookkeeper.deficits
    agents = state.agents
    change = agents.worth[1:] - agents.opening[1:]
    found: dict[str, float] = {
        "steps": float(world.step),
        "system_loss": float(-change[change < 0.0].sum()),
        "deficit": float(sum(deficits.amount)),
        "deficits": float(len(deficits)),
    }
    by_layer = layer_totals(world)
    for name, amount in by_layer.items():
        found["unallocated" if name == "unallocated" else f"absorbed.{name}"] = amount
    for name in (
        "liquidations", "liquidated_notional", "takeovers", "accounts_bankrupt", "deleveraged_notional",
        "deleveraging_fills", "margin_calls", "round_bound_hit",
    ):  # fmt: skip
        found[name] = float(world.counters.get(name, 0.0))
    found |= {name: float(value) for name, value in sorted(world.counters.items()) if name not in found}
    kinds = agents.kind
    defaulted = (agents.status & 1).astype(bool)
    found["defaults.traders"] = float((defaulted & (kinds == AgentKind.TRADER)).sum())
    found["defaults.exchanges"] = float(((agents.status & 10) > 0)[kinds == AgentKind.EXCHANGE].sum())
    found["defaults.protocols"] = float(((agents.status & 11) > 0)[kinds == AgentKind.PROTOCOL].sum())
    for venue in world.venues.values():
        if venue.fund >= 0:
            found[f"fund_use.{venue.name}"] = world.bookkeeper.ledger.borne.get(venue.fund, 0.0)
            found[f"fund_end.{venue.name}"] = float(agents.worth[venue.fund])
        if venue.claim >= 0:
            roots = [a for a, v in zip(deficits.amount, deficits.venue, strict=True) if v == venue.row]
            found[f"bad_debt.{venue.name}"] = float(sum(roots))
            found[f"claim_value.{venue.name}"] = float(state.assets.fundamental[venue.claim])
    low, high = world.pricing.extrema
    for row in np.flatnonzero(state.assets.issuer < 0)[1:]:
        found[f"drawdown.{state.assets.names[row]}"] = float(1.0 - low[row] / high[row])
    return found


def layer_totals(world: World) -> dict[str, float]:
    """What each waterfall layer bore of deficits so far, by name, without what it collected beyond them. [USD]"""
    ledger = world.bookkeeper.ledger
    ledger.fold()
    return dict(zip(ledger.layers, ledger.absorbed.tolist(), strict=True))
