"""Designs: which worlds, draws of all uncertainties at once, an experiment looks at."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from contagion.errors import InputError
from contagion.experiment.ranges import Range
from contagion.scenario.fields import Strict
from contagion.streams import Streams

Worlds = Annotated[int, Field(ge=1)]
Levels = Annotated[int, Field(ge=1)]
World = dict[str, Any]


class _Design(Strict):
    @property
    def samples(self) -> bool:
        """Whether worlds are draws from the same distribution, rather than places that are compared."""
        return False

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths that the design itself brings."""
        return ()


class Grid(_Design):
    """Every combination of the values listed; distributions are cut into `levels`."""

    method: Literal["grid"] = "grid"
    levels: Levels = 5

    def worlds(self, uncertainties: dict[str, Range], base: World, streams: Streams) -> list[World]:
        values = [spread.levels(self.levels) for spread in uncertainties.values()]
        return [dict(zip(uncertainties, world, strict=True)) for world in product(*values)]


class Sample(_Design):
    """Draws in the unit cube, turned into values by quantiles.

    ``random``: independent. ``latin_hypercube``: one draw in each of `worlds` strata of every uncertainty (McKay,
    Beckman and Conover 1979). ``sobol``, ``halton``: scrambled low-discrepancy sequences, as in SciPy; the first is
    balanced for powers of two.
    """

    method: Literal["random", "latin_hypercube", "sobol", "halton"]
    worlds_: Worlds = Field(alias="worlds")

    @property
    def samples(self) -> bool:
        return True

    def worlds(self, uncertainties: dict[str, Range], base: World, streams: Streams) -> list[World]:
        from scipy.stats import qmc

        # SciPy spawns generators of its own, which a keyed one cannot.
        dimensions, rng = len(uncertainties), np.random.default_rng(_word(streams))
        if not dimensions:
            return [{} for _ in range(self.worlds_)]
        if self.method == "random":
            points = rng.random((self.worlds_, dimensions))
        elif self.method == "sobol":
            # Drawn by powers of two, as SciPy asks; the first points of a longer sequence are those of a shorter one.
            points = qmc.Sobol(dimensions, rng=rng).random_base2((self.worlds_ - 1).bit_length())[: self.worlds_]
        else:
            sampler = {"latin_hypercube": qmc.LatinHypercube, "halton": qmc.Halton}[self.method]
            points = sampler(dimensions, rng=rng).random(self.worlds_)
        return _worlds(uncertainties, points)


class OneAtATime(_Design):
    """The scenario as it is, then each uncertainty through its levels with the others as the scenario has them."""

    method: Literal["one_at_a_time"]
    levels: Levels = 5

    def worlds(self, uncertainties: dict[str, Range], base: World, streams: Streams) -> list[World]:
        moved = [
            {**base, path: value} for path, spread in uncertainties.items() for value in spread.levels(self.levels)
        ]
        found: list[World] = [base]
        for world in moved:
            if world not in found:
                found.append(world)
        return found


class Morris(_Design):
    """Trajectories of one-at-a-time steps (Morris 1991; by SALib): `trajectories` times (uncertainties + 1) worlds."""

    method: Literal["morris"]
    trajectories: Worlds = 10
    levels: Annotated[int, Field(ge=2, multiple_of=2)] = 4

    def points(self, uncertainties: dict[str, Range], streams: Streams) -> np.ndarray:
        """Quantiles of the worlds, shape (worlds, uncertainties): elementary effects are per step of these."""
        from SALib.sample import morris

        return morris.sample(problem(uncertainties), self.trajectories, num_levels=self.levels, seed=_word(streams))

    def worlds(self, uncertainties: dict[str, Range], base: World, streams: Streams) -> list[World]:
        return _worlds(uncertainties, self.points(uncertainties, streams))


class Saltelli(_Design):
    """Sobol' indices need these (Saltelli 2002; by SALib): `base` times (uncertainties + 2) worlds.

    With `second_order`, `base` times (2 uncertainties + 2).
    """

    method: Literal["saltelli"]
    base: Worlds = 64
    second_order: bool = False

    def worlds(self, uncertainties: dict[str, Range], base: World, streams: Streams) -> list[World]:
        from SALib.sample import sobol

        points = sobol.sample(
            problem(uncertainties), self.base, calc_second_order=self.second_order, seed=_word(streams)
        )
        return _worlds(uncertainties, points)


class Table(_Design):
    """Worlds written out, one mapping of paths to values each."""

    method: Literal["table"]
    rows: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for row in self.rows for path in row))

    def worlds(self, uncertainties: dict[str, Range], base: World, streams: Streams) -> list[World]:
        return [dict(row) for row in self.rows]


METHODS = {
    "grid": Grid, "random": Sample, "latin_hypercube": Sample, "sobol": Sample, "halton": Sample,
    "one_at_a_time": OneAtATime, "morris": Morris, "saltelli": Saltelli, "table": Table,
}  # fmt: skip


def _read(value: Any) -> Any:
    if isinstance(value, str):
        value = {"method": value}
    if not isinstance(value, dict):
        return value
    method = value.get("method", "grid")
    if method not in METHODS:
        raise InputError("method", method, f"one of {', '.join(METHODS)}")
    return {"method": method, **value}


Design = Annotated[
    Annotated[Grid | Sample | OneAtATime | Morris | Saltelli | Table, Field(discriminator="method")],
    BeforeValidator(_read),
]


def problem(uncertainties: dict[str, Range]) -> dict[str, Any]:
    """The uncertainties in SALib's words; its bounds are quantiles, since values come from :meth:`Range.at`."""
    return {"num_vars": len(uncertainties), "names": list(uncertainties), "bounds": [[0.0, 1.0]] * len(uncertainties)}


def _worlds(uncertainties: dict[str, Range], points: np.ndarray) -> list[World]:
    columns = [spread.at(column) for spread, column in zip(uncertainties.values(), points.T, strict=True)]
    return [dict(zip(uncertainties, row, strict=True)) for row in zip(*columns, strict=True)]


def _word(streams: Streams) -> int:
    return int(streams.generator("design").integers(2**31))
