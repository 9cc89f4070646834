"""Clearing payments: published cases, closed forms, and what must hold in every network."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import agree, cases

from contagion.errors import ConvergenceError, InputError
from contagion.network import eisenberg_noe, furfine, glasserman_young_bound, rogers_veraart


def clear(inputs: dict, **options):
    outside, seniority = None, "pari_passu"
    for rank in ("pari_passu", "senior"):
        if f"outside_debt_{rank}" in inputs:
            outside, seniority = inputs[f"outside_debt_{rank}"], rank
    return rogers_veraart(
        options.pop("liabilities", inputs.get("liabilities")),
        inputs["outside_assets"],
        alpha=inputs.get("alpha", 1.0),
        beta=inputs.get("beta", 1.0),
        external_liabilities=outside,
        seniority=seniority,
        **options,
    )


@pytest.mark.parametrize("as_matrix", [np.array, sparse.csr_array, sparse.coo_matrix])
@pytest.mark.parametrize("case", cases("clearing", "eisenberg_noe"))
def test_published_clearing_payments(case, as_matrix):
    inputs, expected = case["inputs"], case["expected"]
    liabilities = np.array(inputs["liabilities"], dtype=float)
    result = clear(inputs, liabilities=as_matrix(liabilities))
    outside = np.array(inputs.get("outside_debt_pari_passu", inputs.get("outside_debt_senior", 0.0)))
    total = liabilities.sum(axis=1) + outside
    derived = {
        "payments": result.payments,
        "equity": result.equity,
        "default": result.defaulted,
        "recovery": result.recovery,
        "shortfall": total.sum() - result.payments.sum(),
        "equity_before": np.array(inputs["outside_assets"]) + liabilities.sum(axis=0) - total,
    }
    checked = set()
    for key, value in derived.items():
        if key in expected:
            agree(case, value, key)
            checked.add(key)
    if "rounds" in expected:
        assert result.rounds == tuple(frozenset(wave) for wave in expected["rounds"])
        checked.add("rounds")
    if "history" in expected:
        agree(case, [total, result.payments], "history")
        checked.add("history")
    assert checked == set(expected)


@pytest.mark.parametrize("case", cases("clearing", "clearing_fixed_points"))
def test_greatest_and_least_fixed_points(case):
    agree(case, clear(case["inputs"]).payments, "greatest")
    if "iterating_up_from_zero" in case["expected"]:
        agree(case, clear(case["inputs"], which="least").payments, "iterating_up_from_zero")


def test_iteration_from_below_does_not_stall_at_a_jump():
    # Rogers-Veraart example 3.3: from zero the payments approach (1, 1), where bank 0 has 1 + 1 = 2 = what it owes,
    # so it is solvent and pays 2; bank 1 then has 1 + 2 = 3 > 2.2 and pays in full.
    result = rogers_veraart([[0, 2], [2.2, 0]], [1, 1], alpha=0.5, beta=0.5, which="least")
    np.testing.assert_allclose(result.payments, [2.0, 2.2], rtol=1e-11)
    assert (result.fixed_point, result.rounds) == ("least", ())


@pytest.mark.parametrize("case", cases("clearing", "rv_ring_closed_form"))
def test_rogers_veraart_ring(case):
    inputs = case["inputs"]
    n, even = inputs["n"], np.arange(inputs["n"]) % 2 == 0
    liabilities = np.zeros((n, n))
    liabilities[np.arange(n), (np.arange(n) + 1) % n] = np.where(even, inputs["a"], inputs["a"] + inputs["epsilon"])
    assets = inputs["gamma"] * np.where(even, 1 - inputs["epsilon"], 1 + inputs["epsilon"])
    result = rogers_veraart(liabilities, assets, alpha=inputs["alpha"], beta=inputs["beta"])
    agree(case, result.payments, "payments")
    agree(case, result.defaulted, "default")


@pytest.mark.parametrize("case", cases("clearing", "furfine_cascade"))
def test_threshold_cascade(case):
    inputs = case["inputs"]
    result = furfine(
        inputs["liabilities"], inputs["outside_assets"], recovery=inputs["recovery"], ties="survive",
        external_liabilities=inputs["outside_debt"],
    )
    agree(case, result.defaulted, "default")


@pytest.mark.parametrize("case", cases("clearing", "glasserman_young_bound"))
def test_amplification_bound(case):
    inputs = case["inputs"]
    agree(case, glasserman_young_bound(inputs["default_probability"], inputs["max_interbank_liability_share"]), "bound")


@pytest.mark.parametrize("case", cases("network", "acemoglu_defaults"))
def test_ring_is_fragile_and_complete_network_robust_until_it_is_not(case):
    inputs = case["inputs"]
    n, owed = inputs["n"], inputs["interbank_liability"]
    complete = (np.ones((n, n)) - np.eye(n)) * owed / (n - 1)
    half = (np.ones((n // 2, n // 2)) - np.eye(n // 2)) * owed / (n // 2 - 1)
    networks = {
        "ring": np.roll(np.eye(n), 1, axis=1) * owed,
        "complete": complete,
        "two_halves": np.kron(np.eye(2), half),
    }
    for name in inputs["networks"]:
        defaults = []
        for shock in inputs["shock"]:
            assets = np.full(n, inputs["outside_cash"])
            assets[0] -= shock
            result = eisenberg_noe(networks[name], assets, seniority="senior",
                                   external_liabilities=np.full(n, inputs["senior_outside_debt"]))
            defaults.append(result.defaulted.sum())
        agree(case, defaults, "defaults", name)


@pytest.mark.parametrize(("unit", "tolerance"), [(1.0, 1e-12), (100, 0.0)])  # decimals, and integers compared exactly
@pytest.mark.parametrize("ties", ["survive", "default"])
def test_exact_tie_goes_the_way_the_caller_says(ties, unit, tolerance):
    # One of five equal debtors of a bank with 4% capital and 20% interbank assets fails: 0.2 / 5 = 0.04, an exact tie.
    liabilities = np.zeros((6, 6))
    liabilities[1:, 0] = 0.2 * unit / 5
    assets = np.array([0.8, 0, 1, 1, 1, 1]) * unit
    outside = np.array([0.96, 0.01, 0, 0, 0, 0]) * unit
    result = furfine(liabilities, assets, recovery=0.0, ties=ties, external_liabilities=outside, tolerance=tolerance)
    assert result.rounds == (({1},) if ties == "survive" else ({1}, {0}))


def test_cycle_under_water_behind_senior_debt_pays_its_network_nothing():
    # Each owes the other 1 and outsiders 0.5 first, and has nothing: what they pass each other shrinks by 0.5 a turn.
    result = eisenberg_noe([[0, 1], [1, 0]], [0, 0], external_liabilities=[0.5, 0.5], seniority="senior")
    np.testing.assert_array_equal(result.payments, [0, 0])
    np.testing.assert_array_equal(result.equity, [-1.5, -1.5])


def test_senior_debt_partly_paid_leaves_the_network_nothing():
    # 3 of assets for 5 of senior debt: outsiders get 3, the network creditor nothing and so pays 1 of 2.
    result = eisenberg_noe([[0, 4, 0], [0, 0, 2], [0, 0, 0]], [3, 1, 0], external_liabilities=[5, 0, 0],
                           seniority="senior")
    np.testing.assert_array_equal(result.payments, [3, 1, 0])
    np.testing.assert_array_equal(result.recovery, [0, 0.5, 1])
    np.testing.assert_array_equal(result.equity, [-6, -1, 1])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"liabilities": [[0, 1]]}, "liabilities"),
        ({"liabilities": [[0, np.nan], [0, 0]]}, r"liabilities\[0, 1\]"),
        ({"liabilities": [[0, -1], [0, 0]]}, r"liabilities\[0, 1\]"),
        ({"liabilities": [[0, 0], [0, 2]]}, r"liabilities\[1, 1\]"),
        ({"liabilities": [["a", 0], [0, 2]]}, "liabilities"),
        ({"external_assets": [1, 2, 3]}, "external_assets"),
        ({"external_assets": [1, np.inf]}, r"external_assets\[1\]"),
        ({"external_liabilities": [-1, 0]}, r"external_liabilities\[0\]"),
        ({"seniority": "junior"}, "seniority"),
        ({"which": "lowest"}, "which"),
        ({"alpha": 1.2}, "alpha"),
        ({"beta": float("nan")}, "beta"),
    ],
)
def test_bad_input_names_the_field(change, field):
    good = {"liabilities": [[0, 1], [0, 0]], "external_assets": [1, 1], "alpha": 1.0, "beta": 1.0}
    with pytest.raises(InputError, match=field):
        rogers_veraart(**(good | change))


def test_unknown_tie_rule():
    with pytest.raises(InputError, match=r"ties: got 'both'; accepted: survive \| default"):
        furfine([[0, 1], [0, 0]], [1, 1], recovery=0, ties="both")


def test_slow_cycle_from_below_says_so():
    # The two owe each other 1 and only 1e-9 enters a turn: a billion turns from below, none from above.
    with pytest.raises(ConvergenceError, match="from below"):
        eisenberg_noe([[0, 1], [1, 0]], [1e-9, 0], which="least")


@st.composite
def systems(draw, largest: int = 7):
    """Liabilities, outside assets and outside debt of a small random network, with zeros and ties."""
    n = draw(st.integers(1, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    links = rng.random((n, n)) < draw(st.sampled_from([0.2, 0.5, 0.9]))
    liabilities = rng.integers(1, 20, (n, n)) * links * (1.0 - np.eye(n))
    assets = rng.integers(0, draw(st.sampled_from([5, 15, 40])), n).astype(float)
    outside = rng.integers(0, draw(st.sampled_from([1, 15])), n).astype(float)
    return liabilities, assets, outside


SENIORITY = st.sampled_from(["pari_passu", "senior"])


@settings(max_examples=50, deadline=None)
@given(systems(), SENIORITY, st.sampled_from([(1.0, 1.0), (0.5, 0.9), (0.9, 1.0)]))
def test_payments_solve_the_clearing_equation_and_money_is_conserved(system, seniority, recoveries):
    liabilities, assets, outside = system
    alpha, beta = recoveries
    result = rogers_veraart(liabilities, assets, alpha=alpha, beta=beta, external_liabilities=outside,
                            seniority=seniority)
    receipts = liabilities.T @ result.recovery
    total = liabilities.sum(axis=1) + outside
    gross = assets.sum() + total.sum()
    available = np.where(result.defaulted, alpha * assets + beta * receipts, assets + receipts)
    np.testing.assert_allclose(result.payments, np.minimum(total, available), atol=1e-9 * gross)
    np.testing.assert_allclose(result.equity, assets + receipts - total, atol=1e-9 * gross)
    inside = result.recovery * liabilities.sum(axis=1)
    first = np.minimum(outside, result.payments) if seniority == "senior" else outside * np.where(
        total > 0, result.payments / np.where(total > 0, total, 1.0), 1.0)
    np.testing.assert_allclose(inside + first, result.payments, atol=1e-9 * gross)


@settings(max_examples=50, deadline=None)
@given(systems(5), st.sampled_from([(1.0, 1.0), (0.5, 0.9)]))
def test_greatest_is_not_below_least(system, recoveries):
    liabilities, assets, outside = system
    alpha, beta = recoveries
    options = {"alpha": alpha, "beta": beta, "external_liabilities": outside}
    greatest = rogers_veraart(liabilities, assets, **options)
    least = rogers_veraart(liabilities, assets, which="least", **options)
    assert (greatest.payments >= least.payments - 1e-9).all()
    assert not (greatest.defaulted & ~least.defaulted).any()


@settings(max_examples=40, deadline=None)
@given(systems(), SENIORITY, st.randoms(use_true_random=False))
def test_order_of_nodes_does_not_matter(system, seniority, random):
    liabilities, assets, outside = system
    order = list(range(len(assets)))
    random.shuffle(order)
    straight = eisenberg_noe(liabilities, assets, external_liabilities=outside, seniority=seniority)
    shuffled = eisenberg_noe(liabilities[np.ix_(order, order)], assets[order], external_liabilities=outside[order],
                             seniority=seniority)
    np.testing.assert_allclose(shuffled.payments, straight.payments[order], rtol=1e-12, atol=1e-12)
    assert tuple({order[i] for i in wave} for wave in shuffled.rounds) == straight.rounds


@settings(max_examples=50, deadline=None)
@given(systems(10), SENIORITY, st.integers(0, 2**32 - 1))
def test_removing_a_debt_leaves_those_it_does_not_reach_bit_identical(system, seniority, seed):
    liabilities, assets, outside = system
    debts = np.argwhere(liabilities)
    if not len(debts):
        return
    debtor, creditor = np.random.default_rng(seed).choice(debts)
    cut = liabilities.copy()
    cut[debtor, creditor] = 0.0
    reached = {debtor, creditor}
    while more := {int(j) for i in reached for j in np.flatnonzero(liabilities[i])} - reached:
        reached |= more
    others = [i for i in range(len(assets)) if i not in reached]
    before = eisenberg_noe(liabilities, assets, external_liabilities=outside, seniority=seniority)
    after = eisenberg_noe(cut, assets, external_liabilities=outside, seniority=seniority)
    np.testing.assert_array_equal(after.payments[others], before.payments[others])
    np.testing.assert_array_equal(after.equity[others], before.equity[others])


@settings(max_examples=50, deadline=None)
@given(systems(), st.floats(0.0, 1.0), st.integers(0, 6))
def test_glasserman_young_proposition_1(system, loss, hit):
    # Who can be toppled by i: net worths of the other defaulters D sum to at most w_i (lambda_i - 1) beta_i, with
    # lambda outside assets over net worth and beta the share of i's liabilities inside the network.
    liabilities, assets, outside = system
    hit %= len(assets)
    total = liabilities.sum(axis=1) + outside
    assets = assets + np.maximum(total - assets - liabilities.sum(axis=0), 0.0) + 0.5  # all solvent before the shock
    worth = assets + liabilities.sum(axis=0) - total
    shocked = assets.copy()
    shocked[hit] *= 1.0 - loss
    result = eisenberg_noe(liabilities, shocked, external_liabilities=outside)
    toppled = result.defaulted.copy()
    toppled[hit] = False
    inside = liabilities[hit].sum() / total[hit] if total[hit] else 0.0
    if toppled.any():
        assert worth[toppled].sum() <= (assets[hit] - worth[hit]) * inside + 1e-9


def test_large_sparse_network_agrees_with_elimination():
    # 2,500 nodes that own little: most default, beyond the size up to which sparse systems are solved by elimination.
    rng = np.random.default_rng(5)
    n = 2_500
    liabilities = sparse.random_array((n, n), density=4 / n, rng=rng, format="lil")
    liabilities.setdiag(0.0)
    assets = rng.random(n) * 0.4
    large = eisenberg_noe(liabilities, assets)
    assert large.defaulted.sum() > 1_500
    dense = eisenberg_noe(liabilities.toarray(), assets)
    assert large.rounds == dense.rounds
    np.testing.assert_allclose(large.payments, dense.payments, rtol=1e-12, atol=1e-13)
