"""Gates and caps of the insurance fund, waiting layers, the clearing house, dilution and broken hedges, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from allocation_market import FIRST_TRADER, FUND, VENUE, Market, Trader, build, position

from contagion.allocation.clearing_house import Assessments, DefaulterFund, DefaultFund
from contagion.allocation.dilution import TokenDilution
from contagion.allocation.funds import InsuranceFund, VenueEquity, units_fit
from contagion.allocation.haircuts import ProfitHaircut
from contagion.allocation.layer import Case
from contagion.allocation.lots import Lots
from contagion.allocation.positions import AutoDeleverage
from contagion.allocation.transfers import contributions_of
from contagion.errors import InputError
from contagion.scenario.check import check
from contagion.scenario.loader import load_scenario
from contagion.state.tables import Loans


def two_longs(layers, fund: float = 100.0, prices=(100.0,)) -> Market:
    """Longs of 10 and 5 that lack 50 and 25 at 90."""
    pad = [0.0] * (len(prices) - 1)
    traders = [
        Trader("first", 50.0 - 1000.0, [10.0, *pad], [100.0, *pad]),
        Trader("second", 25.0 - 500.0, [5.0, *pad], [100.0, *pad]),
        Trader("short", 300.0 + 1500.0, [-15.0, *pad], [100.0, *pad]),
    ]
    market = build(traders, layers, list(prices), fund=fund, equity=1000.0)
    market.move(90.0, *prices[1:])
    return market


@pytest.mark.parametrize(
    ("fund", "paid"),
    [
        (InsuranceFund(drawdown=0.3), [30.0, 0.0]),  # stops at 70% of its peak
        (InsuranceFund(cap_per_window=40.0), [40.0, 0.0]),
        (InsuranceFund(share_of_deficit=0.5), [25.0, 12.5]),
        (InsuranceFund(market_caps={"BTC": 60.0}), [50.0, 10.0]),
        (InsuranceFund(scope="per_market"), [50.0, 0.0]),  # 50 for each of two markets
    ],
)
def test_what_stops_the_fund(fund, paid):
    layers = [("fund", fund), ("venue_equity", VenueEquity())]
    market = two_longs(layers, prices=(100.0, 50.0) if fund.scope == "per_market" else (100.0,))
    found = []
    for name in ("first", "second"):
        before = market.state.agents.cash[FUND]
        market.take_over(name)
        market.trade("rest", "takeover", {"first": 10.0, "second": 5.0}[name], 90.0)
        market.waterfall.allocate()
        found.append(before - market.state.agents.cash[FUND])
        market.check()
    assert found == pytest.approx(paid)


@pytest.mark.parametrize(
    ("fund", "paid"),
    [
        (1000.0, {"first": 50.0}),  # 900 of notional fit, 450 more do not
        (600.0, {"second": 25.0}),
        (400.0, {}),
        (1350.0, {"first": 50.0, "second": 25.0}),
    ],
)
def test_a_fund_stands_behind_no_more_notional_than_it_has(fund, paid):
    """10 and 5 units at 90: a deficit whose units do not fit goes to the venue's equity whole."""
    layers = [("fund", InsuranceFund(net_notional=1.0)), ("venue_equity", VenueEquity())]
    market = two_longs(layers, fund=fund)
    roots = {name: int(market.take_over(name)[0]) for name in ("first", "second")}
    keys = market.state.accounts.key
    if keys[market.account("second")] < keys[market.account("first")] and fund == 1000.0:
        paid = {"second": 25.0}  # whose key comes first is asked first
    market.waterfall.allocate()
    market.check()
    found = {root: amount for (_, layer, root), amount in market.paid().items() if layer == "fund"}
    assert found == pytest.approx({roots[name]: amount for name, amount in paid.items()})


@pytest.mark.parametrize(
    ("units", "most", "fits"),
    [
        ([10.0, -10.0], 60.0, [True, True]),  # together they leave nothing
        ([10.0, -4.0, 5.0], 600.0, [True, True, False]),  # 1,100; without the last 600
        ([10.0, 5.0, 1.0], 600.0, [False, True, True]),  # without the last two 1,000; then from the first on what fits
        ([10.0, 5.0, 1.0], 50.0, [False, False, False]),
    ],
)
def test_what_longs_and_shorts_leave_fits_or_not(units, most, fits):
    """Deficits 0, 1, ... at a mark of 100."""
    market = two_longs([("venue_equity", VenueEquity())])
    market.move(100.0)
    roots = np.arange(len(units))
    lots = Lots(0, 0, np.array(units), np.full(len(units), 95.0), roots)
    case = Case(market.world, market.world.venues["perp"], roots, np.ones(len(units)), [lots], None, None)
    assert units_fit(case, most).tolist() == fits


def test_a_gate_opens_again_when_the_peak_is_out_of_the_window():
    """Window of one step: in the next step the peak is the 70 that are left, so 21 more."""
    market = two_longs([("fund", InsuranceFund(drawdown=0.3)), ("venue_equity", VenueEquity())])
    market.take_over("first")
    market.waterfall.allocate()
    market.open_step()
    market.take_over("second")
    market.waterfall.allocate()
    assert market.state.agents.cash[FUND] == pytest.approx(49.0)
    market.check()


def test_a_deficit_is_carried_to_the_close():
    """The haircut acts every third step: until then nobody pays, the venue carries 50, and what is behind waits."""
    haircut = ProfitHaircut(recognition="close", close_every=3)
    market = two_longs([("haircut", haircut), ("venue_equity", VenueEquity())])
    (root,) = market.take_over("first")
    market.trade("rest", "takeover", 10.0, 90.0)
    market.waterfall.allocate()
    market.check()
    assert market.paid() == {} and market.waterfall.carried_by(VENUE) == pytest.approx(50.0)
    market.open_step()
    market.waterfall.allocate()
    market.check()
    assert market.paid() == {}
    market.open_step()
    market.waterfall.allocate()
    market.check()
    assert market.paid() == {("short", "haircut", root): pytest.approx(50.0)}
    assert market.waterfall.carried == {} and market.balance("takeover") == 0.0


def test_what_a_transfer_costs_waits_with_the_deficit():
    """The short closes 10 at 85, the mark before; the mark is 90: 50 more are missing, and all wait for a close."""
    haircut = ProfitHaircut(recognition="close", close_every=3)
    layers = [("deleverage", AutoDeleverage(ranking="pro_rata", price="previous_mark")), ("haircut", haircut)]
    market = two_longs(layers)
    market.move(85.0)
    market.waterfall.allocate()
    market.move(90.0)
    (root,) = market.take_over("first")
    market.waterfall.allocate()
    market.check()
    assert market.waterfall.carried_by(VENUE) == pytest.approx(100.0)
    for _ in range(2):
        market.open_step()
        market.waterfall.allocate()
        market.check()
    # Of its profit of 10 a unit 5 units are left: 50 for deficits of 50 and 50, and as much for nobody.
    assert market.paid() == {
        (payer, layer, deficit): pytest.approx(25.0)
        for payer, layer in (("short", "haircut"), ("perp", "unallocated")) for deficit in (root, root + 1)
    }  # fmt: skip


def test_units_pass_on_once_in_a_round():
    """A short of 15 gives a fifth, 3, at 85 with the mark at 90; the 15 that cost are not deleveraged again."""
    adl = AutoDeleverage(ranking="pro_rata", price="previous_mark", cap=0.2)
    market = two_longs([("deleverage", adl), ("venue_equity", VenueEquity())])
    market.move(85.0)
    market.waterfall.allocate()
    market.move(90.0)
    (root,) = market.take_over("first")
    market.waterfall.allocate()
    market.check()
    assert market.units("short") == pytest.approx(-12.0) and market.units("takeover") == pytest.approx(7.0)
    assert market.paid() == {
        ("perp", "venue_equity", root): pytest.approx(50.0), ("perp", "venue_equity", root + 1): pytest.approx(15.0),
    }  # fmt: skip


def test_a_rate_by_leverage_leaves_those_without_positions():
    """A trader that closed at a profit has no leverage: it pays nothing, and is not said to be able to."""
    flat = Trader("flat", 100.0, [0.0], [100.0])
    long = Trader("long", 50.0 - 1000.0, [10.0], [100.0])
    layers = [("haircut", ProfitHaircut(base="window", leverage_exponent=2.0)), ("venue_equity", VenueEquity())]
    market = build([long, flat], layers, [100.0], fund=0.0, equity=1000.0)
    market.state.accounts.realised[market.account("flat")] = 80.0
    market.move(90.0)
    (root,) = market.take_over("long")
    market.trade("rest", "takeover", 10.0, 90.0)
    market.waterfall.allocate()
    market.check()
    assert market.paid() == {("perp", "venue_equity", root): pytest.approx(50.0)}


def test_a_queue_has_no_rates():
    with pytest.raises(ValueError, match="leverage_exponent"):
        ProfitHaircut(order="bitmex", leverage_exponent=1.0)


def test_a_profit_is_cut_once_whatever_comes_later():
    """The short is 15 * (94 - 90) = 60 up. It pays the 50 of the first; of the 25 of the second only the 10 left."""
    traders = [
        Trader("first", 50.0 - 1000.0, [10.0], [100.0]), Trader("second", 25.0 - 500.0, [5.0], [100.0]),
        Trader("short", 300.0 + 15 * 94.0, [-15.0], [94.0]),
    ]  # fmt: skip
    market = build(traders, [("haircut", ProfitHaircut()), ("venue_equity", VenueEquity())], [100.0], equity=1000.0)
    market.move(90.0)
    roots = []
    for name, units in (("first", 10.0), ("second", 5.0)):
        roots.append(int(market.take_over(name)[0]))
        market.trade("rest", "takeover", units, 90.0)
        market.waterfall.allocate()
        market.check()
    assert market.paid() == {
        ("short", "haircut", roots[0]): pytest.approx(50.0),
        ("short", "haircut", roots[1]): pytest.approx(10.0),
        ("perp", "venue_equity", roots[1]): pytest.approx(15.0),
    }


def test_what_a_takeover_account_earns_stays_while_deficits_wait():
    """It lacks 50 until the third step; in the second it earns 10 * 8 = 80, which go to the fund when the 50 are borne:
    2 * 15 = 30 by the short's profit at 98, 20 by nobody."""
    market = two_longs([("haircut", ProfitHaircut(recognition="close", close_every=3))], fund=0.0)
    market.take_over("first")
    market.waterfall.allocate()
    market.check()
    market.open_step()
    market.move(98.0)
    market.trade("rest", "takeover", 10.0, 98.0)
    market.waterfall.allocate()
    market.check()
    assert market.balance("takeover") == pytest.approx(30.0) and market.state.agents.cash[FUND] == 0.0
    market.open_step()
    market.waterfall.allocate()
    market.check()
    assert market.balance("takeover") == 0.0 and market.state.agents.cash[FUND] == pytest.approx(80.0)


def clearing_house(layers, wallet: float = 1000.0) -> Market:
    """Defaulter, two survivors, who paid in 10, 20 and 10; the defaulter lacks 100 at 90."""
    traders = [
        position("defaulter", 0.1, 10.0, 100.0, 0.0), position("a", 100.0, -5.0, 100.0, wallet),
        position("b", 100.0, -5.0, 100.0, wallet),
    ]  # fmt: skip
    market = build(traders, layers, [100.0])
    state, venue = market.state, market.world.venues["perp"]
    members = np.arange(FIRST_TRADER, FIRST_TRADER + 3)
    paid = np.array([10.0, 20.0, 10.0])
    state.loans = Loans(members, np.full(3, VENUE), paid.copy(), np.full(3, 99), np.ones(3), np.ones(3))
    state.agents.cash[VENUE] += paid.sum()
    state.agents.worth[members] += paid
    venue.contributions, venue.contributed = np.arange(3), paid
    market.move(90.0)
    return market


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # own 10 first, then 20 and 10 of the survivors; assessed for once more: 20 and 10; 29.9 on the venue
        (
            [("own", DefaulterFund()), ("fund", DefaultFund()), ("called", Assessments(multiple=1.0))],
            {"own": [10.0, 0.0, 0.0], "fund": [0.0, 20.0, 10.0], "called": [0.0, 20.0, 10.0]},
        ),
        ([("fund", DefaultFund(order="juniorised"))], {"fund": [10.0, 20.0, 10.0]}),
        ([("fund", DefaultFund())], {"fund": [0.0, 20.0, 10.0]}),
    ],
)
def test_order_of_a_clearing_house(layers, expected):
    market = clearing_house(layers)
    market.take_over("defaulter")
    market.waterfall.allocate()
    paid = market.paid()
    for layer, amounts in expected.items():
        found = [
            sum(a for (payer, where, _), a in paid.items() if (payer, where) == (name, layer))
            for name in ("defaulter", "a", "b")
        ]  # fmt: skip
        assert found == pytest.approx(amounts), layer
    assert sum(paid.values()) == pytest.approx(99.9)


def test_members_pay_their_contributions_up_again():
    market = clearing_house([("fund", DefaultFund(replenish="365D"))], wallet=15.0)  # a step of these markets is a year
    market.take_over("defaulter")
    market.waterfall.allocate()
    assert contributions_of(market.state, market.world.venues["perp"])[1] == pytest.approx([10.0, 0.0, 0.0])
    market.open_step()
    market.waterfall.allocate()
    assert contributions_of(market.state, market.world.venues["perp"])[1] == pytest.approx([10.0, 15.0, 10.0])


def test_dilution_falls_on_holders():
    """A tenth of 10,000 tokens at 100 is with the fund: of 50 it bears 5, outside the rest; 100 falls by 0.005."""
    market = two_longs([("dilution", TokenDilution(token="BTC", supply=10_000.0)), ("venue_equity", VenueEquity())])
    market.state.holdings.units[2] = 1000.0
    market.state.agents.worth[FUND] += 1000.0 * 100.0
    (root,) = market.take_over("first")
    market.trade("rest", "takeover", 10.0, 90.0)
    cash = market.state.agents.cash[VENUE]
    market.waterfall.allocate()
    assert market.paid() == {
        ("perp/insurance_fund", "dilution", root): pytest.approx(5.0),
        ("perp", "dilution", root): pytest.approx(45.0),
    }
    assert market.state.assets.fundamental[1] == pytest.approx(100.0 - 50.0 / 10_000.0)
    assert market.state.agents.cash[VENUE] - cash == pytest.approx(50.0)
    market.check()


def test_broken_hedges_are_counted():
    """`short` loses 10 of 15 and is long 12 in the second contract on the same asset: 7 are no longer covered."""
    traders = [
        Trader("long", 50.0 - 1000.0, [10.0, 0.0], [100.0, 0.0]),
        Trader("short", 900.0 + 1500.0 - 1200.0, [-15.0, 12.0], [100.0, 100.0]),
    ]
    market = build(traders, [("adl", AutoDeleverage())], [100.0, 100.0])
    market.move(90.0, 90.0)
    market.take_over("long")
    market.waterfall.allocate()
    assert market.world.counters["hedges_broken"] == 1.0
    assert market.world.counters["hedge_delta_left"] == pytest.approx((12.0 - 5.0) * 90.0)


@pytest.mark.parametrize(
    ("waterfall", "message"),
    [
        (["insurance_fund", "insurance_fund"], r"waterfall\.1: got 'insurance_fund'; accepted: every layer once"),
        (["venue_equity", {"layer": "skin_in_the_game", "limit": 5}], "a place before venue_equity, which"),
        (["balance_haircut", "auto_deleverage"], "a place before balance_haircut"),
        (["profit_haircut", "optimal_haircut"], "can never be reached"),
        (["default_fund"], "a venue with a default_fund"),
    ],
)
def test_layers_that_can_never_be_reached_are_explained(waterfall, message):
    with pytest.raises(InputError, match=message):
        check(load_scenario("quickstart", {"exchanges.*.waterfall": waterfall}))


def test_partial_layers_may_come_twice():
    tranche = {"layer": "skin_in_the_game", "limit": 5}
    check(load_scenario("quickstart", {"exchanges.*.waterfall": [tranche, "insurance_fund", tranche, "venue_equity"]}))
