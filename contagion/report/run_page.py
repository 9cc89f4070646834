"""The report of one run."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import yaml

from contagion.experiment.dictionary import define
from contagion.provenance import scenario_hash
from contagion.report.figures.burden import burden
from contagion.report.figures.exposure_network import exposure_network
from contagion.report.figures.flows import flows
from contagion.report.figures.price_and_liquidations import caption, price_and_liquidations
from contagion.report.figures.rounds import rounds
from contagion.report.figures.time_line import time_line
from contagion.report.figures.waterfall import waterfall
from contagion.report.page import Drawing, Page, Section
from contagion.report.run_facts import fact_section
from contagion.report.run_findings import findings
from contagion.report.source import borne, drawdown, kind_of, market_assets, payer_in_words, plain, scenario_of
from contagion.report.words import glossary, usd
from contagion.results import RunResult

CHANGED = (
    " of the source, plus edits that were not committed when this was made: that commit alone may give other numbers"
)


def run_page(run: RunResult) -> Page:
    """The page of a run."""
    scenario, manifest = scenario_of(run), run.manifest
    name, seed = scenario.get("name", "run"), manifest.get("seed")
    said, drawings, sections, method = findings(run), _drawings(run), _sections(run), _method(run)
    shown = [f"{part.title} {part.words}" for part in sections if not part.folded]
    return Page(
        title=f"{plain(name)}, seed {seed}",
        kind="Report of one run",
        question=" ".join(str(scenario.get("question") or "What happened, and who paid?").split()),
        numbers=_numbers(run),
        findings=said,
        drawings=drawings,
        sections=sections,
        method=method,
        repeat=_repeat(run),
        provenance=provenance_rows(manifest),
        notes=_notes(run),
        files=_files(run),
        glossary=glossary(*said, *method, *(drawing.words for drawing in drawings), *shown),
    )


def _numbers(run: RunResult) -> list[tuple[str, str]]:
    found = run.outcomes
    asset = next(iter(market_assets(run)), None)
    left = float(found.get("unallocated", 0.0))
    return [
        *([(f"−{drawdown(run, asset):.0%}", f"{asset}, from its highest to its lowest price")] if asset else []),
        (usd(found.get("deficit", 0.0)), "deficits: what accounts and loans lacked"),
        (usd(found.get("burden.traders", 0.0)), "borne by traders for deficits of others"),
        (usd(left), "that no layer could bear"),
        (usd(found.get("system_loss", 0.0)), "lost by all agents that lost"),
    ]


def _drawings(run: RunResult) -> list[Drawing]:
    told = {
        time_line: "Events of the run in order, each at its time, under the price of the asset that fell most.",
        price_and_liquidations: caption(run),
        rounds: "A cascade is what happens at one instant: closing accounts moves the mark, which closes more "
        "accounts in "
        "the next round.",
        waterfall: "First bar: what accounts and loans lacked. Below it: how each layer of the venue's rules took "
        "its part until nothing was left. Red: nobody took it. Venues share one scale.",
        flows: "The venue in whose books a loss arose, and who bore it in the end. A vault or pool that paid "
        "passed it on to "
        "those who hold its claims.",
        exposure_network: "Each circle is a trader (or holders outside the model), beside the venue that holds "
        "most of its "
        "money; its area is its net worth, so winners grow and losers shrink. Squares are exchanges, diamonds "
        "protocols, "
        "triangles funds; red ones failed or are spent.",
        burden: "Left: the further below the dashed line, the fewer traders bear it all. Right: which traders "
        "bore it, by "
        "leverage and net worth before the shock.",
    }
    if not run.agents.loc[run.agents["type"].astype(str) == "trader", "burden"].sum() > 0.0:
        del told[burden]  # nothing lies on traders
    return [Drawing(function.__name__, words, partial(function, run)) for function, words in told.items()]


def _sections(run: RunResult) -> list[Section]:
    table = borne(run)
    sections = []
    if len(table):
        total = float(table["amount"].sum())
        layers = pd.DataFrame(
            {"venue": table["venue"].map(plain), "layer": table["layer"].map(plain),
             "payer": [payer_in_words(name, kind_of(run)) for name in table["payer"]],
             "amount [USD]": table["amount"], "of all deficits [%]": table["amount"] / total}
        )  # fmt: skip
        sections.append(Section("Who paid for the deficits", "In the order in which layers are asked.", layers))
    groups = _groups(run)
    if len(groups):
        words = (
            "What traders bore of others' deficits, and how their net worth changed in all. A burden above the "
            "change means "
            "that profits were taken."
        )
        sections.append(Section("Traders by group", words, groups))
    venues = _venues(run)
    if len(venues):
        sections.append(Section("Venues and funds", "", venues))
    sections += fact_section(run)
    sections.append(Section("All outcomes", "", outcome_table(run.outcomes), folded=True))
    return sections


def outcome_table(outcomes: dict[str, float]) -> pd.DataFrame:
    """Every outcome with its meaning, unit and denominator."""
    rows = define(outcomes)
    return pd.DataFrame(
        {"outcome": [row.name for row in rows], "value": [float(outcomes[row.name]) for row in rows],
         "unit": [row.unit for row in rows], "meaning": [row.meaning for row in rows],
         "denominator": [row.denominator for row in rows]}
    )  # fmt: skip


def _groups(run: RunResult) -> pd.DataFrame:
    traders = run.agents[run.agents["type"].astype(str) == "trader"]
    if traders.empty:
        return pd.DataFrame()
    grouped = traders.assign(payers=traders["burden"] > 0.0).groupby(traders["group"].astype(str), sort=False)
    sums = grouped[["opening_net_worth", "change", "burden"]].sum()
    return pd.DataFrame(
        {
            "group": [plain(name) for name in sums.index],
            "traders": grouped.size().to_numpy(),
            "bore anything": grouped["payers"].sum().to_numpy(),
            "opening net worth [USD]": sums["opening_net_worth"].to_numpy(),
            "change of it [USD]": sums["change"].to_numpy(),
            "burden [USD]": sums["burden"].to_numpy(),
            "burden over net worth [%]": (
                sums["burden"] / sums["opening_net_worth"].where(sums["opening_net_worth"] > 0)
            ).to_numpy(),
        }
    )


def _venues(run: RunResult) -> pd.DataFrame:
    rows = run.agents[run.agents["type"].astype(str).isin(["exchange", "protocol", "fund"])]
    return pd.DataFrame(
        {
            "name": [plain(name) for name in rows["agent"].astype(str)],
            "kind": rows["type"].astype(str).to_numpy(),
            "status": [text or "active" for text in rows["status"].astype(str)],
            "opening net worth [USD]": rows["opening_net_worth"].to_numpy(),
            "net worth at the end [USD]": rows["net_worth"].to_numpy(),
            "burden [USD]": rows["burden"].to_numpy(),
        }
    )


def _method(run: RunResult) -> list[str]:
    scenario = scenario_of(run)
    venues = {**(scenario.get("exchanges") or {}), **(scenario.get("protocols") or {})}
    traders = int((run.agents["type"].astype(str) == "trader").sum())
    feedback = {
        "full": "Executions move the index and every venue's mark.",
        "local": "Executions move the venue's mark and not the index, because the recorded path already contains them.",
        "none": "Executions pay for depth but move no price.",
    }.get(scenario.get("feedback", ""), "")
    return [
        f"An agent-based simulation of {traders:,} traders on {len(venues)} venues "
        f"({', '.join(map(plain, venues))}) over "
        f"{len(run.steps):,} steps of {_duration(scenario.get('dt', 'PT1M'))}. {feedback}",
        "In every step accounts are marked, called and liquidated in rounds until nothing more happens. A deficit "
        "is what an "
        "account lacks when it is finally closed; the venue's waterfall shares it layer by layer. Net worth of "
        "every agent is "
        "recomputed in each round and must equal what the ledger says, to a billionth.",
        "One run is one draw of chance: it shows how a cascade works, not how likely it is. Intervals need a sweep "
        "(contagion sweep) over many seeds.",
    ]


def _duration(text: str) -> str:
    seconds = pd.Timedelta(text).total_seconds()
    for unit, size in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}" + ("" if seconds == size else "s")
    return f"{seconds:g} seconds"


INSTALL = "pip install contagion-abm       # or, in a copy of the source: pip install ."


def _bundled(run: RunResult) -> bool:
    """Whether the scenario is one that comes with the package, unchanged."""
    from contagion.scenario import bundled_scenarios, load_scenario

    name = str(scenario_of(run).get("name", ""))
    return name in bundled_scenarios() and scenario_hash(
        load_scenario(name).model_dump(mode="json")) == run.manifest.get("scenario_hash")  # fmt: skip


def _repeat(run: RunResult) -> list[str]:
    known, seed = _bundled(run), run.manifest.get("seed")
    name = scenario_of(run).get("name") if known else "scenario.yaml"
    return [
        INSTALL,
        *([] if known else ["# save the file below as scenario.yaml"]),
        f"contagion run {name} --seed {seed} --out AGAIN",
        "contagion report AGAIN",
    ]


def _files(run: RunResult) -> list[tuple[str, str]]:
    """The scenario with every default, where it does not come with the package."""
    if _bundled(run) or not scenario_of(run):
        return []
    return [("scenario.yaml", yaml.safe_dump(scenario_of(run), sort_keys=False, allow_unicode=True, width=110))]


def _notes(run: RunResult) -> list[str]:
    limits = scenario_of(run).get("limits")
    notes = [" ".join(str(limits).split())] if limits else []
    if not run.manifest.get("finished", True):
        notes.insert(0, "The run was interrupted: figures cover the finished part only.")
    return notes + [str(text) for text in run.manifest.get("warnings") or ()]


def provenance_rows(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Where numbers come from: scenario, software, machine and time."""
    git = manifest.get("git") or {}
    versions = ", ".join(f"{name} {value}" for name, value in (manifest.get("versions") or {}).items())
    platform = manifest.get("platform") or {}
    commit = git.get("commit")
    rows = [
        ("made on", manifest.get("created")),
        ("scenario hash (SHA-256)", manifest.get("scenario_hash")),
        ("seed", manifest.get("seed")),
        ("commit", f"{commit}{CHANGED if git.get('dirty') else ''}" if commit else None),
        ("versions", versions),
        ("system", ", ".join(str(value) for value in platform.values())),
        *(("price file", f"{name} {value}") for name, value in (manifest.get("price_files") or {}).items()),
        *(("network file", f"{name} {value}") for name, value in (manifest.get("network_files") or {}).items()),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "")]
