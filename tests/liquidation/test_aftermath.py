"""What deleveraging does next: makers quote less wherever they are, broken hedges are closed, customers leave."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario
from contagion.state.codes import Cause

approx = pytest.approx


def world(
    waterfall: list, gap: float, groups: list[dict], maker: dict, capital: float = 1e6, **venue
) -> ContagionModel:  # fmt: skip
    """Two venues; at step 2 the price of BTC jumps and the accounts at `perp` that bet against it are bankrupt."""
    exchange = {
        "contracts": {"BTC": {"tiers": [{"maintenance": 0.02, "initial": 0.04}]}}, "mark": "index",
        "liquidation": {"engine": "full", "fee": 0.0, "limit": "bankruptcy"},
    }  # fmt: skip
    return ContagionModel(load_scenario({
        "name": "aftermath", "dt": "1min", "steps": 12, "feedback": "none",
        "assets": {"BTC": {"price": 100, "volatility": 0.5}}, "prices": "constant", "impact": "linear",
        "shocks": [{"at": 2, "kind": "price_gap", "asset": "BTC", "size": gap}],
        "exchanges": {
            "perp": {**exchange, "waterfall": waterfall, **venue},
            "other": {**exchange, "waterfall": ["insurance_fund"], "insurance_fund": {"size": 1e6}},
        },
        "traders": [*groups, {"archetype": "market_maker", "venue": ["perp", "other"], "capital": capital,
                              "parameters": {"depth": 1e4, "stress": 0.0, "recovery": 1.0, **maker}}],
    }), rng=1)  # fmt: skip


SHORTS = {"archetype": "passive", "name": "shorts", "venue": "perp", "count": 3, "size": {"fixed": 1e4},
          "leverage": {"fixed": 20}, "long_share": 0.0,
          "answers": {"top_up": 0.0, "reduce": 0.0, "ignore": 1.0}}  # fmt: skip


def depth(model: ContagionModel) -> np.ndarray:
    return model.world.state.instruments.depth.copy()


def test_a_maker_that_was_cut_quotes_less_on_every_venue_and_comes_back():
    # Shorts of 30,000 lose 10% of it at 110: 3,000 on equity of 1,500. Makers, long the other side, pay 1,500.
    model = world(["profit_haircut"], 0.10, [SHORTS], {"retreat": 0.4, "retreat_for": 3})
    seen = []
    for _ in range(7):
        model.step()
        seen.append(depth(model))
    # Quotes of the step itself stand; steps 3 to 5 are 60% on both venues, from the fourth step on all of it is back.
    calm = 1e4
    assert np.array(seen) / calm == approx(np.array([[1, 1], [1, 1], [0.6] * 2, [0.6] * 2, [0.6] * 2, [1, 1], [1, 1]]))


def test_a_maker_that_lost_capital_at_one_venue_quotes_less_at_both():
    # Long 30,000 against the shorts; at -50% it loses 15,000 of 100,000, the capital factor is 85%.
    model = world(["insurance_fund"], -0.5, [SHORTS], {"retreat": 0.0}, insurance_fund={"size": 1e6})
    model.world.state.makers.capital[:] = 1e5
    owner = model.world.state.accounts.owner[model.world.state.makers.account[0]]
    for row in np.flatnonzero(model.world.state.accounts.owner == owner):
        rows = slice(*model.world.state.accounts.start[[row, row + 1]])
        held = float(model.world.state.positions.units[rows] @ np.full(1, 100.0))
        model.world.bookkeeper.withdraw(np.array([row]), np.array(
            [float(model.world.state.accounts.balance[row]) + held - 5e4]))  # fmt: skip
    for _ in range(3):
        model.step()
    assert depth(model) == approx([8_500.0, 8_500.0])


def test_a_hedger_whose_short_was_deleveraged_closes_the_spot_leg_it_is_left_with():
    # Longs of 30,000 are bankrupt at 90; the hedger's short at perp is deleveraged, its short at `other` doubles.
    longs = {**SHORTS, "name": "longs", "long_share": 1.0, "count": 3, "leverage": {"fixed": 14}}
    hedger = {"archetype": "hedger", "venue": ["perp", "other"], "size": {"fixed": 4e4}, "leverage": {"fixed": 2},
              "parameters": {"threshold": 9.0}}  # fmt: skip
    model = world([{"layer": "auto_deleverage", "ranking": "pnl_leverage"}], -0.10, [longs, hedger], {"retreat": 0.0})
    group = next(item for item in model.world.groups if item.name == "hedger")
    positions = model.world.state.positions
    rows = [slice(*model.world.state.accounts.start[[row, row + 1]]) for row in group.accounts]
    held = [[float(positions.units[row][0]) for row in rows]]
    for _ in range(4):
        model.step()
        held.append([float(positions.units[row][0]) for row in rows])
    assert held[0] == approx([-200.0, -200.0])
    assert model.world.counters["deleveraging_fills"] >= 1
    assert held[2][0] > -200.0  # part of the short at perp is gone
    assert sum(held[-1]) == approx(-400.0, rel=0.06)  # rebuilt up to the band of 5%


def test_customers_of_a_venue_that_cut_profits_leave_from_the_next_step():
    longs = {**SHORTS, "name": "winners", "long_share": 1.0, "count": 4, "leverage": {"fixed": 2}}
    model = world(["profit_haircut"], 0.10, [SHORTS, longs], {"retreat": 0.0}, capital=5e4)
    model.step()
    model.step()
    assert model.world.counters.get("withdrawals_paid", 0.0) == 0.0
    # Shorts are 1,500 short; buying their 33,000 back costs 0.5% x 33,000 / depth more, and makers, who have lost 1,000
    # of 50,000 themselves, quote 9,800.
    cut = model.world.bookkeeper.ledger.rows()
    paid = float(cut["amount"][cut["cause"] == Cause.ALLOCATION].sum())
    assert paid == approx(1_500.0 + 33_000 * 0.005 * 33_000 / 9_800)
    model.step()  # 2,056 are above 1% of what customers are owed
    assert model.world.counters["withdrawals_paid"] > 0.0
