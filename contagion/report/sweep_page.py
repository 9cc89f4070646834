"""The report of a sweep or of a comparison of policies."""

from __future__ import annotations

import math
from functools import partial

import pandas as pd
import yaml

from contagion.experiment.dictionary import define
from contagion.experiment.panel import unit_of as unit_of_draw
from contagion.report.figures.comparison import comparison
from contagion.report.figures.distribution import distribution
from contagion.report.figures.sensitivity_bars import sensitivity_bars
from contagion.report.figures.sweep_map import sweep_map
from contagion.report.intervals import QUANTILE, chances, differences, means, regrets, sensitivities, winners
from contagion.report.page import Drawing, Page, Section
from contagion.report.policies import column_section, layer_section, policy_section
from contagion.report.run_page import INSTALL, provenance_rows
from contagion.report.sweep_findings import DRAWN, TOLD, findings, place
from contagion.report.sweep_source import Sweep, sweep_of, unit_of
from contagion.report.sweep_winners import TYPES, agents_in_words, net_change
from contagion.report.words import glossary
from contagion.scenario import bundled_scenarios


def sweep_page(source) -> Page:
    """The page of a sweep in memory."""
    sweep = sweep_of(source)
    runs, policies = sweep.runs, sweep.policies
    failed = 0 if sweep.results is None else len(sweep.results.failures)
    compared = len(policies) > 1
    worlds, seeds = runs["world"].nunique(), runs["seed"].nunique()
    numbers = [
        (f"{len(runs):,}", "runs" + (f", and {failed:,} that failed" if failed else "")),
        (f"{len(policies):,}", "policies" if compared else "policy"),
        *([(f"{worlds:,}", "worlds: draws of what is uncertain")] if worlds > 1 else []),
        (f"{seeds:,}", "seeds" + (f", derived from master seed {sweep.experiment.seed}" if sweep.results else "")),
    ]
    said, setting, sections, method = findings(sweep), _setting(sweep), _sections(sweep), _method(sweep)
    drawings = _drawings(sweep)
    return Page(
        title=sweep.name.replace("_", " "),
        kind="Report of a comparison of policies" if compared else "Report of a sweep",
        question=" ".join(
            (sweep.question or "How do outcomes depend on what is uncertain, and on what is chosen?").split()
        ),
        numbers=numbers,
        findings=said,
        drawings=drawings,
        sections=sections,
        method=method,
        repeat=_repeat(sweep),
        provenance=_provenance(sweep),
        notes=_notes(sweep, failed),
        setting=setting,
        files=_files(sweep),
        glossary=glossary(
            *said, *method, *(drawing.words for drawing in drawings), *map(_words_of, setting + sections)
        ),
    )


def _words_of(section: Section) -> str:
    """What of a table may need a glossary."""
    table = section.table
    first = "" if section.folded else " ".join(table.iloc[:, 0].astype(str))
    return f"{section.title} {section.words} {' '.join(map(str, table))} {first}"


def _setting(sweep: Sweep) -> list[Section]:
    """The base scenario and the policies."""
    if sweep.results is None:
        return []
    scenario = sweep.results.scenario
    rows = [(name, " ".join(str(scenario.get(key) or "").split())) for name, key in
            (("name", "name"), ("its question", "question"), ("its limits", "limits"))]
    table = pd.DataFrame([row for row in rows if row[1]], columns=["", "base scenario"])
    return [Section("The base scenario", "", table), *policy_section(sweep)]


def _drawings(sweep: Sweep) -> list[Drawing]:
    drawn = []
    for outcome in sweep.outcomes[:DRAWN]:
        if sweep.runs[outcome].nunique(dropna=True) < 2:
            continue
        tag = outcome.replace(".", "-")
        if len(sweep.policies) > 1:
            words = (
                f"Left: each dot is one run under a policy less the same run under “{sweep.policies[0]}”; the thick "
                "line is the 95% interval of the mean difference. Next to it: the curve furthest to the left has the "
                "lowest values; curves that cross mean that neither policy is better for everyone."
            )
            if sweep.runs["world"].nunique() > 1:
                words += " Right: how far a policy is behind the best one of each world."
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
    sections += layer_section(sweep)
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
        rests = _tail_runs(int(table["pairs"].max()))
        sections.append(Section(outcome, f"{words[:1].upper()}{words[1:]}. {rests}", shown))
        if len(sweep.policies) > 1 and sweep.runs[outcome].nunique() > 1:
            sections.append(_compared(sweep, outcome, first))
    if len(sweep.policies) > 1 and len(won := winners(sweep)):
        sections.append(_won(sweep, won, first))
    if sweep.swept:
        sections.append(Section("What was swept", "", _fields(sweep)))
    if sweep.results is not None and len(failures := sweep.results.failures):
        counted = failures.groupby("error", sort=False).agg(
            runs=("error", "size"), policy=("policy", "first"), seed=("seed", "first")
        )
        words = "With the policy and the seed of the first run of each kind."
        sections.append(Section("Runs that failed", words, counted.reset_index()))
    return [*sections, column_section(sweep)]


def _tail_runs(runs: int) -> str:
    """How many runs an expected shortfall is the mean of."""
    inside = max(1, math.ceil(round((1.0 - QUANTILE) * runs, 9)))
    return f"ES {QUANTILE:.0%} of {runs:,} runs rests on {inside:,} run{'' if inside == 1 else 's'}."


def _won(sweep: Sweep, won: pd.DataFrame, first: str) -> Section:
    """Change of net worth by type and group of agents, and the sum over types."""
    shown = pd.DataFrame(
        {
            "agents": [("traders: " if row.kind == "group" else "") + agents_in_words(row.agents)
                       for row in won.itertuples()],
            "policy": won["policy"],
            "gain [USD]": won["difference"],
            "95% from [USD]": won["low"],
            "to [USD]": won["high"],
            "p, Holm": won["p_holm"],
            "better off in [%]": won["units_better"],
            "worse off in [%]": won["units_worse"],
        }
    )  # fmt: skip
    nets = [(policy, net_change(sweep, policy)) for policy in sweep.policies[1:]]
    sums = pd.DataFrame(
        {"agents": "sum over all types", "policy": [policy for policy, _ in nets],
         "gain [USD]": [net.value for _, net in nets], "95% from [USD]": [net.low for _, net in nets],
         "to [USD]": [net.high for _, net in nets]}
    )  # fmt: skip
    shown = pd.concat([shown, sums], ignore_index=True)
    shown = shown[(shown["gain [USD]"].abs() >= 0.01) | (shown["agents"] == "sum over all types")]
    words = (
        f"Mean change of net worth at the end, less that under “{first}”. The groups of traders add up to all traders; "
        f"the types ({', '.join(agents_in_words(name) for name in TYPES)}) to the sum."
    )
    return Section("Who wins and who loses", words, shown)


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
        }
    )
    words = (
        "Difference: on the same worlds and draws. p: probability of one as large by chance alone, adjusted for "
        "the number of policies. Best with: probability that its mean is the best."
    )
    if sweep.runs["world"].nunique() > 1:
        shown[f"mean regret {unit}"] = regret["mean_regret"].to_numpy()
        shown[f"most regret {unit}"] = regret["max_regret"].to_numpy()
        words += " Regret: how far it is behind the best policy of each world."
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
    worlds = "One world" if sweep.runs["world"].nunique() == 1 else f"Design of the worlds: {design}"
    return [
        f"Base scenario: {base}. {worlds}. {seeding}"
        if sweep.results is not None
        else "Runs given as a table.",
        f"A difference between two policies is taken run by run on the same world and draw, so that chance that "
        f"hits both alike "
        f"drops out. What was drawn independently here is a {unit_of_draw(experiment, sweep.runs)}; intervals are "
        f"95% bootstrap "
        "intervals over those (BCa for means), p-values come from sign flips and are adjusted after Holm."
        + (" Regret is how much worse a policy is, in the mean of a world, than the best policy there."
           if sweep.runs["world"].nunique() > 1 else ""),
        "Intervals say how sure a mean over chance is. They say nothing about whether the scenario is right.",
    ]


def _repeat(sweep: Sweep) -> list[str]:
    if sweep.results is None:
        return ["# These runs were given as a table."]
    return [
        INSTALL,
        "# save the file below as experiment.yaml",
        "contagion sweep experiment.yaml --out AGAIN",
        "contagion report AGAIN",
        "contagion results AGAIN --csv runs.csv      # all runs as a table",
    ]


def _files(sweep: Sweep) -> list[tuple[str, str]]:
    """The experiment as a file, so that whoever holds this page alone can repeat it."""
    if sweep.results is None:
        return []
    told = dict(sweep.results.manifest["experiment"])
    if isinstance(told["scenario"], str) and told["scenario"] not in bundled_scenarios():
        told |= {"scenario": sweep.results.scenario, "overrides": {}}  # its file is not at hand elsewhere
    told = {name: value for name, value in told.items() if value is not False and value not in (None, "", {}, [])}
    return [("experiment.yaml", yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110))]


def _provenance(sweep: Sweep) -> list[tuple[str, str]]:
    if sweep.results is None:
        return [("runs", f"{len(sweep.runs):,} given as a table")]
    starts = sweep.results.provenance
    manifest = {**sweep.results.manifest, **(starts[-1] if starts else {})}
    experiment = sweep.results.experiment
    rows = provenance_rows({**manifest, "seed": f"{experiment.seed}, the master seed that all others derive from"})
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
