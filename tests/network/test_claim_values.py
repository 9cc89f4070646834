"""Values of claims on issuers that hold each other's claims."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import agree, cases

from contagion.errors import InputError
from contagion.network import dependency_matrix, eisenberg_noe, solve_claim_values

INF = float("inf")


def test_write_down_passes_through_a_chain_in_one_solution():
    # Pool C: 80 for 100 receipts -> 0.80. Vault B: 50 + 100 x 0.8 less 10 senior, 100 shares -> 1.20.
    # Vault A: 40 + 50 x 1.2 = 100 on 200 shares -> 0.50.
    holdings = np.array([[0, 50, 0], [0, 0, 100], [0, 0, 0]])
    values = solve_claim_values([40, 50, 80], [0, 10, 0], holdings, [200, 100, 100], [INF, INF, 1.0])
    np.testing.assert_allclose(values, [0.5, 1.2, 0.8], rtol=1e-14)


def test_two_vaults_that_hold_half_of_each_other():
    # v = 100 + 0.5 w, w = 40 + 0.5 v: v = 160, w = 120, on 100 shares each.
    values = solve_claim_values([100, 40], [0, 0], [[0, 50], [50, 0]], [100, 100], [INF, INF])
    np.testing.assert_allclose(values, [1.6, 1.2], rtol=1e-14)


def test_capped_claims_in_a_closed_cycle_take_their_greatest_value():
    # Two stablecoins backed by all of each other and nothing else: any common value is a solution, par the greatest.
    np.testing.assert_array_equal(
        solve_claim_values([0, 0], [0, 0], [[0, 100], [100, 0]], [100, 100], [1, 1]), [1, 1])
    # With 1 of senior debt on one of them, each turn loses 1: nothing is left.
    np.testing.assert_array_equal(
        solve_claim_values([0, 0], [1, 0], [[0, 100], [100, 0]], [100, 100], [1, 1]), [0, 0])


def test_equity_like_closed_cycle_is_refused_by_name():
    holdings = [[0, 100, 0], [100, 0, 0], [0, 0, 0]]
    with pytest.raises(InputError, match=r"\['alpha', 'beta'\].*spectral radius below one"):
        solve_claim_values([1, 1, 1], [0, 0, 0], holdings, [100, 100, 10], [INF, INF, INF],
                           names=["alpha", "beta", "gamma"])
    holdings[0][1] = 99.0  # one share of beta held outside the cycle: a solution exists
    assert np.isfinite(solve_claim_values([1, 1, 1], [0] * 3, holdings, [100, 100, 10], [INF] * 3)).all()


def test_negative_net_assets_leave_a_claim_at_zero_not_below():
    # A is under water by 30 and its holder B counts it at nothing: 20 on 10 shares.
    np.testing.assert_array_equal(
        solve_claim_values([10, 20], [40, 0], [[0, 0], [50, 0]], [100, 10], [INF, INF]), [0, 2])


def test_claim_without_supply_has_its_cap_or_one():
    np.testing.assert_array_equal(
        solve_claim_values([5, 0, 0], [0, 0, 9], np.zeros((3, 3)), [0, 0, 0], [INF, 0.5, 1.0]), [1, 0.5, 1])


def test_long_chain_without_own_assets():
    # Each issuer holds all 100 units of the next; the last has 37 for them.
    n = 60
    holdings = np.diag(np.full(n - 1, 100.0), 1)
    assets = np.zeros(n)
    assets[-1] = 37.0
    for cap in (INF, 1.0):
        np.testing.assert_allclose(
            solve_claim_values(assets, np.zeros(n), holdings, np.full(n, 100.0), np.full(n, cap)), 0.37, rtol=1e-14)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"holdings": [[0, 101], [0, 0]]}, "holdings of claim 1: got 101.0; accepted: at most its supply"),
        ({"holdings": [[0, 1]]}, "holdings"),
        ({"supply": [100, -1]}, r"supply\[1\]"),
        ({"cap": [1, float("nan")]}, r"cap\[1\]"),
        ({"outside_assets": [INF, 0]}, r"outside_assets\[0\]"),
        ({"senior_liabilities": [0]}, "senior_liabilities"),
    ],
)
def test_bad_input_names_the_field(change, field):
    good = {"outside_assets": [1, 1], "senior_liabilities": [0, 0], "holdings": [[0, 1], [0, 0]],
            "supply": [100, 100], "cap": [1, 1]}
    with pytest.raises(InputError, match=field):
        solve_claim_values(**(good | change))


@st.composite
def issuers(draw):
    n = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    supply = rng.integers(1, 100, n).astype(float)
    held = rng.random((n, n)) * (rng.random((n, n)) < 0.4)
    total = np.maximum(held.sum(axis=0), 1e-9)
    holdings = held / total * supply * draw(st.sampled_from([0.3, 0.95]))
    cap = np.where(rng.random(n) < 0.5, INF, rng.choice([0.5, 1.0, 2.0], n))
    return rng.integers(0, 100, n).astype(float), rng.integers(0, 60, n).astype(float), holdings, supply, cap


@settings(max_examples=50, deadline=None)
@given(issuers())
def test_values_solve_their_equation_and_conserve_value(issuer):
    assets, senior, holdings, supply, cap = issuer
    values = solve_claim_values(*issuer)
    backing = assets + holdings @ values - senior
    np.testing.assert_allclose(values, np.minimum(cap, np.maximum(0.0, backing) / supply), rtol=1e-9, atol=1e-12)
    sparse_values = solve_claim_values(assets, senior, sparse.csr_array(holdings), supply, cap)
    np.testing.assert_allclose(sparse_values, values, rtol=1e-9, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_clearing_with_senior_debt_is_the_value_of_claims_with_par_one(seed):
    rng = np.random.default_rng(seed)
    n = 5
    liabilities = rng.integers(0, 10, (n, n)) * (1.0 - np.eye(n))
    assets, outside = rng.integers(0, 20, n).astype(float), rng.integers(0, 20, n).astype(float)
    recovery = eisenberg_noe(liabilities, assets, external_liabilities=outside, seniority="senior").recovery
    values = solve_claim_values(assets, outside, liabilities.T, liabilities.sum(axis=1), np.ones(n))
    np.testing.assert_allclose(values, recovery, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", cases("network", "cross_holding_matrix"))
def test_dependency_matrix(case):
    agree(case, dependency_matrix(case["inputs"]["cross_holdings"]), "dependency_matrix")


def test_dependency_matrix_of_a_one_sided_holding():
    # 0 holds half of 1: owners of 0 get all of 0 and half of 1, the other owners of 1 the rest.
    np.testing.assert_array_equal(dependency_matrix([[0, 0.5], [0, 0]]), [[1, 0.5], [0, 0.5]])


def test_dependency_matrix_needs_outside_owners():
    with pytest.raises(InputError, match=r"\['0', '1'\]"):
        dependency_matrix([[0, 1], [1, 0]])
