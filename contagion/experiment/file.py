"""The experiment file: which scenario, what is uncertain, what can be chosen, what is measured, how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from contagion.errors import InputError
from contagion.experiment.designs import Design
from contagion.experiment.ranges import Range
from contagion.scenario.fields import Positive, Strict
from contagion.scenario.names import nearest
from contagion.scenario.yaml_file import read_yaml

Count = Annotated[int, Field(ge=1)]


class Stopping(Strict):
    """Add replications until every interval is narrow enough, or the budget ends."""

    # outcome -> widest half-width of its interval, in the outcome's unit
    precision: Annotated[dict[str, Positive], Field(min_length=1)]
    budget: Count  # most runs in all
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    batch: Count = 10  # replications that are added at a time


class Experiment(Strict):
    """An experiment: every policy on every world, as often as there are replications.

    Parameters
    ----------
    name, question, finding
        What it is called, what it asks, and what came out.
    scenario
        A bundled name, the path of a YAML file (from the folder of the experiment file), or a scenario written out.
    overrides
        Path -> value, set in every run.
    uncertainties
        Path -> range (:class:`~contagion.experiment.ranges.Range`): what nobody chooses. A draw of all is a *world*.
    levers
        What somebody chooses. A name with a mapping is a policy (path -> value; ``{}`` leaves the scenario as it is);
        a path with a list is swept. Policies and swept levers are combined with each other.
    outcomes
        Names of docs/outcomes.md that the experiment is about; every outcome is stored anyway.
    design
        How worlds are drawn (:mod:`contagion.experiment.designs`): a name, or a mapping with ``method``.
    replications
        Runs of each policy on each world, with other random numbers.
    seed
        Root of the design and of every run's seed.
    random_numbers
        ``common``: a replication has one seed, in all policies and worlds. ``by_world``: one seed per world and
        replication, the same for all policies. ``independent``: every run has its own. By default ``by_world`` for
        designs that sample worlds, ``common`` for those that compare them.
    antithetic
        Every second replication has the mirrored draws of the one before it.
    stopping
        Run until intervals are narrow enough; `replications` is then the first batch.
    time_limit
        Longest a run may take; it is recorded as failed beyond. [s]
    """

    name: str = "experiment"
    question: str = ""
    finding: str = ""
    scenario: str | dict[str, Any]
    overrides: dict[str, Any] = {}
    uncertainties: dict[str, Range] = {}
    levers: dict[str, list[Any] | dict[str, Any]] = {}
    outcomes: tuple[str, ...] = ()
    design: Design = Field(default="grid", validate_default=True)
    replications: Count = 1
    seed: Annotated[int, Field(ge=0)] = 0
    random_numbers: Literal["default", "common", "by_world", "independent"] = "default"
    antithetic: bool = False
    stopping: Stopping | None = None
    time_limit: Positive | None = None

    @field_validator("name")
    @classmethod
    def _name_of_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[^\s./\\][^/\\]*", name):
            raise InputError("name", name, "a name that its folder in results/ can have")
        return name

    @field_validator("levers", mode="before")
    @classmethod
    def _levers(cls, levers: Any) -> Any:
        for name, lever in levers.items() if isinstance(levers, dict) else ():
            if not isinstance(lever, list | dict) or lever == []:
                raise InputError(name, lever, "a policy (path: value), or a list of one or more values for this path")
        return levers

    @model_validator(mode="after")
    def _one_place_each(self) -> Experiment:
        for path in self.uncertainties:
            if path in self.levers:
                raise InputError(f"levers.{path}", "swept", "a path that is not among the uncertainties too")
        if self.design.method in ("morris", "saltelli") and len(self.uncertainties) < 2:
            raise InputError("uncertainties", list(self.uncertainties), f"two or more for {self.design.method}")
        if self.antithetic and self.replications % 2:
            raise InputError("replications", self.replications, "an even number where draws are antithetic")
        return self

    @property
    def seeding(self) -> str:
        """How runs share random numbers, the default filled in."""
        if self.random_numbers != "default":
            return self.random_numbers
        return "by_world" if self.design.samples else "common"

    @property
    def policies(self) -> dict[str, dict[str, Any]]:
        """Name -> overrides: named policies times the values of swept levers; ``base`` where there are no levers."""
        found: dict[str, dict[str, Any]] = {name: set_ for name, set_ in self.levers.items() if isinstance(set_, dict)}
        found = found or {"": {}}
        for path, values in self.levers.items():
            if isinstance(values, list):
                found = {
                    f"{name}, {path}={_short(value)}" if name else f"{path}={_short(value)}": {**set_, path: value}
                    for name, set_ in found.items() for value in values
                }  # fmt: skip
        return {name or "base": set_ for name, set_ in found.items()}

    @property
    def swept(self) -> tuple[str, ...]:
        """Paths that get a column of their own: uncertainties, swept levers, columns of a table."""
        levers = [path for path, values in self.levers.items() if isinstance(values, list)]
        return tuple(dict.fromkeys([*self.uncertainties, *self.design.paths, *levers]))


def load_experiment(source: str | Path | Mapping[str, Any] | Experiment) -> Experiment:
    """An experiment from a YAML file, plain data, or as it is. Its paths are checked by :func:`~.plan.make_plan`.

    Raises
    ------
    InputError
        The file cannot be read, or a key or value is not accepted.
    """
    if isinstance(source, Experiment):
        return source
    if isinstance(source, Mapping):
        return _validate(dict(source))
    path = Path(source)
    if not path.is_file():
        raise InputError("experiment", str(source), "the path of a YAML file")
    try:
        data = read_yaml(path.read_text(encoding="utf-8"), str(source))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("experiment", str(source), f"a readable text file ({error})") from None
    if not isinstance(data, dict):
        raise InputError("experiment", str(source), f"a YAML mapping with keys {', '.join(Experiment.model_fields)}")
    named = data.get("scenario")
    if isinstance(named, str) and (path.parent / named).is_file():
        data["scenario"] = str(path.parent / named)
    try:
        return _validate({"name": path.stem, **data})
    except InputError as error:
        raise InputError(f"{source}: {error.field}", error.value, error.accepted) from None


def experiment_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an experiment file, for editors."""
    schema = Experiment.model_json_schema()
    numbers = {"type": "array", "items": {"type": "number"}}
    shapes = [name for name in Range.model_fields["shape"].annotation.__args__ if name != "values"]
    forms = [{"type": "object", "properties": {name: numbers}, "required": [name]} for name in shapes]
    description = schema["$defs"]["Range"].get("description", "")
    schema["$defs"]["Range"] = {"description": description, "anyOf": [{"type": "array", "items": {}}, *forms]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _validate(data: dict[str, Any]) -> Experiment:
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        raise _explained(error) from None


def _explained(error: ValidationError) -> InputError:
    details = error.errors(include_url=False)
    first = next((item for item in details if item["type"] == "extra_forbidden"), details[0])
    inner = first.get("ctx", {}).get("error")
    where = ".".join(str(part) for part in first["loc"]) or "experiment"
    if isinstance(inner, InputError):
        return InputError(f"{where}.{inner.field}" if first["loc"] else inner.field, inner.value, inner.accepted)
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        keys = list(Experiment.model_fields)
        return InputError(where, first["input"], f"keys {', '.join(keys)}{nearest(where, keys)}")
    if first["type"] == "extra_forbidden":
        return InputError(where, first["input"], "no such key")
    if first["type"] == "missing":
        return InputError(where, None, "a value: this key is required")
    accepted = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return InputError(where, first["input"], accepted)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
