"""DebtRank in both versions, on matrices and on balance sheets."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import agree, cases

from contagion.errors import ConvergenceError, InputError
from contagion.network import (
    debtrank,
    debtrank_balance_sheets,
    eisenberg_noe,
    fragility,
    furfine,
    susceptibility,
)

REFERENCE_DATA = Path(__file__).parents[2].parent / "shared" / "conformance"


@pytest.mark.parametrize("case", cases("debtrank", "debtrank_2012", "debtrank_2015"))
def test_spread_of_single_defaults(case):
    inputs = case["inputs"]
    variant = "single_pass" if inputs["model"] == "debtrank_2012" else "linear"
    results = [debtrank(inputs["exposures"], inputs["buffer"], stress, variant=variant, weights=inputs["weights"])
               for stress in inputs["initial_stress"]]
    agree(case, [result.debtrank for result in results], "additional_stress")
    agree(case, [result.stress for result in results], "final_stress")
    if "additional_defaults" in case["expected"]:
        agree(case, [result.additional_defaults for result in results], "additional_defaults")


@pytest.mark.parametrize("as_matrix", [np.array, sparse.csr_array])
@pytest.mark.parametrize("case", cases("debtrank", "debtrank_matrix"))
def test_relative_exposures(case, as_matrix):
    leverage = as_matrix(np.array(case["inputs"]["exposure_over_equity"], dtype=float))
    first = case["inputs"]["initial_stress"]
    equity = np.ones(len(first))
    agree(case, debtrank(leverage, equity, first).stress, "linear")
    expected = case["expected"]
    if "single_pass" in expected:
        agree(case, debtrank(leverage, equity, first, variant="single_pass").stress, "single_pass")
    if "closed_form" in expected:
        dense = leverage if isinstance(leverage, np.ndarray) else leverage.toarray()
        agree(case, np.linalg.solve(np.eye(len(first)) - dense, first), "closed_form")
    if "spectral_radius" in expected:
        agree(case, fragility(leverage, equity), "spectral_radius")


@pytest.mark.parametrize("case", cases("debtrank", "debtrank_2015_balance_sheet"))
def test_balance_sheets(case):
    inputs = case["inputs"]
    assets = np.array(inputs["outside_assets_before"], dtype=float)
    shock = inputs.get("shock", inputs.get("asset_shock", 0.0) * assets)
    outside = inputs["outside_debt"]
    agree(case, debtrank_balance_sheets(inputs["liabilities"], assets, shock=shock, external_liabilities=outside),
          "equity")
    unhurt = debtrank_balance_sheets(inputs["liabilities"], assets, shock=np.zeros(3), external_liabilities=outside)
    agree(case, unhurt, "equity_before")


@pytest.mark.parametrize("case", cases("clearing", "neva_valuation"))
def test_valuation_functions_on_one_ring(case):
    inputs = case["inputs"]
    lent = np.array(inputs["interbank_assets"])
    assets, outside = np.array(inputs["outside_assets"], dtype=float), inputs["outside_debt"]
    after = assets - inputs["shock"]
    debts, debt = lent.T, {"external_liabilities": outside}
    equity = {
        "eisenberg_noe_outside_debt_senior": eisenberg_noe(debts, after, seniority="senior", **debt).equity,
        "eisenberg_noe_pari_passu": eisenberg_noe(debts, after, **debt).equity,
        "furfine_zero_recovery": furfine(debts, after, recovery=0.0, ties="survive", **debt).equity,
        "furfine_recovery": furfine(debts, after, recovery=inputs["recovery_rate"], ties="survive", **debt).equity,
        "linear_debtrank": debtrank_balance_sheets(debts, assets, shock=inputs["shock"], **debt),
    }
    for rule in case["expected"].get("equity", {}):
        agree(case, equity[rule], "equity", rule)
    for rule in case["expected"].get("network_loss_over_interbank", {}):
        unhurt = assets - outside + lent.sum(axis=1) - lent.sum(axis=0)
        loss = (unhurt - inputs["shock"] - equity[rule]).sum() / lent.sum()
        agree(case, loss, "network_loss_over_interbank", rule)


@pytest.mark.parametrize("case", cases("debtrank", "impact_measures"))
def test_susceptibility(case):
    inputs = case["inputs"]
    result = susceptibility(inputs["exposures"], inputs["buffer"], threshold=inputs["threshold"])
    agree(case, result, "susceptibility")
    agree(case, result.mean(), "fluidity")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def banks_of(case) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    path = REFERENCE_DATA / case["inputs"]["balance_sheets_csv"]
    if not path.exists():
        pytest.skip(f"optional reference data {path.name} not beside the repository")
    rows = rows_of(path)
    names = [row["bank"] for row in rows]
    exposures = np.zeros((len(names), len(names)))
    for row in rows_of(REFERENCE_DATA / case["inputs"]["edges_csv"]):
        exposures[names.index(row["lender"]), names.index(row["borrower"])] = float(row["amount"])
    return names, exposures, *(np.array([float(row[column]) for row in rows]) for column in ("buffer", "weights"))


@pytest.mark.parametrize("case", cases("debtrank", "nrm_published_rows", "nrm_bank_defaults"))
def test_bank_defaults_in_a_system_of_125(case):
    names, exposures, buffer, weights = banks_of(case)
    inputs, tolerance = case["inputs"], case["inputs"]["stop_tolerance_l2"]
    loose = {"tolerance": tolerance, "norm": "euclidean", "weights": weights}

    def default_of(bank: str) -> dict[str, float]:
        hit = names.index(bank)
        stress = np.eye(len(names))[hit]
        coarse = debtrank(exposures, buffer, stress, **loose)
        fine = debtrank(exposures, buffer, stress, weights=weights)
        # A threshold cascade needs a balance sheet with this equity; the hit bank loses all of its own.
        outside = buffer - exposures.sum(axis=1) + exposures.sum(axis=0)
        cascade = furfine(exposures.T, np.maximum(outside, 0), recovery=0.0, ties="default",
                          external_liabilities=np.maximum(-outside, 0) + buffer * stress)
        lost = 1.0 - cascade.equity / buffer
        return {
            "debtrank_addstress_tol": coarse.debtrank,
            "debtrank_addlosses_tol": coarse.losses.sum() - buffer[hit],
            "debtrank_adddef_tol": coarse.additional_defaults,
            "debtrank_addstress_conv": fine.debtrank,
            "debtrank_addlosses_conv": fine.losses.sum() - buffer[hit],
            "debtrank_adddef_conv": fine.additional_defaults,
            "threshold_addstress": (np.clip(lost, 0, 1) - stress) @ weights / weights.sum(),
            "threshold_addlosses": (buffer - cascade.equity).sum() - buffer[hit],
            "threshold_adddef": cascade.defaulted.sum() - 1,
            "singlehit_addstress": debtrank(exposures, buffer, stress, variant="single_pass", cap_impact=False,
                                            **loose).debtrank,
        }

    if inputs["model"] == "nrm_published_rows":
        n = len(names)
        agree(case, (exposures > 0).sum() / (n * (n - 1)), "density")
        for bank in inputs["banks"]:
            got = default_of(bank)
            agree(case, got["debtrank_addstress_tol"], "additional_stress", bank, "debtrank")
            agree(case, got["threshold_addstress"], "additional_stress", bank, "threshold")
        return
    rows = rows_of(REFERENCE_DATA / inputs["expected_csv"])
    assert len(rows) == case["expected"]["rows"]
    for row in rows:
        got = default_of(row["bank"])
        for column in set(row) - {"bank"}:
            assert got[column] == pytest.approx(float(row[column]), abs=case["expected"]["max_error_below"]), column


@pytest.mark.parametrize("case", cases("debtrank", "nrm_uniform"))
def test_uniform_stress_in_a_system_of_125(case):
    names, exposures, buffer, weights = banks_of(case)
    rows = rows_of(REFERENCE_DATA / case["inputs"]["expected_csv"])
    assert len(rows) == case["expected"]["rows"]
    for row in rows:
        stress = np.full(len(names), float(row["orig_stress"]))
        result = debtrank(exposures, buffer, stress, weights=weights, norm="euclidean",
                          tolerance=case["inputs"]["stop_tolerance_l2"])
        got = [result.debtrank, buffer @ stress, result.losses.sum() - buffer @ stress, result.additional_defaults]
        want = [float(row[column]) for column in ("add_stress", "orig_losses", "add_losses", "add_defaults")]
        np.testing.assert_allclose(got, want, rtol=0, atol=case["expected"]["max_error_below"])
        assert result.iterations == int(row["iters"])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.integers(2, 8))
def test_clearing_loses_least_then_the_cascade_then_debtrank(seed, severity, n):
    rng = np.random.default_rng(seed)
    debts = rng.random((n, n)) * (rng.random((n, n)) < 0.5) * (1.0 - np.eye(n))
    assets = rng.random(n) * 2.0
    outside = rng.random(n)
    assets += np.maximum(debts.sum(axis=1) + outside - assets - debts.sum(axis=0), 0.0) + 0.1
    shock = assets * rng.random(n) * severity
    debt = {"external_liabilities": outside}
    clearing = eisenberg_noe(debts, assets - shock, **debt).equity
    cascade = furfine(debts, assets - shock, recovery=0.0, ties="survive", **debt).equity
    linear = debtrank_balance_sheets(debts, assets, shock=shock, **debt)
    assert (clearing >= cascade - 1e-9).all()
    assert (cascade >= linear - 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_single_pass_stays_below_linear(seed):
    rng = np.random.default_rng(seed)
    exposures = rng.random((6, 6)) * (1.0 - np.eye(6))
    equity, stress = rng.random(6) + 0.5, rng.random(6) * (rng.random(6) < 0.3)
    single = debtrank(exposures, equity, stress, variant="single_pass")
    assert (single.stress <= debtrank(exposures, equity, stress, tolerance=1e-9).stress + 1e-8).all()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"exposures": [[0, 1], [np.nan, 0]]}, r"exposures\[1, 0\]"),
        ({"exposures": [[1, 1], [0, 0]]}, r"exposures\[0, 0\]"),
        ({"equity": [0, 1]}, r"equity\[0\]: got 0.0; accepted: above zero for a node with exposures"),
        ({"initial_stress": [0, 1.5]}, "initial_stress"),
        ({"variant": "2015"}, r"variant: got '2015'; accepted: linear \| single_pass"),
        ({"norm": "l1"}, "norm"),
        ({"weights": [1]}, "weights"),
    ],
)
def test_bad_input_names_the_field(change, field):
    with pytest.raises(InputError, match=field):
        debtrank(**({"exposures": [[0, 1], [0, 0]], "equity": [1, 1], "initial_stress": [0, 1]} | change))


def test_bank_under_water_before_the_shock_is_refused():
    with pytest.raises(InputError, match="equity of node 0 before the shock"):
        debtrank_balance_sheets([[0, 5], [0, 0]], [1, 1], shock=[0, 0])


def test_too_few_rounds_say_so():
    with pytest.raises(ConvergenceError, match="after 3 rounds"):
        debtrank([[0, 0.9], [0.9, 0]], [1, 1], [0.1, 0], max_iterations=3)
