"""Draws belong to entities: a change of policy or population shifts nobody else's."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from worlds import crisis, quiet, scenario

from contagion.model import ContagionModel
from contagion.results import RunResult

POLICIES = {
    "other layers": {"waterfall": [{"layer": "profit_haircut"}, {"layer": "venue_equity"}]},
    "another engine": {"liquidation": {"engine": {"engine": "partial", "target": 1.3}, "limit": "market"}},
    "fees to the fund": {"liquidation": {"surplus_to": "fund", "fee": 0.02}},
    "resolution": {"on_insolvency": "resolve"},
}


def run(data, seed: int = 7) -> RunResult:
    return ContagionModel(scenario(data), rng=seed).run()


def with_policy(data, policy, venue: str = "perp"):
    found = copy.deepcopy(data)
    found["exchanges"][venue] |= policy
    return found


def numbers(found: RunResult) -> np.ndarray:
    return found.agents[["opening_net_worth", "net_worth", "cash"]].to_numpy()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_policy_that_never_binds_changes_no_bit(policy) -> None:
    one, other = run(quiet(crisis())), run(with_policy(quiet(crisis()), policy))
    assert one.outcomes["deficit"] == one.outcomes["liquidations"] == 0.0
    assert one.steps.equals(other.steps) and one.rounds.equals(other.rounds) and one.agents.equals(other.agents)
    assert one.ledger.equals(other.ledger)


@pytest.mark.parametrize(("venue", "policy"), [("perp", "other layers"), ("dex", "resolution")])
def test_a_policy_that_binds_changes_nothing_before_and_no_exogenous_draw_after(venue: str, policy: str) -> None:
    """Waterfalls are first asked at step 3, where dex fails. Without feedback the index is all exogenous."""
    data = with_policy(crisis() | {"feedback": "none"}, {"equity": 0.0}, "dex")
    one, other = run(data), run(with_policy(data, POLICIES[policy], venue))
    before = slice(None, 2)
    assert one.steps[before].equals(other.steps[before])
    one_early, other_early = (found.ledger[found.ledger["step"] < 3] for found in (one, other))
    assert len(one_early) and one_early.equals(other_early)
    assert not one.ledger.equals(other.ledger)
    prices = ["price.BTC", "price.ETH"]
    assert one.steps[prices].equals(other.steps[prices])


def test_a_group_elsewhere_shifts_nobodys_draws() -> None:
    """Newcomers on a venue of their own, first in the file: everybody else ends with the same bits."""
    data = crisis() | {"feedback": "none"}
    data["protocols"]["pool"]["oracle"] = {"noise": 0.02, "deviation": 0.0}
    more = copy.deepcopy(data)
    more["exchanges"] = {"new": {"contracts": {"BTC": {}}}} | more["exchanges"]
    more["traders"] = [
        {"archetype": "directional", "name": "newcomers", "venue": "new", "count": 5, "size": {"fixed": 1e4}},
        {"archetype": "market_maker", "name": "new_makers", "venue": "new", "capital": 1e6},
        *more["traders"],
    ]
    one, other = run(data), run(more)
    left = one.agents.set_index("agent").drop(index="outside")
    assert left.equals(other.agents.set_index("agent").loc[left.index])
    assert one.steps[["price.BTC", "price.ETH"]].equals(other.steps[["price.BTC", "price.ETH"]])


def test_a_larger_group_keeps_its_first_members() -> None:
    data = crisis()
    data["traders"][0]["size"] = {"lognormal": [4e4, 1.0]}
    more = copy.deepcopy(data)
    more["traders"][0]["count"] += 10
    first = [f"bets:{ordinal}" for ordinal in range(data["traders"][0]["count"])]
    one, other = (run(world).agents.set_index("agent").loc[first, "opening_net_worth"] for world in (data, more))
    assert one.equals(other)


def test_draws_depend_on_the_seed() -> None:
    assert not np.array_equal(numbers(run(crisis(), 7)), numbers(run(crisis(), 8)))
