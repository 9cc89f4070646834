"""Exposures reconstructed from totals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import agree, cases

from contagion.errors import InputError
from contagion.network import maximum_entropy, minimum_density


@pytest.mark.parametrize("case", cases("network", "maximum_entropy_matrix"))
def test_maximum_entropy_of_seven_banks(case):
    inputs = case["inputs"]
    assets, liabilities = inputs["interbank_assets"], inputs["interbank_liabilities"]
    # The case stops at a deviation of 0.001 USD in 20; deviations here are relative to the sum.
    result = maximum_entropy(assets, liabilities, tolerance=inputs["stop_error"] / sum(assets))
    agree(case, result.exposures, "matrix")
    assert result.iterations == case["expected"]["iterations"]
    exact = maximum_entropy(assets, liabilities).exposures
    np.testing.assert_allclose(exact.sum(axis=1), assets, atol=2e-9)
    np.testing.assert_allclose(exact.sum(axis=0), liabilities, atol=2e-9)


@pytest.mark.parametrize("case", cases("network", "minimum_density_matrix"))
def test_minimum_density_of_seven_banks(case):
    inputs = case["inputs"]
    result = minimum_density(inputs["interbank_assets"], inputs["interbank_liabilities"],
                             rng=np.random.default_rng(192))
    agree(case, result.exposures.sum(axis=1), "row_sums")
    agree(case, result.exposures.sum(axis=0), "column_sums")
    agree(case, np.count_nonzero(inputs["candidate_matrix"]), "links")
    # The published network is not the sparsest: 5 = 5 (bank 1 to bank 2) and 3 + 1 = 4 split 11 totals into three
    # groups, so 11 - 3 = 8 links suffice.
    assert result.links == np.count_nonzero(result.exposures) <= 8


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 8))
def test_totals_are_met_and_few_links_used(seed, n):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 9, (n, n)) * (rng.random((n, n)) < 0.5) * (1 - np.eye(n))
    assets, liabilities = true.sum(axis=1), true.sum(axis=0)
    result = minimum_density(assets, liabilities, rng=rng, attempts=3)
    np.testing.assert_allclose(result.exposures.sum(axis=1), assets, atol=1e-9)
    np.testing.assert_allclose(result.exposures.sum(axis=0), liabilities, atol=1e-9)
    assert (result.exposures >= 0).all()
    assert not result.exposures.diagonal().any()


@pytest.mark.parametrize(
    ("assets", "liabilities", "message"),
    [
        ([1, 2], [1, 1], "liabilities: got 2.0; accepted: the sum of the assets, 3"),
        ([3, 1], [2, 2], r"assets\[0\]: got 3.0; accepted: at most what others borrow, 2"),
        ([1, -1], [0, 0], r"assets\[1\]"),
        ([1, 1], [1, 1, 0], "liabilities"),
    ],
)
def test_impossible_totals_are_named(assets, liabilities, message):
    for method in (maximum_entropy, lambda *totals: minimum_density(*totals, rng=np.random.default_rng(1))):
        with pytest.raises(InputError, match=message):
            method(assets, liabilities)
