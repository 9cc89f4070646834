"""Policies compared: made-up outcomes whose answer is known, and a small sweep of the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_sweeps import made_up, two_policies
from small_experiments import here, small

from contagion import compare, sweep
from contagion.cli import main
from contagion.errors import InputError
from contagion.experiment import compare_runs
from contagion.experiment.plan import Run


def noise(run: Run, scale: float = 1.0) -> float:
    return scale * float(np.random.default_rng(run.seed).normal())


def shifted(run: Run) -> dict[str, float]:
    """The other policy loses exactly 1 less, on the same draws; traders win what exchanges lose by it."""
    better = run.policy == "other"
    return {
        "system_loss": 10.0 + noise(run) - better,
        "gain.traders": noise(run) + 3.0 * better, "gain.exchanges": -noise(run) - 3.0 * better,
    }  # fmt: skip


def row(table: pd.DataFrame, **where: object) -> pd.Series:
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory):
    return compare_runs(two_policies(tmp_path_factory.mktemp("known") / "a", shifted), resamples=400)


def test_a_constant_difference_is_found_exactly(known) -> None:
    pair = row(known.pairs, outcome="system_loss", policy="other")
    assert (pair.difference, pair.low, pair.high) == pytest.approx((-1.0, -1.0, -1.0))
    assert pair.base == "plain" and pair.differing == 1.0
    # All 40 differences have one sign: 2 ** -39 of sign patterns, of which 9,999 are drawn; the least p-value is twice
    # 1 / 10,000.
    assert pair.p_value == pair.p_holm == pytest.approx(2e-4)


def test_the_better_policy_is_the_best_dominates_and_has_no_regret(known) -> None:
    assert row(known.best, policy="other").probability_best == 1.0
    assert row(known.best, policy="plain").share_of_units_best == 0.0
    first = row(known.dominance, order=1, policy="other")
    assert first.dominates and first.violation == 0.0
    assert not row(known.dominance, order=1, policy="plain").dominates
    assert row(known.regret, policy="plain").max_regret == pytest.approx(1.0)
    assert row(known.regret, policy="other").max_regret == 0.0
    assert row(known.regret, policy="other").least_max_regret


def test_who_wins_and_who_loses(known) -> None:
    assert row(known.winners, agents="traders").difference == pytest.approx(3.0)
    assert row(known.winners, agents="exchanges").difference == pytest.approx(-3.0)
    assert row(known.winners, agents="traders").units_better == 1.0


def test_a_constant_difference_needs_no_second_pair(known) -> None:
    assert np.isinf(row(known.pairing, policy="other").variance_ratio)


def test_p_values_of_two_outcomes_are_adjusted_together(tmp_path: Path) -> None:
    """p-values of 2e-4 and of about 0.5 become 4e-4 and stay."""
    def outcomes(run: Run) -> dict[str, float]:
        return {**shifted(run), "deficit": noise(run) + (run.policy == "other") * (-1) ** run.replication}

    found = compare_runs(two_policies(tmp_path / "a", outcomes), ["system_loss", "deficit"], resamples=100)
    first, second = found.pairs.itertuples()
    assert first.p_holm == pytest.approx(2 * first.p_value)
    assert second.p_holm == second.p_value == 1.0  # twenty up, twenty down: no sign pattern is less extreme


def test_the_tail_is_on_the_worse_side(tmp_path: Path) -> None:
    """Of 0..39, the worst 5% are two runs: 39 and 38 for a loss, 0 and 1 for a gain."""
    def outcomes(run: Run) -> dict[str, float]:
        return {"system_loss": float(run.replication), "gain.traders": float(run.replication)}

    found = compare_runs(two_policies(tmp_path / "a", outcomes), ["system_loss", "gain.traders"], resamples=100)
    assert row(found.table, outcome="system_loss", policy="plain").es == pytest.approx(38.5)
    assert row(found.table, outcome="gain.traders", policy="plain").es == pytest.approx(0.5)
    loss = row(found.table, outcome="system_loss", policy="plain")
    assert loss.es_low <= loss.es <= loss.es_high


def test_sampled_worlds_are_the_units_and_their_replications_are_averaged(tmp_path: Path) -> None:
    design = {"design": {"method": "random", "worlds": 30}, "uncertainties": {"assets.ETH.volatility": [0.5, 0.9]}}
    found = compare_runs(two_policies(tmp_path / "a", shifted, replications=2, **design), resamples=100)
    assert found.unit == "world" and set(found.table["units"]) == {30} and set(found.table["pairs"]) == {60}
    assert found.cells.empty


def test_places_are_compared_one_by_one_and_replications_are_the_units(tmp_path: Path) -> None:
    def outcomes(run: Run) -> dict[str, float]:
        return {"system_loss": noise(run) + (run.policy == "other") * (2.0 if run.world else -2.0)}

    places = {"uncertainties": {"assets.ETH.volatility": [0.5, 0.9]}}
    found = compare_runs(two_policies(tmp_path / "a", outcomes, **places), resamples=100)
    assert set(found.table["units"]) == {40}
    assert row(found.cells, world=0, policy="other").difference == pytest.approx(-2.0)
    assert row(found.cells, world=1, policy="other").difference == pytest.approx(2.0)
    assert row(found.cells, world=1, policy="other")["assets.ETH.volatility"] == 0.9
    # Each policy is worse than the other by 2 on one of two worlds.
    assert set(found.regret["mean_regret"].round(9)) == {1.0} and found.regret["least_max_regret"].all()


def test_a_mirrored_pair_is_one_unit(tmp_path: Path) -> None:
    found = compare_runs(two_policies(tmp_path / "a", shifted, antithetic=True), resamples=100)
    assert set(found.table["units"]) == {20}


def test_failed_and_undefined_runs_are_left_out_for_all_policies_and_said(tmp_path: Path) -> None:
    def outcomes(run: Run) -> dict[str, float] | None:
        if run.policy == "other" and run.replication < 3:
            return None
        return {**shifted(run), "hidden_cost_bps": float("nan") if run.replication == 5 else 1.0 + noise(run)}

    found = compare_runs(two_policies(tmp_path / "a", outcomes), ["system_loss", "hidden_cost_bps"], resamples=100)
    assert row(found.pairs, outcome="system_loss").difference == pytest.approx(-1.0)
    assert set(found.table["pairs"]) == {37, 36}
    assert "3 runs failed; a pair with one of them is left out for all policies." in found.notes
    assert "hidden_cost_bps: 4 of 40 pairs left out." in found.notes


def test_what_never_varies_and_few_runs_are_said(tmp_path: Path) -> None:
    found = compare_runs(two_policies(tmp_path / "a", lambda run: {"deficit": 2.0}, replications=3), ["deficit"])
    assert "deficit never varies, under no policy." in found.notes
    assert any("only 3 replications" in note for note in found.notes)
    pair = found.pairs.iloc[0]
    assert (pair.difference, pair.low, pair.high, pair.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert set(found.best["probability_best"]) == {0.5}


def test_rounding_is_no_difference(tmp_path: Path) -> None:
    def outcomes(run: Run) -> dict[str, float]:
        return {"deficit": 1e6 + noise(run) + 1e-6 * (run.policy == "other") * noise(run)}

    found = compare_runs(two_policies(tmp_path / "a", outcomes), ["deficit"], resamples=100)
    assert row(found.pairs, policy="other").differing == 0.0


def test_the_text_fits_a_terminal_and_the_tables_are_kept(tmp_path: Path) -> None:
    results = two_policies(tmp_path / "a", shifted, question="Is the other policy better, " * 8)
    found = compare_runs(results, resamples=100)
    text = found.summary()
    assert max(map(len, text.splitlines())) <= 80 and "other dominates plain at first order" in text
    kept = results.folder / "comparison"
    pd.testing.assert_frame_equal(pd.read_csv(kept / "pairs.csv"), found.pairs, check_dtype=False)
    assert json.loads((kept / "comparison.json").read_text())["base"] == "plain"
    assert (kept / "summary.txt").read_text() == text


def test_the_same_bootstrap_again_and_another_outcome_beside_it_change_nothing(tmp_path: Path) -> None:
    results = two_policies(tmp_path / "a", shifted)
    one = compare_runs(results, ["system_loss"], resamples=100)
    two = compare_runs(results, ["gain.traders", "system_loss"], resamples=100)
    pd.testing.assert_series_equal(row(one.table, policy="other"), row(two.table, outcome="system_loss",
                                   policy="other"), check_names=False)  # fmt: skip


def test_bad_questions_are_explained(tmp_path: Path) -> None:
    results = two_policies(tmp_path / "a", shifted, replications=3)
    with pytest.raises(InputError, match="nearest: system_loss"):
        compare_runs(results, ["sistem_loss"])
    with pytest.raises(InputError, match="nearest: other"):
        compare_runs(results, ["system_loss"], base="othr")
    with pytest.raises(InputError, match="lower or higher"):
        compare_runs(results, ["system_loss"], better={"system_loss": "smaller"})
    with pytest.raises(InputError, match="two or more policies"):
        compare_runs(made_up(tmp_path / "b", shifted), ["system_loss"])
    with pytest.raises(InputError, match="1 runs failed: ValueError: made up"):
        compare_runs(made_up(tmp_path / "c", lambda run: None))
    with pytest.raises(InputError, match="besides the scenario"):
        compare("quickstart", {}, out=tmp_path / "d")
    with pytest.raises(InputError, match="2 or more"):
        compare("quickstart", {"more": {"exchanges.perp.equity": 1.0}}, runs=1, out=tmp_path / "d")


def test_a_policy_that_cannot_bind_changes_nothing(tmp_path: Path) -> None:
    """A fund that is never used: bit-identical paths, so every pair is equal."""
    levers = {"as written": {}, "larger fund": {"exchanges.perp.insurance_fund.size": 9e6}}
    before_the_crash = {"scenario": "quickstart", "overrides": {"steps": 15}, "levers": levers, "replications": 3}
    with here() as executor:
        results = sweep(before_the_crash, tmp_path / "a", executor=executor)
    found = compare_runs(results, ["system_loss", "traded_notional"], resamples=50)
    assert (found.pairs["differing"] == 0.0).all() and (results.runs["system_loss"] > 0.0).all()
    by_policy = results.runs.groupby("policy")["system_loss"].apply(list)
    assert by_policy["as written"] == by_policy["larger fund"]


def test_compare_from_python_and_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with here() as executor:
        found = compare(
            small()["scenario"], {"more equity": {"exchanges.perp.equity": 5e5}}, runs=4, seed=3, outcomes=["deficit"],
            uncertainties={"shocks.1.size": {"uniform": [-0.2, -0.1]}}, out=tmp_path / "a", executor=executor,
        )  # fmt: skip
    assert found.unit == "world" and list(found.policies) == ["base", "more equity"]
    assert main(["compare", str(tmp_path / "a"), "--json", "--outcome", "deficit"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["base"] == "base" and len(told["table"]) == 2
    assert main(["compare", str(tmp_path / "a"), "--outcome", "defizit"]) == 2
    assert "nearest: deficit" in capsys.readouterr().err
    assert main(["compare", "quickstart"]) == 2 and "--policies" in capsys.readouterr().err
