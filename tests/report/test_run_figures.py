"""Figures of one run: what they say of scenario, seed, number of runs and units, and that marks are the results."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.patches import PathPatch

from contagion import report
from contagion.errors import InputError
from contagion.report.figures.burden import classes
from contagion.report.figures.time_line import events
from contagion.report.source import borne, deficits
from contagion.report.style import THEMES

FIGURES = ("price_and_liquidations", "rounds", "waterfall", "flows", "exposure_network", "burden", "time_line")


def words(figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


@pytest.mark.parametrize(("name", "theme"), list(product(FIGURES, THEMES)))
def test_every_figure_states_scenario_seed_runs_and_units(run, name: str, theme: str) -> None:
    figure = getattr(report, name)(run, theme=theme)
    foot = figure.get_supxlabel().replace("\n", " ")
    assert "Scenario quickstart, seed 7, n = 1 run" in foot
    assert "USD" in foot or any("USD" in text for text in words(figure))
    assert figure.get_facecolor()[:3] == pytest.approx(
        [int(THEMES[theme]["paper"][place : place + 2], 16) / 255 for place in (1, 3, 5)]
    )


@pytest.mark.parametrize("name", FIGURES)
def test_a_run_in_which_nothing_happens_has_figures_too(calm, name: str) -> None:
    assert "n = 1 run" in getattr(report, name)(calm, width="column").get_supxlabel().replace("\n", " ")


def test_a_folder_and_a_live_result_give_the_same_figure(run, folder: Path) -> None:
    assert words(report.waterfall(folder)) == words(report.waterfall(run))


def test_prices_and_depth_are_those_of_the_steps(run) -> None:
    prices, depth, forced = report.price_and_liquidations(run).axes
    index = run.steps["price.ETH"].to_numpy()
    drawn = next(line for line in prices.get_lines() if line.get_label() == "ETH")
    np.testing.assert_allclose(drawn.get_ydata(), index / index[0] - 1.0)
    total = run.steps["depth.perp:BTC"] + run.steps["depth.perp:ETH"]
    np.testing.assert_allclose(depth.get_lines()[0].get_ydata(), total)
    heights = sum(bar.get_height() for bar in forced.patches)
    assert heights == pytest.approx(run.outcomes["liquidated_notional"] + run.outcomes["deleveraged_notional"])


def test_bars_of_the_waterfall_start_where_the_one_before_ended_and_add_up(run) -> None:
    for panel, venue in zip(report.waterfall(run).axes, deficits(run).index, strict=True):
        first, *layers = panel.patches
        assert first.get_width() == pytest.approx(deficits(run)[venue])
        left = first.get_width()
        for bar in layers:
            assert bar.get_x() + bar.get_width() == pytest.approx(left)
            left = bar.get_x()
        assert left == pytest.approx(0.0, abs=1e-6)


def test_layers_are_the_outcomes_and_stand_in_the_order_of_the_rules(run) -> None:
    table = borne(run)
    at_perp = table.loc[table["venue"] == "perp", "layer"].unique().tolist()
    assert at_perp == ["insurance_fund", "backstop_vault", "auto_deleverage", "venue_equity"]
    for layer, amount in table.groupby("layer")["amount"].sum().items():
        assert amount == pytest.approx(run.outcomes[f"absorbed.{layer}"])


def test_bands_are_the_pairs_of_origin_and_bearer(run) -> None:
    figure = report.flows(run)
    shown = run.burden[run.burden["amount"] > 1e-6 * run.burden["amount"].sum()]
    assert len([patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]) == len(shown)


def test_circles_are_agents_and_their_areas_net_worth(run) -> None:
    before, after = report.exposure_network(run).axes[:2]
    start, end = (panel.findobj(EllipseCollection)[0] for panel in (before, after))
    assert len(start.get_offsets()) == len(end.get_offsets()) > 150
    np.testing.assert_array_equal(start.get_offsets(), end.get_offsets())
    areas = np.sort(start.get_widths())[-4:] ** 2
    # Three makers with 2m USD each, and those who hold the rest of the pool of 2m and of the vault of 50k.
    assert areas / areas[0] == pytest.approx([1.0, 1.0, 1.0, 1.025])
    assert np.all(np.isfinite(end.get_widths()))


def test_classes_of_leverage_and_size(run) -> None:
    # Hedgers: 100,000 USD of notional at leverage 3 and a wallet on top, so below 3x; net worth 133,333 USD.
    hedgers = run.agents[run.agents["group"] == "hedger"]
    leverage, size = classes(hedgers)
    assert set(leverage) == {0} and set(size) == {3}


def test_events_are_in_order_and_at_the_step_they_happened(run) -> None:
    told = events(run)
    assert [event.step for event in told] == sorted(event.step for event in told)
    first = next(event for event in told if event.words.startswith("first deficit"))
    assert first.step == int(run.steps.loc[run.steps["deficit"] > 0.01, "step"].iloc[0])
    assert any(event.words == "shock: price gap BTC -20%" and event.step == 20 for event in told)


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_figures_are_saved_for_papers_at_column_width(run, tmp_path: Path, ending: str) -> None:
    figure = report.rounds(run, width="column")
    assert figure.get_figwidth() == 3.4
    one = report.save_figure(figure, tmp_path / f"rounds.{ending}").read_bytes()
    two = report.save_figure(report.rounds(run, width="column"), tmp_path / f"rounds.{ending}").read_bytes()
    assert one == two
    if ending == "svg":
        assert re.search(r"<text[^>]*>Cascade rounds</text>", one.decode())  # text stays text


def test_wrong_choices_are_explained(run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="theme"):
        report.rounds(run, theme="sepia")
    with pytest.raises(InputError, match="width"):
        report.rounds(run, width="poster")
    with pytest.raises(InputError, match=r"\.pdf, \.svg or \.png"):
        report.save_figure(report.rounds(run), tmp_path / "rounds.gif")
    with pytest.raises(InputError, match="source"):
        report.rounds(3)
