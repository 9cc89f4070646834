"""Designs against what defines them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats

from contagion.experiment.designs import Design
from contagion.experiment.ranges import Range
from contagion.streams import Streams

UNIT = {"a": Range.model_validate({"uniform": [0, 1]}), "b": Range.model_validate({"uniform": [0, 1]})}


def worlds(design, uncertainties=UNIT, base=None, seed=3):
    chosen = TypeAdapter(Design).validate_python(design)
    return chosen.worlds(uncertainties, base or {"a": 0.5, "b": 0.5}, Streams(seed))


def points(design) -> np.ndarray:
    return np.array([[world["a"], world["b"]] for world in worlds(design)])


def test_a_grid_is_every_combination() -> None:
    listed = {"a": Range.model_validate([1, 2]), "b": Range.model_validate(["x", "y", "z"])}
    found = worlds("grid", listed)
    assert len(found) == 6 and {(world["a"], world["b"]) for world in found} == {
        (a, b) for a in (1, 2) for b in ("x", "y", "z")
    }
    assert len(worlds({"method": "grid", "levels": 3})) == 9
    assert worlds("grid", {}) == [{}]


@pytest.mark.parametrize("method", ["random", "latin_hypercube", "sobol", "halton"])
def test_samples_fill_the_square_and_depend_on_the_seed(method: str) -> None:
    design = {"method": method, "worlds": 64}
    found = points(design)
    assert found.shape == (64, 2) and (found >= 0).all() and (found <= 1).all()
    assert abs(found.mean() - 0.5) < 0.1
    assert np.array_equal(found, points(design)) and worlds(design) != worlds(design, seed=4)


def test_a_latin_hypercube_has_one_point_in_each_stratum() -> None:
    found = points({"method": "latin_hypercube", "worlds": 50})
    for column in found.T:
        assert sorted((column * 50).astype(int)) == list(range(50))


def test_a_sobol_sequence_is_balanced_and_grows() -> None:
    """Of 2^m points one is in each of 2^m strata of a coordinate (property A of a (t, m, s)-net with t = 0)."""
    found = points({"method": "sobol", "worlds": 32})
    for column in found.T:
        assert sorted((column * 32).astype(int)) == list(range(32))
    assert np.array_equal(points({"method": "sobol", "worlds": 20}), found[:20])


def test_one_at_a_time_moves_one_and_names_the_base_once() -> None:
    found = worlds({"method": "one_at_a_time", "levels": 3})
    assert found[0] == {"a": 0.5, "b": 0.5} and len(found) == 1 + 2 * 2  # the middle level is the base
    assert all(sum(world[name] != 0.5 for name in world) <= 1 for world in found)


def test_morris_steps_one_uncertainty_at_a_time() -> None:
    """A trajectory of k + 1 points moves each of k uncertainties once, by levels / (2 (levels - 1)): 2/3 for four."""
    state = np.random.get_state()[1].copy()
    found = points({"method": "morris", "trajectories": 5, "levels": 4}).reshape(5, 3, 2)
    steps = np.abs(np.diff(found, axis=1))
    assert np.allclose(np.sort(steps, axis=2), [0.0, 2 / 3])
    assert (steps.argmax(axis=2).sum(axis=1) == 1).all()  # one step in a, one in b
    assert (np.random.get_state()[1] == state).all()


@pytest.mark.parametrize(("second", "factor"), [(False, 4), (True, 6)])
def test_saltelli_has_its_number_of_worlds(second: bool, factor: int) -> None:
    assert len(worlds({"method": "saltelli", "base": 8, "second_order": second})) == 8 * factor


def test_a_table_is_as_written() -> None:
    rows = [{"steps": 3}, {"steps": 4}]
    assert worlds({"method": "table", "rows": rows}, {}) == rows


SHAPES = {
    "uniform": ([2.0, 5.0], stats.uniform(2, 3)),
    "log_uniform": ([1.0, 100.0], stats.loguniform(1, 100)),
    "triangular": ([0.0, 1.0, 4.0], stats.triang(0.25, 0, 4)),
    "normal": ([1.0, 2.0], stats.norm(1, 2)),
    "lognormal": ([3.0, 0.5], stats.lognorm(0.5, scale=3)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles_are_those_of_the_distribution(shape: str) -> None:
    given_, distribution = SHAPES[shape]
    quantiles = np.array([0.01, 0.2, 0.5, 0.9])
    assert np.allclose(Range.model_validate({shape: given_}).at(quantiles), distribution.ppf(quantiles))


@given(st.integers(-5, 5), st.integers(1, 6), st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=30)
def test_whole_numbers_are_within_their_range_and_equally_likely(low: int, width: int, quantiles: list[float]) -> None:
    found = Range.model_validate({"integer": [low, low + width]})
    assert all(isinstance(value, int) and low <= value <= low + width for value in found.at(np.array(quantiles)))
    middles = (np.arange(width + 1) + 0.5) / (width + 1)
    assert found.at(middles) == list(range(low, low + width + 1)) == found.levels(width + 1)
