"""A scenario whose opening exposures are those of a graph; a base scenario gives what a graph cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx

from contagion.errors import InputError
from contagion.network.generators import generate_graph
from contagion.network.io import read_graph
from contagion.scenario.assemble import assemble
from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.scenario.graph_issuers import issuer_of, vault_of
from contagion.scenario.graph_traders import trader_of
from contagion.scenario.issuers import Issuer, Vault
from contagion.scenario.layout import FUND_NAME, RESERVE_NAME
from contagion.scenario.lending import LendingPool
from contagion.scenario.loader import load_scenario
from contagion.scenario.plans import group_names
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Exchange
from contagion.streams import Streams

OUTSIDE = "outside"
_KIND_OF_TYPE = {
    "outside": "outside", "exchange": "exchange", "protocol": "protocol", "vault": "protocol",
    "lending_pool": "protocol", "fund": "fund", "trader": "trader",
}  # fmt: skip


def given_graph(source: nx.Graph | str | Path | Mapping[str, Any], rng: int, **reading: Any) -> nx.MultiDiGraph:
    """The graph a model is made from.

    Parameters
    ----------
    source : networkx graph, path, or mapping
        Anything :func:`contagion.network.read_graph` reads, or ``{"generator": "ring", "n": 20, "total": 1e6, ...}``.
    rng : int
        Seed of the generator's draws.
    **reading
        Arguments of :func:`contagion.network.read_graph`: ``columns``, ``kind``, ``missing_amounts``, ...
    """
    if isinstance(source, Mapping):
        parameters = dict(source)
        source = generate_graph(parameters.pop("generator", None), rng=Streams(rng).generator("graph"), **parameters)
    return read_graph(source, **reading)


def scenario_from_graph(graph: nx.MultiDiGraph, base: Scenario | Mapping[str, Any] | str | None = None) -> Scenario:
    """The base scenario with the agents and exposures of a graph in place of its own.

    Nodes by ``type``: ``outside`` (one, called so), ``exchange``, ``protocol`` (or ``vault``), ``fund`` (called
    ``venue/insurance_fund`` or ``pool/reserve``), ``trader``. Any other type: what the base scenario calls an exchange
    or a protocol is one; a node that owners have margin at is an exchange; one that others hold claims on, or that
    backs an exchange, is a vault; the rest are traders.

    - ``deposit``, ``claim``: the debtor is a protocol. What a vault owns beyond the claims on it is held by outside.
    - ``loan``, ``settlement``: credit, due at the edge's ``due`` step; without one a settlement is due at once and a
      loan after the run.
    - ``margin``: an account at an exchange or lending pool, see :mod:`contagion.scenario.graph_traders`.
    - ``backstop``: a vault backs an exchange with this much (with a layer after the insurance fund where the base's
      waterfall has none for it), or the fund of a venue has this much.
    - ``custody``: an exchange has lent this much of its customers' cash.
    - ``potential``: follows from positions; not read.

    Exchanges and protocols that the base declares under the name of a node keep the base's rules; others have the
    defaults of the schema. Issuers of a kind other than vault also keep the base's equity and market assets, and the
    coins of an automated market maker belong to outside as far as nobody in the graph has claims on them. ``cash``
    of a vault or trader node is what it has in hand [USD]; a vault's is otherwise what was paid in and is not invested.
    A vault's ``redemption`` is ``open`` or ``halted``. Market makers and keepers of the base stay where their venues
    are in the graph and no node belongs to their group. Its other venues, protocols, traders and loans don't.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        As :func:`given_graph` returns it.
    base : Scenario, mapping or str, optional
        Assets, prices, steps, shocks and rules; default ``quickstart``. The shocks of a mapping may name the graph's
        nodes.

    Raises
    ------
    InputError
        A node or edge that no scenario can say, or something that neither the graph nor the base says.
    """
    base, shocks = _base(base)
    parts = Parts(graph, base)
    data = base.model_dump(mode="json") | {"shocks": shocks}
    data["exchanges"] = {name: parts.exchange(name) for name in parts.of_kind("exchange")}
    data["protocols"] = {name: parts.protocol(name) for name in parts.of_kind("protocol")}
    stay = parts.kept_groups()
    data["traders"] = [data["traders"][order] for order in stay]
    data["traders"] += [
        trader_of(name, graph.nodes[name], parts.out(name), parts.owed(name), base) for name in parts.of_kind("trader")
    ]
    data["credit"]["loans"] = parts.loans()
    scenario = load_scenario(data)
    lent = parts.reserves_lent()
    if not lent:
        return scenario
    world = assemble(scenario, 0)  # sizes are fixed: any seed makes the same custody
    for name, (debtor, amount) in lent.items():
        books = world.state.books
        custody = float(books.balance[(books.venue == world.agent_rows[name]) & (books.settle == 0)].sum())
        if amount > custody:
            raise InputError(f"node {name}, custody", amount, f"at most the USD its customers have there, {custody:g}")
        data["exchanges"][name] |= {"lent_to": debtor, "reserve_ratio": 1.0 - amount / custody}
    return load_scenario(data)


def _base(base: Scenario | Mapping[str, Any] | str | None) -> tuple[Scenario, list[Any]]:
    """The base, and its shocks as plain data: their targets are checked where the graph's nodes are known."""
    if isinstance(base, Mapping):
        return load_scenario({**base, "shocks": []}), list(base.get("shocks") or [])
    scenario = load_scenario("quickstart" if base is None else base)
    return scenario, scenario.model_dump(mode="json")["shocks"]


class Parts:
    """Nodes by kind and edges by node."""

    def __init__(self, graph: nx.MultiDiGraph, base: Scenario) -> None:
        self.graph, self.base = graph, base
        self.kind = {node: self._kind(node) for node in graph}
        for creditor, debtor, data in graph.edges(data=True):
            self._check(creditor, debtor, data["kind"])

    def of_kind(self, kind: str) -> list[str]:
        """Names of nodes of a kind, in the order of the graph."""
        return [node for node, found in self.kind.items() if found == kind]

    def out(self, node: str, *kinds: str) -> list[tuple[str, str, float, dict[str, Any]]]:
        """(debtor, kind, amount, attributes) of what a node has coming, of these kinds or all. [USD]"""
        return [
            (debtor, data["kind"], data["amount"], data) for _, debtor, data in self.graph.out_edges(node, data=True)
            if data["amount"] > 0.0 and (not kinds or data["kind"] in kinds)
        ]  # fmt: skip

    def owed(self, node: str) -> float:
        """Loans a node owes that fall due within the run. [USD]"""
        edges = self.graph.in_edges(node, data=True)
        return sum(data["amount"] for _, _, data in edges if _is_loan(data) and self._due(data) <= self.base.steps)

    def total(self, node: str, *kinds: str, creditor: str | None = None) -> float:
        return sum(
            data["amount"] for source, _, data in self.graph.in_edges(node, data=True)
            if data["kind"] in kinds and creditor in (None, source)
        )  # fmt: skip

    # -- kinds of nodes -----------------------------------------------------------------------------------------

    def _kind(self, node: str) -> str:
        given = str(self.graph.nodes[node].get("type", "")).lower()
        if (given == OUTSIDE) != (node == OUTSIDE) and (given == OUTSIDE or given in _KIND_OF_TYPE):
            raise InputError(f"node {node}, type", given, "'outside' for the one node of that name, and for no other")
        if node == OUTSIDE:
            return OUTSIDE
        if given in _KIND_OF_TYPE:
            return _KIND_OF_TYPE[given]
        if node in self.base.exchanges:
            return "exchange"
        if node in self.base.protocols:
            return "protocol"
        ins = {data["kind"] for _, _, data in self.graph.in_edges(node, data=True)}
        outs = {data["kind"] for _, _, data in self.graph.out_edges(node, data=True)}
        if "margin" in ins or "custody" in outs:
            return "exchange"
        if node.endswith((f"/{FUND_NAME}", f"/{RESERVE_NAME}")):
            return "fund"
        return "protocol" if ins & {"deposit", "claim"} or "backstop" in outs else "trader"

    def _check(self, creditor: str, debtor: str, kind: str) -> None:
        """Only what a scenario can say."""
        ends = self.kind[creditor], self.kind[debtor]
        accepted, fits = {
            "deposit": ("from a trader, a vault or outside to a protocol",
                        (ends[0] in ("trader", "protocol", OUTSIDE) and ends[1] == "protocol")
                        or (creditor == f"{debtor}/{RESERVE_NAME}" and self._mints(debtor))),
            "margin": ("from a trader to an exchange or lending pool",
                       ends[0] == "trader" and (ends[1] == "exchange" or self._is_pool(debtor))),
            "backstop": ("from a vault to an exchange, or from venue/insurance_fund or pool/reserve to its own",
                         ends == ("protocol", "exchange") or creditor in (f"{debtor}/{FUND_NAME}",
                                                                          f"{debtor}/{RESERVE_NAME}")),
            "custody": ("from an exchange", ends[0] == "exchange"),
        }.get("deposit" if kind == "claim" else kind, ("", True))  # fmt: skip
        if not fits:
            raise InputError(f"edge {creditor} -> {debtor}", f"{kind} from {ends[0]} to {ends[1]}", accepted)
        if kind in ("deposit", "claim") and self._is_pool(creditor):
            raise InputError(f"edge {creditor} -> {debtor}", kind, "a holder that is not a lending pool")

    def _is_pool(self, node: str) -> bool:
        return isinstance(self.base.protocols.get(node), LendingPool)

    def _mints(self, node: str) -> bool:
        return isinstance(self.base.protocols.get(node), CollateralisedDebt)

    # -- venues -------------------------------------------------------------------------------------------------

    def exchange(self, name: str) -> dict[str, Any]:
        """An exchange of the graph as plain data."""
        spec = self.base.exchanges.get(name) or Exchange()
        if not (spec.contracts or self.base.assets):
            raise InputError(f"exchanges.{name}.contracts", None, "contracts, or market assets, in the base scenario")
        data = spec.model_dump(mode="json") | {"lent_to": None, "reserve_ratio": 1.0}
        data["insurance_fund"] = {"size": self._fund_size(f"{name}/{FUND_NAME}", spec.insurance_fund.size)}
        for vault in [node for node in self.of_kind("protocol") if name in dict(self.backed(node))]:
            _add_backstop(data["waterfall"], vault)
        known = set(self.of_kind("protocol"))
        data["waterfall"] = [layer for layer in data["waterfall"] if layer.get("vault") in {None, *known}]
        return data

    def _fund_size(self, fund: str, otherwise: float) -> float:
        """What stands behind a venue; of a protocol whose claims are minted, these claims. [USD]"""
        if fund not in self.graph:
            return otherwise
        claims = sum(amount for *_, amount, _ in self.out(fund, "deposit", "claim"))
        return claims or sum(amount for *_, amount, _ in self.out(fund, "backstop"))

    def reserves_lent(self) -> dict[str, tuple[str, float]]:
        """Exchange -> agent that owes part of its customers' cash, and how much. [USD]"""
        lent: dict[str, tuple[str, float]] = {}
        for name in self.of_kind("exchange"):
            for debtor, _, amount, _ in self.out(name, "custody"):
                if lent.get(name, (debtor,))[0] != debtor:
                    raise InputError(f"node {name}, custody", [lent[name][0], debtor], "one agent that owes reserves")
                lent[name] = debtor, amount + lent.get(name, (debtor, 0.0))[1]
        return lent

    def backed(self, vault: str) -> list[tuple[str, float]]:
        backed: dict[str, float] = {}
        for exchange, _, amount, _ in self.out(vault, "backstop"):
            backed[exchange] = backed.get(exchange, 0.0) + amount
        if len(backed) > 1:
            raise InputError(f"node {vault}, backstop", sorted(backed), "one exchange that a vault backs")
        return list(backed.items())

    def protocol(self, name: str) -> dict[str, Any]:
        """A lending pool or vault of the graph as plain data."""
        spec = self.base.protocols.get(name)
        by_outside = self.total(name, "deposit", "claim", creditor=OUTSIDE)
        if isinstance(spec, LendingPool):
            size = self._fund_size(f"{name}/{RESERVE_NAME}", spec.reserve.size)
            supplied = 0.0 if self._mints(name) else by_outside  # minted: outside has what is left
            return spec.model_dump(mode="json") | {"supplied": supplied, "reserve": {"size": size}}
        if str(self.graph.nodes[name].get("type", "")).lower() == "lending_pool":
            raise InputError(f"protocols.{name}.collateral", None, "a lending pool of that name in the base scenario")
        if isinstance(spec, Issuer) and not isinstance(spec, Vault):
            return issuer_of(name, spec, self, by_outside)
        return vault_of(name, spec or Vault(), self, by_outside)

    # -- credit and the rest ------------------------------------------------------------------------------------

    def _due(self, edge: Mapping[str, Any]) -> int:
        return int(edge.get("due", 0 if edge["kind"] == "settlement" else self.base.steps + 1))

    def loans(self) -> list[dict[str, Any]]:
        """Loans and settlements."""
        return [
            {"lender": lender, "borrower": borrower, "amount": data["amount"], "due": self._due(data)}
            for lender, borrower, data in self.graph.edges(data=True) if _is_loan(data) and data["amount"] > 0.0
        ]  # fmt: skip

    def kept_groups(self) -> list[int]:
        """Groups of the base that stay: makers and keepers of the graph's venues that no node stands for."""
        venues = {*self.of_kind("exchange"), *self.of_kind("protocol")}
        given = {str(data.get("group", node)) for node, data in self.graph.nodes(data=True)}
        return [
            order for order, (spec, name) in enumerate(
                zip(self.base.traders, group_names(self.base.traders), strict=True))
            if spec.archetype in ("market_maker", "keeper") and name not in given
            and set(spec.venue) <= venues and (spec.venue or venues)
        ]  # fmt: skip


def _is_loan(edge: Mapping[str, Any]) -> bool:
    return edge["kind"] in ("loan", "settlement")


def _add_backstop(waterfall: list[dict[str, Any]], vault: str) -> None:
    if any(layer.get("vault") == vault for layer in waterfall):
        return
    place = next((order for order, layer in enumerate(waterfall) if layer.get("layer") == "insurance_fund"), -1)
    waterfall.insert(place + 1, {"layer": "backstop_vault", "vault": vault})
