"""Liquidations by keepers: how much, when it pays, in which order, and what becomes of bad debt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import audit, debt_of, liquidate_to_the_end, positions_of, rows, set_price, simple_pool

from contagion.protocols.lending import Lending
from contagion.state.codes import AccountFlag, Cause

LOOSE = {"ltv": 0.5, "liquidation_threshold": 0.8, "bonus": 0.05}


def loan(world, name="borrower_0"):
    """Collateral and debt of a borrower. [USD]"""
    collateral, _ = positions_of(world, name)
    state = world.state
    price = state.instruments.equity_price[state.positions.instrument[collateral]]
    return float(state.positions.units[collateral] * price), debt_of(world, name)[1]


def pool(design=None, **terms):
    """Terms of a pool: parameters of its close-factor design, and of its collateral."""
    return {"collateral": {"ETH": LOOSE | terms}, "liquidation": {"design": "close_factor"} | (design or {})}


def test_health_of_exactly_one_is_safe():
    # 10 ETH at 1,000 with threshold 0.8 carry 8,000.
    world = simple_pool([0.8], pool=pool())
    lending = Lending(world)
    assert not lending.liquidate()
    set_price(world, "ETH", np.nextafter(1000.0, 0.0))
    assert lending.liquidate()


def test_half_of_the_debt_is_repaid_and_the_bonus_paid():
    world = simple_pool([0.82], pool=pool())
    assert Lending(world).liquidate()
    audit(world)
    # Debt 8,200 at health 0.9756 > 0.95: 4,100 repaid, 4,305 of collateral taken and sold at market.
    assert loan(world) == pytest.approx((10_000 - 4_305, 4_100))
    assert rows(world, Cause.REPAYMENT) == [("keeper:0", "borrower_0:0", pytest.approx(4_100))]
    assert rows(world, Cause.SEIZURE) == [("borrower_0:0", "keeper:0", pytest.approx(4_305))]
    assert rows(world, Cause.SPOT_SALE) == [("outside", "keeper:0", pytest.approx(4_305))]
    assert world.counters["keeper_profit"] == pytest.approx(205)
    assert world.state.agents.cash[world.agent_rows["keeper"]] == pytest.approx(1e6 + 205)


def test_whole_debt_at_low_health():
    # Debt 8,500: health 0.9412 <= 0.95, so all of it for 8,925 of collateral.
    world = simple_pool([0.85], pool=pool())
    assert Lending(world).liquidate()
    audit(world)
    assert loan(world) == pytest.approx((10_000 - 8_925, 0.0))


@pytest.mark.parametrize("bonus", [0.05, 0.1])
def test_first_liquidation_lowers_health_exactly_above_the_frontier(bonus):
    """A grid of loan-to-values: toxic above 1 / (1 + bonus), 0.95238 and 0.90909."""
    frontier = 1.0 / (1.0 + bonus)
    grid = [frontier - 0.05, frontier - 1e-6, frontier + 1e-6, frontier + 0.03]
    world = simple_pool(grid, pool=pool({"full_close_health": 0.0, "close_factor": 0.1}, bonus=bonus))
    lending = Lending(world)
    assert lending.liquidate()
    for order, ltv in enumerate(grid):
        collateral, debt = loan(world, f"borrower_{order}")
        assert (0.8 * collateral / debt < 0.8 / ltv) == (ltv > frontier)
    assert world.counters["toxic_liquidations"] == 2
    assert lending.toxic_loans == 2
    audit(world)


@pytest.mark.parametrize(("over_depth", "frontier"), [(0.01, 0.93370682), (0.1, 0.79365079), (0.25, 0.63492063)])
def test_frontier_with_slippage_that_the_oracle_reads(over_depth, frontier):
    """Small liquidations sold in a constant-product pool of depth collateral / over_depth lower health exactly above
    1 / (1.05 (1 + 2 c / y)); 198.49 is that pool's side over its depth for a 1% move."""
    grid = [frontier - 0.002, frontier + 0.002]
    market = {"impact": "contagion.market.impact:ConstantProductImpact", "permanent_share": 1.0}
    depth = 10_000.0 / over_depth / (1.0 / (1.0 / np.sqrt(0.99) - 1.0))
    for ltv in grid:
        terms = pool({"full_close_health": 0.0, "close_factor": 1e-3}, liquidation_threshold=0.6)
        world = simple_pool([ltv], pool=terms, keeper={"spot_depth": depth}, impact=market)
        assert Lending(world).liquidate()
        audit(world)
        assets = world.state.assets
        set_price(world, "ETH", 1000.0 * np.exp(assets.endogenous[assets.row("ETH")]))
        collateral, debt = loan(world)
        assert (collateral / debt < 1.0 / ltv) == (ltv > frontier)


@pytest.mark.parametrize(
    ("ltv", "steps", "bad_debt"),
    [(0.94, 4, 0.0), (0.95, 6, 0.0), (0.96, 7, 0.96 - 1 / 1.05), (0.98, 6, 0.98 - 1 / 1.05), (1.0, 5, 1 - 1 / 1.05)],
)
def test_spiral_round_by_round(ltv, steps, bad_debt):
    """Half of the debt at a time at a fixed price, until healed or exhausted; bad debt is ltv - 1 / (1 + bonus)."""
    world = simple_pool([ltv], pool=pool({"full_close_health": 0.0}, liquidation_threshold=0.85))
    lending, rounds = Lending(world), 0
    while lending.liquidate():
        rounds += 1
        audit(world)
    assert world.counters["loan_liquidations"] == steps == rounds
    assert sum(world.bookkeeper.deficits.amount) == pytest.approx(10_000 * bad_debt)
    if bad_debt:
        account = int(world.state.positions.account[positions_of(world, "borrower_0")[0]])
        assert world.state.accounts.flags[account] & AccountFlag.CLOSED
        assert world.state.accounts.flags[account] & AccountFlag.BANKRUPT
        assert rows(world, Cause.DEFICIT) == [("pool", "borrower_0:0", pytest.approx(10_000 * bad_debt))]


def test_nobody_acts_when_it_does_not_pay():
    # 10,000 of collateral at health 0.9756: bonus 205. Gas of 205 leaves nothing, 204 leaves a gain of 1.
    world = simple_pool([0.82], pool=pool(), keeper={"gas": 205.5})
    lending = Lending(world)
    assert not lending.liquidate()
    assert (lending.refused, world.counters["refused_liquidations"]) == (1, 1.0)
    world = simple_pool([0.82], pool=pool(), keeper={"gas": 204.0})
    assert Lending(world).liquidate()
    assert rows(world, Cause.GAS) == [("keeper:0", "outside", 204.0)]
    assert world.counters["keeper_profit"] == pytest.approx(1.0)
    audit(world)
    world = simple_pool([0.82], pool=pool(), keeper={"gas": 204.0, "minimum_profit": 1.5})
    assert not Lending(world).liquidate()


def test_collateral_too_small_for_gas_counts_as_none():
    """Collateral of 100 carries a bonus of 100 x 0.05 / 1.05 = 4.76: no keeper with gas of 5 ever takes it, so the
    debt of 8,000 is written off against the 100 that the pool keeps. With gas of 4 a keeper repays 95.24."""
    for gas, deficit in ((5.0, 7_900.0), (4.0, 8_000 - 100 / 1.05)):
        world = simple_pool([0.8], pool=pool(), keeper={"gas": gas})
        set_price(world, "ETH", 10.0)
        audit(world)
        assert Lending(world).liquidate()
        audit(world)
        assert world.bookkeeper.deficits.amount == [pytest.approx(deficit)]


def test_stale_oracle_makes_liquidation_unprofitable():
    """The market is 6% below the oracle: the bonus of 5% does not pay for it."""
    world = simple_pool([0.82], pool=pool())
    assets = world.state.assets
    assets.market[assets.row("ETH")] = 940.0
    assert not Lending(world).liquidate()


def test_keeper_repays_no_more_than_its_cash():
    world = simple_pool([0.82], pool=pool(), keeper_group={"capital": 1_000.0}, keeper={"gas": 10.0})
    assert Lending(world).liquidate()
    audit(world)
    assert loan(world)[1] == pytest.approx(8_200 - 990)
    assert world.state.agents.cash[world.agent_rows["keeper"]] == pytest.approx(1_000 - 10 + 990 * 0.05)


def test_latency_and_throughput():
    world = simple_pool([0.82, 0.82], pool=pool(), keeper={"latency": 2, "per_step": 1})
    lending = Lending(world)
    for step, expected in ((3, 0), (4, 0), (5, 1), (6, 2)):
        world.step = step
        while lending.liquidate():
            pass
        assert world.counters.get("loan_liquidations", 0) == expected
    audit(world)


def test_latency_starts_again_after_a_healthy_spell():
    world = simple_pool([0.82], pool=pool(), keeper={"latency": 2})
    lending = Lending(world)
    for step, expected in ((3, 0), (4, 0), (9, 0), (10, 0), (11, 1)):  # not called between 4 and 9: it was safe
        world.step = step
        lending.liquidate()
        assert world.counters.get("loan_liquidations", 0) == expected


def test_sale_moves_price_and_limits_the_keeper():
    """Square-root impact, depth 10,000: repaying 4,100 pays 4,305 x (1 - 2/3 x 1% x sqrt(0.4305)) = 4,286.17."""
    world = simple_pool([0.82], pool=pool(), keeper={"spot_depth": 10_000.0}, impact="square_root")
    assert Lending(world).liquidate()
    audit(world)
    proceeds = 4_305 * (1 - 2 / 3 * 0.01 * np.sqrt(0.4305))
    assert rows(world, Cause.SPOT_SALE) == [("outside", "keeper:0", pytest.approx(proceeds))]
    move = np.log1p(-0.01 * np.sqrt(0.4305))
    assets = world.state.assets
    assert assets.endogenous[assets.row("ETH")] == pytest.approx(move * world.impact.permanent_share)


def test_sales_of_a_round_walk_down_one_curve():
    """Two equal liquidations sell 8,610 in all; together they get what one sale of 8,610 would."""
    world = simple_pool([0.82, 0.82], pool=pool(), keeper={"spot_depth": 10_000.0}, impact="linear")
    assert Lending(world).liquidate()
    audit(world)
    proceeds = sum(amount for _, _, amount in rows(world, Cause.SPOT_SALE))
    assert proceeds == pytest.approx(8_610 * (1 - 0.5 * 0.01 * 0.861))


def test_no_feedback_leaves_the_price():
    world = simple_pool([0.82], pool=pool(), keeper={"spot_depth": 10_000.0}, feedback="local")
    assert Lending(world).liquidate()
    assert not world.state.assets.endogenous.any()


def test_thin_market_makes_smaller_liquidations():
    """Linear impact, depth 100: repaying r gains 0.05 r - 1.05 r x 0.5 x 1% x 1.05 r / 100, most at r = 453.5; the
    keeper tries halves of 4,100 and finds 512.5 best: 25.625 - 14.48 = 11.15 against 10.36 at 256.25."""
    world = simple_pool([0.82], pool=pool(), keeper={"spot_depth": 100.0}, impact="linear")
    assert Lending(world).liquidate()
    audit(world)
    repaid = 4_100 / 8
    assert world.counters["liquidated_debt"] == pytest.approx(repaid)
    gain = 0.05 * repaid - 0.5 * 0.01 * (1.05 * repaid) ** 2 / 100
    assert world.counters["keeper_profit"] == pytest.approx(gain)


def test_order_does_not_depend_on_rows():
    """With cash for one liquidation only, the larger debt goes first wherever it stands."""
    for grid in ([0.82, 0.84], [0.84, 0.82]):
        world = simple_pool(grid, pool=pool(), keeper={"per_step": 1})
        assert Lending(world).liquidate()
        (_, borrower, repaid), = rows(world, Cause.REPAYMENT)
        assert repaid == pytest.approx(4_200)
        assert borrower == f"borrower_{grid.index(0.84)}:0"


@settings(max_examples=30, deadline=None)
@given(
    ltv=st.lists(st.floats(0.3, 0.98), min_size=1, max_size=4), fall=st.floats(0.3, 1.2), gas=st.floats(0.0, 300.0),
    depth=st.floats(1e3, 1e8), close_factor=st.floats(0.1, 1.0), cash=st.floats(10.0, 1e5),
)  # fmt: skip
def test_every_liquidation_conserves_and_gains(ltv, fall, gas, depth, close_factor, cash):
    world = simple_pool(ltv, pool=pool({"close_factor": close_factor}, ltv=0.79),
                        keeper={"gas": gas, "spot_depth": depth}, keeper_group={"capital": cash})  # fmt: skip
    set_price(world, "ETH", 1000.0 * fall)
    audit(world)
    liquidate_to_the_end(world, most=100)
    for order in range(len(ltv)):
        collateral, debt = loan(world, f"borrower_{order}")
        assert collateral >= 0.0
        assert debt >= 0.0
    pool_row = world.agent_rows["pool"]
    custody = world.state.holdings.units[world.bookkeeper.slot(pool_row, world.state.assets.row("ETH"))]
    spot = world.state.instruments.names.index("pool:ETH")
    kept = custody - world.state.instruments.customer_units[spot]  # small rests that came with written-off debt
    assert -1e-9 <= kept * 1000.0 * fall <= 0.05 * 10_000 * sum(ltv)
