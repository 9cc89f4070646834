"""With price channels off, an agent's fate depends on nothing but its claims, direct and through others.

Amounts are whole numbers, so that a sum doesn't depend on which of its parts are missing.
"""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.model import ContagionModel

WORLD = {"name": "claims", "steps": 3, "feedback": "none", "prices": "gbm", "assets": {"BTC": {"price": 100.0}}}
CASH = 64.0


def build(n: int, claims: dict, loans: dict, redemption: str) -> nx.MultiDiGraph:
    """Vaults v0, v1, ... with 64 in cash, holding each other's claims; a saver in each; loans between savers."""
    graph = nx.MultiDiGraph()
    for i in range(n):
        graph.add_node(f"v{i}", type="vault", cash=CASH, redemption=redemption)
        graph.add_node(f"s{i}", type="trader", cash=1.0)
        graph.add_edge(f"s{i}", f"v{i}", kind="deposit", amount=1.0)
    graph.add_edges_from((f"v{i}", f"v{j}", {"kind": "claim", "amount": float(usd)}) for (i, j), usd in claims.items())
    graph.add_edges_from(
        (f"s{i}", f"s{j}", {"kind": "loan", "amount": float(usd), "due": 2}) for (i, j), usd in loans.items()
    )
    return graph


def run(graph: nx.MultiDiGraph, victims: list[int]) -> tuple[dict, list, dict]:
    """What became of every agent, the ledger, and the paths of claim values."""
    shocks = [{"at": 1 + order, "kind": "theft", "target": f"v{i}", "size": 40.0} for order, i in enumerate(victims)]
    model = ContagionModel.from_graph(graph, WORLD | {"shocks": shocks}, rng=7)
    result = model.run()
    final = model.exposure_graph()
    agents = {name: (data["net_worth"], data["cash"], data["status"]) for name, data in final.nodes(data=True)}
    columns = ["step", "phase", "cause", "payer", "payee", "amount"]
    ledger = [tuple(row) for row in result.ledger[columns].itertuples(index=False)]
    values = {name: tuple(result.steps[name]) for name in result.steps if name.startswith("redemption")}
    return agents, ledger, values


def same_for(names: set[str], before: tuple, after: tuple) -> None:
    """Bit for bit, whatever concerns only these agents."""
    assert {name: before[0][name] for name in names} == {name: after[0][name] for name in names}
    rows = [sorted(row for row in part[1] if {row[3].split(":")[0], row[4].split(":")[0]} <= names)
            for part in (before, after)]  # fmt: skip
    assert rows[0] == rows[1]
    paths = [{key: value for key, value in part[2].items() if key.split(".")[-1] in names} for part in (before, after)]
    assert paths[0] == paths[1]


def vaults(n: int, cyclic: bool = False):
    pairs = [(i, j) for i in range(n) for j in range(n) if (i != j if cyclic else i < j)]
    return st.dictionaries(st.sampled_from(pairs), st.integers(1, 8), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), n=st.integers(3, 6), cyclic=st.booleans())
def test_a_claim_between_vaults(data, n, cyclic):
    """Whoever has no path of claims through the edge, those on the debtor's side included, is where it was."""
    claims = data.draw(vaults(n, cyclic))
    victims = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=2, unique=True))
    edge = data.draw(st.sampled_from(sorted(claims)))
    graph = build(n, claims, {}, "halted")
    creditor = f"v{edge[0]}"
    through = {creditor, *nx.ancestors(graph, creditor)}
    fewer = build(n, {pair: usd for pair, usd in claims.items() if pair != edge}, {}, "halted")
    same_for(set(graph) - through, run(graph, victims), run(fewer, victims))


@settings(max_examples=20, deadline=None)
@given(data=st.data(), n=st.integers(3, 6))
def test_a_loan(data, n):
    """Without the loan its borrower owes less, so its other lenders have a stake in the edge as well."""
    loans = data.draw(vaults(n, cyclic=True))
    edge = data.draw(st.sampled_from(sorted(loans)))
    graph = build(n, {}, loans, "open")
    involved = {f"s{edge[0]}", f"s{edge[1]}"}
    involved |= {node for end in involved for node in nx.ancestors(graph, end)}
    fewer = build(n, {}, {pair: usd for pair, usd in loans.items() if pair != edge}, "open")
    before, after = run(graph, [0]), run(fewer, [0])
    same_for({node for node in graph if node.startswith("s")} - involved, before, after)


def test_the_edge_matters_to_those_it_concerns():
    """v0 holds 8 of the 64 of v1, which loses 40 of them: 5 less, out of 72."""
    graph = build(3, {(0, 1): 8}, {}, "halted")
    fewer = build(3, {}, {}, "halted")
    with_edge, without = run(graph, [1]), run(fewer, [1])
    assert with_edge[0]["s0"][0] == pytest.approx(1.0 + 67.0 / 72.0)
    assert without[0]["s0"][0] == pytest.approx(2.0)
    same_for({"v1", "v2", "s1", "s2"}, with_edge, without)
