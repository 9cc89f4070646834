"""What each lending design does with the same borrower: 10 ETH of 1,000 USD against a debt, threshold 0.8."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import (
    audit,
    build,
    debt_of,
    liquidate_to_the_end,
    positions_of,
    rows,
    set_debt,
    set_price,
    simple_pool,
)

from contagion.allocation.waterfall import Waterfall
from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.protocols.lending import Lending
from contagion.scenario.loader import load_scenario
from contagion.state.codes import AccountFlag, Cause

TERMS = {"ltv": 0.5, "liquidation_threshold": 0.8, "bonus": 0.05}


def world_of(design: str, debt: float, *, keeper=None, terms=None, waterfall=None, **parameters):
    """One borrower with 10,000 of ETH and a debt. [USD]"""
    pool = {"liquidation": {"design": design} | parameters, "collateral": {"ETH": TERMS | (terms or {})}}
    pool |= {} if waterfall is None else {"waterfall": waterfall}
    return simple_pool([debt / 10_000.0], pool=pool, keeper=keeper or {})


def loan(world):
    collateral, _ = positions_of(world, "borrower_0")
    state = world.state
    price = state.instruments.equity_price[state.positions.instrument[collateral]]
    return float(state.positions.units[collateral] * price), debt_of(world, "borrower_0")[1]


def cash(world, name: str) -> float:
    return float(world.state.agents.cash[world.agent_rows[name]])


def eth(world, name: str) -> float:
    slot = world.bookkeeper.slot(world.agent_rows[name], world.state.assets.row("ETH"))
    return float(world.state.holdings.units[slot])


def test_the_protocols_share_of_the_bonus_goes_to_the_reserve_in_kind():
    """Repaid 4,100 of 8,200 for 4,305; of the bonus of 205 a tenth, 20.5 or 0.0205 ETH, is the reserve's."""
    world = world_of("close_factor", 8_200.0, protocol_share=0.1)
    assert Lending(world).liquidate()
    audit(world)
    assert loan(world) == pytest.approx((5_695.0, 4_100.0))
    assert eth(world, "pool/reserve") == pytest.approx(0.0205)
    assert cash(world, "keeper") == pytest.approx(1e6 + 205 - 20.5)
    assert rows(world, Cause.LIQUIDATION_FEE) == [("borrower_0:0", "pool/reserve", pytest.approx(20.5))]


def test_small_positions_are_closed_whole():
    """Debt 8,200 at health 0.976: half of it, unless the position is smaller than the limit."""
    for small, repaid in ((8_000.0, 4_100.0), (8_201.0, 8_200.0)):
        world = world_of("close_factor", 8_200.0, small_position=small)
        assert Lending(world).liquidate()
        assert world.counters["liquidated_debt"] == pytest.approx(repaid)
        audit(world)


def test_a_liquidation_leaves_nothing_or_enough():
    """Half of 8,200 leaves a debt of 4,100 and collateral of 5,695. Where 5,000 of each must stay, at most 3,200 is
    repaid (5,000 of debt stays, and 10,000 - 3,360 of collateral); where 6,800 must stay, 1,400."""
    for least, repaid in ((0.0, 4_100.0), (5_000.0, 3_200.0), (6_800.0, 1_400.0)):
        world = world_of("close_factor", 8_200.0, least_left=least)
        assert Lending(world).liquidate()
        assert world.counters["liquidated_debt"] == pytest.approx(repaid)
        audit(world)
    # All of it may go whatever the least: full close at health 0.94, debt 8,500.
    world = world_of("close_factor", 8_500.0, least_left=6_800.0)
    assert Lending(world).liquidate()
    assert loan(world) == pytest.approx((10_000 - 8_925, 0.0))
    audit(world)


def test_a_keeper_short_of_cash_stays_within_the_least_leftover():
    """The whole 8,500 may be repaid; 7,000 of cash would leave 1,500 where 2,000 must stay: 6,500 is repaid."""
    world = simple_pool(
        [0.85], keeper_group={"capital": 7_000.0},
        pool={"liquidation": {"design": "close_factor", "least_left": 2_000.0}, "collateral": {"ETH": TERMS}},
    )  # fmt: skip
    assert Lending(world).liquidate()
    assert world.counters["liquidated_debt"] == pytest.approx(6_500.0)
    audit(world)


def test_compound_v2_never_closes_more_than_half_and_keeps_a_share_of_what_is_seized():
    """Debt 10,000 against 12,000 of collateral, incentive 1.08: repaid 5,000, seized 5,400, 2.8% of it, 151.2, kept."""
    world = simple_pool(
        [0.0], pool={"liquidation": {"design": "compound_v2"},
                     "collateral": {"ETH": {"ltv": 0.5, "liquidation_threshold": 0.8, "bonus": 0.08}}},
    )  # fmt: skip
    set_price(world, "ETH", 1_200.0)
    audit(world)
    set_debt(world, "borrower_0", 10_000.0)  # health 0.96
    assert Lending(world).liquidate()
    audit(world)
    assert loan(world) == pytest.approx((12_000 - 5_400, 5_000.0))
    assert eth(world, "pool/reserve") * 1_200.0 == pytest.approx(151.2)
    assert cash(world, "keeper") == pytest.approx(1e6 - 5_000 + 5_248.8)


def test_incentive_follows_from_the_threshold_and_bad_debt_is_the_suppliers_at_once():
    """Threshold 0.8: factor 1 / (1 - 0.3 x 0.2) = 1.06383. Collateral of 7,000 repays 6,580; 1,920 of 8,500 is lost."""
    world = world_of("incentive_by_threshold", 8_500.0, waterfall=["depositor_write_down"])
    set_price(world, "ETH", 700.0)
    audit(world)
    assert Lending(world).liquidate()
    audit(world)
    assert loan(world) == pytest.approx((0.0, 0.0))
    assert world.counters["liquidated_debt"] == pytest.approx(7_000 * 0.94)
    assert world.bookkeeper.deficits.amount == [pytest.approx(8_500 - 6_580)]
    assert Waterfall(world).allocate()
    assert world.counters["unit_value.pool"] == pytest.approx(1 - 1_920 / 1e6, rel=1e-6)


@pytest.mark.parametrize(("debt", "discount"), [(8_200.0, 1 - 8_000 / 8_200), (9_000.0, 1 - 8 / 9), (9_900.0, 0.15)])
def test_the_discount_grows_as_health_falls(debt, discount):
    """Price over the oracle's: health, not below 0.85. All collateral of 10,000 is sold or all debt repaid."""
    world = world_of("health_discount", debt)
    assert Lending(world).liquidate()
    audit(world)
    repaid = min(debt, 10_000 * (1 - discount))
    assert world.counters["liquidated_debt"] == pytest.approx(repaid)
    assert world.counters["keeper_profit"] == pytest.approx(repaid / (1 - discount) - repaid)


def test_a_soft_liquidation_lifts_health_to_its_target():
    """Debt 8,200, bonus 2.5%, target 1.05: r = 8,200 (1.05 - 0.97561) / (1.05 - 0.82), after which health is 1.05."""
    world = world_of("health_discount", 8_200.0, target_health=1.05)
    assert Lending(world).liquidate()
    audit(world)
    collateral, debt = loan(world)
    assert 0.8 * collateral / debt == pytest.approx(1.05)
    assert world.counters["liquidated_debt"] == pytest.approx(8_200 * (1.05 - 8_000 / 8_200) / (1.05 - 0.8 * 1.025))


def test_a_bonus_that_rises_with_the_loss_of_health():
    """Bonus 0.2 (1 - 0.8) = 4%: a health of 0.8, debt 10,000, repays 10,000 / 1.04 with all collateral."""
    world = world_of("health_discount", 10_000.0, most_discount=0.2, follows="bonus")
    assert Lending(world).liquidate()
    assert world.counters["liquidated_debt"] == pytest.approx(10_000 / 1.04)
    audit(world)


def test_absorption_credits_collateral_and_sells_it_from_stock():
    """Collateral 10,000 credited at 0.95 against a debt of 9,000: 500 stay the owner's, the pool paid 9,500. Buyers get
    half of the penalty: 10,000 for 9,750. The reserve gains the other half, 250."""
    world = world_of("absorb", 9_000.0)
    lending = Lending(world)
    assert lending.liquidate()
    audit(world)
    account = int(world.state.positions.account[positions_of(world, "borrower_0")[0]])
    assert loan(world) == (0.0, 0.0)
    assert world.state.accounts.balance[account] == pytest.approx(500.0)
    assert eth(world, "pool") == pytest.approx(10.0)
    assert lending.busy
    assert lending.liquidate()
    audit(world)
    assert eth(world, "pool") == 0.0
    assert not lending.busy
    assert cash(world, "pool") == pytest.approx(1e6 - 9_000 + 9_750 - 250)
    assert cash(world, "pool/reserve") == pytest.approx(250.0)
    assert cash(world, "keeper") == pytest.approx(1e6 + 250.0)
    assert not lending.liquidate()


def test_absorption_below_water_is_a_deficit_at_once_and_a_falling_stock_another():
    """Collateral worth 8,000 against 9,000: 1,000 are lost at the absorption. The stock loses a tenth before it is sold
    at 0.975 x 7,200 = 7,020: another 980."""
    world = world_of("absorb", 9_000.0, keeper={"latency": 1})
    set_price(world, "ETH", 800.0)
    audit(world)
    lending = Lending(world)
    world.step = 1
    assert lending.liquidate()
    audit(world)
    assert world.bookkeeper.deficits.amount == [pytest.approx(1_000.0)]
    set_price(world, "ETH", 720.0)
    audit(world)
    assert not lending.liquidate()  # nobody reacts within the step
    world.step = 2
    assert lending.liquidate()
    audit(world)
    assert world.bookkeeper.deficits.amount == [pytest.approx(1_000.0), pytest.approx(980.0)]
    assert world.bookkeeper.deficits.owner[1] == world.agent_rows["pool"]


def test_nothing_is_sold_while_the_reserve_has_reached_its_target():
    world = world_of("absorb", 9_000.0, target_reserves=0.0)
    lending = Lending(world)
    assert lending.liquidate()
    assert not lending.liquidate()
    assert lending.busy
    assert eth(world, "pool") == pytest.approx(10.0)


def test_an_absorption_needs_no_keeper_and_a_sale_does():
    world = world_of("absorb", 9_000.0, keeper={"gas": 1_000.0})
    lending = Lending(world)
    assert lending.liquidate()
    assert not lending.liquidate()
    assert eth(world, "pool") == pytest.approx(10.0)
    audit(world)


def modes(**changes):
    """Ether as usual and, under a key of its own, on the terms of an efficiency mode; a borrower of each."""
    pool = {
        "kind": "lending_pool", "supplied": 1e6, "oracle": {"deviation": 0.0},
        "collateral": {
            "ETH": TERMS, "ETH efficient": {"asset": "ETH", "ltv": 0.9, "liquidation_threshold": 0.93, "bonus": 0.01},
        } | changes,
    }  # fmt: skip
    borrowers = [
        {"archetype": "borrower", "name": name, "venue": "pool", "size": {"fixed": 1e4}, "assets": {key: 1.0},
         "parameters": {"ltv": 0.45}}
        for name, key in (("usual", "ETH"), ("efficient", "ETH efficient"))
    ]  # fmt: skip
    return build(protocols={"pool": pool}, traders=[*borrowers, {"archetype": "keeper", "venue": "pool",
                 "capital": 1e6, "parameters": {"gas": 0.0, "spot_depth": 1e15}}])  # fmt: skip


def test_an_efficiency_mode_has_terms_of_its_own_for_the_same_asset():
    """At 550 the debt of 4,500 is above 0.8 x 5,500 = 4,400 but below 0.93 x 5,500 = 5,115; at 480 it is above 4,464:
    health 0.992, so that half of it goes, at a bonus of 1%."""
    world = modes()
    set_price(world, "ETH", 550.0)
    audit(world)
    lending = Lending(world)
    assert lending.liquidate()
    (_, borrower, _), = rows(world, Cause.REPAYMENT)
    assert borrower == "usual:0"
    set_price(world, "ETH", 480.0)
    audit(world)
    assert lending.liquidate()
    audit(world)
    seized = [amount for payer, _, amount in rows(world, Cause.SEIZURE) if payer == "efficient:0"]
    assert seized == [pytest.approx(2_250 * 1.01)]


def test_isolated_collateral_stands_alone():
    alone = {"ETH efficient": {"asset": "ETH", "ltv": 0.5, "liquidation_threshold": 0.8, "debt_ceiling": 5e3}}
    modes(**alone)
    pool = {"kind": "lending_pool", "supplied": 1e6, "collateral": {"ETH": TERMS} | alone}
    both = {"archetype": "borrower", "venue": "pool", "size": {"fixed": 1e3}}
    with pytest.raises(InputError, match="post nothing else: it is isolated"):
        build(protocols={"pool": pool}, traders=[both])


def test_a_design_is_known_by_its_name_and_explains_its_parameters():
    pool = {"kind": "lending_pool", "supplied": 1e6, "collateral": {"ETH": TERMS}}
    for liquidation, message in (
        ("absorp", "nearest: absorb"), ({"design": "absorb", "store_front": 2.0}, r"design absorb\.store_front"),
    ):  # fmt: skip
        data = {"name": "test", "assets": {"ETH": {}}, "protocols": {"pool": pool | {"liquidation": liquidation}}}
        with pytest.raises(InputError, match=message):
            load_scenario(data)


@settings(max_examples=40, deadline=None)
@given(
    design=st.sampled_from(["close_factor", "compound_v2", "absorb", "incentive_by_threshold", "health_discount"]),
    ltv=st.lists(st.floats(0.3, 0.98), min_size=1, max_size=3), fall=st.floats(0.4, 1.1), gas=st.floats(0.0, 300.0),
    depth=st.floats(1e3, 1e8), least=st.sampled_from([0.0, 1_000.0]),
)  # fmt: skip
def test_every_design_conserves_and_ends(design, ltv, fall, gas, depth, least):
    """Books add up after every round, keepers never lose, and liquidations come to an end."""
    extra = {"least_left": least, "protocol_share": 0.1} if design == "close_factor" else {}
    world = simple_pool(
        ltv, pool={"liquidation": {"design": design} | extra, "collateral": {"ETH": TERMS | {"ltv": 0.79}}},
        keeper={"gas": gas, "spot_depth": depth},
    )  # fmt: skip
    set_price(world, "ETH", 1000.0 * fall)
    audit(world)
    liquidate_to_the_end(world, most=200)
    assert (world.state.holdings.units[1:] >= -1e-9).all()
    flags = world.state.accounts.flags
    assert len(world.bookkeeper.deficits) == 0 or (flags & AccountFlag.BANKRUPT).any() or design == "absorb"


MINTED = {
    "kind": "collateralised_debt", "collateral": {"ETH": {"ltv": 0.66, "liquidation_threshold": 2.0 / 3.0}},
    "oracle": {"deviation": 0.0}, "waterfall": ["reserve"],
}  # fmt: skip


def minted(fall: float, **protocol):
    """A loan of 24,000 minted dollars against 200 ETH of 200 USD, which fall in step 2; a keeper without gas."""
    return ContagionModel({
        "name": "minted", "steps": 3, "prices": "constant", "impact": "linear", "assets": {"ETH": {"price": 200.0}},
        "protocols": {"dai": MINTED | protocol},
        "shocks": [{"at": 2, "kind": "price_gap", "asset": "ETH", "size": fall}],
        "traders": [
            {"archetype": "borrower", "venue": "dai", "size": {"fixed": 40_000.0}, "leverage": {"fixed": 2.5}},
            {"archetype": "keeper", "venue": "dai", "capital": 1e6, "parameters": {"gas": 0.0}},
        ],
    }, rng=1)  # fmt: skip


@pytest.mark.parametrize(("depth", "premium"), [(None, 0.0), (12_000.0, 12_000.0 * 0.005)])
def test_a_keeper_of_a_minted_stablecoin_buys_and_burns_what_it_repays(depth, premium):
    """Health 23,467 / 24,000: half is repaid for 12,600 of ether, and 12,000 dollars are left of 24,000.

    Buying 12,000 at a depth of as much moves the price by 1%, so it costs half of that above par.
    """
    run = minted(-0.12, depth=depth)
    run.run()
    state = run.world.state
    assert state.assets.supply[state.assets.row("dai")] == pytest.approx(12_000.0)
    assert cash(run.world, "keeper") == pytest.approx(1e6 + 600.0 - premium, abs=0.1)
    assert cash(run.world, "dai") == 0.0


def test_absorbing_is_for_pools_of_dollars():
    with pytest.raises(InputError, match=r"protocols\.dai\.liquidation.*accepted: a lending pool"):
        minted(-0.12, liquidation="absorb")
