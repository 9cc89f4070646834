"""Observed facts beside the run: a table with ratios, and a verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagion.report.page import Section
from contagion.report.source import scenario_of
from contagion.results import RunResult

FACTOR = 1.5


def ratios(run: RunResult) -> pd.Series:
    """Simulated over observed, by check; 1 where both are 0, nan where only the observed is."""
    checks = run.facts[run.facts["role"].astype(str) == "check"]
    simulated, observed = checks["simulated"].to_numpy(float), checks["observed"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((simulated == 0.0) & (observed == 0.0), 1.0, simulated / observed)
    return pd.Series(np.where(np.isfinite(ratio), ratio, np.nan), index=checks["name"].astype(str))


def verdict(run: RunResult) -> str:
    """How many checks the run meets, and which ones it misses most, in one sentence."""
    found = ratios(run)
    if found.empty:
        return ""
    inside = int(((found >= 1.0 / FACTOR) & (found <= FACTOR)).sum())
    away = np.abs(np.log(found.where(found > 0.0))).dropna().sort_values(ascending=False, kind="stable")
    missed = [f"{name} ({found[name]:.2g} times)" for name in away.index if away[name] > np.log(FACTOR)][:3]
    said = f"The run is within a factor of {FACTOR:g} of the observed value on {inside} of {len(found)} checks"
    said += f"; furthest from it are {', '.join(missed)} what was observed." if missed else "."
    return f"{said} {_calibrated(run)}".strip()


def fact_section(run: RunResult) -> list[Section]:
    """Every fact with its role and, for checks, the ratio."""
    if not len(run.facts):
        return []
    ratio = ratios(run)
    table = pd.DataFrame(
        {
            "fact": run.facts["name"].astype(str),
            "observed": run.facts["observed"],
            "in the run": run.facts["simulated"],
            "in the run over observed": [float(ratio.get(name, np.nan)) for name in run.facts["name"].astype(str)],
            "unit": run.facts["unit"].astype(str),
            "role": run.facts["role"].astype(str),
            "source": run.facts["source"].astype(str),
        }
    )
    words = "Facts with the role input went into the scenario; a check is compared with an outcome of the run."
    return [Section("Observed facts", f"{words} {_calibrated(run)}".strip(), table)]


def _calibrated(run: RunResult) -> str:
    """A warning where the scenario's limits say that some checks were used to choose inputs."""
    limits = str(scenario_of(run).get("limits") or "")
    if "calibrat" not in limits and "chosen while looking" not in limits:
        return ""
    return "Not all checks are predictions: the scenario's limits, above, say which of them were calibrated."
