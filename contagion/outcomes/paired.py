"""Outcomes that take two runs on the same draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contagion.scenario.schema import Scenario


class Amplification(NamedTuple):
    """System losses of a run and of its pair without feedback. [USD]"""

    amplification: float  # the first less the second
    system_loss: float
    without_feedback: float


def amplification(scenario: Scenario | str, seed: int) -> Amplification:
    """What forced and other trading adds to the loss by moving prices.

    The system loss of a run, less that of the run with the same seed (same population, shocks and draws) in which
    order flow moves no price (``feedback: none``). Negative where feedback helped losers on balance.

    Parameters
    ----------
    scenario : Scenario or str
        A scenario, a bundled name, or the path of a YAML file.
    seed : int
        Of both runs.
    """
    from contagion.model import ContagionModel
    from contagion.scenario.loader import load_scenario

    pair = (load_scenario(scenario), load_scenario(scenario, {"feedback": "none"}))
    with_it, without = (
        ContagionModel(one, rng=seed, keep_ledger=False).run().outcomes["system_loss"] for one in pair
    )
    return Amplification(with_it - without, with_it, without)
