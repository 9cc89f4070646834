"""Who lost what when the loans against deUSD and sdeUSD went bad: a real network of vaults and lending markets.

    python experiments/morpho_xusd_network.py ../shared/data/morpho_xusd_2025-11

Vaults hold claims on markets and their depositors stand outside. A market here is what was supplied to it; the shock
takes all of it from the markets that lent against the tokens. Nothing else moves, so a vault loses its allocation: the
most it could. What it loses when curators and depositors leave in time is `contagion run xusd_2025 --network FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx

from contagion import ContagionModel
from contagion.errors import InputError
from contagion.scenario.morpho_network import read_allocations

DATA = Path("../shared/data/morpho_xusd_2025-11")
TOKENS = ("xUSD", "deUSD", "sdeUSD")


def shocked(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """What the depositors of each vault had before and after the shock. [USD]"""
    allocations, _ = read_allocations(path)
    allocations = allocations[allocations["amount"] > 0.0].assign(kind="claim")
    graph = nx.from_pandas_edgelist(allocations, "vault", "market", ["amount", "kind"], create_using=nx.MultiDiGraph)
    nx.set_node_attributes(graph, "vault", "type")
    toxic = list(allocations.loc[allocations["collateral"].isin(TOKENS), "market"].unique())
    supplied = dict(graph.in_degree(toxic, weight="amount"))
    world = {
        "name": "morpho_xusd", "steps": 1, "feedback": "none", "assets": {"USDC": {"volatility": 0}},
        "prices": "constant",
        "shocks": [{"at": 1, "kind": "theft", "target": market, "size": supplied[market]} for market in toxic],
    }  # fmt: skip
    model = ContagionModel.from_graph(graph, world, rng=1)
    before = deposits(model)
    model.run()
    after = deposits(model)
    vaults = [vault for vault in graph if graph.out_degree(vault)]
    return {vault: before[vault] for vault in vaults}, {vault: after.get(vault, 0.0) for vault in vaults}


def deposits(model: ContagionModel) -> dict[str, float]:
    """What outside holds of each issuer's claims at redemption value. [USD]"""
    return {vault: edge["amount"] for _, vault, edge in model.exposure_graph().out_edges("outside", data=True)}


def main(path: Path) -> None:
    try:
        before, after = shocked(path)
    except InputError as error:
        sys.exit(str(error))
    print(f"{'vault':32}{'deposits, USD':>16}{'lost, USD':>16}{'lost':>9}")
    for vault in sorted(before, key=lambda name: after[name] - before[name]):
        lost = before[vault] - after[vault]
        print(f"{vault:32}{before[vault]:16,.0f}{lost:16,.0f}{lost / before[vault]:9.2%}")
    lost = sum(before.values()) - sum(after.values())
    print(f"{'together':32}{sum(before.values()):16,.0f}{lost:16,.0f}{lost / sum(before.values()):9.2%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
