"""Figures of many runs: marks are the runs, differences are paired, and the tail is where it should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from contagion import report
from contagion.errors import InputError
from contagion.report.intervals import differences, means, regrets
from contagion.report.sweep_source import sweep_of


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_differences_are_pair_by_pair(runs: pd.DataFrame) -> None:
    # By hand: b less a is -10 in world 0 and +4 in world 1, so -3 in the mean, for every seed: an interval of no width.
    row = differences(sweep_of(runs), "deficit", "a").loc["b"]
    assert row[["difference", "low", "high", "differing"]].tolist() == pytest.approx([-3.0, -3.0, -3.0, 1.0])


def test_regret_is_taken_world_by_world(runs: pd.DataFrame) -> None:
    # a is 10 behind in world 0, b 4 behind in world 1.
    found = regrets(sweep_of(runs), "deficit")[["mean_regret", "max_regret"]]
    assert found.loc["a"].tolist() == pytest.approx([5.0, 10.0])
    assert found.loc["b"].tolist() == pytest.approx([2.0, 4.0])


def test_where_higher_is_better_regret_turns_round(runs: pd.DataFrame) -> None:
    found = regrets(sweep_of(runs.rename(columns={"deficit": "fund_end.perp"})), "fund_end.perp")
    assert found.loc["a", ["mean_regret", "max_regret"]].tolist() == pytest.approx([2.0, 4.0])


def test_means_have_intervals_over_seeds(runs: pd.DataFrame) -> None:
    # Seeds shift a's mean over worlds, 150, by 1, 2 and 3.
    row = means(sweep_of(runs), "deficit").loc["a"]
    assert row["mean"] == pytest.approx(152.0)
    assert 151.0 <= row["mean_low"] < 152.0 < row["mean_high"] <= 153.0


def test_the_comparison_shows_every_pair_every_run_and_regret(runs: pd.DataFrame) -> None:
    figure = report.comparison(runs, "deficit")
    gaps, shares, regret = figure.axes
    dots = next(line for line in gaps.get_lines() if line.get_marker() == ".")
    assert sorted(dots.get_xdata()) == [-10.0] * 3 + [4.0] * 3
    assert [len(line.get_xdata()) for line in shares.get_lines()] == [6, 6]
    assert sorted(bar.get_width() for bar in regret.patches) == pytest.approx([2.0, 4.0, 5.0, 10.0])
    assert gaps.get_xlabel() == "minus a [USD]"
    assert "n = 12 runs, 2 policies, 2 worlds, 3 seeds" in figure.get_supxlabel()


def test_one_policy_is_nothing_to_compare(runs: pd.DataFrame) -> None:
    figure = report.comparison(runs[runs["policy"] == "a"], "deficit")
    assert texts(figure.axes[0]) == ["There is one policy only."]


def test_the_tail_is_marked_where_it_is() -> None:
    # Losses 1 to 10: at 0.8 the smallest loss reached is 8; the worst two have the mean 9.5.
    figure = report.distribution(pd.DataFrame({"deficit": np.arange(1.0, 11.0)}), "deficit", quantile=0.8)
    marks = [line.get_xdata()[0] for line in figure.axes[0].get_lines()]
    assert marks == pytest.approx([5.5, 8.0, 9.5])
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 10


def test_over_one_field_there_is_a_line_for_each_policy(runs: pd.DataFrame) -> None:
    panel = report.sweep_map(runs, "deficit").axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines()}
    assert lines == {"a": [[100.0, 102.0], [200.0, 202.0]], "b": [[100.0, 92.0], [200.0, 206.0]]}
    assert panel.get_ylabel() == "deficit [USD]"


def test_over_two_fields_there_is_a_cell_for_each_pair(runs: pd.DataFrame) -> None:
    table = runs[runs["policy"] == "a"].assign(shock=lambda rows: rows["seed"].astype(float))
    figure = report.sweep_map(table, "deficit", over=("fund", "shock"))
    panel = figure.axes[0]
    assert len(panel.patches) == 2 * 3
    assert texts(panel)[:2] == ["101", "n 1"]  # fund 100, shock 1
    assert "Cells: mean" in figure.get_supxlabel()


def test_a_field_with_many_values_is_put_into_classes() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"x": rng.random(200), "y": rng.random(200)})
    table["deficit"] = 10.0 * table["x"] + table["y"]
    figure = report.sweep_map(table, "deficit")
    assert figure.get_suptitle() == "deficit by x and y"  # what moves it most comes first
    assert len(figure.axes[0].patches) == 36


def test_sensitivity_bars_are_sorted_and_have_their_intervals() -> None:
    table = pd.DataFrame(
        {"input": ["fund", "shock", "(none)"], "index_name": "ST", "value": [0.2, 0.7, 0.1], "low": [0.1, 0.6, 0.0],
         "high": [0.3, 0.8, 0.2]}
    )  # fmt: skip
    axes = report.sensitivity_bars(table, "deficit").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["shock", "fund", "a random number"]
    assert [bar.get_width() for bar in axes.patches[:3]] == [0.2, 0.7, 0.1]
    ends = [line[:, 0].tolist() for line in axes.collections[0].get_segments()]
    assert ends == [[0.1, 0.3], [0.6, 0.8], [0.0, 0.2]]
    with pytest.raises(InputError, match="low"):
        report.sensitivity_bars(table.drop(columns="low"))


def test_an_unknown_outcome_is_explained(runs: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="outcome"):
        report.distribution(runs, "deficits_of_everybody")
