"""Position layers on a market small enough to check by hand.

One long of 10 entered at 100 with 50 of margin; shorts of 2, 4 and 4 entered at 100. At 90 the long has lost 100: its
equity is -50, its bankruptcy price 95. Unrealised profit of the shorts is 10 a unit, 10% of cost.
"""

from __future__ import annotations

import pytest
from allocation_market import FUND, VENUE, Trader, build, position

from contagion.allocation.backstop import BackstopVault
from contagion.allocation.cash import InsuranceFund, VenueEquity
from contagion.allocation.positions import AutoDeleverage
from contagion.errors import InputError
from contagion.state.codes import Cause

ADL = "auto_deleverage"


def test_bankruptcy_price_makes_the_other_side_bear_the_deficit(opposite_sides):
    market = build(opposite_sides, [(ADL, AutoDeleverage())], [100.0])
    market.move(90.0)
    (root,) = market.take_over("long")
    assert market.waterfall.allocate()
    # everybody closes at 95, 5 a unit worse than the mark
    assert market.paid() == {
        ("small", ADL, root): pytest.approx(10.0),
        ("middle", ADL, root): pytest.approx(20.0),
        ("safe", ADL, root): pytest.approx(20.0),
    }
    assert [market.units(name) for name in ("takeover", "small", "middle", "safe")] == [0.0] * 4
    # small: 10 of margin, 2 units closed at 95 for a profit of 5 each
    assert market.balance("small") == pytest.approx(10.0 + 2 * 5.0)
    assert market.balance("takeover") == 0.0
    market.check()


def test_an_account_is_deleveraged_in_all_it_held_whatever_the_fund_paid_first():
    """Long 10 of each of two contracts on 100: at 90 and 95 it lacks 50, of which the fund pays 40.

    Equity of -50 over notionals of 900 and 950: the first is closed 24.32 / 10 above its mark, the second 25.68 / 10.
    Both other sides close, 50 in all; 10 go to the deficit and 40 back to the fund.
    """
    both = Trader("both", 100.0 - 2000.0, [10.0, 10.0], [100.0, 100.0])
    shorts = [
        Trader("one", 1500.0, [-10.0, 0.0], [100.0, 0.0]), Trader("two", 1500.0, [0.0, -10.0], [0.0, 100.0]),
    ]  # fmt: skip
    layers = [("insurance_fund", InsuranceFund()), (ADL, AutoDeleverage())]
    market = build([both, *shorts], layers, [100.0, 100.0], fund=40.0)
    market.move(90.0, 95.0)
    market.take_over("both")
    market.waterfall.allocate()
    assert market.units("one") == market.units("two", 1) == market.units("takeover") == 0.0
    assert market.balance("one") == pytest.approx(500.0 + 100.0 - 50.0 * 900 / 1850)
    assert market.balance("two") == pytest.approx(500.0 + 50.0 - 50.0 * 950 / 1850)
    assert market.state.agents.cash[FUND] == pytest.approx(40.0)
    market.check()


def test_highest_rank_goes_first_and_equals_share(opposite_sides):
    market = build([*opposite_sides[1:], position("long", 15.0, 3.0, 100.0)], [(ADL, AutoDeleverage())], [100.0])
    market.move(90.0)
    market.take_over("long")
    market.waterfall.allocate()
    # leverage at 90: small 180/30 = 6, middle 360/80 = 4.5, safe 360/440: 3 units come from small (2), middle (1)
    assert (market.units("small"), market.units("middle"), market.units("safe")) == (0.0, -3.0, -4.0)
    market.check()

    twins = [position(name, 40.0, -4.0, 100.0) for name in ("one", "two")] + [position("long", 15.0, 3.0, 100.0)]
    market = build(twins, [(ADL, AutoDeleverage())], [100.0])
    market.move(90.0)
    market.take_over("long")
    market.waterfall.allocate()
    assert (market.units("one"), market.units("two")) == (-2.5, -2.5)


def test_pro_rata_ranking_takes_the_same_share_of_size(opposite_sides):
    """3 of the 10 units the shorts hold: 30% of each."""
    traders = [*opposite_sides[1:], position("long", 15.0, 3.0, 100.0)]
    market = build(traders, [(ADL, AutoDeleverage(ranking="pro_rata"))], [100.0])
    market.move(90.0)
    market.take_over("long")
    market.waterfall.allocate()
    assert [market.units(name) for name in ("small", "middle", "safe")] == pytest.approx([-1.4, -2.8, -2.8])
    market.check()


def test_at_mark_nothing_is_collected_and_the_deficit_goes_on(opposite_sides):
    layers = [(ADL, AutoDeleverage(price="mark")), ("venue_equity", VenueEquity())]
    market = build(opposite_sides, layers, [100.0], equity=30.0)
    market.move(90.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {
        ("perp", "venue_equity", root): pytest.approx(30.0),
        ("perp", "unallocated", root): pytest.approx(20.0),
    }
    assert market.units("safe") == 0.0
    assert market.balance("safe") == pytest.approx(400.0 + 4 * 10.0)
    assert market.state.agents.worth[VENUE] == pytest.approx(30.0 - 50.0)
    market.check()


def test_previous_mark_collects_beyond_the_deficit_for_the_fund(opposite_sides):
    """The round before closed at 98, three above bankruptcy: 80 is collected, 50 of it for the deficit."""
    market = build(opposite_sides, [(ADL, AutoDeleverage(price="previous_mark"))], [100.0])
    market.move(98.0)
    market.waterfall.allocate()
    market.move(90.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    paid = market.paid()
    assert sum(amount for (_, _, deficit), amount in paid.items() if deficit == root) == pytest.approx(50.0)
    assert sum(amount for (_, _, deficit), amount in paid.items() if deficit == -1) == pytest.approx(30.0)
    assert market.state.agents.cash[FUND] == pytest.approx(30.0)
    assert market.paid(Cause.SURPLUS) == {("perp", "", -1): pytest.approx(30.0)}
    market.check()


def test_previous_mark_below_the_mark_is_the_takeover_accounts_own_shortfall(opposite_sides):
    """At 88 before and 90 now the shorts gain 2 a unit: the venue's fund pays 50 for the deficit and 20 for that."""
    layers = [(ADL, AutoDeleverage(price="previous_mark")), ("insurance_fund", InsuranceFund())]
    market = build(opposite_sides, layers, [100.0], fund=100.0)
    market.move(88.0)
    market.waterfall.allocate()
    market.move(90.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {
        ("perp/insurance_fund", "insurance_fund", root): pytest.approx(50.0),
        ("perp/insurance_fund", "insurance_fund", root + 1): pytest.approx(20.0),
    }
    assert market.balance("safe") == pytest.approx(400.0 + 4 * 12.0)
    market.check()


def test_who_would_be_below_zero_at_the_price_is_passed_over():
    """At 95 the second short (4 units entered at 92 on margin 9) would have 9 - 12 < 0; only the first gives."""
    traders = [
        position("long", 50.0, 10.0, 100.0),
        position("able", 10.0, -6.0, 100.0),
        position("thin", 9.0, 0.0, 0.0),
    ]
    market = build(traders, [(ADL, AutoDeleverage())], [100.0])
    market.move(92.0)
    market.trade("rest", "thin", 4.0, 92.0)
    market.move(90.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert (market.units("able"), market.units("thin"), market.units("takeover")) == (0.0, -4.0, 4.0)
    assert market.paid() == {
        ("able", ADL, root): pytest.approx(30.0),
        ("perp", "unallocated", root): pytest.approx(20.0),
    }
    market.check()
    assert not market.waterfall.allocate()  # the four units wait for the market, and lack nothing

    market.move(85.0)
    market.open_step()
    market.waterfall.allocate()  # the venue's own shortfall of 4 x 5; at 90 the thin one can now pay: 17 + 20 - 20 >= 0
    assert market.units("thin") == 0.0
    assert market.paid()["thin", ADL, root + 1] == pytest.approx(20.0)
    market.check()


def test_both_sides_bankrupt_close_against_their_own_other_side():
    """A bankrupt long of 4 (98 its price) and a bankrupt short of 2 (86) both at 90: lots do not net away."""
    traders = [
        position("long", 8.0, 4.0, 100.0),  # equity 8 - 40 = -32, price 98
        position("short", 12.0, 0.0, 0.0),  # 2 sold at 80: equity 12 - 20 = -8, price 86
        position("bear", 100.0, -4.0, 100.0),
        position("bull", 100.0, 0.0, 0.0),
    ]
    market = build(traders, [(ADL, AutoDeleverage())], [100.0])
    market.move(80.0)
    market.trade("bull", "short", 2.0, 80.0)
    market.move(90.0)
    long, short = market.take_over("long", "short")
    market.waterfall.allocate()
    assert market.paid() == {("bear", ADL, long): pytest.approx(32.0), ("bull", ADL, short): pytest.approx(8.0)}
    assert (market.units("bear"), market.units("bull"), market.units("takeover")) == (0.0, 0.0, 0.0)
    market.check()


def test_two_instruments_share_the_deficit_by_notional():
    """Equity -60 over notionals 900 and 100: bankruptcy prices 90 x 1.06 and 50 x 1.06."""
    traders = [
        Trader("long", 140.0 - 1000.0 - 200.0, [10.0, 2.0], [100.0, 100.0]),
        Trader("first", 500.0 + 1000.0, [-10.0, 0.0], [100.0, 0.0]),
        Trader("second", 500.0 + 200.0, [0.0, -2.0], [0.0, 100.0]),
    ]
    market = build(traders, [(ADL, AutoDeleverage())], [100.0, 100.0])
    market.move(90.0, 50.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {("first", ADL, root): pytest.approx(54.0), ("second", ADL, root): pytest.approx(6.0)}
    market.check()


def test_inverse_contract_is_closed_at_its_bankruptcy_price():
    """A long of 1,000 USD from 100 on 1 BTC: balance 1 + 10, bankrupt at 1000 / 11 = 90.91, lacks 1.5 BTC at 80."""
    traders = [
        Trader("long", 1.0 + 10.0, [-1000.0], [1 / 100]),
        Trader("short", 5.0 - 10.0, [1000.0], [1 / 100]),
    ]
    market = build(traders, [(ADL, AutoDeleverage())], [1 / 100], inverse=True)
    market.move(1 / 80)
    market.state.assets.fundamental[1] = 80.0
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {("short", ADL, root): pytest.approx(1.5 * 80.0)}
    assert market.balance("short") == pytest.approx(5.0 - 10.0 + 11.0)
    market.check()


def test_the_vault_takes_position_and_deficit(opposite_sides):
    market = build(opposite_sides, [("backstop_vault", BackstopVault(vault="hlp"))], [100.0], vault=200.0)
    market.move(90.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {("hlp", "backstop_vault", root): pytest.approx(50.0)}
    assert market.units("vault") == 10.0 and market.units("takeover") == 0.0
    assert market.equity("vault") == pytest.approx(150.0)
    market.check()


def test_the_vault_stops_at_its_initial_margin(opposite_sides):
    """70 of equity carries a share s with 70 - 50 s >= 0.1 * 900 s: one half."""
    market = build(opposite_sides, [("backstop_vault", BackstopVault(vault="hlp"))], [100.0], vault=70.0)
    market.move(90.0)
    (root,) = market.take_over("long")
    market.waterfall.allocate()
    assert market.paid() == {
        ("hlp", "backstop_vault", root): pytest.approx(25.0),
        ("perp", "unallocated", root): pytest.approx(25.0),
    }
    assert (market.units("vault"), market.units("takeover")) == (pytest.approx(5.0), pytest.approx(5.0))
    market.check()


def test_names_that_do_not_exist_are_told():
    with pytest.raises(ValueError, match="pnl_leverage, bitmex"):
        AutoDeleverage(ranking="leverage_pnl")
    market = build([position("long", 5.0, 1.0, 100.0)], [("v", BackstopVault(vault="nobody"))], [100.0])
    market.move(90.0)
    market.take_over("long")
    with pytest.raises(InputError, match=r"backstop_vault\.vault: got 'nobody'; accepted: one of perp, hlp"):
        market.waterfall.allocate()


def test_what_was_sold_in_the_market_leaves_the_lots(opposite_sides):
    """The takeover account sells 4 of its 10 at 90 before the layers act: 6 are deleveraged, 5 each collected."""
    market = build(opposite_sides, [(ADL, AutoDeleverage())], [100.0])
    market.move(90.0)
    (root,) = market.take_over("long")
    market.trade("rest", "takeover", 4.0, 90.0)
    market.waterfall.allocate()
    paid = market.paid()
    assert paid.pop(("perp", "unallocated", root)) == pytest.approx(20.0)
    assert sum(paid.values()) == pytest.approx(30.0)
    assert market.units("takeover") == 0.0
    market.check()
