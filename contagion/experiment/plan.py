"""The plan: every run an experiment asks for, each with a key that says whether it has been done already."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from contagion.errors import InputError
from contagion.experiment.dictionary import defined, is_known
from contagion.experiment.file import Experiment
from contagion.scenario.loader import load_scenario
from contagion.scenario.names import nearest
from contagion.scenario.overrides import resolve
from contagion.scenario.schema import Scenario
from contagion.streams import Streams, content_key

RESULTS_VERSION = 2
"""Raised whenever a run of the same scenario and seed gives other numbers: older runs then count as not done."""

SEED_BITS = 48
_OWN_RULE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the plan: `policy` on `world` for the `replication`-th time."""

    key: str
    policy: str
    world: int
    replication: int
    seed: int
    mirrored: bool
    overrides: dict[str, Any]

    @property
    def place(self) -> tuple[int, str, int]:
        """Runs that stand together can share a loaded scenario."""
        return self.world, self.policy, self.replication


class Plan:
    """Policies, worlds and seeds of an experiment.

    Attributes
    ----------
    experiment : Experiment
    scenario : Scenario
        The base scenario, `overrides` included.
    worlds : list of dict
        Path -> value, one mapping a world.
    """

    def __init__(self, experiment: Experiment, scenario: Scenario, worlds: list[dict[str, Any]]) -> None:
        self.experiment, self.scenario, self.worlds = experiment, scenario, worlds
        self.policies = experiment.policies
        self._read: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        """Runs of one replication."""
        return len(self.worlds) * len(self.policies)

    def runs(self, replications: range) -> Iterator[Run]:
        """The runs of these replications, in the order rows have in the results."""
        for replication, (world, draw), (policy, lever) in product(
            replications, enumerate(self.worlds), self.policies.items()
        ):
            seed, mirrored = self._seed(policy, world, replication)
            overrides = {**draw, **lever}
            yield Run(self._key(overrides, seed, mirrored), policy, world, replication, seed, mirrored, overrides)

    def row(self, run: Run) -> dict[str, Any]:
        """What identifies a run in the results, and the values of swept paths."""
        own = {path: column(run.overrides.get(path, self.base_values[path])) for path, column in self._columns.items()}
        return {
            "run_key": run.key, "policy": run.policy, "world": run.world, "replication": run.replication,
            "seed": run.seed, "mirrored": run.mirrored, **own,
        }  # fmt: skip

    @cached_property
    def _columns(self) -> dict[str, Callable[[Any], Any]]:
        """Swept path -> how its values are written: all as numbers, all as truth values, or all as text."""
        found: dict[str, Callable[[Any], Any]] = {}
        for path in self.experiment.swept:
            sources = [*self.worlds, *self.policies.values()]
            kinds = {type(source.get(path, self.base_values[path])) for source in sources}
            found[path] = bool if kinds == {bool} else float if kinds <= {int, float} else _text
        return found

    @cached_property
    def base_values(self) -> dict[str, Any]:
        """Values of the swept paths in the scenario as it is; the first where a path names several fields."""
        return base_values(self.scenario, self.experiment.swept)

    def _seed(self, policy: str, world: int, replication: int) -> tuple[int, bool]:
        experiment = self.experiment
        pair, mirrored = (replication // 2, replication % 2 == 1) if experiment.antithetic else (replication, False)
        parts: list[str | int] = [experiment.seed, pair]
        if experiment.seeding != "common":
            parts.append(world)
        if experiment.seeding == "independent":
            parts.append(policy)
        return content_key("seed of a run", *parts) >> (64 - SEED_BITS), mirrored

    @cached_property
    def _prefix(self) -> Any:
        """Hash of everything that all runs share. The order of a scenario's parts counts: sums are taken in it."""
        shared = [RESULTS_VERSION, self.scenario.model_dump(mode="json")]
        return hashlib.blake2b(_canonical(shared).encode(), digest_size=16)

    def _key(self, overrides: Mapping[str, Any], seed: int, mirrored: bool) -> str:
        key = self._prefix.copy()
        own = [[path, overrides[path]] for path in sorted(overrides)]
        key.update(_canonical([own, seed, mirrored, self._sources(overrides)]).encode())
        return key.hexdigest()

    def _sources(self, overrides: Mapping[str, Any]) -> list[str]:
        """Files and modules that the base or these overrides name, each with a hash of its content."""
        digests = dict(self._base_sources)
        for text in _texts(overrides):
            if text not in self._read:
                self._read[text] = sources(text)
            digests |= self._read[text]
        return [f"{name}={digest}" for name, digest in sorted(digests.items())]

    @cached_property
    def _base_sources(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for text in _texts(self.scenario.model_dump(mode="json")):
            found |= sources(text)
        return found


def make_plan(experiment: Experiment) -> Plan:
    """The plan of an experiment, with every path and every value at its ends checked against the scenario.

    Raises
    ------
    InputError
        An unknown path or outcome (with the nearest valid ones), a value the field does not accept, or a field set
        twice.
    """
    scenario = load_scenario(experiment.scenario, experiment.overrides)
    _check_paths(experiment, scenario)
    _check_outcomes(experiment, scenario)
    base = base_values(scenario, tuple(experiment.uncertainties))
    streams = Streams(experiment.seed)
    return Plan(experiment, scenario, experiment.design.worlds(experiment.uncertainties, base, streams))


def load_run(
    scenario: Scenario, source: str | Mapping[str, Any], overrides: Mapping[str, Any], own: Mapping[str, Any]
) -> Scenario:
    """The scenario of a run: the base with its own overrides.

    A preset stands below what the file says, so a run that changes one is read from the file again.
    """
    if any(path.split(".")[-1] == "preset" for path in own):
        return load_scenario(source, {**overrides, **own})
    return load_scenario(scenario, own)


def base_values(scenario: Scenario, paths: tuple[str, ...]) -> dict[str, Any]:
    """Path -> what the scenario has there, as plain values."""
    found = {}
    for path in paths:
        ((keys, _), *_) = resolve(scenario, path)
        value: Any = scenario.model_dump(mode="json")
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else value[key] if value is not None else None
        found[path] = value["size"] if isinstance(value, dict) and set(value) == {"size"} else value
    return found


def sources(text: str) -> dict[str, str]:
    """Name -> SHA-256 of the module or the files that a text in a scenario names, if it does."""
    if _OWN_RULE.fullmatch(text):
        module = importlib.util.find_spec(text.partition(":")[0])
        files = [Path(module.origin)] if module is not None and module.origin else []
    else:
        files = _files(text) if len(text) < 500 and "\n" not in text and re.search(r"[./*]", text) else []
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _texts(item)


def _files(text: str) -> list[Path]:
    path = Path(text)
    try:
        if any(mark in path.name for mark in "*?["):
            items = path.parent.glob(path.name) if path.parent.is_dir() else ()
            return sorted(item for item in items if item.is_file())
        if path.is_dir():
            return sorted(item for item in path.iterdir() if item.is_file())
        return [path] if path.is_file() else []
    except OSError:  # a sentence is too long to be the name of a file
        return []


def _check_paths(experiment: Experiment, scenario: Scenario) -> None:
    swept = {f"uncertainties.{path}": {path} for path in experiment.uncertainties}
    swept |= {f"design.{path}": {path} for path in experiment.design.paths}
    policies = {f"levers.{name}": set(own) for name, own in experiment.policies.items()}
    taken: dict[tuple[str, ...], str] = {}
    for where, paths in {**swept, **policies}.items():
        for path in paths:
            places = _places(scenario, path, where)
            for place in places if where in swept else ():
                taken[place] = where
            for place in places if where in policies else ():
                clash = next((told for other, told in taken.items() if _overlap(place, other)), None)
                if clash:
                    raise InputError(f"{where}.{path}", "set", f"a field that {clash} does not set too")
    ends = [(f"uncertainties.{path}", {path: value}) for path, spread in experiment.uncertainties.items()
            for value in spread.levels(2)]  # fmt: skip
    ends += [(f"levers.{name}", own) for name, own in experiment.policies.items() if own]
    for where, own in ends:
        try:
            load_run(scenario, experiment.scenario, experiment.overrides, own)
        except InputError as error:
            raise InputError(f"{where}: {error.field}", error.value, error.accepted) from None


def _check_outcomes(experiment: Experiment, scenario: Scenario) -> None:
    """Names of docs/outcomes.md; a rule of one's own may count other things."""
    if any(_OWN_RULE.fullmatch(text) for text in _texts([scenario.model_dump(mode="json"), experiment.policies])):
        return
    precise = experiment.stopping.precision if experiment.stopping is not None else {}
    named = {"outcomes": experiment.outcomes, "stopping.precision": precise}
    for where, outcome in ((where, outcome) for where, names in named.items() for outcome in names):
        if not is_known(outcome):
            accepted = f"an outcome of docs/outcomes.md{nearest(outcome, [row.name for row in defined()])}"
            raise InputError(where, outcome, accepted)


def _places(scenario: Scenario, path: str, where: str) -> list[tuple[str, ...]]:
    if path.split(".")[-1] == "preset":
        return [tuple(path.split("."))]
    try:
        return [tuple(map(str, keys)) for keys, _ in resolve(scenario, path)]
    except InputError as error:
        raise InputError(f"{where}: {error.field}", error.value, error.accepted) from None


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _canonical(value)


def _canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
