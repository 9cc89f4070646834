"""Impact: published and closed-form values, exact integrals, inverses, books that end and refill."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import quad

from contagion.market.impact import (
    BlockBookImpact,
    ConstantProductImpact,
    ExponentialImpact,
    LinearImpact,
    SquareRootImpact,
    constant_product_average,
    constant_product_impact,
    constant_product_swap,
    decay,
    depth_from_volume,
    depth_with_resilience,
    exponential_average,
    exponential_impact,
    linear_impact,
    square_root_average,
    square_root_impact,
)

RULES = [LinearImpact, SquareRootImpact, ExponentialImpact, ConstantProductImpact, BlockBookImpact]
DEPTH = 2.0e6


@pytest.mark.parametrize("rule", RULES)
def test_a_sale_of_the_depth_moves_the_price_down_one_percent(rule) -> None:
    assert rule.impact(-DEPTH, DEPTH, 1.0) == pytest.approx(-0.01, rel=1e-12)


def test_exponential_of_a_fraction_sold() -> None:
    # Caccioli et al. 2014: price ratio exp(-1.0536 x); x = 0.1 gives 0.9, x = 1 gives 0.3486802380923007.
    # -ln(0.99) / depth = 1.0536 sets the depth.
    depth = -math.log(0.99) / 1.0536
    assert 1 + exponential_impact(-0.1, depth, 1.0) == pytest.approx(0.9, rel=1e-5)
    assert 1 + exponential_impact(-1.0, depth, 1.0) == pytest.approx(0.3486802380923007, rel=1e-12)


def test_square_root_law_of_volume() -> None:
    # 1% of the daily volume at 4% daily volatility: 0.04 sqrt(0.01) = 0.004.
    depth = depth_from_volume(daily_volume=1.0, daily_volatility=0.04)
    assert square_root_impact(0.01, depth, 1.0) == pytest.approx(0.004, rel=1e-12)
    assert square_root_impact(0.01, depth, 2.0) == pytest.approx(0.008, rel=1e-12)
    assert depth_from_volume(1.0, 0.04, prefactor=2.0) == pytest.approx(depth / 4)


@pytest.mark.parametrize(
    ("amount_in", "reserve_in", "reserve_out", "fee", "expected"),
    [
        (100.0, 1000.0, 2_000_000.0, 0.003, (181322.17877602996, 1653.3434738399728, 0.09338910611985018)),
        (1000.0, 1000.0, 2_000_000.0, 0.0, (1_000_000.0, 500.0, 0.5)),
    ],
)
def test_constant_product_swap(amount_in, reserve_in, reserve_out, fee, expected) -> None:
    assert constant_product_swap(amount_in, reserve_in, reserve_out, fee) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("amount_in", "reserve_in", "reserve_out", "wei"),
    [
        (1, 5, 10, 1662497915624478906),
        (1, 10, 5, 453305446940074565),
        (2, 5, 10, 2851015155847869602),
        (1, 10, 10, 906610893880149131),
        (1, 1000, 1000, 996006981039903216),
    ],
)
def test_swap_gives_the_amounts_of_uniswap_v2(amount_in, reserve_in, reserve_out, wei) -> None:
    out, _, _ = constant_product_swap(float(amount_in), float(reserve_in), float(reserve_out), 0.003)
    assert out * 1e18 == pytest.approx(wei, rel=1e-14)


def test_constant_product_impact_is_the_swap_of_its_pool() -> None:
    # Price 50 USD; a pool with 1,000 units and 50,000 USD; selling 100 units = 5,000 USD.
    out, after, slippage = constant_product_swap(100.0, 1000.0, 50_000.0, 0.0)
    # Depth of that pool: (1 + d / 50,000)^-2 = 0.99.
    depth = 50_000 * (0.99**-0.5 - 1)
    assert constant_product_impact(-5000.0, depth, 1.0) == pytest.approx(after / 50 - 1, rel=1e-12)
    assert constant_product_average(-5000.0, depth, 1.0) == pytest.approx(-slippage, rel=1e-12)
    assert out == pytest.approx(50_000 * 100 / 1100)
    assert constant_product_impact(50_000.0, depth, 1.0) == math.inf
    assert constant_product_average(60_000.0, depth, 1.0) == math.inf


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("quantity", [-3e7, -1e3, 1.0, 4e7])
def test_average_price_is_the_mean_of_the_marginal_price(rule, quantity) -> None:
    integral, _ = quad(lambda x: rule.impact(x * quantity, DEPTH, 1.5), 0.0, 1.0, epsabs=0, epsrel=1e-11)
    assert rule.average(quantity, DEPTH, 1.5) == pytest.approx(integral, rel=1e-9)


def test_average_by_hand() -> None:
    assert LinearImpact.average(-DEPTH, DEPTH, 1.0) == pytest.approx(-0.005)
    assert square_root_average(-4 * DEPTH, DEPTH, 1.0) == pytest.approx(-0.02 * 2 / 3)
    # Small orders: (exp(y) - 1) / y - 1 = y/2 + y^2/6 + y^3/24 + y^4/120 + ...
    y = 9e-4
    small = DEPTH * y / -math.log(0.99)
    series = y / 2 + y**2 / 6 + y**3 / 24 + y**4 / 120
    assert exponential_average(small, DEPTH, 1.0) == pytest.approx(series, rel=1e-10)
    # Price ratio 0.5 at the end: average 0.5 / ln 2.
    half = DEPTH * math.log(2) / -math.log(0.99)
    assert 1 + exponential_average(-half, DEPTH, 1.0) == pytest.approx(0.5 / math.log(2), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(RULES),
    st.floats(1e-6, 0.45),
    st.sampled_from([-1.0, 1.0]),
    st.floats(1e3, 1e9),
    st.floats(0.2, 10.0),
)
def test_invariants(rule, size, side, depth, volatility) -> None:
    order = rule.quantity(side * size, depth, volatility)
    assert math.copysign(1.0, order) == side
    assert rule.impact(order, depth, volatility) == pytest.approx(side * size, rel=1e-9)
    # The average lies between the price before and the price after; more depth, less impact.
    assert 0 < abs(rule.average(order, depth, volatility)) < size
    assert abs(rule.impact(order, 2 * depth, volatility)) < size
    assert abs(rule.impact(order, depth, 1.1 * volatility)) > size


@pytest.mark.parametrize("rule", RULES)
def test_the_book_ends(rule) -> None:
    book = rule(largest_move=0.2, permanent_share=0.25, half_life="1min")
    filled, average, permanent, temporary = book.execute(-1e12, DEPTH)
    assert permanent == pytest.approx(-0.05) and temporary == pytest.approx(-0.15)
    assert -0.2 < average < 0
    assert -1e12 < filled < 0
    assert book.execute(-1.0, DEPTH)[0] == -1.0
    assert book.execute(-1.0, 0.0) == (0.0, 0.0, 0.0, 0.0)
    assert book.remaining(temporary, 120.0) == pytest.approx(-0.15 / 4)


def test_decay_halves_per_half_life() -> None:
    assert decay(0.0, 60.0) == 1.0
    assert decay(180.0, 60.0) == pytest.approx(1 / 8)
    assert (decay(0.0, 0.0), decay(1.0, 0.0)) == (1.0, 0.0)


def test_block_book_empties_and_refills() -> None:
    # 10% away at 2m USD per 1%: 20m. After 15m executed, 5m is left; a half-life later half of the hole is back.
    book = BlockBookImpact(largest_move=0.1, half_life=60)
    assert book.available(DEPTH, -15e6, 0.0) == pytest.approx(5e6)
    assert book.available(DEPTH, 15e6, 60.0) == pytest.approx(12.5e6)
    assert book.available(0.0, 15e6, 60.0) == 0.0
    assert depth_with_resilience(1.0, 3.0, 0.0, 60.0) == 0.0


def test_obizhaeva_wang_costs() -> None:
    # Buying x in two halves, a half-life apart, with no permanent part: the second starts at a quarter of the full
    # move m (half of m / 2), so the average is (m/4 + m/4 + m/4) / 2 = 3/8 m instead of m / 2.
    book = BlockBookImpact(permanent_share=0.0, half_life=60)
    full = linear_impact(DEPTH, DEPTH, 1.0)
    _, first, _, temporary = book.execute(DEPTH / 2, DEPTH)
    _, second, _, _ = book.execute(DEPTH / 2, DEPTH)
    assert (first + book.remaining(temporary, 60.0) + second) / 2 == pytest.approx(3 / 8 * full)


@pytest.mark.parametrize(
    "parameters",
    [
        {"permanent_share": 1.1},
        {"half_life": -1},
        {"half_life": "soon"},
        {"largest_move": 1.0},
        {"half_lives": 3},
        {"half_life": float("nan")},
    ],
)
def test_bad_parameters_are_refused(parameters) -> None:
    with pytest.raises(ValidationError):
        LinearImpact(**parameters)
