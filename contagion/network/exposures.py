"""The exposure graph: nodes are agents, an edge says what its creditor loses if its debtor pays nothing.

A ``networkx.MultiDiGraph`` with edges creditor -> debtor, each with a ``kind`` and an ``amount`` [USD]; nodes have a
``type`` and a ``name``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from numbers import Real
from typing import Any

import networkx as nx
import numpy as np

from contagion.errors import InputError

EXPOSURE_KINDS = ("margin", "potential", "deposit", "claim", "loan", "settlement", "backstop", "custody")


def exposure_matrix(graph: nx.Graph, kind: str | None = None) -> tuple[list[Hashable], np.ndarray]:
    """Exposures between the nodes of a graph, parallel edges added up.

    Parameters
    ----------
    graph : networkx graph
        Edges creditor -> debtor with ``kind`` and ``amount``.
    kind : str, optional
        Only edges of this kind.

    Returns
    -------
    nodes : list
        Node ids in the order of the graph: the rows and columns.
    exposures : ndarray of shape (n, n)
        ``[i, j]``: what i loses if j pays nothing. [USD]

    Raises
    ------
    InputError
        Unknown kind, or an edge without a valid kind or amount.

    Examples
    --------
    >>> graph = nx.MultiDiGraph()
    >>> _ = graph.add_edge("fund", "bank", kind="deposit", amount=3.0)
    >>> exposure_matrix(graph)
    (['fund', 'bank'], array([[0., 3.],
           [0., 0.]]))
    """
    if kind is not None:
        exposure_kind("kind", kind)
    nodes = list(graph)
    place = {node: index for index, node in enumerate(nodes)}
    exposures = np.zeros((len(nodes), len(nodes)))
    for creditor, debtor, data in graph.edges(data=True):
        edge = f"edge {creditor} -> {debtor}"
        if kind in (None, exposure_kind(f"{edge}, kind", data.get("kind"))):
            exposures[place[creditor], place[debtor]] += exposure_amount(f"{edge}, amount", data.get("amount"))
    if not graph.is_directed():
        exposures += exposures.T
    return nodes, exposures


def liability_matrix(graph: nx.Graph, kind: str | None = None) -> tuple[list[Hashable], np.ndarray]:
    """What i owes j, ``[i, j]``: the transpose of :func:`exposure_matrix`, as clearing takes it. [USD]"""
    nodes, exposures = exposure_matrix(graph, kind)
    return nodes, np.ascontiguousarray(exposures.T)


def exposure_kind(field: str, value: Any) -> str:
    """One of the kinds of exposure, or an error that lists them."""
    if value not in EXPOSURE_KINDS:
        raise InputError(field, value, "one of " + ", ".join(EXPOSURE_KINDS))
    return value


def exposure_amount(field: str, value: Any) -> float:
    """A finite amount, zero or more. [USD]"""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0.0:
        raise InputError(field, value, "a finite number of USD, zero or more")
    return float(value)
