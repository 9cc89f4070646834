"""Outcomes of one run, each named and defined with its denominator."""

from __future__ import annotations

import numpy as np

from contagion.outcomes.incidence import Burden
from contagion.outcomes.measures import gini, hhi, top_share
from contagion.state.codes import AgentKind
from contagion.state.world import World

WIPED_OUT = 0.99
"""Share of what it would have ended with, above which a payer lost everything."""

BEARERS = {
    AgentKind.EXCHANGE: "exchanges", AgentKind.FUND: "funds", AgentKind.PROTOCOL: "protocols",
    AgentKind.OUTSIDE: "outside",
}  # fmt: skip


def outcomes_of(world: World) -> dict[str, float]:
    """The row a run contributes to a sweep, name by name in docs/outcomes.md. Money is USD, shares are decimals.

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
    if found.get("withdrawals_paid", 0.0) > 0.0:
        found["share_paid_at_par"] = found.get("paid_at_par", 0.0) / found["withdrawals_paid"]
    kinds = agents.kind
    defaulted = (agents.status & 1).astype(bool)
    found["defaults.traders"] = float((defaulted & (kinds == AgentKind.TRADER)).sum())
    found["defaults.exchanges"] = float(((agents.status & 10) > 0)[kinds == AgentKind.EXCHANGE].sum())
    found["defaults.protocols"] = float(((agents.status & 11) > 0)[kinds == AgentKind.PROTOCOL].sum())
    for venue in world.venues.values():
        if venue.fund >= 0:
            found[f"fund_use.{venue.name}"] = float(world.bookkeeper.ledger.borne[venue.fund])
            found[f"fund_end.{venue.name}"] = float(agents.worth[venue.fund])
        if venue.claim >= 0:
            roots = [a for a, v in zip(deficits.amount, deficits.venue, strict=True) if v == venue.row]
            found[f"bad_debt.{venue.name}"] = float(sum(roots))
            found[f"claim_value.{venue.name}"] = float(state.assets.fundamental[venue.claim])
    low, high = world.pricing.extrema
    for row in np.flatnonzero(state.assets.issuer < 0)[1:]:
        found[f"drawdown.{state.assets.names[row]}"] = float(1.0 - low[row] / high[row])
    found |= {f"system_loss.{channel}": loss for channel, loss in world.incidence.loss_by_channel().items()}
    found |= burden_outcomes(world, world.incidence.burden())
    found |= gains(world)
    found["time_to_first_deficit"] = _first_deficit(world)
    return found


def burden_outcomes(world: World, burden: Burden) -> dict[str, float]:
    """Who bore the socialised losses in the end, how unequally, and what that is per traded notional."""
    state, agents = world.state, world.state.agents
    first, kinds = state.first_trader, world.state.agents.kind
    borne = burden.by_agent[first:]
    found = {"burden": float(burden.table.sum()), "burden.traders": float(burden.table[:, first:].sum())}
    for kind, name in BEARERS.items():
        found[f"burden.{name}"] = float(burden.table[:, :first][:, kinds[:first] == kind].sum())
    by_group = burden.table[:, first:].sum(axis=0)
    found |= {f"burden.group.{name}": float(by_group[order]) for order, name in enumerate(state.group_names)}
    payers = borne > 0.0
    would_have = np.maximum(agents.worth[first:][payers], 0.0) + borne[payers]
    haircut = borne[payers] / would_have
    found["burden_payers"] = float(payers.sum())
    found["burden_gini"] = gini(borne) if len(borne) else 0.0
    found["burden_hhi"] = hhi(borne) if len(borne) else 0.0
    found["burden_top1"] = top_share(borne, 0.01) if len(borne) else 0.0
    found["haircut_mean"] = float(borne[payers].sum() / would_have.sum()) if payers.any() else 0.0
    found["haircut_max"] = float(haircut.max(initial=0.0))
    found["wiped_out"] = float((haircut > WIPED_OUT).sum())
    found["wiped_out_share"] = float((haircut > WIPED_OUT).mean()) if payers.any() else 0.0
    traded = float(world.market.volume.sum())
    found["traded_notional"] = traded
    exchanges = burden.table[kinds[:first] == AgentKind.EXCHANGE, first:].sum(axis=0)
    cost = 1e4 * exchanges / traded if traded > 0.0 else np.where(exchanges > 0.0, np.nan, 0.0)
    found["hidden_cost_bps"] = float(cost.sum())
    return found | {f"hidden_cost_bps.{name}": float(cost[order]) for order, name in enumerate(state.group_names)}


def gains(world: World) -> dict[str, float]:
    """Change of net worth from the opening to the end, by type of agent and by group of traders. [USD]"""
    state, agents = world.state, world.state.agents
    change, kinds, first = agents.worth - agents.opening, agents.kind, state.first_trader
    found = {"gain.traders": float(change[first:].sum())}
    for kind, name in BEARERS.items():
        found[f"gain.{name}"] = float(change[:first][kinds[:first] == kind].sum())
    by_group = np.bincount(agents.group[first:], change[first:], minlength=len(state.group_names))
    return found | {f"gain.group.{name}": float(by_group[order]) for order, name in enumerate(state.group_names)}


def _first_deficit(world: World) -> float:
    """Hours to the first deficit of a cent or more, nan if there was none."""
    roots = world.bookkeeper.deficits
    hours = world.scenario.dt.total_seconds() / 3600.0
    return next((step * hours for step, a in zip(roots.step, roots.amount, strict=True) if a >= 0.01), float("nan"))


def layer_totals(world: World) -> dict[str, float]:
    """What each waterfall layer bore of deficits so far, by name, without what it collected beyond them. [USD]"""
    ledger = world.bookkeeper.ledger
    ledger.fold()
    return dict(zip(ledger.layers, ledger.absorbed.tolist(), strict=True))
