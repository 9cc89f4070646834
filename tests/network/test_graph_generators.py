"""Generated exposure graphs: structure, totals, and draws that come from the generator passed in."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from contagion.errors import InputError
from contagion.network import GENERATORS, exposure_matrix, generate_graph

PARAMETERS = {
    "erdos_renyi": {"n": 30, "probability": 0.2},
    "core_periphery": {"n": 30, "core": 5, "probability": 0.4},
    "scale_free": {"n": 30, "attachments": 2},
    "configuration": {"n": 30, "exponent": 2.5, "least": 2},
    "ring": {"n": 30},
    "complete": {"n": 30},
    "stochastic_block": {"sizes": [10, 20], "probabilities": [[0.5, 0.1], [0.0, 0.3]]},
}


def made(name: str, seed: int = 3, **change) -> nx.MultiDiGraph:
    return generate_graph(name, rng=np.random.default_rng(seed), **({"total": 100.0} | PARAMETERS[name] | change))


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("split", ["even", {"pareto": 1.5}, {"lognormal": 1.0}])
def test_each_creditor_lends_its_total(name, split):
    graph = made(name, split=split, total=np.arange(30.0))
    nodes, exposures = exposure_matrix(graph)
    assert nodes == [f"node_{i}" for i in range(30)]
    lends = (exposures > 0).any(axis=1)
    np.testing.assert_allclose(exposures.sum(axis=1)[lends], np.arange(30.0)[lends], rtol=1e-12)
    assert not exposures.diagonal().any()
    assert {data["kind"] for *_, data in graph.edges(data=True)} == {"loan"}
    assert all(data == {"type": "agent", "name": node} for node, data in graph.nodes(data=True))
    row = exposures[int(np.flatnonzero(lends)[-1])]
    assert (len(set(row[row > 0].round(9))) == 1) == (split == "even" or (row > 0).sum() == 1)


@pytest.mark.parametrize("name", GENERATORS)
def test_equal_seeds_agree_and_others_differ(name):
    def edges(seed):
        return list(made(name, seed, split={"pareto": 1.5}).edges(data="amount"))

    assert edges(3) == edges(3)
    assert (edges(3) == edges(4)) == (name == "ring")  # one debtor each: nothing to draw


def test_structure():
    _, ring = exposure_matrix(made("ring", n=3))
    np.testing.assert_array_equal(ring, [[0, 100, 0], [0, 0, 100], [100, 0, 0]])
    _, everybody = exposure_matrix(made("complete", n=5))
    np.testing.assert_array_equal(everybody, 25.0 * (1 - np.eye(5)))
    _, tiers = exposure_matrix(made("core_periphery"))
    assert (tiers[:5, :5] > 0).sum() == 20
    assert not tiers[5:, 5:].any()
    assert tiers[5:, :5].any() and tiers[:5, 5:].any()
    _, blocks = exposure_matrix(made("stochastic_block"))
    assert not blocks[10:, :10].any()
    assert made("scale_free").number_of_edges() == 2 * 28


def test_link_probability_of_the_random_graph():
    # 200 x 199 pairs at 0.05: mean 1990, standard deviation 43.5.
    links = made("erdos_renyi", n=200, probability=0.05).number_of_edges()
    assert abs(links - 1990) < 4 * 43.5


def test_preferential_attachment_has_hubs():
    # Largest degree grows like m sqrt(n) = 2 x 44.7 = 89; with attachment to anybody like m (1 + ln n) = 17.
    assert max(degree for _, degree in made("scale_free", n=2000).degree()) > 45


def test_configuration_has_power_law_degrees():
    # P(degree >= 7) = (2 / 7)^1.5 = 0.153, a little less after repeated links are dropped; four standard deviations
    # of this share of 2,000 nodes are 0.032.
    lends = np.array([degree for _, degree in made("configuration", n=2000).out_degree()])
    assert (lends > 6).mean() == pytest.approx((2 / 7) ** 1.5, abs=0.032)
    assert lends.max() > 60


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("erdos_renyi", {"probability": 1.5}, "probability"),
        ("erdos_renyi", {"n": 0}, "n: got 0; accepted: a whole number from 1"),
        ("erdos_renyi", {"n": 2.5}, "n: got 2.5"),
        ("erdos_renyi", {"degree": 3}, "erdos_renyi parameters.*accepted: n, probability, total"),
        ("core_periphery", {"core": 31}, "core"),
        ("scale_free", {"attachments": 30}, "attachments"),
        ("configuration", {"exponent": 1.0}, "exponent"),
        ("stochastic_block", {"probabilities": [[0.5]]}, "probabilities"),
        ("ring", {"kind": "debt"}, "kind: got 'debt'; accepted: one of margin, potential"),
        ("ring", {"total": -1.0}, "total"),
        ("ring", {"total": [1.0, 2.0]}, "total"),
        ("ring", {"split": "zipf"}, "split"),
        ("ring", {"split": {"pareto": 0.0}}, "split"),
    ],
)
def test_bad_parameters_are_named(name, change, message):
    with pytest.raises(InputError, match=message):
        made(name, **change)


def test_unknown_generator_lists_those_that_exist():
    with pytest.raises(InputError, match="generator: got 'small_world'; accepted: one of erdos_renyi, core_periphery"):
        generate_graph("small_world", rng=np.random.default_rng(1))


def test_seed_instead_of_a_generator_is_refused():
    with pytest.raises(InputError, match=r"rng: got 7; accepted: a numpy\.random\.Generator"):
        GENERATORS["ring"](3, total=1.0, rng=7)
