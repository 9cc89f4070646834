"""The exposure graph of a running model, against amounts worked out by hand."""

from __future__ import annotations

import time
from collections import defaultdict

import networkx as nx
import pytest

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.network import read_graph, write_graph
from contagion.scenario.loader import load_scenario

LONGS = {"archetype": "passive", "name": "long", "count": 2, "venue": "perp", "size": {"fixed": 1000.0},
         "leverage": {"fixed": 5}, "long_share": 1.0}  # fmt: skip


def model(**changes) -> ContagionModel:
    """Two longs with 200 USD under 1,000 of notional; a vault with 90 backs the exchange with two thirds of 60."""
    data = {
        "name": "hand", "steps": 4, "feedback": "none", "prices": "constant",
        "assets": {"BTC": {"price": 100.0}, "ETH": {"price": 10.0}},
        "exchanges": {"perp": {"equity": 50.0, "insurance_fund": {"size": 20.0}, "contracts": {"BTC": {}}}},
        "protocols": {
            "market": {"kind": "vault", "deposits": 10.0},
            "backstop": {"kind": "vault", "backs": "perp", "deposits": 90.0, "holds": {"market": 30.0},
                         "backstop_share": 2 / 3},
        },
        "traders": [
            LONGS,
            {"archetype": "market_maker", "venue": "perp", "capital": 5000.0, "parameters": {"depth": 100.0}},
            {"archetype": "depositor", "name": "saver", "venue": "market", "capital": 7.0,
             "parameters": {"tolerance": 1.0, "delay": 9}},
        ],
    }  # fmt: skip
    return ContagionModel(load_scenario(data | changes), rng=1)


def amounts(graph: nx.MultiDiGraph) -> dict[tuple[str, str, str], float]:
    sums = defaultdict(float)
    for creditor, debtor, data in graph.edges(data=True):
        sums[creditor, debtor, data["kind"]] += data["amount"]
    return dict(sums)


def test_opening_exposures():
    graph = model().exposure_graph()
    assert isinstance(graph, nx.MultiDiGraph)
    assert amounts(graph) == pytest.approx({
        ("long:0", "perp", "margin"): 200.0,
        ("long:1", "perp", "margin"): 200.0,
        ("market_maker", "perp", "margin"): 5000.0,
        ("backstop", "perp", "backstop"): 40.0,
        ("perp/insurance_fund", "perp", "backstop"): 20.0,
        ("outside", "market", "deposit"): 10.0,
        ("saver", "market", "deposit"): 7.0,
        ("backstop", "market", "claim"): 30.0,
        ("outside", "backstop", "deposit"): 90.0,
    })  # fmt: skip
    types = {"perp": "exchange", "market": "protocol", "perp/insurance_fund": "fund", "saver": "trader"}
    assert {name: graph.nodes[name]["type"] for name in types} == types
    assert graph.nodes["long:1"]["name"] == "long:1"
    assert graph.nodes["long:1"]["leverage"] == pytest.approx(5.0)
    assert graph.nodes["perp"]["net_worth"] == pytest.approx(50.0)


def test_exposures_move_with_the_market():
    """A fall of 10% takes 100 of each long's 200 and gives the maker 200; a theft of 23.5 of 47 halves the claims."""
    shocks = [{"at": 1, "kind": "price_gap", "asset": "BTC", "size": -0.10},
              {"at": 1, "kind": "theft", "target": "market", "size": 23.5}]  # fmt: skip
    run = model(shocks=shocks)
    run.step()
    found = amounts(run.exposure_graph())
    assert found["long:0", "perp", "margin"] == pytest.approx(100.0)
    assert found["market_maker", "perp", "margin"] == pytest.approx(5200.0)
    assert found["backstop", "market", "claim"] == pytest.approx(15.0)
    assert found["saver", "market", "deposit"] == pytest.approx(3.5)
    assert found["outside", "backstop", "deposit"] == pytest.approx(75.0)
    assert run.exposure_graph().graph["step"] == 1


@pytest.mark.parametrize(("stress", "missing"), [(-0.3, 100.0), ({"BTC": -0.25}, 50.0), ({"ETH": -0.9}, 0.0)])
def test_potential_deficit_of_a_long(stress, missing):
    """1,000 of notional loses 300 at -30%: the 200 of margin leave 100 uncovered."""
    found = amounts(model().exposure_graph(stress=stress))
    assert found.get(("perp", "long:0", "potential"), 0.0) == pytest.approx(missing)


def test_potential_deficit_of_a_short_when_prices_rise():
    found = amounts(model(traders=[LONGS | {"long_share": 0.0}, *_makers()]).exposure_graph(stress=0.3))
    assert found["perp", "long:0", "potential"] == pytest.approx(100.0)


def test_default_stress_is_the_maintenance_move():
    """At -19.7% a long has 3 left of 200 and 803 of notional needs 0.5%: 4.015, so 1.015 are missing after it."""
    found = amounts(_gapped(-0.197).exposure_graph())
    assert found["perp", "long:0", "potential"] == pytest.approx(1.015)


def _gapped(size: float) -> ContagionModel:
    run = model(traders=[LONGS, *_makers()])
    table, row = run.world.state.instruments, 0
    for column in (table.mark, table.equity_price, table.value_price):
        column[row] *= 1.0 + size
    return run


def _makers() -> list[dict]:
    return [{"archetype": "market_maker", "venue": "perp", "capital": 5000.0, "parameters": {"depth": 100.0}}]


def test_potential_deficit_of_an_inverse_long():
    """1,000 contracts at 100 and 2 coins of equity: a balance of 12. At 70, 12 - 1000 / 70 coins are -160 USD."""
    exchanges = {"perp": {"contracts": {"BTC": {"kind": "inverse"}}}}
    run = model(exchanges=exchanges, protocols={}, traders=[LONGS, *_makers()])
    found = amounts(run.exposure_graph(stress=-0.3))
    assert found["long:0", "perp", "margin"] == pytest.approx(200.0)
    assert found["perp", "long:0", "potential"] == pytest.approx(160.0)


def test_borrowers_and_their_pool():
    """300 USD of ETH against 150 of debt; at -60% the 120 that are left miss 30."""
    pool = {"kind": "lending_pool", "supplied": 1000.0, "reserve": {"size": 7.0},
            "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85}}}  # fmt: skip
    borrower = {"archetype": "borrower", "count": 2, "size": {"fixed": 300.0}, "parameters": {"ltv": 0.5}}
    run = model(exchanges={}, protocols={"pool": pool}, traders=[borrower])
    assert amounts(run.exposure_graph(stress={"ETH": -0.6})) == pytest.approx({
        ("borrower:0", "pool", "margin"): 150.0, ("borrower:1", "pool", "margin"): 150.0,
        ("pool", "borrower:0", "potential"): 30.0, ("pool", "borrower:1", "potential"): 30.0,
        ("outside", "pool", "deposit"): 1000.0, ("pool/reserve", "pool", "backstop"): 7.0,
    })  # fmt: skip


def test_loans_are_settlements_when_due_and_lent_reserves_are_custody():
    """Customers have 5,440 USD at the exchange, a quarter of it lent to the saver."""
    loans = [{"lender": "saver", "borrower": "long:0", "amount": 2.0, "due": 0},
             {"lender": "saver", "borrower": "long:1", "amount": 3.0, "due": 9}]  # fmt: skip
    exchanges = {"perp": {"contracts": {"BTC": {}}, "reserve_ratio": 0.75, "lent_to": "saver"}}
    found = amounts(model(credit={"loans": loans}, exchanges=exchanges).exposure_graph())
    assert found["saver", "long:0", "settlement"] == 2.0
    assert found["saver", "long:1", "loan"] == 3.0
    assert found["perp", "saver", "custody"] == pytest.approx(1360.0)


def test_groups_add_up_their_members_and_institutions_stand_alone():
    run = model()
    found = amounts(run.exposure_graph("groups"))
    assert found["long", "perp", "margin"] == pytest.approx(400.0)
    assert run.exposure_graph("groups").nodes["long"]["members"] == 2
    institutions = run.exposure_graph("none")
    assert "long" not in institutions and "long:0" not in institutions
    assert amounts(institutions) == {key: usd for key, usd in found.items() if key[0] in institutions}


@pytest.mark.parametrize("suffix", ["graphml", "csv"])
def test_files_give_the_graph_back(tmp_path, suffix):
    graph = model().exposure_graph()
    write_graph(graph, tmp_path / f"now.{suffix}")
    assert amounts(read_graph(tmp_path / f"now.{suffix}")) == amounts(graph)


def test_ten_thousand_traders_take_well_under_a_second():
    run = model(traders=[LONGS | {"count": 10_000}, {**_makers()[0], "capital": 1e8}])
    run.exposure_graph()
    start = time.perf_counter()
    graph = run.exposure_graph()
    assert time.perf_counter() - start < 1.0
    assert graph.number_of_edges() == 10_000 + 1 + 5  # the maker, two backstops, three holders of claims


@pytest.mark.parametrize("arguments", [("some", None), ("all", {"XRP": -0.1}), ("all", -1.0), ("all", {"BTC": "x"})])
def test_what_is_accepted(arguments):
    traders, stress = arguments
    with pytest.raises(InputError, match="accepted"):
        model().exposure_graph(traders, stress=stress)
