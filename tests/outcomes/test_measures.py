"""Measures against the closed forms of the conformance cases, their own identities, and samples of known law."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.outcomes import counterparty, measures, risk

CASES = json.loads((Path(__file__).parents[1] / "conformance" / "cases" / "metrics.json").read_text())["cases"]


def _exposure(inputs: dict) -> dict:
    sigma, horizon, hazard, lgd = (inputs[name] for name in ("sigma", "horizon", "hazard_rate", "lgd"))
    found = counterparty.brownian_exposure(sigma, horizon, inputs["quantiles"], hazard, lgd)
    return {"ee_at_horizon": found.ee[0], "epe": found.epe, "pfe": found.pfe[:, 0], "cva": found.cva}


def _concentration(inputs: dict) -> dict:
    values = inputs["values"]
    return {"gini": measures.gini(values), "hhi": measures.hhi(values), "top_share": measures.top_share(values)}


def _amplification(inputs: dict) -> dict:
    return {
        "loss_multiplier": measures.loss_multiplier(inputs["total_loss"], inputs["first_round_loss"]),
        "branching_ratio": measures.branching_ratios(inputs["new_defaults"]),
    }


ANSWERS = {
    "brownian_exposure": _exposure,
    "gaussian_es": lambda given: {"es": [risk.gaussian_es(q) for q in given["quantiles"]]},
    "gaussian_systemic": lambda given: risk.gaussian_systemic(given["correlation"], given["quantile"])._asdict(),
    "srisk": lambda given: {
        "srisk": risk.srisk(given["debt"], given["market_equity"], given["k"], given["lrmes"])
    },
    "loss_beyond_margin": lambda given: {
        "bps": 1e4 * risk.loss_beyond_margin(*np.array(given["margin_rate_and_step_sigma"]).T)
    },
    "gini": _concentration,
    "pareto_gini": lambda given: {"gini": measures.pareto_gini(given["alpha"])},
    "hill": lambda given: {"hill_index": measures.hill(given["values"], given["k"])},
    "wilson": lambda given: {
        "interval": measures.wilson(given["successes"], given["trials"], given["confidence"])
    },
    "fund_coverage": lambda given: measures.fund_coverage(given["fund"], given["deficits"])._asdict(),
    "historical_var_es": lambda given: {"es": risk.historical_var_es(given["losses"], given["quantile"]).es},
    "adl_overuse": lambda given: measures.adl_overuse(given["haircut"], given["needed"])._asdict(),
    "amplification": _amplification,
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_conformance(case):
    got = ANSWERS[case["inputs"]["model"]](case["inputs"])
    for name, expected in case["expected"].items():
        np.testing.assert_allclose(
            got[name], expected, rtol=case["tolerance"]["rel"], atol=case["tolerance"]["abs"], err_msg=name
        )


@pytest.mark.parametrize("module", [measures, risk, counterparty])
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted >= 5 and found.failed == 0


burdens = st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(burdens)
def test_gini_is_twice_the_area_between_lorenz_curve_and_diagonal(values):
    population, share = measures.lorenz(values)
    area = float(np.sum((share[1:] + share[:-1]) / 2 * np.diff(population)))
    assert measures.gini(values) == pytest.approx(1 - 2 * area, abs=1e-9)
    assert -1e-12 <= measures.gini(values) <= 1 - 1 / len(values) + 1e-9


@settings(max_examples=50, deadline=None)
@given(burdens, st.floats(0.1, 10))
def test_concentration_does_not_depend_on_unit_or_order(values, scale):
    for measure in (measures.gini, measures.hhi, measures.top_share):
        assert measure([scale * value for value in reversed(values)]) == pytest.approx(measure(values), abs=1e-9)


def test_one_payer_among_many_and_equal_payers():
    assert measures.gini([0, 0, 0, 7]) == pytest.approx(0.75)  # (n - 1) / n
    assert measures.hhi([0, 0, 0, 7]) == 1.0 and measures.hhi([7, 7, 7, 7]) == pytest.approx(0.25)
    assert measures.top_share([1.0] * 200, 0.01) == pytest.approx(2 / 200)
    assert measures.gini([0.0, 0.0]) == measures.hhi([0.0]) == measures.top_share([0.0]) == 0.0


def test_pareto_sample_has_the_gini_and_the_tail_index_of_its_law():
    uniforms = (np.arange(200_000) + 0.5) / 200_000
    sample = uniforms ** (-1 / 3.0)
    assert measures.gini(sample) == pytest.approx(measures.pareto_gini(3.0), rel=2e-3)  # 1/5
    assert measures.hill(sample, 20_000) == pytest.approx(3.0, rel=2e-3)


def test_wilson_at_the_ends():
    z2 = 1.959963984540054**2
    assert measures.wilson(0, 10) == pytest.approx((0.0, z2 / (10 + z2)))  # root of (p - 0)^2 = z^2 p (1 - p) / n
    assert measures.wilson(10, 10) == pytest.approx((10 / (10 + z2), 1.0))


def test_bootstrap_interval_of_a_mean_is_near_the_normal_one_and_repeats():
    sample = np.random.default_rng(7).normal(5.0, 2.0, 400)
    low, high = measures.bootstrap_interval(sample, np.random.default_rng(1))
    half = 1.96 * sample.std(ddof=1) / 20
    assert low == pytest.approx(sample.mean() - half, abs=0.03)
    assert high == pytest.approx(sample.mean() + half, abs=0.03)
    assert (low, high) == measures.bootstrap_interval(sample, np.random.default_rng(1))


def test_systemic_measures_of_a_normal_sample_agree_with_their_closed_forms():
    rng = np.random.default_rng(3)
    system, own = rng.standard_normal((2, 400_000))
    losses = 0.5 * system + np.sqrt(0.75) * own
    exact = risk.gaussian_systemic(0.5, 0.95)
    assert risk.mes(losses, system, 0.95) == pytest.approx(exact.mes, abs=0.03)
    assert risk.delta_covar(losses, system, 0.95, band=0.02) == pytest.approx(exact.delta_covar, abs=0.06)
    tail = risk.historical_var_es(system, 0.99)
    assert tail.var == pytest.approx(2.326348, abs=0.03) and tail.es == pytest.approx(2.665214, abs=0.04)


def test_simulated_exposure_agrees_with_brownian_closed_form():
    times = np.linspace(0, 1, 101)
    moves = np.random.default_rng(5).normal(0, np.sqrt(0.01), (20_000, 100))
    paths = np.concatenate([np.zeros((20_000, 1)), np.cumsum(moves, axis=1)], axis=1)
    got = counterparty.exposure_profile(times, paths, [0.95], 0.02, 0.6)
    exact = counterparty.brownian_exposure(1.0, 1.0, [0.95], 0.02, 0.6)
    assert got.ee[-1] == pytest.approx(exact.ee[0], rel=0.02)
    assert got.epe == pytest.approx(exact.epe, rel=0.02)
    assert got.pfe[0, -1] == pytest.approx(exact.pfe[0, 0], rel=0.02)
    assert got.cva == pytest.approx(exact.cva, rel=0.02)


def test_fund_size_minimises_holding_and_shortfall_cost():
    deficits = np.random.default_rng(2).pareto(2.0, 2001)
    sizes = np.sort(deficits)
    cost = [0.1 * size + 1.0 * np.maximum(deficits - size, 0.0).mean() for size in sizes]
    assert risk.fund_size(deficits, 0.1) == pytest.approx(sizes[int(np.argmin(cost))])


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: measures.gini([1.0, -1.0]), "values"),
        (lambda: measures.gini([]), "values"),
        (lambda: measures.hill([2.0, 2.0], 1), "values"),
        (lambda: measures.hill([2.0, 1.0], 2), "k"),
        (lambda: measures.wilson(3, 2), "successes"),
        (lambda: measures.fund_coverage(-1.0, [1.0]), "fund"),
        (lambda: measures.adl_overuse([1.0], [0.0]), "needed"),
        (lambda: measures.loss_multiplier(1.0, 0.0), "first_round_loss"),
        (lambda: measures.pareto_gini(1.0), "alpha"),
        (lambda: risk.historical_var_es([1.0, np.nan], 0.5), "losses"),
        (lambda: risk.gaussian_es(1.0), "quantile"),
        (lambda: risk.mes([1.0], [1.0, 2.0], 0.5), "system_losses"),
        (lambda: risk.delta_covar([1.0, 2.0], [1.0, 2.0], 0.9, band=0.01), "band"),
        (lambda: counterparty.exposure_profile([0, 2, 1], np.zeros((1, 3)), [0.5], 0.0, 0.5), "times"),
        (lambda: risk.loss_beyond_margin(0.1, 0.0), "step_sigma"),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(InputError, match=field):
        call()
