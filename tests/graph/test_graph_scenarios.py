"""Scenarios from graphs: the model's opening exposures are the graph's, and what a graph cannot say is asked for."""

from __future__ import annotations

import networkx as nx
import pytest

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.network import write_graph

WORLD = {
    "name": "base", "steps": 3, "feedback": "none", "prices": "constant", "assets": {"BTC": {"price": 100.0}},
    "exchanges": {"perp": {"contracts": {"BTC": {}}, "insurance_fund": {"size": 1.0}}},
    "protocols": {"pool": {"kind": "lending_pool", "collateral": {"BTC": {"ltv": 0.8, "liquidation_threshold": 0.85}}}},
    "traders": [
        {"archetype": "directional", "name": "fund", "venue": "perp", "size": {"fixed": 1}, "leverage": {"fixed": 4}},
        {"archetype": "market_maker", "venue": "perp", "capital": 1e5, "parameters": {"depth": 100.0}},
    ],
}  # fmt: skip


def graph_of(*edges, **nodes) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    for creditor, debtor, kind, amount, *rest in edges:
        graph.add_edge(creditor, debtor, kind=kind, amount=amount, **(rest[0] if rest else {}))
    for name, attributes in nodes.items():
        graph.add_node(name, **attributes)
    return graph


def amounts(graph) -> dict[tuple[str, str, str], float]:
    sums: dict[tuple[str, str, str], float] = {}
    for creditor, debtor, data in graph.edges(data=True):
        key = creditor, debtor, data["kind"]
        sums[key] = sums.get(key, 0.0) + data["amount"]
    return sums


CLAIMS = graph_of(
    ("saver", "vault", "deposit", 60.0), ("vault", "market", "claim", 50.0), ("holder", "market", "claim", 5.0),
    ("outside", "market", "deposit", 30.0),
)  # fmt: skip
EXCHANGE = graph_of(
    ("a", "perp", "margin", 25.0), ("b", "perp", "margin", 10.0), ("hlp", "perp", "backstop", 40.0),
    ("hlp", "market", "claim", 15.0), ("perp/insurance_fund", "perp", "backstop", 7.0), ("c", "pool", "margin", 30.0),
    ("perp", "b", "custody", 20.0), ("outside", "pool", "deposit", 500.0), ("saver", "hlp", "deposit", 12.0),
    ("a", "saver", "settlement", 2.0), ("saver", "b", "loan", 3.0, {"due": 2}),
    b={"group": "fund", "cash": 4.0}, c={"archetype": "borrower", "leverage": 3.0}, saver={"cash": 8.0},
)  # fmt: skip


CREDIT = graph_of(
    ("a", "b", "loan", 5.0, {"due": 2}), ("b", "c", "loan", 7.0, {"due": 2}), ("bank", "a", "loan", 20.0),
    ("a", "bank", "deposit", 6.0), ("a", "vault", "deposit", 1.0), ("c", "bank", "deposit", 14.0),
    ("outside", "bank", "loan", 3.0), ("d", "perp", "margin", 9.0), ("d", "dex", "margin", 3.0),
    a={"cash": 30.0}, b={"cash": 1.0}, c={"cash": 0.0}, d={"group": "fund"}, dex={"type": "exchange"},
    m={"type": "trader", "archetype": "market_maker"},
)  # fmt: skip
CREDIT.add_edge("m", "dex", kind="margin", amount=1e4)


@pytest.mark.parametrize("graph", [CLAIMS, EXCHANGE, CREDIT], ids=["claims", "exchange", "credit"])
def test_the_model_has_the_exposures_of_the_graph(graph):
    model = ContagionModel.from_graph(graph, WORLD, rng=1)
    found = amounts(model.exposure_graph())
    assert {key: found.get(key) for key in amounts(graph)} == pytest.approx(amounts(graph))
    model.run()


def test_what_nobody_in_the_graph_holds_is_held_outside():
    """The vault backs 60 of claims with 50 and cash; hlp owns 55, the saver 12 of it: outside has 43."""
    claims = ContagionModel.from_graph(CLAIMS, WORLD, rng=1)
    assert claims.exposure_graph().nodes["vault"]["cash"] == pytest.approx(10.0)
    assert claims.exposure_graph().nodes["market"]["cash"] == pytest.approx(85.0)
    exchange = amounts(ContagionModel.from_graph(EXCHANGE, WORLD, rng=1).exposure_graph())
    assert exchange["outside", "hlp", "deposit"] == pytest.approx(43.0)


def test_nodes_have_their_cash_and_their_groups_rules():
    graph = ContagionModel.from_graph(EXCHANGE, WORLD, rng=1).exposure_graph()
    # b has 4 of its own and the 20 of reserves that the exchange lent it.
    assert graph.nodes["b"]["cash"] == pytest.approx(24.0)
    assert graph.nodes["b"]["leverage"] == pytest.approx(4.0)
    assert graph.nodes["c"]["leverage"] == pytest.approx(3.0)
    assert graph.nodes["saver"]["archetype"] == "depositor"
    assert graph.nodes["saver"]["cash"] == pytest.approx(8.0)


def test_a_theft_reaches_holders_through_their_vault():
    """17 of the market's 85 are gone: 20% of each claim on it, 10 of the vault's 60, one sixth of its depositors'."""
    shocks = [{"at": 1, "kind": "theft", "target": "market", "size": 17.0}]
    # Nobody withdraws: what they hold can be read off.
    graph = CLAIMS.copy()
    for vault in ("vault", "market"):
        graph.add_node(vault, redemption="halted")
    model = ContagionModel.from_graph(graph, WORLD | {"shocks": shocks}, rng=1)
    model.run()
    found = amounts(model.exposure_graph())
    assert found["vault", "market", "claim"] == pytest.approx(40.0)
    assert found["saver", "vault", "deposit"] == pytest.approx(50.0)
    assert found["holder", "market", "claim"] == pytest.approx(4.0)


def test_a_backstop_in_the_graph_pays():
    """A layer for the vault stands after the insurance fund although the base's waterfall has none."""
    model = ContagionModel.from_graph(EXCHANGE, WORLD, rng=1)
    layers = [layer.name for layer in model.scenario.exchanges["perp"].waterfall]
    assert layers == ["insurance_fund", "backstop_vault", "venue_equity"]


def test_loans_keep_their_due_steps():
    loans = {(loan.lender, loan.borrower): loan.due for loan in
             ContagionModel.from_graph(EXCHANGE, WORLD, rng=1).scenario.credit.loans}  # fmt: skip
    assert loans == {("a", "saver"): 0, ("saver", "b"): 2}


@pytest.mark.parametrize("suffix", ["graphml", "csv"])
def test_files_make_the_same_model(tmp_path, suffix):
    path = tmp_path / f"given.{suffix}"
    write_graph(CLAIMS, path)
    model = ContagionModel.from_graph(path, WORLD, rng=1)
    assert amounts(model.exposure_graph()) == amounts(ContagionModel.from_graph(CLAIMS, WORLD, rng=1).exposure_graph())


def test_columns_are_read_under_their_own_names(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("from,to,usd\nv,m,3\nw,m,4\n")
    columns = {"creditor": "from", "debtor": "to", "amount": "usd"}
    model = ContagionModel.from_graph(path, WORLD, rng=1, columns=columns, kind="claim", creditor_type="vault")
    assert amounts(model.exposure_graph())["w", "m", "claim"] == 4.0


def test_a_generator_by_name_makes_a_network_of_vaults():
    ring = {"generator": "ring", "n": 4, "total": 10.0, "kind": "claim", "node_type": "vault"}
    with pytest.raises(InputError, match="vaults with depositors besides each other"):
        ContagionModel.from_graph(ring, WORLD, rng=1)
    tree = {"generator": "erdos_renyi", "n": 8, "probability": 0.3, "total": 10.0, "kind": "deposit"}
    first, second = (ContagionModel.from_graph(tree, WORLD, rng=3).exposure_graph() for _ in range(2))
    assert amounts(first) == amounts(second)
    assert sum(usd for (_, _, kind), usd in amounts(first).items() if kind == "claim") > 0.0


def test_a_running_model_can_be_set_up_again_from_its_graph():
    given = ContagionModel.from_graph(EXCHANGE, WORLD, rng=1).exposure_graph()
    again = amounts(ContagionModel.from_graph(given, WORLD, rng=2).exposure_graph())
    assert again == pytest.approx(amounts(given))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (graph_of(("a", "b", "deposit", 1.0), b={"type": "trader"}), "edge a -> b.*to a protocol"),
        (graph_of(("a", "perp", "margin", 1.0), a={"archetype": "passive"}), "node a, leverage"),
        (graph_of(("a", "dex", "margin", 1.0)), "node a, group.*one of fund"),
        (graph_of(("v", "m", "claim", 5.0), ("s", "v", "deposit", 2.0), v={"cash": 1.0, "type": "vault"},
                  m={"cash": 2.0}), "node m, claims on it.*5.*2 USD"),
        (graph_of(("s", "v", "deposit", 2.0), ("s", "t", "loan", 2.0, {"due": 1}), ("t", "v", "deposit", 1.0)),
         "node t, cash"),
        (graph_of(("h1", "perp", "backstop", 2.0), ("h1", "dex", "backstop", 2.0), dex={"type": "exchange"}),
         "one exchange that a vault backs"),
        (graph_of(("s", "pond", "deposit", 2.0), pond={"type": "lending_pool"}), "protocols.pond.collateral"),
        (graph_of(("s", "v", "deposit", 2.0), ("s", "world", "loan", 2.0), world={"type": "outside"}),
         "node world, type"),
        ({"generator": "star", "n": 3}, "generator.*ring"),
    ],
)  # fmt: skip
def test_what_a_graph_must_say(graph, message):
    with pytest.raises(InputError, match=message):
        ContagionModel.from_graph(graph, WORLD, rng=1)


def test_a_bank_lends_out_of_its_deposits():
    """20 are deposited and 3 borrowed, 20 lent: 3 are left. b pays c's 0 from its 1 and c nothing: a gets 1 of 5."""
    model = ContagionModel.from_graph(CREDIT, WORLD, rng=1)
    assert model.exposure_graph().nodes["bank"]["cash"] == pytest.approx(3.0)
    model.run()
    assert model.exposure_graph().nodes["a"]["cash"] == pytest.approx(31.0)


def test_interbank_networks_by_generator():
    """A ring of banks that owe each other 10, each with the 5 in hand that the group of their type has in the base."""
    banks = {"archetype": "passive", "name": "bank", "capital": 5.0}
    ring = {"generator": "ring", "n": 4, "total": 10.0, "node_type": "bank"}
    model = ContagionModel.from_graph(ring, WORLD | {"traders": [banks]}, rng=1)
    found = model.exposure_graph()
    assert amounts(found)["node_3", "node_0", "loan"] == 10.0
    assert found.nodes["node_0"]["cash"] == 5.0


MAKER = WORLD | {
    "protocols": {"pool": {"kind": "amm", "deposits": 1000.0, "holds": {"BTC": 500.0}}}, "exchanges": {}, "traders": [],
}  # fmt: skip


def test_coins_of_a_maker_belong_to_outside_as_far_as_nobody_in_the_graph_has_them():
    """500 of BTC and 500 of USD; 300 are a trader's and a vault's, so outside has 700."""
    graph = graph_of(("a", "pool", "claim", 200.0), ("v", "pool", "claim", 100.0), v={"type": "vault"})
    found = amounts(ContagionModel.from_graph(graph, scenario=MAKER, rng=1).exposure_graph())
    assert found["outside", "pool", "deposit"] == pytest.approx(700.0)


@pytest.mark.parametrize(("outside", "trader"), [(0.0, 1001.0), (500.0, 200.0)])
def test_claims_on_a_maker_add_up_to_its_coins(outside: float, trader: float):
    graph = graph_of(("a", "pool", "claim", trader), ("outside", "pool", "claim", outside))
    with pytest.raises(InputError, match="what its coins are worth, 1000 USD"):
        ContagionModel.from_graph(graph, scenario=MAKER, rng=1)


def test_a_minted_stablecoin_and_its_surplus_survive_the_way_through_a_graph():
    terms = {"BTC": {"ltv": 0.6, "liquidation_threshold": 0.7}}
    base = WORLD | {
        "protocols": {"usd": {"kind": "collateralised_debt", "collateral": terms, "reserve": {"size": 50.0}}},
        "exchanges": {}, "traders": [
            {"archetype": "borrower", "count": 2, "venue": "usd", "size": {"fixed": 1e3}, "leverage": {"fixed": 2}},
        ],
    }  # fmt: skip
    graph = ContagionModel(base, rng=1).exposure_graph()
    assert amounts(graph)["usd/reserve", "usd", "claim"] == pytest.approx(50.0)
    found = amounts(ContagionModel.from_graph(graph, scenario=base, rng=1).exposure_graph())
    assert found == pytest.approx(amounts(graph))
