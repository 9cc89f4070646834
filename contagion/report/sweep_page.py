"""The report of a sweep or of a comparison of policies."""

from __future__ import annotations

from functools import partial

import pandas as pd

from contagion.experiment.dictionary import define
from contagion.experiment.panel import unit_of as unit_of_draw
from contagion.report.figures.comparison import comparison
from contagion.report.figures.distribution import distribution
from contagion.report.figures.sensitivity_bars import sensitivity_bars
from contagion.report.figures.sweep_map import sweep_map
from contagion.report.intervals import QUANTILE, chances, differences, means, regrets, sensitivities, winners
from contagion.report.page import Drawing, Page, Section
from contagion.report.run_page import provenance_rows
from contagion.report.sweep_findings import DRAWN, TOLD, findings, place
from contagion.report.sweep_source import Sweep, sweep_of, unit_of


def sweep_page(source) -> Page:
    """The page of a sweep in memory."""
    sweep = sweep_of(source)
    runs, policies = sweep.runs, sweep.policies
    failed = 0 if sweep.results is None else len(sweep.results.failures)
    compared = len(policies) > 1
    return Page(
        title=sweep.name.replace("_", " "),
        kind="Report of a comparison of policies" if compared else "Report of a sweep",
        question=" ".join(
            (sweep.question or "How do outcomes depend on what is uncertain, and on what is chosen?").split()
        ),
        numbers=[
            (f"{len(runs):,}", "runs" + (f", and {failed:,} that failed" if failed else "")),
            (f"{len(policies):,}", "policies" if compared else "policy"),
            (f"{runs['world'].nunique():,}", "worlds: draws of what is uncertain"),
            (f"{runs['seed'].nunique():,}", "seeds"),
        ],
        findings=findings(sweep),
        drawings=_drawings(sweep),
        sections=_sections(sweep),
        method=_method(sweep),
        repeat=_repeat(sweep),
        provenance=_provenance(sweep),
        notes=_notes(sweep, failed),
    )


def _drawings(sweep: Sweep) -> list[Drawing]:
    drawn = []
    for outcome in sweep.outcomes[:DRAWN]:
        if sweep.runs[outcome].nunique(dropna=True) < 2:
            continue
        tag = outcome.replace(".", "-")
        if len(sweep.policies) > 1:
            words = (
                "Left: each dot is one world and seed under a policy and under the first one; the thick line is "
                "the 95% interval "
                "of the mean difference. Middle: the curve furthest to the left has the lowest values. Right: how "
                "far a policy "
                "is behind the best one of each world."
            )
            drawn.append(Drawing(f"comparison-{tag}", words, partial(comparison, sweep, outcome)))
        words = (
            "Every run, by policy; bars count runs. Lines mark the mean, the value at risk and the expected shortfall."
        )
        drawn.append(Drawing(f"distribution-{tag}", words, partial(distribution, sweep, outcome)))
        if sweep.swept:
            words = "The mean where fields take the values at the axes, and how sure it is."
            drawn.append(Drawing(f"map-{tag}", words, partial(sweep_map, sweep, outcome)))
        if (found := sensitivities(sweep, outcome)) is not None:
            words = (
                "The longer a bar, the more the outcome depends on the input; what noise of chance adds is not in it."
            )
            drawn.append(Drawing(f"inputs-{tag}", words, partial(sensitivity_bars, found, outcome)))
    return drawn


def _sections(sweep: Sweep) -> list[Section]:
    sections = []
    told = [name for name in sweep.outcomes[:TOLD] if sweep.runs[name].notna().any()]
    first = sweep.policies[0]
    for outcome in told:
        unit, table = f"[{unit_of(outcome)}]", means(sweep, outcome)
        shown = pd.DataFrame(
            {
                "policy": table.index,
                f"mean {unit}": table["mean"],
                f"95% from {unit}": table["mean_low"],
                f"to {unit}": table["mean_high"],
                f"ES {QUANTILE:.0%} {unit}": table["es"],
                f"95% from  {unit}": table["es_low"],
                f"to  {unit}": table["es_high"],
                "runs": table["pairs"],
            }
        )
        words = define([outcome])[0].meaning
        sections.append(Section(outcome, f"{words[:1].upper()}{words[1:]}.", shown))
        if len(sweep.policies) > 1:
            sections.append(_compared(sweep, outcome, first))
    if len(sweep.policies) > 1 and len(won := winners(sweep)):
        shown = pd.DataFrame(
            {
                "agents": won["agents"],
                "policy": won["policy"],
                "gain [USD]": won["difference"],
                "95% from [USD]": won["low"],
                "to [USD]": won["high"],
                "p, Holm": won["p_holm"],
                "better off in [%]": won["units_better"],
                "worse off in [%]": won["units_worse"],
            }
        )
        words = f"Mean change of net worth at the end, less that under “{first}”, by type and group of agents."
        sections.append(Section("Who wins and who loses", words, shown))
    if sweep.swept:
        sections.append(Section("What was swept", "", _fields(sweep)))
    if sweep.results is not None and len(failures := sweep.results.failures):
        counted = failures.groupby("error", sort=False).agg(
            runs=("error", "size"), policy=("policy", "first"), seed=("seed", "first")
        )
        words = "With the policy and the seed of the first run of each kind."
        sections.append(Section("Runs that failed", words, counted.reset_index()))
    rows = define([name for name in sweep.runs if sweep.runs[name].dtype.kind in "fiu" and name not in sweep.swept])
    numbers = sweep.runs[[row.name for row in rows]]
    everything = pd.DataFrame(
        {
            "column": [row.name for row in rows],
            "mean": numbers.mean().to_numpy(),
            "smallest": numbers.min().to_numpy(),
            "largest": numbers.max().to_numpy(),
            "unit": [row.unit for row in rows],
            "meaning": [row.meaning for row in rows],
        }
    )
    return [*sections, Section("All columns", "Over all runs.", everything, folded=True)]


def _compared(sweep: Sweep, outcome: str, first: str) -> Section:
    """Paired differences to the first policy, chances and regret."""
    unit, gaps = f"[{unit_of(outcome)}]", differences(sweep, outcome, first).reindex(sweep.policies)
    regret, chance = regrets(sweep, outcome), chances(sweep, outcome)
    shown = pd.DataFrame(
        {
            "policy": sweep.policies,
            f"difference {unit}": gaps["difference"],
            f"95% from {unit}": gaps["low"],
            f"to {unit}": gaps["high"],
            "p, Holm": gaps["p_holm"],
            "best with [%]": chance["probability_best"],
            f"mean regret {unit}": regret["mean_regret"],
            f"most regret {unit}": regret["max_regret"],
        }
    )
    words = (
        "Difference: on the same worlds and draws. p: probability of one as large by chance alone, adjusted for "
        "the number of "
        "policies. Best with: probability that its mean is the best."
    )
    return Section(f"{outcome}: against “{first}”", words, shown)


def _fields(sweep: Sweep) -> pd.DataFrame:
    rows = []
    for path in sweep.swept:
        values = sweep.runs[path]
        few = values.nunique() <= 8
        said = ", ".join(place(value) for value in values.drop_duplicates()) if few else (
            f"{place(values.min())} to {place(values.max())}")  # fmt: skip
        rows.append((path, said, values.nunique()))
    return pd.DataFrame(rows, columns=["field", "values", "how many"])


def _method(sweep: Sweep) -> list[str]:
    experiment = sweep.experiment
    design = experiment.design.method.replace("_", " ") if sweep.results is not None else "table"
    seeding = {
        "common": "The same seeds are used for all policies and worlds (common random numbers).",
        "by_world": "Each world and replication has a seed of its own, the same for all policies (common random "
        "numbers).",
        "independent": "Every run has a seed of its own.",
    }[experiment.seeding]
    base = experiment.scenario if isinstance(experiment.scenario, str) else "a scenario of its own"
    return [
        f"Base scenario: {base}. Design: {design}. {seeding}"
        if sweep.results is not None
        else "Runs given as a table.",
        f"A difference between two policies is taken run by run on the same world and draw, so that chance that "
        f"hits both alike "
        f"drops out. What was drawn independently here is a {unit_of_draw(experiment, sweep.runs)}; intervals are "
        f"95% bootstrap "
        "intervals over those (BCa for means), p-values come from sign flips and are adjusted after Holm. Regret "
        "is how much "
        "worse a policy is, in the mean of a world, than the best policy there.",
        "Intervals say how sure a mean over chance is. They say nothing about whether the scenario is right.",
    ]


def _repeat(sweep: Sweep) -> list[str]:
    if sweep.results is None:
        return ["# These runs were given as a table."]
    folder = sweep.results.folder
    return [
        "python -c \"import json, sys; json.dump(json.load(open(sys.argv[1]))['experiment'], "
        "open('experiment.yaml', 'w'))\" "
        f"{folder}/manifest.json",
        "contagion sweep experiment.yaml --out AGAIN",
        "contagion report AGAIN",
        f"contagion results {folder} --csv runs.csv      # all runs as a table",
    ]


def _provenance(sweep: Sweep) -> list[tuple[str, str]]:
    if sweep.results is None:
        return [("runs", f"{len(sweep.runs):,} given as a table")]
    starts = sweep.results.provenance
    manifest = {**sweep.results.manifest, **(starts[-1] if starts else {})}
    experiment = sweep.results.experiment
    rows = provenance_rows({**manifest, "seed": experiment.seed})
    return [*rows, ("starts", f"{len(starts)}, the first on {starts[0].get('created', '')}" if starts else "none")]


def _notes(sweep: Sweep, failed: int) -> list[str]:
    notes = []
    if sweep.results is not None:
        missing = len(sweep.results.plan) - len(sweep.runs) - failed
        if missing > 0:
            notes.append(f"{missing:,} runs of the plan are not done yet: figures cover those that are.")
        limits = (getattr(sweep.results, "scenario", None) or {}).get("limits")
        if limits:
            notes.append(" ".join(str(limits).split()))
    if failed:
        notes.append(f"{failed:,} runs failed and are left out; see the table of them.")
    if sweep.runs["seed"].nunique() < 10:
        notes.append("Fewer than ten seeds: intervals are rough.")
    return notes
