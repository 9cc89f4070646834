"""The exposure graph of a running model, at any step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx
import numpy as np

from contagion.errors import InputError
from contagion.network.stress import account_equity, stressed_deficits
from contagion.network.validation import choice
from contagion.state.codes import AccountFlag, AgentKind, InstrumentKind
from contagion.state.tables import State
from contagion.state.world import World

Traders = Literal["all", "groups", "none"]
_STATUS = {1: "default", 2: "insolvent", 4: "illiquid", 8: "failed"}


def graph_of(
    world: World, traders: Traders = "all", *, stress: float | Mapping[str, float] | None = None
) -> nx.MultiDiGraph:
    """Who loses what if whom fails, now: edges creditor -> debtor with ``kind`` and ``amount`` [USD].

    ======================= ================================== ==================================================
    kind                    creditor -> debtor                 amount [USD]; further attributes
    ======================= ================================== ==================================================
    ``margin``              account owner -> venue             positive equity; ``book``
    ``potential``           venue -> account owner             deficit in the stress move; ``book``
    ``deposit``, ``claim``  holder -> issuer                   redemption value held; ``units``, ``fundamental``
                                                               value, ``pledged`` by customers of the holder
    ``loan``                lender -> borrower                 outstanding; ``due`` step
    ``settlement``          lender -> borrower                 the same, due by now
    ``backstop``            vault or fund -> venue             committed and unpaid: its account there, its cash
    ``custody``             exchange -> ``lent_to``            customers' cash lent out; ``due``
    ======================= ================================== ==================================================

    What depositors and outside hold is a ``deposit``, what anybody else holds a ``claim``. Reserves in a venue's own
    hands are nobody's debt and make no edge. Edges of zero are left out; two agents have parallel edges of a kind
    where they have several accounts or loans.

    Parameters
    ----------
    world : World
    traders : {'all', 'groups', 'none'}
        A node for each trader; one for each group, its members' exposures added up; or institutions only.
    stress : float or mapping, optional
        Move of the potential exposures: relative move of every market asset, or of those named, such as
        ``{"BTC": -0.3}``. Default: every position moves against its owner by its own maintenance rate, the move
        maintenance margin is meant to outlast, so that accounts below their requirement show.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes are agents by name (groups of one by their group's name) with ``type``, ``name``, ``net_worth`` [USD],
        ``cash`` [USD] and ``status`` (``active``, or what befell it); traders also with ``group``, ``archetype``, and
        ``leverage`` where they have accounts; groups with ``members``.

    Raises
    ------
    InputError
        An unknown choice, asset, or a move that is not above -1.
    """
    choice("traders", traders, ("all", "groups", "none"))
    edges = _all_edges(world, stress)
    names, node_of, nodes = _nodes(world, traders)
    graph = nx.MultiDiGraph(step=world.step)
    graph.add_nodes_from(zip(names, nodes, strict=True))
    graph.add_edges_from(edges.between(names, node_of))
    return graph


def exposures_of(world: World) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The edges of :func:`graph_of` by kind: rows of creditors, rows of debtors, amounts [USD]. Potential ones are out.

    Takes a few array operations, where a graph takes a dictionary for each edge.
    """
    parts = _all_edges(world, None).parts
    kinds = dict.fromkeys(kind for kind, *_ in parts if kind != "potential")
    return {
        kind: tuple(np.concatenate([part[column] for part in parts if part[0] == kind]) for column in (1, 2, 3))
        for kind in kinds
    }


def _all_edges(world: World, stress: float | Mapping[str, float] | None) -> _Edges:
    edges = _Edges()
    _accounts(world, edges, stress)
    _claims(world, edges)
    _loans(world, edges)
    _funds(world, edges)
    return edges


@dataclass
class _Edges:
    """Columns of edges, one part for each kind."""

    parts: list[tuple[str, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]] = field(default_factory=list)

    def add(self, kind: str, creditor, debtor, amount, **attributes) -> None:
        """Edges of a kind; rows of agents, amounts in USD, attributes with an entry for each edge."""
        amount = np.asarray(amount, dtype=float)
        creditor, debtor = np.broadcast_to(creditor, amount.shape), np.broadcast_to(debtor, amount.shape)
        some = (amount > 0.0) & (creditor != debtor)
        attributes = {name: np.asarray(values)[some].tolist() for name, values in attributes.items()}
        self.parts.append((kind, creditor[some], debtor[some], amount[some], attributes))

    def between(self, names: list[str], node_of: np.ndarray) -> list[tuple[str, str, dict[str, Any]]]:
        """Edges between nodes; where several agents are one node theirs are added up, without what tells them apart."""
        found = []
        for kind, creditor, debtor, amount, attributes in self.parts:
            ends = np.stack([node_of[creditor], node_of[debtor]], axis=1)
            if len(names) < len(node_of):
                ends, amount, attributes = _added_up(ends, amount, attributes)
            if len(amount):
                columns = [[(name, value) for value in values] for name, values in attributes.items()]
                rows = zip(*columns, strict=True) if columns else [()] * len(amount)
                found += [
                    (names[a], names[b], {"kind": kind, "amount": usd, **dict(row)})
                    for (a, b), usd, row in zip(ends.tolist(), amount.tolist(), rows, strict=True)
                ]
        return found


def _added_up(ends: np.ndarray, amount: np.ndarray, attributes: dict[str, Any]) -> tuple:
    kept = (ends >= 0).all(axis=1) & (ends[:, 0] != ends[:, 1])
    if not kept.any():
        return ends[:0], amount[:0], {}
    pairs, place = np.unique(ends[kept], axis=0, return_inverse=True)
    place = place.ravel()
    sums = {
        name: np.bincount(place, np.asarray(attributes[name])[kept]).tolist()
        for name in ("units", "fundamental", "pledged") if name in attributes
    }  # fmt: skip
    return pairs, np.bincount(place, amount[kept]), sums


def _accounts(world: World, edges: _Edges, stress: float | Mapping[str, float] | None) -> None:
    state = world.state
    accounts, books = state.accounts, state.books
    equity, deficit = account_equity(state), stressed_deficits(state, stress)
    own = accounts.flags & AccountFlag.HOUSE == 0
    owner, venue = accounts.owner, books.venue[accounts.book]
    backs = np.full(state.n_agents, -1)
    for item in world.venues.values():
        backed = getattr(item.spec, "backs", None)
        if backed is not None:
            backs[item.row] = world.agent_rows[backed]
    backstop = own & (backs[owner] == venue)
    named = np.asarray(books.names, dtype=object)[accounts.book]
    for kind, rows in (("margin", own & ~backstop), ("backstop", backstop)):
        edges.add(kind, owner[rows], venue[rows], equity[rows], book=named[rows])
    edges.add("potential", venue[own], owner[own], deficit[own], book=named[own])


def _claims(world: World, edges: _Edges) -> None:
    state = world.state
    assets, held, table = state.assets, state.holdings, state.instruments
    rows = np.flatnonzero((assets.issuer[held.asset] >= 0) & (held.units > 0.0))
    holder, asset, units = held.owner[rows], held.asset[rows], held.units[rows]
    custody = np.zeros((state.first_trader, len(assets.names)))
    spot = (table.long_only == 1) & (table.venue < state.first_trader)
    np.add.at(custody, (table.venue[spot], table.asset[spot]), table.customer_units[spot])
    institution = holder < state.first_trader
    pledged = np.where(institution, custody[np.where(institution, holder, 0), asset], 0.0)
    depositor = np.array([_is_depositor(group.rule) for group in world.groups] + [False])
    deposits = depositor[state.agents.group[holder]] | (holder == 0)
    redemption, fundamental = assets.redemption[asset], assets.fundamental[asset]
    for kind, part in (("deposit", deposits), ("claim", ~deposits)):
        edges.add(
            kind, holder[part], assets.issuer[asset[part]], (units * redemption)[part], units=units[part],
            fundamental=(units * fundamental)[part], pledged=(pledged * redemption)[part],
        )  # fmt: skip


def _is_depositor(rule: Any) -> bool:
    return any(kind.__name__ == "Depositor" for kind in type(rule).__mro__)


def _loans(world: World, edges: _Edges) -> None:
    loans = world.state.loans
    reserves = np.zeros(len(loans.face), dtype=bool)
    for venue in world.venues.values():
        lent_to = getattr(venue.spec, "lent_to", None)
        if lent_to is not None:
            place = [row for row, due in enumerate(loans.due) if loans.lender[row] == venue.row]
            # Lent reserves are the last loans laid out, one for each exchange.
            reserves[place[-1:]] = venue.spec.reserve_ratio < 1.0
    settled = (loans.due <= world.step) & ~reserves
    for kind, rows in (("loan", ~settled & ~reserves), ("settlement", settled), ("custody", reserves)):
        edges.add(kind, loans.lender[rows], loans.borrower[rows], loans.face[rows], due=loans.due[rows])


def _funds(world: World, edges: _Edges) -> None:
    state = world.state
    pairs = [(venue.fund, venue.row) for venue in world.venues.values() if venue.fund >= 0]
    if not pairs:
        return
    fund, venue = np.array(pairs).T
    owned = np.bincount(
        state.holdings.owner, state.holdings.units * state.assets.fundamental[state.holdings.asset], state.n_agents
    )
    edges.add("backstop", fund, venue, state.agents.cash[fund] + owned[fund])


def _nodes(world: World, traders: Traders) -> tuple[list[str], np.ndarray, list[dict[str, Any]]]:
    """Names of the nodes, the node of each agent (-1: none), and the attributes of the nodes."""
    state, first = world.state, world.state.first_trader
    agents, n = state.agents, state.n_agents
    names = list(agents.names)
    node_of = np.arange(n)
    count, members = n, None
    if traders == "all":
        for group in world.groups:
            size = group.agents.stop - group.agents.start
            names += [group.name] if size == 1 else [f"{group.name}:{order}" for order in range(size)]
    else:
        node_of[first:] = first + agents.group[first:] if traders == "groups" else -1
        count = first + (len(world.groups) if traders == "groups" else 0)
        names += [group.name for group in world.groups] if traders == "groups" else []
        members = np.bincount(node_of[first:], minlength=count) if traders == "groups" else None
    shown = node_of >= 0
    worth, cash = (np.bincount(node_of[shown], column[shown], count) for column in (agents.worth, agents.cash))
    status = np.zeros(count, np.uint8)
    np.bitwise_or.at(status, node_of[shown], agents.status[shown])
    nodes = [
        {"type": AgentKind(kind).name.lower() if row < first else "trader", "name": name, "net_worth": net, "cash": own,
         "status": ", ".join(word for bit, word in _STATUS.items() if value & bit) or "active"}
        for row, (name, kind, net, own, value) in enumerate(
            zip(names, [*agents.kind[:first].tolist()] + [0] * (count - first), worth.tolist(), cash.tolist(),
                status.tolist(), strict=True))
    ]  # fmt: skip
    if count > first:
        _describe_traders(state, world, nodes, node_of, members)
    return names, node_of, nodes


def _describe_traders(
    state: State, world: World, nodes: list[dict[str, Any]], node_of: np.ndarray, members: np.ndarray | None
) -> None:
    accounts, positions, first = state.accounts, state.positions, state.first_trader
    settle = state.assets.fundamental[state.books.settle[accounts.book]]
    long = np.abs(positions.units) * state.instruments.mark[positions.instrument] * settle[positions.account]
    # Debt is the other side of what collateral buys: only the collateral is exposure.
    long[(state.instruments.kind == InstrumentKind.DEBT)[positions.instrument]] = 0.0
    notional = np.bincount(node_of[accounts.owner[positions.account]].clip(0), long, len(nodes))
    equity = np.bincount(node_of[accounts.owner].clip(0), np.maximum(account_equity(state), 0.0), len(nodes))
    owner_groups = state.agents.group[first:].tolist() if members is None else range(len(world.groups))
    for row, order in enumerate(owner_groups, start=first):
        group, node = world.groups[order], nodes[row]
        node["group"], node["archetype"] = group.name, group.spec.archetype
        if equity[row] > 0.0:
            node["leverage"] = float(notional[row] / equity[row])
        if members is not None:
            node["members"] = int(members[row])


def check_same_exposures(given: nx.MultiDiGraph, built: nx.MultiDiGraph, *, tolerance: float = 1e-9) -> None:
    """Raise on the first (creditor, debtor, kind) of `given` that `built` has at another amount.

    A deposit and a claim are the same exposure, and potential exposures follow from positions: they aren't compared.
    """
    wanted, found = _sums(given), _sums(built)
    for (creditor, debtor, kind), amount in wanted.items():
        other = found.get((creditor, debtor, kind), 0.0)
        if abs(other - amount) > tolerance * max(amount, 1.0):
            raise InputError(f"edge {creditor} -> {debtor}, {kind}", amount, f"{other:.6g}, which is what the rules of "
                             "the base scenario and the attributes of the nodes make of it")  # fmt: skip


def _sums(graph: nx.MultiDiGraph) -> dict[tuple[str, str, str], float]:
    sums: dict[tuple[str, str, str], float] = {}
    for creditor, debtor, data in graph.edges(data=True):
        kind = "claim" if data["kind"] == "deposit" else data["kind"]
        if kind != "potential":
            sums[creditor, debtor, kind] = sums.get((creditor, debtor, kind), 0.0) + data["amount"]
    return sums
