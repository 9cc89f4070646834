"""Exposure graphs in and out: one reader for graphs, GraphML and tables, and files that give back the same graph."""

from __future__ import annotations

import csv
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.network import EXPOSURE_KINDS, exposure_matrix, liability_matrix, read_graph, write_graph

MORPHO = Path(__file__).parents[2].parent / "shared" / "data" / "morpho_xusd_2025-11"
SUFFIXES = pytest.mark.parametrize("suffix", [".graphml", ".csv"])


def same(one: nx.MultiDiGraph, other: nx.MultiDiGraph) -> bool:
    return (dict(one.nodes(data=True)) == dict(other.nodes(data=True))
            and list(one.edges(data=True)) == list(other.edges(data=True)))


def example() -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    graph.add_node("fund, one", type="trader", name="Fund \"One\"", leverage=3, risky=True)
    graph.add_node("perp", type="exchange", name="007")
    graph.add_node("lonely", type="protocol", name="12")
    graph.add_edge("fund, one", "perp", kind="margin", amount=0.1 + 0.2, ltv=0.8, isolated=False, code="007")
    graph.add_edge("fund, one", "perp", kind="claim", amount=1e-17, note="é\nsecond line")
    graph.add_edge("perp", "fund, one", kind="potential", amount=0.0, asset="0x1e5", steps=123456789012345678901)
    return graph


@SUFFIXES
def test_files_give_back_the_same_graph(tmp_path, suffix):
    path = tmp_path / f"exposures{suffix}"
    write_graph(example(), path)
    assert same(read_graph(path), example())
    assert len(list(tmp_path.iterdir())) == (1 if suffix == ".graphml" else 2)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(EXPOSURE_KINDS),
                  st.floats(0.0, 1e300), st.floats(allow_nan=False), st.booleans()),
        min_size=1, max_size=12,
    ),
    st.sampled_from([".graphml", ".csv"]),
)
def test_any_numbers_survive_a_file(tmp_path, rows, suffix):
    graph = nx.MultiDiGraph()
    for creditor, debtor, kind, amount, rate, flag in rows:
        if creditor != debtor:
            graph.add_edge(f"n{creditor}", f"n{debtor}", kind=kind, amount=amount, rate=rate, flag=flag)
    path = tmp_path / f"any{suffix}"
    write_graph(graph, path)
    assert same(read_graph(path), read_graph(graph))


@SUFFIXES
@pytest.mark.parametrize(("attribute", "value"), [("note", [1, 2]), ("note", None), ("rate", float("nan"))])
def test_what_a_file_cannot_hold_is_refused_and_nothing_written(tmp_path, suffix, attribute, value):
    graph = example()
    graph.add_edge("perp", "lonely", kind="loan", amount=1.0, **{attribute: value})
    with pytest.raises(InputError, match=r"attributes|perp -> lonely"):
        write_graph(graph, tmp_path / f"g{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_text_that_looks_like_a_number_needs_graphml(tmp_path):
    graph = nx.MultiDiGraph()
    graph.add_edge("a", "b", kind="loan", amount=1.0, label="12")
    with pytest.raises(InputError, match="edge a -> b, label: got '12'"):
        write_graph(graph, tmp_path / "g.csv")
    write_graph(graph, tmp_path / "g.graphml")
    assert read_graph(tmp_path / "g.graphml").edges["a", "b", 0]["label"] == "12"


def test_unwritable_place(tmp_path):
    with pytest.raises(InputError, match="writable place"):
        write_graph(example(), tmp_path / "absent" / "g.graphml")


@pytest.mark.parametrize("kind_of_graph", [nx.DiGraph, nx.MultiDiGraph])
def test_networkx_graph_with_other_names(kind_of_graph):
    graph = kind_of_graph()
    graph.add_edge(1, 2, weight=5, since=2020)
    read = read_graph(graph, columns={"amount": "weight"}, kind="loan", creditor_type="bank", debtor_type="firm")
    assert list(read.edges(data=True)) == [("1", "2", {"kind": "loan", "amount": 5.0, "since": 2020})]
    assert dict(read.nodes(data="type")) == {"1": "bank", "2": "firm"}
    assert list(graph.edges(data=True)) == [(1, 2, {"weight": 5, "since": 2020})]


def test_undirected_edges_are_exposures_both_ways():
    graph = nx.Graph()
    graph.add_edge("a", "b", kind="loan", amount=2.0)
    nodes, exposures = exposure_matrix(read_graph(graph))
    assert nodes == ["a", "b"]
    np.testing.assert_array_equal(exposures, [[0, 2], [2, 0]])
    np.testing.assert_array_equal(exposure_matrix(graph)[1], exposures)


def test_matrices_add_parallel_edges_and_select_a_kind():
    graph = nx.MultiDiGraph()
    for kind, amount in (("loan", 1.0), ("loan", 2.0), ("deposit", 4.0)):
        graph.add_edge("lender", "borrower", kind=kind, amount=amount)
    assert exposure_matrix(graph)[1].tolist() == [[0, 7], [0, 0]]
    assert exposure_matrix(graph, "loan")[1].tolist() == [[0, 3], [0, 0]]
    assert liability_matrix(graph)[1].tolist() == [[0, 0], [7, 0]]
    with pytest.raises(InputError, match="kind: got 'debt'"):
        exposure_matrix(graph, "debt")


def test_foreign_graphml(tmp_path):
    graph = nx.DiGraph()
    graph.add_edge("a", "b", id="e1", exposure=3)
    nx.write_graphml(graph, tmp_path / "foreign.graphml")
    read = read_graph(tmp_path / "foreign.graphml", columns={"amount": "exposure"}, kind="deposit")
    assert [(c, d, e["amount"], e["kind"]) for c, d, e in read.edges(data=True)] == [("a", "b", 3.0, "deposit")]


def test_names_that_repeat_need_ids(tmp_path):
    (tmp_path / "e.csv").write_text("address,label,market,usd\n0xa,Vault,m,1\n0xb,Vault,m,2\n")
    columns = {"creditor": "address", "creditor_name": "label", "debtor": "market", "amount": "usd"}
    read = read_graph(tmp_path / "e.csv", columns=columns, kind="deposit")
    assert dict(read.nodes(data="name")) == {"0xa": "Vault", "m": "m", "0xb": "Vault"}
    (tmp_path / "e.csv").write_text("address,label,market,usd\n0xa,Vault,m,1\n0xa,Other,m,2\n")
    with pytest.raises(InputError, match="row 3, name of 0xa: got 'Other'"):
        read_graph(tmp_path / "e.csv", columns=columns, kind="deposit")


def test_missing_and_zero_amounts(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("creditor,debtor,amount\na,b,None\na,c,\na,d,0\na,e,1\n")
    with pytest.raises(InputError, match=r"e\.csv row 2, amount: got None"):
        read_graph(path, kind="loan")

    def amounts(**options):
        read = read_graph(path, kind="loan", **options)
        assert set(read) == set("abcde")
        return [data["amount"] for *_, data in read.edges(data=True)]

    assert amounts(missing_amounts="zero") == [0, 0, 0, 1]
    assert amounts(missing_amounts="drop") == [0, 1]
    assert amounts(missing_amounts="zero", zero_amounts="drop") == [1]


def test_node_file(tmp_path):
    (tmp_path / "e.csv").write_text("creditor,debtor,amount,kind\na,b,1,loan\n")
    (tmp_path / "banks.csv").write_text("bank,type,capital\na,bank,5\nb,bank,7.5\nc,fund,\n")
    read = read_graph(tmp_path / "e.csv", nodes=tmp_path / "banks.csv", node_columns={"id": "bank"})
    assert dict(read.nodes(data=True)) == {
        "a": {"type": "bank", "capital": 5.0, "name": "a"},
        "b": {"type": "bank", "capital": 7.5, "name": "b"},
        "c": {"type": "fund", "name": "c"},
    }


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ("creditor,debtor\na,b\n", {}, r"columns\.amount: got 'amount'; accepted: one of creditor, debtor"),
        ("creditor,debtor,amount\na,b,1\n", {"columns": {"kind": "k"}}, r"columns\.kind: got 'k'"),
        ("creditor,debtor,amount\na,b,1\n", {"columns": {"lender": "creditor"}}, r"columns: got \['lender'\]"),
        ("creditor,debtor,amount\na,b,1\n", {}, "row 2, kind: got None; accepted: one of margin, potential, deposit"),
        ("creditor,debtor,amount,kind\na,b,1,debt\n", {}, "row 2, kind: got 'debt'"),
        ("creditor,debtor,amount,kind\na,b,-1,loan\n", {}, "row 2, amount: got -1.0"),
        ("creditor,debtor,amount,kind\na,b,nan,loan\n", {}, "row 2, amount: got 'nan'"),
        ("creditor,debtor,amount,kind\na,b,1,loan\na,b,many,loan\n", {}, "row 3, amount: got 'many'"),
        ("creditor,debtor,amount,kind\na,a,1,loan\n", {}, "row 2, creditor and debtor: got 'a'"),
        ("creditor,debtor,amount,kind\n,a,1,loan\n", {}, "row 2, creditor: got ''"),
        ("creditor,debtor,amount,kind\na,b,1\n", {}, "row 2: .*4 cells"),
        ("creditor,debtor,amount,amount\na,b,1,1\n", {}, "each column once"),
        ("", {}, "header"),
        ("creditor,debtor,amount,kind\na,b,1,loan\n", {"nodes": "nodes.csv"}, "row 2, debtor: got 'b'"),
        ("creditor,debtor,amount,kind\na,b,1,loan\n", {"nodes": "none.csv"}, "a readable file"),
        ("creditor,debtor,amount,kind\na,b,1,loan\n", {"nodes": "twice.csv"}, "got 'a'; accepted: each node once"),
        ("creditor,debtor,amount,kind\na,b,1,loan\n", {"kind": "debt"}, "kind: got 'debt'"),
        ("creditor,debtor,amount,kind\na,b,1,loan\n", {"missing_amounts": "ignore"}, r"error \| zero \| drop"),
    ],
)
def test_bad_tables_are_named_by_row_and_column(tmp_path, monkeypatch, edges, options, message):
    monkeypatch.chdir(tmp_path)
    Path("e.csv").write_text(edges)
    Path("nodes.csv").write_text("id\na\n")
    Path("twice.csv").write_text("id\na\nb\na\n")
    with pytest.raises(InputError, match=message):
        read_graph("e.csv", **options)


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (("a", "b", {"kind": "loan"}), "edge a -> b, amount: got None"),
        (("a", "b", {"kind": "loan", "amount": float("nan")}), "amount: got nan"),
        (("a", "b", {"kind": "loan", "amount": "5"}), "amount: got '5'"),
        (("a", "b", {"amount": 1.0}), "edge a -> b, kind: got None"),
        (("a", "a", {"kind": "loan", "amount": 1.0}), "two different nodes"),
        (("a", 1, {"kind": "loan", "amount": 1.0}), "distinct as text"),
    ],
)
def test_bad_networkx_graphs_are_named_by_edge(edge, message):
    graph = nx.MultiDiGraph([edge])
    graph.add_node("1")
    with pytest.raises(InputError, match=message):
        read_graph(graph)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("g.graphml", "<graphml", "GraphML"), ("g.graphml", None, "a readable file"), ("g.csv", None, "a readable file"),
     ("g.xlsx", "", r"got '\.xlsx'; accepted: \.graphml \| \.csv"), ("g.csv", b"\xff\xfe\x00", "UTF-8")],
)
def test_unreadable_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_graph(tmp_path / name)


def test_vaults_and_lending_markets_of_november_2025():
    path = MORPHO / "block6_vault_full_allocations.csv"
    if not path.exists():
        pytest.skip("optional data morpho_xusd_2025-11 not in ../shared/data")
    read = read_graph(
        path,
        columns={"creditor": "vault_name", "debtor": "market_unique_key", "amount": "supply_assets_usd"},
        kind="deposit", creditor_type="protocol", debtor_type="protocol", zero_amounts="drop",
    )
    rows = list(csv.DictReader(path.read_text().splitlines()))
    supplied = [float(row["supply_assets_usd"]) for row in rows]
    assert len(rows) == 612
    assert read.number_of_edges() == sum(amount > 0 for amount in supplied)
    nodes, exposures = exposure_matrix(read, "deposit")
    assert exposures.sum() == pytest.approx(sum(supplied), rel=1e-12)
    assert set(nodes) == {row["vault_name"] for row in rows} | {row["market_unique_key"] for row in rows}
    toxic = sum(float(row["supply_assets_usd"]) for row in rows if row["is_toxic_market"] == "True")
    assert sum(d["amount"] for *_, d in read.edges(data=True) if d["is_toxic_market"]) == pytest.approx(toxic)
