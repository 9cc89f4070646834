"""What holds for every engine, limit and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import equity, market, units

from contagion.liquidation.disposal import disposal_size
from contagion.liquidation.limits import _away, fill_within
from contagion.liquidation.shares import after_share, base_to_cover, share_to_target, smallest_share

ENGINES = ("full", {"engine": "partial", "target": 1.1}, "smallest_share", {"engine": "staged", "above": 1_000.0},
           "one_position", "tier_down", "take_over")  # fmt: skip
LIMITS = ("market", "bankruptcy", "bankruptcy_or_cancel", "zero_or_cancel", "fillable_or_cancel")
amounts = st.floats(1.0, 1e6)


@settings(max_examples=40, deadline=None)
@given(
    engine=st.sampled_from(ENGINES), limit=st.sampled_from(LIMITS), depth=st.floats(100.0, 1e6),
    gap=st.floats(-0.12, 0.12), surplus=st.sampled_from(["owner", "fund", "owner_after_fee", "fund_up_to_fee"]),
)  # fmt: skip
def test_no_engine_closes_more_than_is_held_and_books_add_up(engine, limit, depth, gap, surplus):
    both = [{}, {"name": "short", "long_share": 0.0, "size": {"fixed": 3e4}, "leverage": {"fixed": 14}}]
    model = market({"engine": engine, "limit": limit, "surplus_to": surplus}, depth=depth, gap=gap, traders=both)
    for _ in range(3):
        model.step()  # the audit of every step checks net worth, zero sums and deficits
        assert 0.0 <= units(model)[0] <= 100.0 + 1e-9
        assert -300.0 - 1e-9 <= units(model, "short")[0] <= 0.0


@settings(max_examples=50, deadline=None)
@given(equity=st.floats(0.0, 900.0), fee=st.floats(0.0, 0.04), target=st.floats(1.0, 2.0))
def test_a_partial_close_reaches_the_target_or_closes_all(equity, fee, target):
    notional, requirement = 20_000.0, 1_000.0
    share = float(share_to_target(np.array([equity]), np.array([target * requirement]), np.array([notional]), fee)[0])
    left, need = equity - share * fee * notional, (1.0 - share) * requirement
    assert 0.0 <= share <= 1.0
    assert share == 1.0 or left == pytest.approx(target * need)


def test_closing_that_costs_what_it_frees_closes_all():
    assert base_to_cover(10.0, 100.0, 0.05, 0.05) == float("inf")
    assert share_to_target(np.array([1.0]), np.array([5.0]), np.array([100.0]), 0.06) == 1.0


@settings(max_examples=50, deadline=None)
@given(value=st.floats(1.0, 120.0), margin=st.floats(1.0, 120.0), rate=st.floats(0.0, 1.0))
def test_the_share_of_a_grid_is_the_smallest_that_heals(value, margin, rate):
    grid = (0.2, 0.4, 0.6, 0.8)
    share = float(smallest_share(value, margin, rate * margin, 0.9, grid))
    heals = [each for each in grid if after_share(each, value, margin, rate * margin).ratio < 0.9]
    assert share == (min(heals) if heals else 1.0)


@settings(max_examples=50, deadline=None)
@given(position=st.floats(-1e6, 1e6), share=st.floats(0.01, 1.0), small=amounts, of_book=st.floats(0.01, 1.0))
def test_disposal_never_turns_a_position(position, share, small, of_book):
    sold = disposal_size(position, share, small, of_book, 1e4)
    assert 0.0 <= sold * np.sign(position) <= abs(position)
    assert abs(sold) <= of_book * 1e4 * (1 + 1e-12)


@settings(max_examples=50, deadline=None)
@given(
    slack=st.lists(st.floats(-2.0, 20.0), min_size=1, max_size=8), sizes=st.lists(amounts, min_size=8, max_size=8),
    sells=st.lists(st.booleans(), min_size=8, max_size=8), seed=st.integers(0, 100),
)  # fmt: skip
def test_orders_fill_within_their_worst_price_in_any_order(slack, sizes, sells, seed):
    shared = _MODELS.setdefault("model", market({"engine": "full"}, depth=1e5, gap=0.0))
    n = len(slack)
    side = np.where(sells[:n], -1.0, 1.0)
    change, worst = side * np.array(sizes[:n]) / 100.0, 100.0 + side * np.array(slack)
    filled = fill_within(shared.market, np.zeros(n, int), change, worst)
    assert (np.abs(filled) <= np.abs(change) * (1 + 1e-12)).all() and (filled * change >= 0).all()
    price = 100.0 + _away(shared.market, 0, float(filled.sum()))
    heavy = np.sign(filled) == np.sign(filled.sum())
    assert (side * (worst - price) >= -1e-6)[heavy & (filled != 0.0)].all()
    shuffled = np.random.default_rng(seed).permutation(n)
    again = fill_within(shared.market, np.zeros(n, int), change[shuffled], worst[shuffled])
    assert again == pytest.approx(filled[shuffled], rel=1e-9, abs=1e-9)


_MODELS: dict = {}


def test_equals_are_rationed_alike():
    traders = [{"name": "one"}, {"name": "two"}]
    model = market({"engine": "full", "fee": 0.0, "limit": "zero_or_cancel"}, depth=500.0, traders=traders)
    model.step()
    assert units(model, "one") == pytest.approx(units(model, "two"))
    assert equity(model, "one") == pytest.approx(equity(model, "two"))
