"""``contagion compare``, ``contagion sensitivity`` and ``contagion frontier``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from contagion.commands import Interrupted, ScenarioName, bundled_names
from contagion.errors import ContagionError, InputError

AsJson = Annotated[bool, typer.Option("--json", help="Tables as JSON instead of text.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes on this machine; by default all cores.")]
Outcomes = Annotated[
    list[str] | None, typer.Option("--outcome", metavar="NAME", help="Of docs/outcomes.md; may be repeated.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(compare)
    app.command()(sensitivity)
    app.command()(frontier)


def compare(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="A scenario, an experiment file, or the folder of a sweep.",
            autocompletion=bundled_names,
        ),
    ],
    policies: Annotated[
        str | None, typer.Option(metavar="FILE", help="YAML: a name for each policy, and the fields it sets.")
    ] = None,
    runs: Annotated[int, typer.Option(min=2, help="Of each policy, on the same worlds.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random draw.")] = 1,
    outcomes: Outcomes = None,
    base: Annotated[str | None, typer.Option(metavar="POLICY", help="The one others are set against.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of the runs and tables.")] = None,
    workers: Workers = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare policies on the same worlds: differences, their chance, dominance, regret, who wins and who loses."""
    from contagion.experiment import comparison
    from contagion.experiment.store import MANIFEST
    from contagion.experiment.sweeps import sweep
    from contagion.scenario.yaml_file import read_yaml

    place, chosen = Path(scenario), tuple(outcomes or ())
    try:
        if (place / MANIFEST).is_file() and policies is None:
            found = comparison.compare_runs(place, chosen, base=base)
        elif policies is None and place.is_file():
            stored = sweep(place, out, workers=workers, resume=True, progress=not quiet)
            found = comparison.compare_runs(stored, chosen, base=base)
        elif policies is None:
            accepted = "a YAML file, unless SCENARIO is an experiment file or the folder of a sweep"
            raise InputError("--policies", None, accepted)
        else:
            data = read_yaml(_text(policies), policies)
            if not isinstance(data, dict) or not all(isinstance(own, dict) for own in data.values()):
                raise InputError("--policies", policies, "a name for each policy, with path: value below it")
            found = comparison.compare(
                scenario, data, runs, seed, outcomes=chosen or comparison.DEFAULT_OUTCOMES, out=out, workers=workers,
                progress=not quiet, base=base,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise Interrupted("interrupted; runs that are done are kept, the same command goes on") from None
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.summary(), nl=as_json)


def sensitivity(
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder of a sweep whose worlds are sampled.")],
    outcome: Annotated[str | None, typer.Option(metavar="NAME", help="The experiment's first if not given.")] = None,
    method: Annotated[
        str | None, typer.Option(help="morris, sobol, pawn or delta; by default what the design is for.")
    ] = None,
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="Needed where there are several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which uncertainties an outcome depends on, and how much of it is chance."""
    from contagion.experiment.sensitivity import sensitivity as analyse

    found = analyse(path, outcome, method=method, policy=policy)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        typer.echo(found.summary(), nl=False)


def frontier(
    scenario: ScenarioName,
    shock: Annotated[str, typer.Option(metavar="PATH", help="A number of the scenario: shocks.0.size")],
    between: Annotated[tuple[float, float], typer.Option(metavar="MILD HARSH", help="Its range.")],
    outcome: Annotated[str, typer.Option(metavar="NAME", help="What breaks, of docs/outcomes.md.")] = "venues_failed",
    threshold: Annotated[float, typer.Option(help="From where on it counts as broken.")] = 1.0,
    worlds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Root of the seeds.")] = 1,
    tolerance: Annotated[float | None, typer.Option(help="How close; 1% of the range if not given.")] = None,
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write a row per world there.")] = None,
    workers: Workers = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find in each world the smallest shock at which the first venue fails, by bisection."""
    from contagion.experiment.frontier import frontier as search
    from contagion.terminal import progress_bar

    with progress_bar(Path(scenario).stem, quiet, "worlds") as progress:
        found = search(
            scenario, shock, between, outcome, threshold=threshold, worlds=worlds, seed=seed, tolerance=tolerance,
            workers=workers, progress=progress,
        )  # fmt: skip
    if csv is not None:
        try:
            found.worlds.to_csv(csv, index=False, lineterminator="\n")
        except OSError as error:
            raise ContagionError(f"{csv} could not be written: {error.strerror or error}") from error
    if as_json:
        typer.echo(json.dumps({"quantiles": _records(found.quantiles()), "worlds": _records(found.worlds)}, indent=2))
    else:
        typer.echo(found.summary(), nl=False)


def _records(frame: Any) -> list[dict[str, Any]]:
    """Rows as plain values; what is not a number is null."""
    return json.loads(frame.to_json(orient="records", double_precision=15))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("--policies", path, f"a readable text file ({error})") from None
