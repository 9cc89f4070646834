"""One reader and one writer for exposure graphs: networkx graphs, GraphML files, edge-list CSV with optional nodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from xml.etree.ElementTree import ParseError

import networkx as nx

from contagion.errors import InputError
from contagion.network.exposures import exposure_amount, exposure_kind
from contagion.network.table import decoded, read_table, write_table
from contagion.network.validation import choice

EDGE_ROLES = ("creditor", "debtor", "amount", "kind", "creditor_name", "debtor_name", "creditor_type", "debtor_type")
NODE_ROLES = ("id", "name", "type")


def read_graph(
    source: nx.Graph | str | Path,
    *,
    nodes: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    node_columns: Mapping[str, str] | None = None,
    kind: str | None = None,
    creditor_type: str = "agent",
    debtor_type: str = "agent",
    missing_amounts: Literal["error", "zero", "drop"] = "error",
    zero_amounts: Literal["keep", "drop"] = "keep",
) -> nx.MultiDiGraph:
    """Read an exposure graph, whatever its form, and check it.

    Parameters
    ----------
    source : networkx graph, or path of a ``.graphml`` or ``.csv`` file
        Edges run creditor -> debtor; an edge of an undirected graph is an exposure both ways. A CSV file has a row for
        each edge.
    nodes : path, optional
        CSV file with a row for each node; edges may then name no other. Default: the file ``NAME.nodes.csv`` beside an
        edge list ``NAME.csv``, where there is one.
    columns : mapping, optional
        Which column (or edge attribute) holds ``creditor``, ``debtor``, ``amount`` [USD], ``kind``,
        ``creditor_name``, ``debtor_name``, ``creditor_type``, ``debtor_type``; by default the one of that name. Nodes
        are told apart by ``creditor`` and ``debtor``: where names repeat, give the columns of the ids there and those
        of the names in ``creditor_name`` and ``debtor_name``. Other columns become edge attributes.
    node_columns : mapping, optional
        Which column of the node file holds ``id``, ``name`` and ``type``; others become node attributes.
    kind : str, optional
        Kind of the exposures that don't carry one.
    creditor_type, debtor_type : str
        Type of nodes that don't carry one; a node on both sides counts as a creditor.
    missing_amounts : {'error', 'zero', 'drop'}
        What an absent amount means (an empty cell, or None); not-a-number is always an error.
    zero_amounts : {'keep', 'drop'}
        Whether edges of zero stay; the nodes do.

    Returns
    -------
    networkx.MultiDiGraph
        Node ids are text; every node has ``type`` and ``name``, every edge ``kind`` and ``amount``.

    Raises
    ------
    InputError
        Unreadable file, missing column, unknown kind or node, node linked to itself, negative or non-numeric amount,
        one id with two names.
    """
    choice("missing_amounts", missing_amounts, ("error", "zero", "drop"))
    choice("zero_amounts", zero_amounts, ("keep", "drop"))
    if kind is not None:
        exposure_kind("kind", kind)
    names = _roles("columns", columns, EDGE_ROLES)
    if isinstance(source, nx.Graph):
        _roles("columns of a networkx graph", columns, ("amount", "kind"))
        parts = _from_networkx(source, names, "graph")
    else:
        path = Path(source)
        suffix = choice("graph file", path.suffix.lower(), (".graphml", ".csv"))
        if suffix == ".csv":
            parts = _from_edge_list(path, nodes, names, columns or {}, _roles("node_columns", node_columns, NODE_ROLES))
        else:
            parts = _from_networkx(_graphml(path), names, path.name)
    return _built(parts, kind, (creditor_type, debtor_type), missing_amounts, zero_amounts == "drop")


def write_graph(graph: nx.Graph, path: str | Path) -> None:
    """Write an exposure graph so that :func:`read_graph` gives it back: same nodes, edges, attributes and types.

    ``.graphml``, or ``.csv`` for the edges with ``NAME.nodes.csv`` for the nodes beside it. The files appear complete
    or not at all.

    Raises
    ------
    InputError
        Not an exposure graph, another suffix, an attribute that the format cannot give back, or an unwritable place.
    """
    path = Path(path)
    suffix = choice("graph file", path.suffix.lower(), (".graphml", ".csv"))
    checked = read_graph(graph)
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".graph-") as drafts:
            draft = Path(drafts) / path.name
            if suffix == ".graphml":
                nx.write_graphml(checked, draft)
            else:
                edges = [{"creditor": c, "debtor": d, **data} for c, d, data in checked.edges(data=True)]
                write_table(draft, edges, ("creditor", "debtor", "kind", "amount"))
                write_table(_node_file(draft), [{"id": node, **data} for node, data in checked.nodes(data=True)],
                            NODE_ROLES)
            _check_same(checked, read_graph(draft))
            for part in Path(drafts).iterdir():
                part.replace(path.with_name(part.name))
    except OSError as error:
        raise InputError("graph file", str(path), f"a writable place ({error.strerror})") from None
    except (nx.NetworkXError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("graph attributes", str(error), "text, numbers and truth values") from None


@dataclass
class _Edge:
    where: str
    creditor: str
    debtor: str
    amount: Any
    kind: Any
    attributes: dict[str, Any]


@dataclass
class _Parts:
    edges: list[_Edge]
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)


def _check_same(graph: nx.MultiDiGraph, read: nx.MultiDiGraph) -> None:
    """Refuse a file that would not give the graph back, such as a CSV column of texts that all look like numbers."""
    pairs = [(f"node {node}", data, read.nodes.get(node, {})) for node, data in graph.nodes(data=True)]
    for edge, twin in zip_longest(graph.edges(data=True), read.edges(data=True), fillvalue=("", "", {})):
        where = f"edge {edge[0]} -> {edge[1]}"
        pairs += [(where, dict(enumerate(edge[:2])), dict(enumerate(twin[:2]))), (where, edge[2], twin[2])]
    for where, data, found in pairs:
        if data != found:
            wrong = next(key for key in data | found if key not in data or key not in found or data[key] != found[key])
            raise InputError(f"{where}, {wrong}", data.get(wrong), "a value that this file format gives back")


def _built(
    parts: _Parts, kind: str | None, types: tuple[str, str], missing: str, drop_zeros: bool
) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(parts.nodes.items())
    creditors: set[str] = set()
    for edge in parts.edges:
        if edge.creditor == edge.debtor:
            raise InputError(f"{edge.where}, creditor and debtor", edge.creditor, "two different nodes")
        graph.add_nodes_from((edge.creditor, edge.debtor))
        creditors.add(edge.creditor)
        if edge.amount is None and missing == "drop":
            continue
        amount = 0.0 if edge.amount is None and missing == "zero" else edge.amount
        amount = exposure_amount(f"{edge.where}, amount", amount)
        edge_kind = exposure_kind(f"{edge.where}, kind", kind if edge.kind is None else edge.kind)
        if amount or not drop_zeros:
            data = {"kind": edge_kind, "amount": amount} | edge.attributes
            graph.add_edges_from([(edge.creditor, edge.debtor, data)])
    for node, data in graph.nodes(data=True):
        data.setdefault("type", types[0] if node in creditors else types[1])
        data.setdefault("name", node)
    return graph


def _from_networkx(graph: nx.Graph, names: Mapping[str, str], where: str) -> _Parts:
    ids = {node: str(node) for node in graph}
    if len(set(ids.values())) < len(ids):
        raise InputError(f"{where}, nodes", [i for i in ids if not isinstance(i, str)][:5], "ids distinct as text")
    edges = []
    for creditor, debtor, data in graph.edges(data=True):
        rest = {key: value for key, value in data.items() if key not in (names["amount"], names["kind"])}
        for ends in [(creditor, debtor)] if graph.is_directed() else [(creditor, debtor), (debtor, creditor)]:
            edges.append(_Edge(
                f"{where}, edge {ends[0]} -> {ends[1]}", ids[ends[0]], ids[ends[1]],
                data.get(names["amount"]), data.get(names["kind"]), dict(rest),
            ))
    return _Parts(edges, {ids[node]: dict(data) for node, data in graph.nodes(data=True)})


def _graphml(path: Path) -> nx.Graph:
    try:
        return nx.read_graphml(path, force_multigraph=True)
    except OSError as error:
        raise InputError("graph file", str(path), f"a readable file ({error.strerror})") from None
    except (ParseError, nx.NetworkXError, KeyError, ValueError) as error:
        raise InputError("graph file", str(path), f"GraphML ({error})") from None


def _from_edge_list(
    path: Path, nodes: str | Path | None, names: Mapping[str, str], given: Mapping[str, str],
    node_names: Mapping[str, str],
) -> _Parts:
    table = read_table(path)
    for role in EDGE_ROLES:
        if names[role] not in table and (role in given or role in ("creditor", "debtor", "amount")):
            raise InputError(f"{path.name}, columns.{role}", names[role], "one of " + ", ".join(table))
    role_of = {names[role]: role for role in EDGE_ROLES}
    extra = {column: decoded(cells) for column, cells in table.items() if column not in role_of}
    lines = range(len(table[names["creditor"]]))
    cells = {role: table.get(names[role], [None] * len(lines)) for role in EDGE_ROLES}
    parts = _Parts([])
    node_path = _node_file(path) if nodes is None else Path(nodes)
    listed = nodes is not None or node_path.exists()
    if listed:
        parts.nodes = _node_table(node_path, node_names)
    for line in lines:
        where = f"{path.name} row {line + 2}"
        ends = []
        for side in ("creditor", "debtor"):
            node = cells[side][line]
            if node is None:
                raise InputError(f"{where}, {names[side]}", "", "the id of a node")
            if listed and node not in parts.nodes:
                raise InputError(f"{where}, {names[side]}", node, f"a node of {node_path.name}")
            ends.append(node)
            _describe(parts.nodes, node, cells[f"{side}_name"][line], cells[f"{side}_type"][line], where)
        attributes = {column: values[line] for column, values in extra.items() if values[line] is not None}
        amount = _number(f"{where}, {names['amount']}", cells["amount"][line])
        parts.edges.append(_Edge(where, ends[0], ends[1], amount, cells["kind"][line], attributes))
    return parts


def _describe(nodes: dict[str, dict[str, Any]], node: str, name: str | None, type_: str | None, where: str) -> None:
    known = nodes.setdefault(node, {})
    for attribute, value in (("name", name), ("type", type_)):
        if value is not None and known.setdefault(attribute, value) != value:
            raise InputError(f"{where}, {attribute} of {node}", value, f"{known[attribute]!r}, as before")


def _node_table(path: Path, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    table = read_table(path)
    if names["id"] not in table:
        raise InputError(f"{path.name}, node_columns.id", names["id"], "one of " + ", ".join(table))
    ids = table[names["id"]]
    if None in ids or len(set(ids)) < len(ids):
        repeated = next(node for node in ids if node is None or ids.count(node) > 1)
        raise InputError(f"{path.name}, {names['id']}", repeated or "", "each node once")
    columns: dict[str, Iterable[Any]] = {
        role: table[names[role]] for role in ("type", "name") if names[role] in table
    }
    columns |= {column: decoded(cells) for column, cells in table.items() if column not in names.values()}
    return {
        node: {column: cells[line] for column, cells in columns.items() if cells[line] is not None}
        for line, node in enumerate(ids)
    }


def _number(where: str, cell: str | None) -> float | None:
    if cell is None:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    return exposure_amount(where, value) if math.isfinite(value) else exposure_amount(where, cell)


def _roles(argument: str, given: Mapping[str, str] | None, roles: tuple[str, ...]) -> dict[str, str]:
    unknown = set(given or {}) - set(roles)
    if unknown:
        raise InputError(argument, sorted(unknown), "keys among " + ", ".join(roles))
    return {role: role for role in roles} | dict(given or {})


def _node_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.nodes.csv")
