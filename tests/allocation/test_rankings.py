"""Rankings against published numbers, and the partial selection against a full sort."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from allocation_market import Trader, build, position
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.allocation import rankings
from contagion.allocation.candidates import (
    COLUMNS,
    Holders,
    PositionIndex,
    account_columns,
    account_equity,
    fill_by_rank,
)
from contagion.allocation.order import check_waterfall
from contagion.allocation.positions import AutoDeleverage
from contagion.errors import InputError


def test_binance_score():
    """dev.binance.vision, topic 17801: unrealised 40.2 on a wallet of 4.27 at a margin ratio of 13.42%: 1.26."""
    assert rankings.binance(40.2, 4.27, 0.1342) == pytest.approx(1.26, abs=0.006)


def test_bitmex_score():
    """Profit share times mark value / (mark value - bankruptcy value), a loss divided by it."""
    market = build(
        [
            Trader("winner", 30_000.0 - 150_000.0 - 15_000.0, [3.0], [50_000.0]),  # bankrupt at 45,000
            Trader("loser", -50_000.0, [1.0], [56_000.0]),
            Trader("short", 132_000.0, [-2.0], [60_000.0]),
        ],
        [], [55_000.0],
    )  # fmt: skip
    index = PositionIndex(market.state)
    rule, columns = rankings.ranking("bitmex")
    longs = index.candidates(0, 1, 55_000.0).score(rule, columns)
    shorts = index.candidates(0, -1, 55_000.0).score(rule, columns)
    assert longs[:2] == pytest.approx([0.55, -0.0016233766233766233], rel=1e-12)
    assert shorts[0] == pytest.approx(0.41666666666666663, rel=1e-12)


def test_hyperliquid_index():
    """(mark / entry) x (notional / account value): 1.5 x 3 and 150 / 140 x 20."""
    notional, entry = np.array([3000.0, 20_000.0]), np.array([100.0, 140.0])
    index = rankings.hyperliquid(notional * (1 - entry / 150), notional, notional * entry / 150, np.full(2, 1000.0))
    assert index == pytest.approx([4.5, 21.428571428571427], rel=1e-12)
    assert rankings.hyperliquid(-10.0, 100.0, 110.0, 50.0) < 0.0  # a loser is behind every winner


def test_okx_ranks_by_return_over_safety():
    """Return 0.5 at equity / maintenance 4: 0.125; a loss of 0.5 times it: -2."""
    assert rankings.okx(np.array([5.0, -5.0]), np.array([10.0, 10.0]), np.array([0.25, 0.25])) == pytest.approx(
        [0.125, -2.0]
    )


def test_queue_of_the_published_example():
    """BitMEX: 20 contracts to close over scores 3, 6, 1, 4, 5, 2 take 10 of the second and 10 of the fifth."""
    fills = fill_by_rank(np.array([3.0, 6, 1, 4, 5, 2]), np.array([10.0, 10, 20, 30, 20, 10]), 20.0)
    assert fills.tolist() == [0, 10, 0, 0, 10, 0]


def test_an_unknown_ranking_lists_the_known():
    with pytest.raises(InputError, match="accepted: pnl_leverage, bitmex, binance, hyperliquid, okx, pro_rata"):
        rankings.ranking("bitmax")
    assert rankings.ranking("statistics:fmean")[0] is statistics.fmean


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3000), st.integers(1, 50), st.floats(0.0, 1.2))
def test_fill_agrees_with_a_full_sort(seed, n, distinct, share):
    """Walk the scores down one by one: those above the margin whole, those at it pro rata."""
    rng = np.random.default_rng(seed)
    score, size = rng.integers(0, distinct, n).astype(float), rng.random(n)
    want, left, expected = share * size.sum(), share * size.sum(), np.zeros(n)
    for value in np.unique(score)[::-1]:
        group = score == value
        part = min(1.0, left / size[group].sum())
        expected[group] = part * size[group]
        left -= part * size[group].sum()
        if left <= 0.0:
            break
    fills = fill_by_rank(score, size, want)
    assert fills == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert fills.sum() == pytest.approx(min(want, size.sum()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([-1, 1]), st.floats(80.0, 120.0))
def test_candidates_agree_with_plain_python(seed, side, price):
    rng = np.random.default_rng(seed)
    traders = [
        Trader(f"t{order}", float(rng.normal(0.0, 500.0)) + 2000.0, list(rng.normal(0.0, 8.0, 2)), [100.0, 50.0])
        for order in range(20)
    ]
    traders = [trader for trader in traders if trader.balance + np.dot(trader.units, [100.0, 50.0]) >= 0.0]
    traders.append(position("flat", 10.0, 0.0, 0.0))
    traders[-1].units, traders[-1].entry = [0.0, 0.0], [0.0, 0.0]
    market = build(traders, [], [100.0, 50.0])
    found = PositionIndex(market.state).candidates(0, side, price)
    expected = {}
    for account, name in enumerate(market.names):
        equity = market.equity(name)
        units = [market.units(name, instrument) for instrument in (0, 1)]
        if account != 0 and units[0] * side > 0.0 and equity + units[0] * (price - 100.0) >= 0.0:
            gain = sum(u * (p - market.state.positions.entry[2 * account + k])
                       for k, (u, p) in enumerate(zip(units, (100.0, 50.0), strict=True)))  # fmt: skip
            expected[2 * account] = (abs(units[0]), equity, gain, abs(units[0]) * 100.0 + abs(units[1]) * 50.0)
    assert found.position.tolist() == sorted(expected)
    columns = zip(found.units, found.equity, found.account_profit, found.account_notional, strict=True)
    for row, values in zip(found.position.tolist(), columns, strict=True):
        assert values == pytest.approx(expected[row])
    everybody = account_columns(market.state, [0])
    assert everybody.equity == pytest.approx([market.equity(market.names[row]) for row in everybody.position])
    assert account_equity(market.state, everybody.position) == pytest.approx(everybody.equity)


def by_equity_and_profit(equity, account_profit, units):
    return equity + account_profit + 0.0 * units


def by_age(age):
    return age


def test_a_ranking_of_ones_own_asks_for_what_is_known():
    for name in COLUMNS:
        assert hasattr(Holders, name) or name == "equity"
    mine = AutoDeleverage(ranking="test_rankings:by_equity_and_profit")
    check_waterfall("waterfall", ["auto_deleverage"], [mine])
    with pytest.raises(InputError, match="not of age"):
        check_waterfall("waterfall", ["auto_deleverage"], [AutoDeleverage(ranking="test_rankings:by_age")])
