"""Sensitivity indices of functions whose indices are known, through the folder of a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_sweeps import INPUTS, made_up, two_policies

from contagion.cli import main
from contagion.errors import InputError
from contagion.experiment.plan import Run
from contagion.experiment.sensitivity import Sensitivity, noise_share, sensitivity

RANGES = {INPUTS[0]: {"uniform": [0.1, 0.9]}, INPUTS[1]: {"uniform": [0.1, 0.9]}, INPUTS[2]: {"uniform": [0, 8e5]}}


def unit_cube(run: Run) -> np.ndarray:
    values = np.array([run.overrides[path] for path in INPUTS])
    return (values - [0.1, 0.1, 0.0]) / [0.8, 0.8, 8e5]


def ishigami(run: Run) -> dict[str, float]:
    """sin x1 + 7 sin^2 x2 + 0.1 x3^4 sin x1 on [-pi, pi]^3 (Ishigami and Homma 1990)."""
    x = np.pi * (2.0 * unit_cube(run) - 1.0)
    return {"deficit": float(np.sin(x[0]) + 7.0 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0]))}


def linear(run: Run) -> dict[str, float]:
    """3 u1 - u2 on the unit cube: elementary effects 3, -1 and 0 wherever they are taken."""
    u = unit_cube(run)
    return {"deficit": float(3.0 * u[0] - u[1])}


def value(found: Sensitivity, name: str, index: str) -> float:
    rows = found.indices
    return float(rows[(rows["input"] == name) & (rows["index_name"] == index)]["value"].iloc[0])


@pytest.fixture(scope="module")
def of_ishigami(tmp_path_factory: pytest.TempPathFactory) -> Sensitivity:
    design = {"method": "saltelli", "base": 512, "second_order": True}
    results = made_up(tmp_path_factory.mktemp("sobol") / "a", ishigami, uncertainties=RANGES, design=design)
    return sensitivity(results, "deficit")


def test_sobol_indices_of_ishigami(of_ishigami: Sensitivity) -> None:
    """First order 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437; second order of the first and third 0.2437."""
    expected = {"S1": (0.3139, 0.4424, 0.0), "ST": (0.5576, 0.4424, 0.2437)}
    for index, numbers in expected.items():
        for name, number in zip(INPUTS, numbers, strict=True):
            assert value(of_ishigami, name, index) == pytest.approx(number, abs=0.05)
    assert value(of_ishigami, f"{INPUTS[0]} x {INPUTS[2]}", "S2") == pytest.approx(0.2437, abs=0.08)
    assert value(of_ishigami, f"{INPUTS[0]} x {INPUTS[1]}", "S2") == pytest.approx(0.0, abs=0.08)


def test_their_intervals_hold_the_known_values(of_ishigami: Sensitivity) -> None:
    first = of_ishigami.indices[of_ishigami.indices["index_name"] == "S1"]
    assert ((first["low"] < [0.3139, 0.4424, 0.0]) & (first["high"] > [0.3139, 0.4424, 0.0])).all()


def test_the_text_fits_a_terminal(of_ishigami: Sensitivity) -> None:
    assert max(map(len, of_ishigami.summary().splitlines())) <= 80


def test_elementary_effects_of_a_linear_function(tmp_path: Path) -> None:
    results = made_up(
        tmp_path / "a", linear, uncertainties=RANGES, design={"method": "morris", "trajectories": 6, "levels": 4}
    )
    found = sensitivity(results, "deficit")
    assert [value(found, name, "mu_star") for name in INPUTS] == pytest.approx([3.0, 1.0, 0.0], abs=1e-9)
    assert [value(found, name, "mu") for name in INPUTS] == pytest.approx([3.0, -1.0, 0.0], abs=1e-9)
    assert [value(found, name, "sigma") for name in INPUTS] == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
    assert (found.indices["high"] - found.indices["low"]).max() < 1e-9


@pytest.mark.parametrize("method", ["pawn", "delta"])
def test_distances_rank_inputs_above_one_that_cannot_matter(tmp_path: Path, method: str) -> None:
    """Of 3 u1 - u2 the first input matters most, and the third no more than random numbers do."""
    results = made_up(tmp_path / "a", linear, uncertainties=RANGES, design={"method": "random", "worlds": 200})
    found = sensitivity(results, "deficit", method=method, resamples=16)
    first, second, third = (value(found, name, method) for name in INPUTS)
    nothing = value(found, "(none)", method)
    assert first > 2 * second > 0 and second > nothing and third < second
    assert (found.indices["low"] < found.indices["high"]).all()


def test_asking_twice_gives_the_same_and_touches_no_global_state(tmp_path: Path) -> None:
    results = made_up(tmp_path / "a", linear, uncertainties=RANGES, design={"method": "random", "worlds": 60})
    np.random.seed(3)
    untouched = np.random.random()
    np.random.seed(3)
    sensitivity(results, "deficit", method="delta", resamples=2)
    assert np.random.random() == untouched
    one, two = (sensitivity(results, "deficit", resamples=16) for _ in range(2))
    assert one.indices.equals(two.indices)


def test_noise_of_replications_is_told_from_what_inputs_do() -> None:
    """World means of variance 9 and noise of variance 4 in 8 replications: 0.5 of 9.5."""
    rng = np.random.default_rng(1)
    values = rng.normal(0, 3, (4000, 1)) + rng.normal(0, 2, (4000, 8)) + rng.normal(0, 50, (1, 8))
    assert noise_share(values) == pytest.approx(0.5 / 9.5, rel=0.05)
    assert np.isnan(noise_share(values[:, :1]))


def test_replications_are_averaged_and_the_noise_that_is_left_is_said(tmp_path: Path) -> None:
    def noisy(run: Run) -> dict[str, float]:
        return {"deficit": linear(run)["deficit"] + 0.5 * np.random.default_rng([run.seed, run.world]).normal()}

    morris = {"uncertainties": RANGES, "design": {"method": "morris", "trajectories": 8}}
    found = sensitivity(made_up(tmp_path / "a", noisy, replications=4, **morris), "deficit")
    assert found.replications == 4 and 0.01 < found.noise_share < 0.3
    assert any("share their seeds" in note for note in found.notes)
    alone = sensitivity(made_up(tmp_path / "b", noisy, **morris), "deficit")
    assert np.isnan(alone.noise_share) and any("cannot be told apart" in note for note in alone.notes)
    assert "unknown: one replication" in alone.summary() and alone.as_dict()["noise_share"] is None
    first = found.indices.iloc[0]
    assert first["low"] < 3.0 < first["high"]


def test_failed_worlds_are_left_out_or_refused(tmp_path: Path) -> None:
    def failing(run: Run) -> dict[str, float] | None:
        return None if run.world == 7 else linear(run)

    sampled = made_up(tmp_path / "a", failing, uncertainties=RANGES, design={"method": "random", "worlds": 60})
    found = sensitivity(sampled, "deficit", resamples=4)
    assert found.worlds == 59 and any("1 of 60 worlds left out" in note for note in found.notes)
    screened = made_up(tmp_path / "b", failing, uncertainties=RANGES, design={"method": "morris", "trajectories": 4})
    with pytest.raises(InputError, match="world 7 lacks it"):
        sensitivity(screened, "deficit")


def test_bad_questions_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sampled = {"uncertainties": RANGES, "design": {"method": "random", "worlds": 30}}
    results = two_policies(tmp_path / "a", linear, replications=1, **sampled)
    with pytest.raises(InputError, match="one of plain, other; nearest: other"):
        sensitivity(results, "deficit", policy="othr")
    with pytest.raises(InputError, match="nearest: deficit"):
        sensitivity(results, "deficitt", policy="other")
    with pytest.raises(InputError, match="design morris"):
        sensitivity(results, "deficit", policy="other", method="morris")
    with pytest.raises(InputError, match="one of morris, sobol, pawn, delta"):
        sensitivity(results, "deficit", policy="other", method="anova")
    grid = made_up(tmp_path / "b", linear, uncertainties=RANGES, design={"method": "grid", "levels": 3})
    with pytest.raises(InputError, match="worlds that are sampled"):
        sensitivity(grid, "deficit")
    flat = made_up(tmp_path / "c", lambda run: {"deficit": 1.0}, **sampled)
    with pytest.raises(InputError, match="never varies"):
        sensitivity(flat, "deficit")
    few = made_up(tmp_path / "d", linear, uncertainties=RANGES, design={"method": "random", "worlds": 5})
    with pytest.raises(InputError, match="20 or more"):
        sensitivity(few, "deficit")
    assert main(["sensitivity", str(tmp_path / "a"), "--policy", "plain", "--outcome", "deficit"]) == 0
    assert "pawn" in capsys.readouterr().out
    assert main(["sensitivity", str(tmp_path / "c"), "--outcome", "deficit"]) == 2
