"""Random and regular exposure graphs: edges creditor -> debtor with a kind and an amount.

Every generator takes the same last arguments: ``total`` lent by each creditor [USD], one number or one a node;
``split`` of it over its debtors, ``"even"`` or by random weights, ``{"pareto": tail index}`` or
``{"lognormal": sigma}``; the ``kind`` of the exposures; the ``node_type``; and the ``rng`` that everything is drawn
from. Nodes are called ``node_0``, ``node_1``, ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

from contagion.errors import InputError
from contagion.network.exposures import exposure_kind
from contagion.network.validation import share, vector

Split = str | Mapping[str, float]


def erdos_renyi(
    n: int, probability: float, *, total: ArrayLike, rng: np.random.Generator,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """Every ordered pair is linked with the same probability (Gilbert 1959; directed, as in Gai and Kapadia 2010)."""
    n = _count("n", n)
    share("probability", probability)
    links = _generator(rng).random((n, n)) < probability
    return _exposure_graph(links, total, split, kind, node_type, rng)


def core_periphery(
    n: int, core: int, *, total: ArrayLike, rng: np.random.Generator, probability: float = 0.2,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """The first ``core`` nodes all lend to each other; each other node lends to and borrows from each core node with
    the given probability, and never deals with its like (Craig and von Peter 2014)."""
    n, core = _count("n", n), _count("core", core)
    if core > n:
        raise InputError("core", core, f"at most the number of nodes, {n}")
    share("probability", probability)
    central = np.arange(n) < core
    links = (_generator(rng).random((n, n)) < probability) & (central[:, None] | central)
    links |= central[:, None] & central
    return _exposure_graph(links, total, split, kind, node_type, rng)


def scale_free(
    n: int, attachments: int, *, total: ArrayLike, rng: np.random.Generator,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """Preferential attachment (Barabasi and Albert 1999): each new node links to ``attachments`` others, drawn in
    proportion to their links so far; who lends is tossed up."""
    n, attachments = _count("n", n), _count("attachments", attachments)
    if attachments >= n:
        raise InputError("attachments", attachments, f"below the number of nodes, {n}")
    links = np.zeros((n, n), dtype=bool)
    ends = list(range(attachments))  # a node stands here once for each of its links
    for node in range(attachments, n):
        chosen: dict[int, None] = {}
        while len(chosen) < attachments:
            chosen[ends[_generator(rng).integers(len(ends))]] = None
        for other, lends in zip(chosen, rng.random(attachments) < 0.5, strict=True):
            links[(node, other) if lends else (other, node)] = True
        ends += [*chosen, *[node] * attachments]
    return _exposure_graph(links, total, split, kind, node_type, rng)


def configuration(
    n: int, exponent: float, *, total: ArrayLike, rng: np.random.Generator, least: int = 1,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """Power-law numbers of debtors and creditors, wired at random (Newman, Strogatz and Watts 2001).

    ``P(degree >= k) = (k / least)^(1 - exponent)``, exponent above one, cut at n - 1. The numbers drawn are dealt to
    the nodes twice, as numbers of debtors and of creditors; self-links and repeated links are dropped.
    """
    n, least = _count("n", n), _count("least", least)
    if not exponent > 1.0:
        raise InputError("exponent", exponent, "a number above one")
    draws = least * (1.0 - _generator(rng).random(n)) ** (-1.0 / (exponent - 1.0))
    degree = np.minimum(draws, n - 1).astype(int)
    lenders, borrowers = np.repeat(np.arange(n), degree), np.repeat(rng.permutation(n), degree)
    links = np.zeros((n, n), dtype=bool)
    links[lenders, rng.permutation(borrowers)] = True
    return _exposure_graph(links, total, split, kind, node_type, rng)


def ring(
    n: int, *, total: ArrayLike, rng: np.random.Generator,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """Each node lends to the next, the last to the first."""
    n = _count("n", n)
    return _exposure_graph(np.roll(np.eye(n, dtype=bool), 1, axis=1), total, split, kind, node_type, rng)


def complete(
    n: int, *, total: ArrayLike, rng: np.random.Generator,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """Everybody lends to everybody else."""
    n = _count("n", n)
    return _exposure_graph(np.ones((n, n), dtype=bool), total, split, kind, node_type, rng)


def stochastic_block(
    sizes: Sequence[int], probabilities: ArrayLike, *, total: ArrayLike, rng: np.random.Generator,
    split: Split = "even", kind: str = "loan", node_type: str = "agent",
) -> nx.MultiDiGraph:
    """Groups of the given sizes; a node of group a lends to one of group b with ``probabilities[a, b]``
    (Holland, Laskey and Leinhardt 1983)."""
    block = np.repeat(np.arange(len(sizes)), [_count(f"sizes[{i}]", size) for i, size in enumerate(sizes)])
    chances = np.asarray(probabilities, dtype=float)
    if chances.shape != (len(sizes), len(sizes)) or not ((chances >= 0.0) & (chances <= 1.0)).all():
        raise InputError("probabilities", probabilities, f"{len(sizes)} x {len(sizes)} numbers from 0 to 1")
    links = _generator(rng).random((len(block), len(block))) < chances[np.ix_(block, block)]
    return _exposure_graph(links, total, split, kind, node_type, rng)


GENERATORS: dict[str, Callable[..., nx.MultiDiGraph]] = {
    "erdos_renyi": erdos_renyi,
    "core_periphery": core_periphery,
    "scale_free": scale_free,
    "configuration": configuration,
    "ring": ring,
    "complete": complete,
    "stochastic_block": stochastic_block,
}


def generate_graph(generator: str, *, rng: np.random.Generator, **parameters: Any) -> nx.MultiDiGraph:
    """Exposure graph from the generator with this name and its parameters.

    Raises
    ------
    InputError
        Unknown generator, unknown or missing parameter, or a value out of range.

    Examples
    --------
    >>> graph = generate_graph("ring", n=3, total=10.0, rng=np.random.default_rng(1))
    >>> list(graph.edges(data="amount"))
    [('node_0', 'node_1', 10.0), ('node_1', 'node_2', 10.0), ('node_2', 'node_0', 10.0)]
    """
    if generator not in GENERATORS:
        raise InputError("generator", generator, "one of " + ", ".join(GENERATORS))
    signature = inspect.signature(GENERATORS[generator])
    try:
        signature.bind(rng=rng, **parameters)
    except TypeError:
        accepted = ", ".join(name for name in signature.parameters if name != "rng")
        raise InputError(f"{generator} parameters", sorted(parameters), accepted) from None
    return GENERATORS[generator](rng=rng, **parameters)


def _exposure_graph(
    links: np.ndarray, total: ArrayLike, split: Split, kind: str, node_type: str, rng: np.random.Generator
) -> nx.MultiDiGraph:
    n = len(links)
    exposure_kind("kind", kind)
    lent = vector("total", np.broadcast_to(total, n) if np.ndim(total) == 0 else total, n)
    linked = links & ~np.eye(n, dtype=bool)
    weights = np.zeros((n, n))
    weights[linked] = _weights(split, int(linked.sum()), _generator(rng))
    weights /= np.where(linked.any(axis=1), weights.sum(axis=1), 1.0)[:, None]
    amounts = weights * lent[:, None]
    names = [f"node_{i}" for i in range(n)]
    graph = nx.MultiDiGraph()
    graph.add_nodes_from((name, {"type": node_type, "name": name}) for name in names)
    graph.add_edges_from(
        (names[i], names[j], {"kind": kind, "amount": float(amounts[i, j])}) for i, j in np.argwhere(linked)
    )
    return graph


def _weights(split: Split, size: int, rng: np.random.Generator) -> np.ndarray:
    if split == "even":
        return np.ones(size)
    if isinstance(split, Mapping) and len(split) == 1:
        [(family, shape)] = split.items()
        if family in ("pareto", "lognormal") and shape > 0.0:
            return 1.0 + rng.pareto(shape, size) if family == "pareto" else rng.lognormal(0.0, shape, size)
    raise InputError("split", split, "'even', {'pareto': tail index above 0} or {'lognormal': sigma above 0}")


def _count(field: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(field, value, "a whole number from 1")
    return int(value)


def _generator(rng: np.random.Generator) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise InputError("rng", rng, "a numpy.random.Generator")
    return rng
