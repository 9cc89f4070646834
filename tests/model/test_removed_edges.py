"""Losses travel along claims only: where prices carry nothing, an edge matters to those connected through it."""

from __future__ import annotations

import copy

import pytest
from worlds import crisis, scenario

from contagion.model import ContagionModel
from contagion.results import RunResult


def run(data) -> RunResult:
    """Without feedback: executions move no price."""
    return ContagionModel(scenario(data | {"feedback": "none"}), rng=7).run()


def vault_without_its_holding(data):
    del data["protocols"]["fund_of"]["holds"]


def without_the_loan(data):
    data["credit"] = {}


def without_the_backstop(data):
    del data["protocols"]["hlp"]["backs"]


def without_depositors(data):
    data["traders"] = [group for group in data["traders"] if group["archetype"] != "depositor"]


POOL = {"pool", "pool/reserve", "fund_of"}
PERP = {"hlp", "perp", "perp/insurance_fund"}
EDGES = {
    # the edge that goes -> what a path of claims connects with it: (venues and protocols, groups)
    "a vault's holding": (vault_without_its_holding, POOL, {"borrower", "depositor"}),
    "a loan": (
        without_the_loan, {*POOL, "dex", "dex/insurance_fund"}, {"more_bets", "dex_makers", "borrower", "depositor"}
    ),
    "a backstop": (without_the_backstop, PERP, {"bets", "perp_makers", "depositor"}),
    "deposits": (without_depositors, {*POOL, *PERP}, {"bets", "perp_makers", "borrower", "depositor"}),
}  # fmt: skip


@pytest.mark.parametrize(("remove", "institutions", "groups"), EDGES.values(), ids=EDGES)
def test_agents_without_a_path_through_an_edge_do_not_notice_that_it_is_gone(remove, institutions, groups) -> None:
    data = crisis()
    fewer = copy.deepcopy(data)
    remove(fewer)
    one, other = (run(world).agents.set_index("agent") for world in (data, fewer))
    connected = one.index.isin([*institutions, "outside"]) | one["group"].isin(groups | {"keeper"})
    apart = one[~connected]
    assert len(apart) > 20
    assert apart.equals(other.loc[apart.index])
    touched = one[connected].drop(index="outside")
    assert not touched.equals(other.reindex(touched.index)), "the edge was worth nothing to anybody"
