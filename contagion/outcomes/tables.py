"""Tables of who bore socialised losses: from origin to bearer, and by kind, group, side, size or leverage of bearer."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.state.codes import AgentKind, InstrumentKind
from contagion.state.world import World

By = Literal["type", "group", "side", "size", "leverage"]
SIZE_EDGES = (0.0, 1e3, 1e4, 1e5, 1e6, 1e7, np.inf)
LEVERAGE_EDGES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, np.inf)


def loss_table(world: World) -> pd.DataFrame:
    """Socialised losses from the venue where they arose (rows) to who bore them in the end (columns). [USD]

    Each issuer passes on the mix of origins of what it bore, pro rata to amounts. Bearers are institutions and trader
    groups; ``unallocated`` is what no layer of an exchange took. Rows and columns of zeros are left out.
    """
    state, burden = world.state, world.incidence.burden()
    names = [*state.agents.names[: state.first_trader], *state.group_names]
    table = pd.DataFrame(burden.table, index=state.agents.names[: state.first_trader], columns=names)
    table["unallocated"] = burden.unallocated
    return table.loc[table.sum(axis=1) > 0.0, table.sum(axis=0) > 0.0].rename_axis("origin")


def burden_by(world: World, by: By) -> pd.DataFrame:
    """Socialised losses by a property of who bore them.

    Parameters
    ----------
    by : {"type", "group", "side", "size", "leverage"}
        Kind of agent, or a property of traders: their group, and of their contracts at the opening the sign of the net
        exposure, the gross notional [USD], and that over opening net worth. Intervals are closed on the left.

    Returns
    -------
    DataFrame
        One row a class that has agents: ``agents``, how many of them bore anything (``payers``), ``burden`` [USD],
        its ``share`` of the table's total, ``opening_net_worth`` [USD], and the burden ``per_net_worth``, that of the
        opening [1]: above 1 where profits of the run were taken.

    Raises
    ------
    InputError
        No such property.
    """
    state, agents = world.state, world.state.agents
    burden, rows = world.incidence.burden().by_agent, np.arange(state.first_trader, state.n_agents)
    if by == "type":
        rows = np.arange(1, state.n_agents)
        label, labels = agents.kind[rows], [kind.name.lower() for kind in AgentKind]
    elif by == "group":
        label, labels = agents.group[rows], state.group_names
    elif by in ("side", "size", "leverage"):
        label, labels = _opening_class(world, by)
    else:
        raise InputError("by", by, "'type', 'group', 'side', 'size' or 'leverage'")
    label, count = label.astype(np.int64), len(labels)
    borne = burden[rows]
    table = pd.DataFrame(
        {
            "agents": np.bincount(label, minlength=count),
            "payers": np.bincount(label[borne > 0.0], minlength=count),
            "burden": np.bincount(label, borne, minlength=count),
            "opening_net_worth": np.bincount(label, agents.opening[rows], minlength=count),
        },
        index=pd.Index(labels, name=by),
    )
    total = float(table["burden"].sum())
    table.insert(3, "share", table["burden"] / total if total > 0.0 else 0.0)
    table["per_net_worth"] = np.divide(
        table["burden"], table["opening_net_worth"], out=np.zeros(count), where=table["opening_net_worth"] > 0.0
    )
    return table[table["agents"] > 0]


def notionals(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Gross notional of contracts and collateral of each agent at the opening and now, debt left out. [USD]"""
    state, seen = world.state, world.incidence
    positions, instruments = state.positions, state.instruments
    owner = state.accounts.owner[positions.account]
    counted = (instruments.kind != InstrumentKind.DEBT)[positions.instrument]
    now = instruments.mark * state.assets.fundamental[state.books.settle[instruments.book]]
    opening = np.abs(seen.opening_units * seen.opening_unit_value[positions.instrument])
    current = np.abs(positions.units * now[positions.instrument])
    sums = [np.bincount(owner, np.where(counted, value, 0.0), state.n_agents) for value in (opening, current)]
    return sums[0], sums[1]


def _opening_class(world: World, by: str) -> tuple[np.ndarray, list[str]]:
    """Class of each trader by its contracts at the opening, and the names of the classes."""
    state, seen = world.state, world.incidence
    instrument = state.positions.instrument
    contract = state.instruments.kind[instrument] <= InstrumentKind.INVERSE
    value = np.where(contract, seen.opening_units * seen.opening_unit_value[instrument], 0.0)
    owner = state.accounts.owner[state.positions.account]
    traders = slice(state.first_trader, state.n_agents)
    net = np.bincount(owner, value, minlength=state.n_agents)[traders]
    gross = np.bincount(owner, np.abs(value), minlength=state.n_agents)[traders]
    if by == "side":
        return np.sign(net).astype(np.int64) + 1, ["short", "flat", "long"]
    if by == "size":
        return _interval(gross, SIZE_EDGES)
    worth = state.agents.opening[traders]
    return _interval(np.divide(gross, worth, out=np.zeros(len(gross)), where=worth > 0.0), LEVERAGE_EDGES)


def _interval(values: np.ndarray, edges: tuple[float, ...]) -> tuple[np.ndarray, list[str]]:
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges[:-1])]
    return np.searchsorted(edges, values, side="right") - 1, [*names, f"{edges[-2]:g} or more"]
