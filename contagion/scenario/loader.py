"""Reading scenarios: bundled by name, from YAML, from plain data; with presets expanded and fields overridden."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from contagion.errors import InputError
from contagion.market.prices import EventPath
from contagion.scenario.check import check
from contagion.scenario.names import nearest
from contagion.scenario.network_files import with_network
from contagion.scenario.overrides import apply_overrides, resolve
from contagion.scenario.preset import expand, preset_fields, preset_names, presets_of
from contagion.scenario.rules import RuleSpec
from contagion.scenario.schema import AnyProtocol, Scenario
from contagion.scenario.yaml_file import read_yaml

VENUE_SECTIONS = ("exchanges", "protocols")


def load_scenario(
    source: str | Path | Mapping[str, Any] | Scenario, overrides: Mapping[str, Any] | None = None
) -> Scenario:
    """A scenario, checked.

    Parameters
    ----------
    source
        Name of a bundled scenario, path of a YAML file, plain data, or a scenario.
    overrides : mapping, optional
        Path of a field -> value, see :func:`contagion.scenario.overrides.apply_overrides`.

    Raises
    ------
    InputError
        The scenario, or an override, is not valid: names the field, the value and what is accepted.
    """
    if isinstance(source, Scenario) and not overrides:
        return source
    data, overrides = _as_written(source, overrides)
    scenario = _validate(_expanded(data))
    if "prices" in overrides:  # first: it decides which paths below it there are
        prices = {"prices": _in_event_window(scenario.prices, overrides.pop("prices"))}
        scenario = _validate(apply_overrides(scenario, prices))
    if overrides:
        scenario = _validate(apply_overrides(scenario, overrides))
    check(scenario)
    return scenario


def _as_written(
    source: str | Path | Mapping[str, Any] | Scenario, overrides: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plain data with its network read and its presets chosen, and the overrides that are left."""
    data = source.model_dump(mode="json") if isinstance(source, Scenario) else _read(source)
    overrides = dict(overrides or {})
    network = {path: overrides.pop(path) for path in [*overrides] if path.partition(".")[0] == "network"}
    data = with_network(data, network)
    for path in [path for path in overrides if path.split(".")[-1] == "preset"]:
        _set_preset(data, path, overrides.pop(path))
    return data, overrides


def _in_event_window(written: RuleSpec, given: Any) -> Any:
    """Price files that stand in for a recorded event start when it does, and hold what it holds, unless they say so."""
    process = written.build()
    is_file = isinstance(given, Mapping) and given.get("process") == "file"
    if not (is_file and isinstance(process, EventPath)):
        return given
    held = {"held": list(process.held)} if process.held else {}
    return {"start": process.opens(), **held, **given}


def bundled_scenarios() -> dict[str, str]:
    """Name -> question of the scenarios that come with the package."""
    return {name: " ".join(str(_bundled(name).get("question", "")).split()) for name in _bundled_names()}


def describe(
    source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Fields that rest on a preset: where they come from, and whether the scenario or an override replaces them.

    Returns
    -------
    list of dict
        ``path``, ``value`` of the preset, ``source``, ``as_of``, ``assumed``, ``note``, ``overridden``, in the
        scenario's order.
    """
    scenario = load_scenario(source, overrides)
    data, overrides = _as_written(source, overrides)
    replaced = [tuple(map(str, keys)) for path in overrides for keys, _ in resolve(scenario, path)]
    rows = []
    for section in VENUE_SECTIONS:
        for name, written in (data.get(section) or {}).items():
            if not isinstance(written, dict) or written.get("preset") is None:
                continue
            for path, entry in preset_fields(written["preset"]).items():
                keys = (section, name, *path.split("."))
                over = _has(written, path.split(".")) or any(keys[: len(one)] == one for one in replaced)
                over |= any(one[: len(keys)] == keys for one in replaced)
                rows.append({"path": ".".join(keys), **entry, "overridden": over})
    return rows


def _has(written: Any, keys: list[str]) -> bool:
    """Whether plain data says anything at, or above in place of, a path."""
    for key in keys:
        if not isinstance(written, dict):
            return True
        if key not in written:
            return False
        written = written[key]
    return written != {}


@cache
def _bundled_names() -> tuple[str, ...]:
    folder = files("contagion.scenario") / "library"
    names = {item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")}
    return tuple(sorted(names, key=lambda name: (name != "quickstart", name)))


def _bundled(name: str) -> dict[str, Any]:
    text = (files("contagion.scenario") / "library" / f"{name}.yaml").read_text(encoding="utf-8")
    return read_yaml(text, name)


def _read(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(source, Mapping):
        return dict(source)
    if str(source) in _bundled_names():
        return _bundled(str(source))
    path = Path(source)
    accepted = f"a bundled name ({', '.join(_bundled_names())}) or the path of a YAML file"
    if not path.is_file():
        raise InputError("scenario", str(source), accepted + nearest(str(source), _bundled_names()))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("scenario", str(source), f"a readable text file ({error})") from None
    data = read_yaml(text, str(source))
    if not isinstance(data, dict):
        raise InputError("scenario", str(source), "a YAML mapping with the keys of a scenario")
    return {"name": path.stem, **data}


def _set_preset(data: dict[str, Any], path: str, value: Any) -> None:
    section, *names = path.split(".")[:-1]
    venues = data.get(section) if section in VENUE_SECTIONS else None
    if not venues or len(names) > 1 or (names and names[0] not in [*venues, "*"]) or (not names and len(venues) > 1):
        raise InputError(path, value, "exchanges.name.preset or protocols.name.preset")
    chosen = [name for name in venues if not names or names[0] in (name, "*")]
    changed = {name: {**(venues[name] or {}), "preset": value} for name in chosen}
    data[section] = {**venues, **changed}


def _expanded(data: dict[str, Any]) -> dict[str, Any]:
    """With the presets of exchanges and protocols filled in."""
    expanded = dict(data)
    market = list(data["assets"]) if isinstance(data.get("assets"), dict) else []
    protocols = data.get("protocols") if isinstance(data.get("protocols"), dict) else {}
    backing = {spec["backs"]: name for name, spec in protocols.items() if isinstance(spec, dict) and spec.get("backs")}
    for section in VENUE_SECTIONS:
        venues = data.get(section)
        if isinstance(venues, dict):
            expanded[section] = {
                name: _with_preset(f"{section}.{name}", {} if venue is None else venue, market, backing.get(name))
                for name, venue in venues.items()
            }
    return expanded


def _with_preset(where: str, venue: Any, market: list[str], vault: str | None) -> Any:
    if not isinstance(venue, dict):
        return venue
    name, fitting = venue.get("preset"), presets_of(where.split(".")[0])
    if name in preset_names() and name not in fitting:
        raise InputError(f"{where}.preset", name, f"one of {', '.join(fitting)}")
    try:
        return expand(venue, market, vault)
    except InputError as error:
        raise InputError(f"{where}.{error.field}", error.value, error.accepted) from None


def _validate(data: dict[str, Any]) -> Scenario:
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise _as_input_error(error) from None


_KINDS = ", ".join(
    repr(kind) for member in get_args(get_args(AnyProtocol)[0])
    for kind in get_args(member.model_fields["kind"].annotation)
)  # fmt: skip
"""Kinds of protocols."""


def _as_input_error(error: ValidationError) -> InputError:
    """The first complaint of pydantic in the words of this package."""
    details = error.errors(include_url=False)
    first = next((item for item in details if item["type"] == "extra_forbidden"), details[0])
    kind, location = first["type"], list(first["loc"])
    if location[:1] == ["protocols"]:
        del location[2:3]  # the tag of the kind of protocol
        if location[2:3] == ["rate"]:
            del location[3:4]  # that of the kind of rate
    where = ".".join(str(part) for part in location if part != "[key]") or "scenario"
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, InputError):
        field = f"{where}: {inner.field}" if location else inner.field
        return InputError(field, inner.value, inner.accepted)
    if kind == "extra_forbidden":
        keys = _keys_at(Scenario, list(first["loc"][:-1]))
        return InputError(where, first["input"], f"keys {', '.join(keys)}{nearest(location[-1], keys)}")
    if kind == "missing":
        return InputError(where, None, "a value: this field is required")
    if kind.startswith("union_tag"):
        context = first.get("ctx", {})
        return InputError(f"{where}.kind", context.get("tag"), context.get("expected_tags", _KINDS).replace("'", ""))
    accepted = str(inner) if inner is not None else first["msg"].replace("Input should be ", "")
    for theirs, ours in (("a valid tuple", "a list"), ("a valid dictionary", "a mapping")):
        accepted = accepted.replace(theirs, ours)
    return InputError(where, first["input"], accepted.partition(" or instance of ")[0])


def _keys_at(kind: Any, location: list[Any]) -> list[str]:
    """Keys a model accepts at a location of pydantic's, which names members of a union by their tag."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for member in arguments:
            tag = getattr(member, "model_fields", {}).get("kind")
            if location and tag is not None and tag.default == location[0]:
                return _keys_at(member, location[1:])
        models = [member for member in arguments if member is not type(None)]
        return _keys_at(models[0], location)
    if origin is dict:
        return _keys_at(arguments[1], location[1:])
    if origin is tuple:
        return _keys_at(arguments[0], location[1:])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not location:
            return list(kind.model_fields)
        return _keys_at(kind.model_fields[location[0]].annotation, location[1:])
    return []
