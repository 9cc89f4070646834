"""Formulas of pools: hand calculations, the invariant solved another way, and what no swap may do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from contagion.market.curves import ConstantProduct, OraclePriced, StableSwap

ONES = np.ones(2)


def stable_invariant(balances, amplification):
    """D from its defining equation, by a bracketing root finder."""
    n, x = len(balances), np.asarray(balances, float)

    def gap(d):
        return amplification * n * x.sum() + d - amplification * n * d - d ** (n + 1) / (n**n * x.prod())

    return brentq(gap, 1e-3 * x.sum(), x.sum() * (1 + 1e-12), xtol=1e-12 * x.sum())


def test_a_constant_product_pool_is_brought_to_a_price_by_the_amount_that_gives_it():
    # 1,000 ETH and 2,000,000 USD: another 1,000 ETH take 1,000,000 USD, and leave a price of 1,000,000 / 2,000.
    curve, reserves = ConstantProduct(0.0), np.array([1_000.0, 2_000_000.0])
    assert curve.amount_to(reserves, ONES, 0, 1, 500.0) == pytest.approx(1_000.0)
    assert curve.out(reserves, ONES, 0, 1, 1_000.0) == pytest.approx(1_000_000.0)
    assert curve.price(reserves, ONES, 0, 1) == 2_000.0
    assert curve.amount_to(reserves, ONES, 0, 1, 2_000.0) == 0.0
    assert curve.amount_to(reserves, ONES, 1, 0, 1.0 / 2_000.0) == 0.0


def test_the_fee_leaves_a_band_in_which_nothing_pays():
    curve, reserves = ConstantProduct(0.003), np.array([1_000.0, 2_000_000.0])
    # The first unit gets 0.997 * 2,000 = 1,994.
    assert curve.amount_to(reserves, ONES, 0, 1, 1_994.0) == pytest.approx(0.0, abs=1e-9)
    assert curve.amount_to(reserves, ONES, 0, 1, 1_993.9) > 0.0
    # The last of 10,000 USD: slope of out(a) = 0.997 a x / (y + 0.997 a) at the amount found is the price asked for.
    amount = curve.amount_to(reserves, ONES, 1, 0, 0.00049)
    step = 1e-3
    slope = (curve.out(reserves, ONES, 1, 0, amount + step) - curve.out(reserves, ONES, 1, 0, amount - step)) / 2 / step
    assert slope == pytest.approx(0.00049, rel=1e-6)


@pytest.mark.parametrize("balances", [[5e6, 5e6], [9e6, 1e6], [3e6, 2e6, 1e6], [1e6, 5e4, 2e6, 1e6]])
@pytest.mark.parametrize("amplification", [10.0, 100.0, 2000.0])
def test_the_stable_swap_invariant_solves_its_equation(balances, amplification):
    curve, x = StableSwap(amplification, 0.0), np.array(balances)
    invariant = stable_invariant(balances, amplification)
    assert curve.invariant(x) == pytest.approx(invariant, rel=1e-9)
    for place in range(len(x)):
        assert curve.balance(x, place, curve.invariant(x)) == pytest.approx(x[place], rel=1e-9)
    after = x.copy()
    after[0] += 1e5
    after[1] -= curve.out(x, np.ones(len(x)), 0, 1, 1e5)
    assert stable_invariant(after, amplification) == pytest.approx(invariant, rel=1e-9)


def test_prices_and_amounts_of_a_stable_swap_agree_with_small_swaps():
    curve, reserves = StableSwap(50.0, 0.0004), np.array([8e6, 3e6])
    small = curve.out(reserves, ONES, 0, 1, 1.0)
    assert small == pytest.approx(curve.price(reserves, ONES, 0, 1) * 0.9996, rel=1e-6)
    amount = curve.amount_to(reserves, ONES, 0, 1, 0.8)
    more = curve.out(reserves, ONES, 0, 1, amount + 10.0) - curve.out(reserves, ONES, 0, 1, amount - 10.0)
    assert more / 20.0 == pytest.approx(0.8, rel=1e-5)
    assert curve.amount_to(reserves, ONES, 0, 1, 1.1) == 0.0


def test_coins_of_a_stable_swap_need_not_be_worth_the_same():
    """A coin counted at 2,000 USD against claims of 1 USD: at equal value one coin buys 2,000 claims."""
    rates, reserves = np.array([2_000.0, 1.0]), np.array([500.0, 1e6])
    assert StableSwap(100.0, 0.0).price(reserves, rates, 0, 1) == pytest.approx(2_000.0)


def test_a_pool_on_oracle_prices_gives_them_for_any_size_until_it_is_empty():
    curve, rates, reserves = OraclePriced(0.01), np.array([1.0, 1_000.0]), np.array([5e5, 100.0])
    assert curve.out(reserves, rates, 0, 1, 50_000.0) == pytest.approx(49.5)
    assert curve.out(reserves, rates, 0, 1, 5e6) == 100.0
    # 100 coins cost 100,000 / 0.99 at the oracle; worth it only while one dollar buys less outside.
    assert curve.amount_to(reserves, rates, 0, 1, 1.0 / 1_100.0) == pytest.approx(100_000.0 / 0.99)
    assert curve.amount_to(reserves, rates, 0, 1, 1.0 / 1_010.0) == 0.0


@settings(max_examples=50)
@given(
    st.sampled_from([ConstantProduct(0.003), StableSwap(100.0, 0.0004), StableSwap(5.0, 0.0)]),
    st.floats(1e5, 1e7), st.floats(1e5, 1e7), st.floats(1.0, 1e7),
)  # fmt: skip
def test_nobody_gains_by_a_round_trip_and_no_coin_runs_out(curve, first, second, amount):
    reserves = np.array([first, second])
    bought = curve.out(reserves, ONES, 0, 1, amount)
    assert 0.0 <= bought < second
    after = np.array([first + amount, second - bought])
    assert curve.out(after, ONES, 1, 0, bought) <= amount * (1.0 + 1e-9)
    assert curve.price(after, ONES, 0, 1) <= curve.price(reserves, ONES, 0, 1) * (1.0 + 1e-9)
