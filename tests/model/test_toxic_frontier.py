"""The toxic frontier in runs of the model: the first liquidation lowers health exactly above it.

A fall of 30% brings borrowers that opened at 0.7 times a loan-to-value of the grid onto that loan-to-value, above
the threshold. Steps have one round, so each loan is liquidated once, by a thousandth.
"""

from __future__ import annotations

from math import sqrt

import pytest

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

FALL = 0.3
COLLATERAL = 10_000.0 / (1 - FALL)


def run(grid: list[float], threshold: float, bonus: float, **changes) -> tuple[list[tuple[float, float]], dict]:
    """Loan-to-value of each borrower before and after its first liquidation, and the outcomes."""
    depth = changes.pop("depth", 1e15)
    borrowers = [
        {"archetype": "borrower", "name": f"at_{order}", "venue": "pool", "size": {"fixed": COLLATERAL},
         "parameters": {"ltv": (1 - FALL) * ltv, "comfort": 0.01}}
        for order, ltv in enumerate(grid)
    ]  # fmt: skip
    keeper = {"archetype": "keeper", "venue": "pool", "capital": 1e7, "parameters": {"gas": 0.0, "spot_depth": depth}}
    pool = {
        "kind": "lending_pool", "supplied": 1e7, "oracle": {"deviation": 0.0},
        "rate": {"slope1": 0.0, "slope2": 0.0},
        "collateral": {"ETH": {"ltv": threshold, "liquidation_threshold": threshold, "bonus": bonus}},
        "liquidation": {"design": "close_factor", "close_factor": 1e-3, "full_close_health": 0.0},
    }  # fmt: skip
    data = {
        "name": "grid", "steps": 2, "max_rounds": 1, "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -FALL}],
        "protocols": {"pool": pool}, "traders": [*borrowers, keeper],
    }  # fmt: skip
    model = ContagionModel(load_scenario(data | changes), rng=1)
    model.step()
    state = model.world.state
    price = state.assets.index[state.assets.row("ETH")]
    after = []
    for order in range(len(grid)):
        account = state.agents.account_start[model.world.agent_rows[f"at_{order}"]]
        spot, debt = state.positions.units[state.accounts.start[account] : state.accounts.start[account + 1]]
        after.append(-debt / (spot * price))
    return list(zip(grid, after, strict=True)), model.result().outcomes


@pytest.mark.parametrize("bonus", [0.05, 0.1])
def test_without_impact_the_frontier_is_one_over_one_plus_the_bonus(bonus):
    """0.95238 for a bonus of 5%, 0.90909 for 10%."""
    frontier = 1.0 / (1.0 + bonus)
    grid = [frontier + step for step in (-0.03, -0.01, -1e-4, -1e-6, 1e-6, 1e-4, 0.01, 0.03)]
    found, outcomes = run(grid, 0.85, bonus)
    assert [after > before for before, after in found] == [False] * 4 + [True] * 4
    assert outcomes["loan_liquidations"] == 8
    assert outcomes["toxic_liquidations"] == 4


@pytest.mark.parametrize(("over_depth", "frontier"), [(0.01, 0.93370682), (0.1, 0.79365079)])
def test_with_slippage_that_the_oracle_reads_the_frontier_falls(over_depth, frontier):
    """Bonus 5%, seized collateral sold in a constant-product pool whose side is collateral / over_depth. A fall of 1%
    takes 1 / sqrt(0.99) - 1 of that side."""
    depth = 10_000.0 / over_depth * (1 / sqrt(0.99) - 1)
    for ltv in (frontier - 0.002, frontier + 0.002):
        market = {"impact": "constant_product", "permanent_share": 1.0}
        found, outcomes = run([ltv], 0.75, 0.05, depth=depth, impact=market)
        (before, after), = found
        assert outcomes["loan_liquidations"] == 1
        assert after != before
        assert (after > before) == (ltv > frontier)
