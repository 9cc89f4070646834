"""The command line: reads arguments, calls the package, and turns every expected error into one line.

Exit codes: 0 done; 1 an internal error, or a conformance case that failed; 2 bad input, or results that could not be
written; 130 interrupted.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contagion.commands import Interrupted, ScenarioName, analysis, bundled_names, experiments, reports
from contagion.errors import ContagionError, InputError

if TYPE_CHECKING:
    from contagion.results import RunResult
    from contagion.scenario import Scenario

OK, INTERNAL_ERROR, CASE_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 1, 2, 130

app = typer.Typer(
    name="contagion",
    help="Loss contagion in leveraged crypto and derivatives markets: when counterparties cannot pay, who does?",
    epilog="Exit codes: 0 done, 1 internal error, 2 bad input or output that cannot be written, 130 interrupted.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a field: assets.ETH.volatility=0.9"),
]


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (or set CONTAGION_DEBUG=1).")] = False,
) -> None:
    if version:
        from contagion import __version__

        typer.echo(f"contagion {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@app.command()
def run(
    scenario: ScenarioName,
    more_prices: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    seed: Annotated[str, typer.Option(metavar="INTEGER", help="Root of every random draw.")] = "0",
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="New or empty folder; results/SCENARIO-SEED if not given.")
    ] = None,
    prices: Annotated[
        list[str] | None,
        typer.Option(metavar="[ASSET=]FILE...", help="Recorded price bars: files, folders, globs."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Recorded network, for scenarios that read one: xusd_2025.")
    ] = None,
    settings: Settings = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary: the folder only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcomes as JSON instead of the summary.")] = False,
) -> None:
    """Run a scenario, save its results and say who paid."""
    if more_prices and not prices:
        raise InputError("SCENARIO", " ".join([scenario, *more_prices]), "one; price files follow --prices")
    root = _seed(seed)
    overrides = _overrides(settings, [*(prices or ()), *(more_prices or ())])
    if network is not None:
        overrides["network.source"] = network
    # Before any work: results that could not be saved are not worth computing.
    from contagion.results import require_free, save

    loaded = _load(scenario, overrides)
    if out is None:
        out = os.path.join("results", f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', loaded.name)}-{root}")
    try:
        require_free(out)
    except InputError as error:
        raise InputError("--out", out, f"{error.accepted}; name another one with --out DIR") from error
    result = _simulate(loaded, root, quiet)
    save(result, out)
    if not result.manifest.get("finished", True):
        done, asked = result.manifest.get("steps_done", len(result.steps)), loaded.steps
        raise Interrupted(f"interrupted after {done} of {asked} steps; the finished part is in {out}")
    _show_result(result, out, quiet, as_json)


@app.command()
def scenarios(names: Annotated[bool, typer.Option("--names", help="Names only, one a line.")] = False) -> None:
    """List the bundled scenarios and the question each one asks."""
    from contagion.scenario import bundled_scenarios

    bundled = bundled_scenarios()
    if names:
        typer.echo("\n".join(bundled))
        return
    from rich.table import Table

    from contagion.terminal import stdout

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    for name, question in bundled.items():
        table.add_row(name, " ".join(question.split()))
    stdout().print(table)


@app.command()
def show(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="A bundled name, the path of a YAML file, or preset:NAME.",
            autocompletion=bundled_names,
        ),
    ],
    settings: Settings = None,
) -> None:
    """Print a scenario as YAML with every default filled in, and where the numbers of its presets come from."""
    from contagion.scenario import preset_text, scenario_text

    overrides = _overrides(settings)
    if scenario.startswith("preset:"):
        if overrides:
            raise InputError("--set", next(iter(overrides)), "a scenario to set it in; a preset is shown as it is")
        typer.echo(preset_text(scenario.removeprefix("preset:")), nl=False)
        return
    typer.echo(scenario_text(scenario, overrides or None), nl=False)


@app.command()
def validate(scenario: ScenarioName, settings: Settings = None) -> None:
    """Check a scenario: read it and open its world, without a step."""
    from contagion.model import ContagionModel

    loaded = _load(scenario, _overrides(settings))
    ContagionModel(loaded, rng=0)
    typer.echo(f"{scenario}: valid ({loaded.name}, {loaded.steps} steps)")


@app.command()
def schema(
    experiment: Annotated[bool, typer.Option("--experiment", help="Of an experiment file instead.")] = False,
) -> None:
    """Print the JSON Schema of a scenario, for editors."""
    if experiment:
        from contagion.experiment import experiment_schema as schema_of
    else:
        from contagion.scenario import scenario_schema as schema_of

    typer.echo(json.dumps(schema_of(), indent=2))


@app.command()
def conformance(
    folder: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="Folder of case files; the checkout's own if not given.")
    ] = None,
) -> None:
    """Run published cases through the model's own functions; exit code 1 if one fails."""
    from contagion.conformance import Status, run_folder
    from contagion.conformance.report import data_folder, default_folder, report
    from contagion.terminal import stdout

    outcomes = run_folder(folder or default_folder(), data_folder())
    stdout().print(report(outcomes))
    if any(outcome.status is Status.FAILED for outcome in outcomes):
        raise typer.Exit(CASE_FAILED)


@app.command()
def rules() -> None:
    """Print the rules that share a loss, and which properties each one has."""
    from contagion.rules_table import rendered

    typer.echo(rendered())


experiments.add_to(app)
analysis.add_to(app)
reports.add_to(app)


def _load(name: str, overrides: dict[str, Any]) -> Scenario:
    from contagion.scenario import load_scenario

    return load_scenario(name, overrides or None)


def _simulate(scenario: Scenario, seed: int, quiet: bool) -> RunResult:
    """The result of a run; of its finished part if the user interrupts it."""
    from contagion.model import ContagionModel
    from contagion.terminal import progress_bar, stops_between_steps

    with progress_bar(scenario.name, quiet) as bar:
        model = ContagionModel(scenario, rng=seed)
        try:
            with stops_between_steps(bar) as progress:
                return model.run(progress=progress)
        except InterruptedError:
            raise KeyboardInterrupt from None
        except KeyboardInterrupt:
            return model.result()


def _show_result(result: RunResult, folder: str, quiet: bool, as_json: bool) -> None:
    if as_json:
        outcomes = {name: value if math.isfinite(value) else None for name, value in result.outcomes.items()}
        manifest = {key: result.manifest.get(key) for key in ("seed", "scenario_hash", "steps_done", "warnings")}
        typer.echo(json.dumps({"folder": folder, **manifest, "outcomes": outcomes}, indent=2))
    elif quiet:
        typer.echo(folder)
    else:
        from contagion.terminal import stdout, summary

        console = stdout()
        console.print(summary(result))
        console.print(f"Tables and manifest: {folder}", soft_wrap=True)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise InputError("--seed", text, "a whole number, 0 or above")
    return int(text)


def _overrides(settings: list[str] | None, prices: list[str] | None = None) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for setting in settings or ():
        path, equals, text = setting.partition("=")
        if not (path and equals):
            raise InputError("--set", setting, "PATH=VALUE, say exchanges.perp.insurance_fund.size=5e6")
        overrides[path.strip()] = _value(text)
    if prices:
        if not all(part for price in prices for part in price.split("=", 1)):
            raise InputError("--prices", " ".join(prices), "FILE or ASSET=FILE, neither part empty")
        named = [price.partition("=") for price in prices if "=" in price]
        if named and len(named) < len(prices):
            raise InputError("--prices", prices, "either FILE or ASSET=FILE for all of them")
        source = {asset: file for asset, _, file in named} if named else prices
        overrides["prices"] = {"process": "file", "source": source}
    return overrides


def _value(text: str) -> Any:
    """A value as in a scenario file; numbers also as 5e6, which YAML would read as text."""
    import yaml

    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; an error becomes one line on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments or os.environ.get("CONTAGION_DEBUG", "") not in ("", "0")
    usage_error = typer.BadParameter.__base__  # its home differs between versions of typer
    if os.getcwd() not in sys.path:  # where `module:Class` of a scenario may be
        sys.path.append(os.getcwd())
    try:
        code = app(arguments, prog_name="contagion", standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return code or OK
    except usage_error as error:
        return _fail(error.format_message(), BAD_INPUT, debug, hint="see contagion --help")
    except ContagionError as error:
        return _fail(str(error), BAD_INPUT, debug)
    except Interrupted as error:
        return _fail(str(error), INTERRUPTED, debug)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; nothing was saved", INTERRUPTED, debug)
    except SystemExit as error:  # how typer and rich answer a reader, `head` say, that has seen enough
        if isinstance(error.__context__, BrokenPipeError):
            return OK
        raise
    except OSError as error:
        _drop_stdout()
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", BAD_INPUT, debug)
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"internal error: {cause}", INTERNAL_ERROR, debug, hint="CONTAGION_DEBUG=1 shows the traceback")


def _fail(message: str, code: int, debug: bool, hint: str = "") -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"contagion: {message}" + (f" ({hint})" if hint else ""), err=True)
    return code


def _drop_stdout() -> None:
    """Nothing more can be written there; without this the interpreter would complain once more at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
