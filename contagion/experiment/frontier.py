"""The breakdown frontier: in each world, the smallest shock at which the outcome reaches a threshold, by bisection.

A world keeps its random numbers while its shock changes, so bisection is exact where a larger shock never does less
harm. That is checked: sizes over the whole range are tried first, and a world in which a smaller shock breaks what a
larger one does not is reported.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from contagion.errors import InputError
from contagion.experiment.dictionary import is_counted
from contagion.experiment.pools import GivenPool, LocalPool
from contagion.experiment.statistics import RESAMPLES
from contagion.scenario.loader import load_scenario
from contagion.scenario.names import nearest
from contagion.scenario.schema import Scenario
from contagion.streams import Streams, content_key

VENUES_FAILED = "venues_failed"
VENUES = ("defaults.exchanges", "defaults.protocols")
FIRST_LOOK = 5
"""Sizes tried over the whole range before bisection, both ends among them."""
SEED_BITS = 48


@dataclass(frozen=True)
class Frontier:
    """Smallest shocks that break each world.

    Attributes
    ----------
    worlds : DataFrame
        One row a world: ``seed``; ``frontier``, the smallest size found to break it (nan if none does); ``holds_at``,
        the largest found not to, below it (nan if all break it); ``monotone``; ``runs``; ``error`` of a failed run.
    """

    worlds: pd.DataFrame
    shock: str
    between: tuple[float, float]
    outcome: str
    threshold: float
    confidence: float

    def quantiles(self, at: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95), seed: int = 0) -> pd.DataFrame:
        """Size of the shock that breaks a share of worlds, with bootstrap intervals over worlds.

        Worlds that nothing breaks lie beyond the end of the range: a quantile among them is nan.

        Returns
        -------
        DataFrame
            ``share``, ``frontier``, ``low``, ``high`` (of the interval, from the milder to the harsher shock).
        """
        step = self._steps()
        if not len(step):
            raise InputError("worlds", len(self.worlds), "one or more worlds without failed runs")
        rng = np.random.default_rng(int(Streams(seed).generator("frontier").integers(2**63)))
        drawn = step[rng.integers(len(step), size=(RESAMPLES, len(step)))]
        # The smallest shock by which at least that share of worlds is broken, without interpolation: steps may be inf.
        value = np.quantile(step, at, method="inverted_cdf")
        bands = np.quantile(drawn, at, axis=1, method="inverted_cdf")
        ends = np.quantile(bands, [(1 - self.confidence) / 2, (1 + self.confidence) / 2], axis=1, method="inverted_cdf")
        size = {"frontier": value, "low": ends[0], "high": ends[1]}
        return pd.DataFrame({"share": list(at), **{name: self._size(steps) for name, steps in size.items()}})

    def summary(self) -> str:
        """The findings as text, at most 80 columns wide."""
        start, end = self.between
        known = self.worlds[self.worlds["error"] == ""]
        broken = known["frontier"].notna()
        lines = textwrap.wrap(
            f"Smallest {self.shock} from {start:g} towards {end:g} at which {self.outcome} reaches {self.threshold:g}, "
            f"in {len(known):,} worlds ({int(self.worlds['runs'].sum()):,} runs)", 80,
        )  # fmt: skip
        if len(known):
            lines.append(f"  {'share of worlds':<18}{'frontier':>12}{f'{100 * self.confidence:g}% interval':>26}")
            for row in self.quantiles().itertuples():
                ends = " to ".join("beyond" if value != value else f"{value:.4g}" for value in (row.low, row.high))
                value = "beyond" if row.frontier != row.frontier else f"{row.frontier:.4g}"
                lines.append(f"  {f'{row.share:.0%}':<18}{value:>12}{ends:>26}")
            lines.append(f"  {(~broken).sum():,} worlds hold over the whole range; "
                         f"{(broken & known['holds_at'].isna()).sum():,} break at its start.")  # fmt: skip
        odd = int((~known["monotone"].astype(bool)).sum())
        if odd:
            lines += textwrap.wrap(
                f"Note: in {odd:,} worlds a larger shock than the frontier did not break it; sizes in between may not "
                "either.", 80, subsequent_indent="  ",
            )  # fmt: skip
        for error, rows in self.worlds[self.worlds["error"] != ""].groupby("error", sort=False):
            lines += textwrap.wrap(f"Note: {len(rows):,} worlds failed: {error}", 80, subsequent_indent="  ")
        return "\n".join(lines) + "\n"

    def _steps(self) -> np.ndarray:
        """Distance of each frontier from the start, towards the end; inf where nothing breaks."""
        known = self.worlds.loc[self.worlds["error"] == "", "frontier"].to_numpy(dtype=float)
        return np.where(np.isnan(known), np.inf, np.abs(known - self.between[0]))

    def _size(self, steps: np.ndarray) -> np.ndarray:
        start, end = self.between
        return np.where(np.isinf(steps), np.nan, start + np.sign(end - start) * steps)


def frontier(
    scenario: Any,
    shock: str,
    between: tuple[float, float],
    outcome: str = VENUES_FAILED,
    *,
    threshold: float = 1.0,
    worlds: int = 50,
    seed: int = 1,
    tolerance: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Frontier:
    """Find in each world the smallest shock at which an outcome reaches a threshold.

    Parameters
    ----------
    shock
        Path of a number in the scenario, say ``shocks.0.size``, or several with a wildcard.
    between
        The mildest and the harshest size; the first may be the larger number.
    outcome
        A name of docs/outcomes.md, or ``venues_failed``: exchanges and protocols that failed.
    threshold
        Broken is ``outcome >= threshold``.
    worlds
        Number of seeds; all sizes of a world have the same.
    tolerance
        How close to bracket the frontier; a hundredth of the range if not given. In the unit of the shock.
    workers
        Processes; 1 makes all runs in this one.
    progress
        Called with worlds done and worlds in all.

    Raises
    ------
    InputError
        An unknown path or outcome, a range without extent, or a value the field does not accept.
    """
    start, end = (float(value) for value in between)
    if not (np.isfinite(start) and np.isfinite(end)) or start == end:
        raise InputError("between", tuple(between), "two different numbers, the milder shock first")
    tolerance = abs(end - start) / 100 if tolerance is None else tolerance
    if not tolerance > 0.0:
        raise InputError("tolerance", tolerance, "a number above 0")
    if not isinstance(worlds, int) or worlds < 1:
        raise InputError("worlds", worlds, "a whole number, 1 or more")
    base = load_scenario(scenario, dict(overrides or {}))
    for size in (start, end):
        load_scenario(base, {shock: size})
    seeds = [content_key("seed of a world", seed, world) >> (64 - SEED_BITS) for world in range(worlds)]
    _require_outcome(base, outcome, seeds[0])
    search = partial(world_frontier, base.model_dump(mode="json"), shock, (start, end), outcome, threshold, tolerance)
    rows = []
    for row in _map(search, seeds, workers, executor):
        rows.append(row)
        progress(len(rows), worlds)
    table = pd.DataFrame([{"world": world, **row} for world, row in enumerate(rows)])
    return Frontier(table, shock, (start, end), outcome, threshold, confidence)


def world_frontier(
    scenario: Mapping[str, Any], shock: str, between: tuple[float, float], outcome: str, threshold: float,
    tolerance: float, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """The frontier of one world, as a row of :attr:`Frontier.worlds`."""
    base = Scenario.model_validate(scenario)
    try:
        found = bisect(lambda size: _value(base, shock, size, outcome, seed) >= threshold, between, tolerance)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return {"seed": seed, "frontier": np.nan, "holds_at": np.nan, "monotone": True, "runs": 0, "error": reason}
    return {"seed": seed, **found, "error": ""}


def bisect(breaks: Callable[[float], bool], between: tuple[float, float], tolerance: float) -> dict[str, Any]:
    """Bracket the first size, from one end of a range, at which something breaks.

    Examples
    --------
    >>> found = bisect(lambda size: size <= -0.3, (0.0, -1.0), 0.01)
    >>> round(found["frontier"], 4), round(found["holds_at"], 4), found["monotone"], found["runs"]
    (-0.3047, -0.2969, True, 10)
    """
    tried = {float(size): breaks(float(size)) for size in np.linspace(*between, FIRST_LOOK)}
    sizes = list(tried)
    first = next((order for order, size in enumerate(sizes) if tried[size]), None)
    if first is None:
        return {"frontier": np.nan, "holds_at": sizes[-1], "monotone": True, "runs": len(tried)}
    monotone = all(tried[size] for size in sizes[first:])
    if first == 0:
        return {"frontier": sizes[0], "holds_at": np.nan, "monotone": monotone, "runs": len(tried)}
    holds, broken, runs = sizes[first - 1], sizes[first], len(tried)
    while abs(broken - holds) > tolerance:
        middle = 0.5 * (holds + broken)
        runs += 1
        holds, broken = (holds, middle) if breaks(middle) else (middle, broken)
    return {"frontier": broken, "holds_at": holds, "monotone": monotone, "runs": runs}


def _value(base: Scenario, shock: str, size: float, outcome: str, seed: int) -> float:
    found = _outcomes(base, {shock: size}, seed)
    return sum(found[name] for name in VENUES) if outcome == VENUES_FAILED else found.get(outcome, 0.0)


def _outcomes(base: Scenario, overrides: Mapping[str, Any], seed: int) -> dict[str, float]:
    from contagion.model import ContagionModel

    model = ContagionModel(load_scenario(base, overrides), rng=seed, keep_ledger=False)
    model.advance(False)
    return model.recorder.outcomes()


def _require_outcome(base: Scenario, outcome: str, seed: int) -> None:
    """Which outcomes there are depends on the scenario, so a run of one step says; counters may come later."""
    names = [VENUES_FAILED, *_outcomes(base, {"steps": 1, "shocks": []}, seed)]
    if outcome not in names and not is_counted(outcome):
        near = nearest(outcome, names) or f"; among them {', '.join(names[:6])}"
        raise InputError("outcome", outcome, f"an outcome of this scenario (docs/outcomes.md){near}")


def _map(
    search: Callable, seeds: list[int], workers: int | None, executor: Executor | None
) -> Iterator[dict[str, Any]]:
    if workers == 1 and executor is None:
        yield from map(search, seeds)
        return
    with ExitStack() as closing:
        if executor is not None:
            pool = GivenPool(executor, workers)
        else:
            pool = LocalPool(workers)
            closing.callback(pool.close)
        for future in [pool.submit(search, seed) for seed in seeds]:
            yield future.result()
