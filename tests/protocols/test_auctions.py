"""Debt positions whose collateral is sold at auction: who gets it at which price, and what is left for whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.model import ContagionModel
from contagion.protocols.auction_rules import linear_price, lot_of, power, purchase, stairstep_price
from contagion.protocols.designs.english_auction import dent, tend
from contagion.scenario.schema import Scenario

ENGLISH = {"design": "english_auction", "lot": 50.0}
DUTCH = {"design": "dutch_auction"}
WATERFALL = ["reserve", {"layer": "token_dilution", "token": "MKR", "supply": 1e6}, "depositor_write_down"]


def model(
    fall: float, liquidation: dict[str, Any], keepers: list[dict[str, Any]], vaults: int = 1, steps: int = 60,
    others: tuple[dict[str, Any], ...] | list[dict[str, Any]] = (), **protocol: Any,
) -> ContagionModel:  # fmt: skip
    """Vaults of 200 ETH at 200 USD that owe 24,000 each; ETH falls in step 2; keepers pay no gas unless they say so."""
    dai = {
        "kind": "collateralised_debt", "reserve": {"size": 1_000.0}, "waterfall": WATERFALL,
        "collateral": {"ETH": {"ltv": 0.66, "liquidation_threshold": 2.0 / 3.0}}, "oracle": {"deviation": 0.0},
        "liquidation": liquidation,
    }  # fmt: skip
    groups = [
        {"archetype": "keeper", "name": f"keeper_{order}", "venue": "dai", "capital": 1e6, "parameters": {"gas": 0.0}}
        | given_ | {"parameters": {"gas": 0.0} | given_.get("parameters", {})}
        for order, given_ in enumerate(keepers)
    ]  # fmt: skip
    owners = {
        "archetype": "borrower", "name": "owners", "count": vaults, "venue": "dai", "size": {"fixed": 40_000.0},
        "leverage": {"fixed": 2.5},
    }  # fmt: skip
    scenario = Scenario.model_validate({
        "name": "auctions", "dt": "1min", "steps": steps, "feedback": "local", "prices": "constant", "impact": "linear",
        "assets": {"ETH": {"price": 200.0}, "MKR": {"price": 250.0}}, "protocols": {"dai": dai | protocol},
        "shocks": [{"at": 2, "kind": "price_gap", "asset": "ETH", "size": fall}], "traders": [owners, *groups, *others],
    })  # fmt: skip
    return ContagionModel(scenario, rng=1)


def test_a_keeper_alone_gets_everything_for_nothing():
    # Four lots of 50 ETH at 120 USD. Nothing is paid, so 24,000 is missing: 1,000 surplus, 23,000 of new tokens.
    run = model(-0.4, ENGLISH, [{"parameters": {"opening_bid": 0.0}}])
    result = run.run()
    counters = run.world.counters
    assert counters["auctions_started"] == counters["auctions_at_zero"] == 4
    assert counters["collateral_at_zero"] == pytest.approx(24_000)
    assert counters["keeper_profit"] == pytest.approx(24_000)
    assert result.outcomes["bad_debt.dai"] == pytest.approx(24_000)
    assert result.outcomes["absorbed.reserve"] == pytest.approx(1_000)
    assert result.outcomes["absorbed.token_dilution"] == pytest.approx(23_000)
    assert result.outcomes["claim_value.dai"] == pytest.approx(1.0)  # 23,000 in cash behind 23,000 outstanding


def test_a_rival_who_bids_what_a_lot_is_worth_takes_it_from_the_first():
    # 50 x 120 = 6,000 is less than 6,780 owed: 24,000 for the four, the debt, and no penalty. The surplus is part of
    # the supply, so outside has 23,000 to sell: that is all that can be paid.
    run = model(-0.4, ENGLISH, [{"parameters": {"opening_bid": 0.0, "raises": 0.0}}, {"parameters": {"raises": 1.0}}])
    result = run.run()
    assert run.world.counters["auction_payments"] == pytest.approx(23_000)
    assert "auctions_at_zero" not in run.world.counters
    assert result.outcomes["bad_debt.dai"] == pytest.approx(1_000)
    assert result.outcomes["absorbed.reserve"] == pytest.approx(1_000)


def test_the_second_phase_leaves_collateral_to_the_owner():
    """At 160 a lot is worth 8,000: the first bids the 6,780 owed for all of it, the rival for less.

    42.375 ETH pay 6,780; half of what is beyond is given up: 50 - 7.625 / 2 = 46.1875. Half of the rest, 44.28, is
    not a twentieth less than that. 15.25 ETH of the four lots go back, 4 x 780 of penalty go to the reserve. A second
    vault, much safer, keeps stablecoins outside.
    """
    safe = {"archetype": "borrower", "name": "safe", "venue": "dai", "size": {"fixed": 9e4}, "leverage": {"fixed": 1.5}}
    run = model(-0.2, ENGLISH, [{}, {}], others=[safe], reserve={"size": 0.0})
    run.run()
    assert run.world.counters["auction_bids"] == 8
    assert run.world.counters["auction_penalties"] == pytest.approx(3_120)
    state, owner = run.world.state, int(run.world.state.group_start[0])
    slot = run.world.bookkeeper.slot(owner, state.assets.row("ETH"))
    assert float(state.holdings.units[slot]) == pytest.approx(15.25)


def test_a_price_that_falls_is_taken_when_it_pays():
    # From 144 by 1% every 90 s: the first price below 120 is 144 x 0.99^19 = 118.97, for 23,793.9 of 24,000 + 13%.
    run = model(-0.4, DUTCH, [{}], vaults=2, reserve={"size": 0.0})
    result = run.run()
    price = 144.0 * 0.99**19
    assert run.world.counters["auction_payments"] == pytest.approx(2 * 200.0 * price)
    assert run.world.counters["keeper_profit"] == pytest.approx(2 * 200.0 * (120.0 - price))
    assert result.outcomes["bad_debt.dai"] == pytest.approx(2 * (24_000.0 - 200.0 * price))


def test_debt_in_auction_is_limited_and_dust_is_not_left():
    # 27,120 fit under 30,000; the 2,880 left would take 2,548 of the next debt, less than the dust of 5,000.
    run = model(-0.4, DUTCH | {"hole": 30_000.0}, [{}], vaults=3, dust=5_000.0, steps=20)
    run.run()
    assert run.world.counters["auctions_started"] == 1
    # Without dust that part goes up, and nothing is left for the third.
    run = model(-0.4, DUTCH | {"hole": 30_000.0}, [{}], vaults=3, steps=20)
    run.run()
    assert run.world.counters["auctions_started"] == 2


def test_nobody_buys_without_keepers_money_and_old_auctions_are_reset():
    run = model(-0.4, DUTCH | {"lasts": "10min"}, [{"capital": 0.0}], steps=40)
    run.run()
    assert "auction_sales" not in run.world.counters
    assert run.world.counters["auctions_restarted"] == 3  # 11, 22 and 33 minutes after step 2


def test_a_premium_is_paid_by_who_has_to_buy_the_stablecoin():
    # Buying 23,794 moves the price by 1% of 23,794 / 240,000 with linear impact; half of that is paid on average.
    run = model(-0.4, DUTCH, [{}], depth=240_000.0, peg_half_life="0s", reserve={"size": 0.0})
    run.run()
    paid = 200.0 * 144.0 * 0.99**19
    assert run.world.counters["auction_payments"] == pytest.approx(paid)
    premium = 0.5 * 0.01 * paid / 240_000.0
    assert run.world.counters["keeper_profit"] == pytest.approx(24_000 - paid * (1 + premium))


def test_a_stablecoin_that_is_minted_is_not_supplied():
    with pytest.raises(ValueError, match="supplied"):
        model(-0.1, DUTCH, [{}], supplied=5.0)
    with pytest.raises(ValueError, match="reserve_factor"):
        model(-0.1, DUTCH, [{}], rate={"base": 0.05})


# -- arithmetic -----------------------------------------------------------------------------------------------------

money = st.floats(1.0, 1e6)


@settings(max_examples=50)
@given(money, money, money, st.floats(0.01, 1e4), st.floats(0.0, 1e3))
def test_a_purchase_never_pays_more_than_owed_or_leaves_dust(owed, lot, most, price, least):
    deal = purchase(owed, lot, most, price, least)
    if deal is None:
        assert owed <= least
        return
    assert deal.paid <= owed and deal.bought <= min(lot, most) * (1 + 1e-12)
    assert deal.paid == pytest.approx(deal.bought * price)
    assert deal.owed_left + deal.paid == pytest.approx(owed) and deal.lot_left + deal.bought == pytest.approx(lot)
    assert deal.owed_left == 0.0 or deal.lot_left == 0.0 or deal.owed_left >= least * (1 - 1e-9)


@settings(max_examples=50)
@given(money, money, money, st.floats(1.0, 2.0), st.floats(0.0, 1e4))
def test_a_lot_fits_its_room_unless_the_rest_would_be_dust(collateral, debt, room, penalty, dust):
    lot = lot_of(collateral, debt, room, penalty, dust=dust)
    if lot is None:
        assert room / penalty < dust
        return
    assert lot.owed <= room * (1 + 1e-12) or debt - room / penalty < dust
    assert lot.collateral / collateral == pytest.approx(lot.debt / debt)
    assert lot.debt == debt or debt - lot.debt >= dust * (1 - 1e-9)


@settings(max_examples=50)
@given(st.floats(0.01, 0.999), st.integers(0, 500))
def test_power_is_a_power(base, exponent):
    assert power(base, exponent) == pytest.approx(base**exponent, rel=1e-9)


def test_price_curves():
    assert linear_price(100.0, 60.0, 15.0) == 75.0 and linear_price(100.0, 60.0, 61.0) == 0.0
    assert stairstep_price(100.0, 0.5, 10.0, 29.0) == 25.0


def test_bids():
    # The first opens at a tenth of 100; a rival closes half of the gap to 200: 10 + 95 = 105; at most what is owed.
    assert tend(None, 100.0, 150.0, 0.05, 0.1, 0.5) == pytest.approx(10.0)
    assert tend(10.0, 200.0, 150.0, 0.05, 1.0, 0.5) == pytest.approx(105.0)
    assert tend(10.0, 400.0, 150.0, 0.05, 1.0, 0.5) == 150.0
    assert tend(100.0, 104.0, 150.0, 0.05, 1.0, 1.0) is None  # 104 is not a twentieth above 100
    assert tend(10.0, 200.0, 150.0, 0.05, 1.0, 0.0) is None and tend(None, 0.0, 150.0, 0.05, 0.0, 0.5) is None
    assert dent(50.0, 42.375, 0.05, 0.5) == pytest.approx(46.1875)
    assert dent(50.0, 48.0, 0.05, 0.5) is None and dent(50.0, 60.0, 0.05, 1.0) is None


def test_value_is_kept_while_auctions_run():
    """Random keepers: the audit of every round holds, and nothing stays behind in accounts or pledges."""
    rng = np.random.default_rng(4)
    for liquidation in (ENGLISH, ENGLISH | {"lot": 33.0}, DUTCH, DUTCH | {"curve": "linear", "duration": "1h"}):
        keepers = [
            {"capital": float(rng.uniform(0, 2e4)),
             "parameters": {"gas": float(rng.uniform(0, 20)), "opening_bid": float(rng.uniform()),
                            "raises": float(rng.uniform()), "spot_depth": 1e6}}
            for _ in range(3)
        ]  # fmt: skip
        run = model(-0.35, liquidation, keepers, vaults=4, steps=400, depth=1e6, rate={
            "base": 0.5, "slope1": 0.0, "slope2": 0.0, "reserve_factor": 1.0})  # fmt: skip
        run.run()
        pool = run.lending._pools[run.world.agent_rows["dai"]]
        pledged = sum(keeper.pledged for keeper in pool.keepers.able(-10**6))
        if not pool.memory.running:
            assert pledged == pytest.approx(0.0, abs=1e-6)
            assert not pool.memory.debt


def test_a_keeper_starts_no_more_auctions_than_it_can_pay_gas_for():
    """Four lots at 40 of gas each, and 100 of money: two are started, and 20 are left."""
    run = model(-0.4, ENGLISH, [{"capital": 100.0, "parameters": {"gas": 40.0, "opening_bid": 0.0}}], steps=2)
    run.run()
    assert run.world.counters["auctions_started"] == 2
    assert run.world.state.agents.cash[run.world.agent_rows["keeper_0"]] == pytest.approx(20.0)
