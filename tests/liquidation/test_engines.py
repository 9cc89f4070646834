"""Every engine on one position worked by hand: 100 units, price 94, equity 400, maintenance 470, notional 9,400."""

from __future__ import annotations

import pytest
from small_market import equity, fund, house_units, market, run_once, units

approx = pytest.approx


def test_full_close_pays_the_fee_of_the_whole_position():
    model = market({"engine": "full", "fee": 0.005, "limit": "market"})
    model.step()
    assert units(model) == approx([0.0])
    assert (equity(model), fund(model)) == (approx(400 - 47), approx(1000 + 47))  # 0.5% of 9,400


def test_smallest_partial_close_ends_exactly_at_the_target():
    # goal 1.2 x 470 = 564; share (564 - 400) / (564 - 0.01 x 9,400) = 164/470; equity left 400 - 94 x 164/470 = 367.2
    model = market({"engine": {"engine": "partial", "target": 1.2}, "fee": 0.01, "limit": "market"})
    model.step()
    assert units(model) == approx([100 * (1 - 164 / 470)])
    assert equity(model) == approx(367.2)
    assert equity(model) == approx(1.2 * 0.05 * 94 * units(model)[0])


def test_a_buffer_adds_to_the_margin_ratio():
    # goal (5% + 2%) of 9,400 = 658; share (658 - 400) / 658, no fee
    model = market({"engine": {"engine": "partial", "target": 1.0, "buffer": 0.02}, "fee": 0.0, "limit": "market"})
    model.step()
    assert units(model) == approx([100 * 400 / 658])
    assert equity(model) == approx(0.07 * 94 * units(model)[0])


def test_smallest_share_of_a_grid_and_a_penalty_on_the_margin_it_frees():
    # Shares 20%, 40%, 60% leave 376/353, 282/306, 188/259 of maintenance over value: 1.065, 0.922, 0.726 < 0.9
    model = market({"engine": "smallest_share", "fee": 0.5, "fee_base": "maintenance", "limit": "market"})
    model.step()
    assert units(model) == approx([40.0])
    assert (equity(model), fund(model)) == (approx(400 - 141), approx(1141))  # 0.6 x 0.5 x 470


def test_staged_close_waits_between_a_fifth_and_the_rest():
    # At 92.5 equity is 250; what is left after a fifth needs 370.
    terms = {"engine": {"engine": "staged", "above": 5_000, "cooldown": 3}, "fee": 0.0, "limit": "market"}
    model = market(terms, gap=-0.075)
    held = []
    for _ in range(5):
        model.step()
        held.append(float(units(model)[0]))
    assert held == approx([80.0, 80.0, 80.0, 0.0, 0.0])


def test_one_position_at_a_time_the_one_with_the_most_maintenance_first():
    # 60 and 40 units: maintenance 282 and 188. After the first close equity 400 covers the second's 188.
    model = market({"engine": "one_position", "fee": 0.0, "limit": "market"}, assets=("BTC", "ETH"),
                   traders=[{"assets": {"BTC": 3, "ETH": 2}}])  # fmt: skip
    model.step()
    assert units(model) == approx([0.0, 40.0])


def test_a_tier_down_then_the_lowest_tier_is_taken_over_at_bankruptcy():
    # Above 5,000 the rate is 10%: maintenance 940 - 250 = 690. Down to 5,000 it is 250 and equity 400 is enough.
    tiers = [{"maintenance": 0.05, "initial": 0.06}, {"floor": 5_000, "maintenance": 0.1, "initial": 0.11}]
    terms = {"engine": "tier_down", "fee": 0.0, "surplus_to": "fund"}
    two_tiers = {"traders": [{"leverage": {"fixed": 9}}], "tiers": tiers}
    model = market(terms, **two_tiers)
    model.step()
    assert units(model) == approx([5_000 / 94])
    # Without the second tier the account is in the lowest one: the venue takes it over, sells, and keeps 400.
    model = market(terms)
    model.step()
    assert units(model) == approx([0.0])
    model.step()
    assert fund(model) == approx(1_400.0)


def test_taken_over_below_a_share_of_maintenance_with_what_margin_is_left():
    # At 93 equity 300 is below two thirds of 465.
    model = market({"takeover_below": 2 / 3, "fee": 0.005}, gap=-0.07)
    model.step()
    assert model.world.counters["takeovers"] == 1
    assert "liquidations" not in model.world.counters
    model.step()
    assert fund(model) == approx(1_300.0)


def test_what_was_taken_over_is_sold_in_halves_and_small_rests_at_once():
    terms = {"engine": "take_over", "fee": 0.0, "disposal": {"share": 0.5, "all_below": 1_000.0}}
    model = market(terms, steps=9)
    held = []
    for _ in range(7):
        model.step()
        held.append(float(house_units(model)[0]))
    # Notional 9,400, 4,700, 2,350, 1,175, 587.5: the last is below 1,000. Sales begin in the round after the takeover.
    assert held == approx([50.0, 25.0, 12.5, 6.25, 0.0, 0.0, 0.0])


def test_disposal_takes_no_more_than_its_share_of_the_book():
    # Depth 1,000 for 1% and a book of 50%: 50,000 USD can be sold, 2% of it are 1,000.
    model = market({"engine": "take_over", "fee": 0.0, "disposal": {"of_book": 0.02}}, depth=1_000.0)
    model.step()
    assert house_units(model) == approx([100 - 1_000 / 94])


def test_caps_bound_what_is_closed_in_a_step():
    def after(steps: int, **caps: float) -> float:
        model = market({"engine": "full", "fee": 0.0, "limit": "market", "caps": caps})
        for _ in range(steps):
            model.step()
        return float(units(model)[0])

    assert after(1, share=0.1) == approx(90.0)
    assert after(2, share=0.1) == approx(81.0)
    assert after(1, share=0.1, least=1_880.0) == approx(80.0)  # 20 units of 94
    assert after(1, notional=940.0) == approx(90.0)


def test_a_cap_on_what_the_fund_may_lose_scales_the_order():
    # Closing 9,400 at depth 470 costs 0.005 x 9,400 / 470 = 10% of it, 540 beyond equity 400; a cap of 54 leaves a
    # tenth of the order, which costs 1% of 940.
    model = market({"engine": "full", "fee": 0.0, "limit": "market", "caps": {"insurance": 54.0}}, depth=470.0)
    run_once(model)
    assert units(model) == approx([90.0])
    assert equity(model) == approx(400 - 9.4)


def test_zero_price_keeps_equity_over_maintenance():
    # The zero price is 94 - 400/100 = 90. Depth 500: selling q USD costs 0.005 q / 500; 4/94 of it at q = 4,255.3.
    model = market({"engine": "full", "fee": 0.0, "limit": "zero_or_cancel"}, depth=500.0)
    run_once(model)
    sold = 500 / 0.005 * 4 / 94 / 94
    assert units(model) == approx([100 - sold])
    assert equity(model) == approx(400 - 4 * sold)
    assert equity(model) / (0.05 * 94 * units(model)[0]) == approx(400 / 470)


def test_fillable_price_gives_way_as_equity_falls():
    # ABR = 1 - 400/470; the price may be 1.5 x 5% x 94 x ABR = 1.05 below the mark. q = 500 / 0.005 x 1.05/94.
    model = market({"engine": "full", "fee": 0.0, "limit": "fillable_or_cancel"}, depth=500.0)
    run_once(model)
    assert units(model) == approx([100 - 500 / 0.005 * 1.05 / 94 / 94])


def test_an_account_that_its_close_would_bankrupt_waits():
    # At depth 500 closing 9,400 costs 9.4% of it, 883.6, more than the equity.
    model = market({"engine": "full", "fee": 0.0, "limit": "bankruptcy"}, depth=500.0)
    model.step()
    assert units(model) == approx([100.0])
    assert equity(model) == approx(400.0)


def test_latency_and_throughput_delay():
    late = market({"engine": "full", "limit": "market", "latency": 2})
    held = []
    for _ in range(4):
        late.step()
        held.append(float(units(late)[0]))
    assert held == approx([100.0, 100.0, 0.0, 0.0])


@pytest.mark.parametrize(("order", "first"), [("worst_first", "thin"), ("largest_first", "large")])
def test_who_comes_first_where_throughput_binds(order, first):
    traders = [{"name": "thin", "leverage": {"fixed": 11}}, {"name": "large", "size": {"fixed": 2e4}}]
    model = market({"engine": "full", "limit": "market", "throughput": 1, "order": order}, traders=traders)
    model.step()
    closed = {name: units(model, name)[0] == 0.0 for name in ("thin", "large")}
    assert closed == {name: name == first for name in closed}
    model.step()
    assert all(units(model, name)[0] == 0.0 for name in closed)


def test_an_open_margin_call_does_not_delay_a_liquidation():
    model = market({"engine": "full", "limit": "market"})
    model.world.state.accounts.due[:] = 9  # the day an answer is due, and of no order yet
    model.step()
    assert units(model) == approx([0.0])


def test_zero_prices_spread_equity_by_maintenance():
    # 50 units of each at 94, maintenance 5% and 10%: 235 and 470. The second may lose 400 x 470/705 over 50 units,
    # 5.333 a unit; at depth 250 that fills 250 / 0.005 x 5.333 / 94 USD, and equity over maintenance stays.
    model = market({"engine": "one_position", "fee": 0.0, "limit": "zero_or_cancel"}, depth=250.0,
                   assets=("BTC", "ETH"))  # fmt: skip
    model.world.state.instruments.tier_rate[:] = [0.05, 0.10]
    run_once(model)
    loss = 400 * 470 / 705 / 50
    left = 50 - 250 / 0.005 * loss / 94 / 94
    assert units(model) == approx([50.0, left])
    assert equity(model) / (235 + 9.4 * left) == approx(400 / 705)
