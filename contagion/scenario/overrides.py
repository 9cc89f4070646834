"""Changing a field of a scenario by its path: ``exchanges.perp.insurance_fund.size``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from contagion.errors import InputError
from contagion.scenario.fields import Fund
from contagion.scenario.names import nearest
from contagion.scenario.plans import group_names
from contagion.scenario.rules import RuleSpec, rule_class
from contagion.scenario.schema import Scenario

NAMED_SECTIONS = ("assets", "exchanges", "protocols")
Step = str | int


def apply_overrides(scenario: Scenario, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario as plain data, with fields replaced.

    Parameters
    ----------
    overrides : mapping
        Path to value. In a path a name may be left out where there is only one, ``*`` means all, items of a list go
        by index or name, and a bare field name will do where only one field has it. A mapping replaces what was there.

    Raises
    ------
    InputError
        A path that does not exist.
    """
    data = scenario.model_dump(mode="json")
    for path, value in overrides.items():
        for keys, found in resolve(scenario, path):
            _require_section(data, keys, path)
            _set(data, keys, {"size": value} if isinstance(found, Fund) and not isinstance(value, Mapping) else value)
    return data


def resolve(scenario: Scenario, path: str) -> list[tuple[list[Step], Any]]:
    """Where a path leads: keys into the plain data, and what stands there now."""
    parts = path.split(".")
    if parts[0] not in Scenario.model_fields:
        places = [keys for keys in _all_paths(scenario) if keys[-len(parts) :] == parts]
        if len(places) != 1:
            found = [".".join(map(str, keys)) for keys in places]
            known = {".".join(map(str, keys)) for keys in _all_paths(scenario)} | set(Scenario.model_fields)
            hint = f"one of {', '.join(found)}" if found else f"section.name.field{_nearest_path(path, known)}"
            raise InputError(path, "no such field" if not found else "several fields", hint)
        parts = [str(key) for key in places[0]]
    found = list(_walk(scenario, parts, [], scenario, path))
    if not found:
        raise InputError(path, "no such field", "a section that has entries")
    return found


def _walk(node: Any, parts: list[str], done: list[Step], scenario: Scenario, path: str) -> Iterator[tuple]:
    if not parts:
        yield done, node
        return
    part, rest = parts[0], parts[1:]
    children = _children(node, done, scenario)
    if isinstance(node, tuple) and part.isdecimal() and int(part) < len(node):
        yield from _walk(node[int(part)], rest, [*done, int(part)], scenario, path)
    elif children is None:
        yield [*done, *parts], None
    elif part in children:
        key, child = children[part]
        yield from _walk(child, rest, [*done, key], scenario, path)
    elif part == "*" and _is_section(node):
        for key, child in children.values():
            yield from _walk(child, rest, [*done, key], scenario, path)
    elif _is_section(node) and len(children) == 1:
        ((key, child),) = children.values()
        yield from _walk(child, parts, [*done, key], scenario, path)
    elif isinstance(node, dict) and not (len(done) == 1 and done[0] in NAMED_SECTIONS):
        yield [*done, *parts], None
    else:
        raise InputError(path, part, f"one of {', '.join(children) or '(none is declared)'}{nearest(part, children)}")


def _children(node: Any, done: list[Step], scenario: Scenario) -> dict[str, tuple[Step, Any]] | None:
    """Name -> (key, child) of what can follow; none where anything can: it is checked when the scenario is read."""
    if isinstance(node, RuleSpec):
        fields = rule_class(node.kind, node.name).model_fields
        return {node.kind: (node.kind, node.name)} | {name: (name, node.parameters.get(name)) for name in fields}
    if isinstance(node, BaseModel):
        return {name: (name, getattr(node, name)) for name in type(node).model_fields}
    if isinstance(node, dict):
        return {str(name): (name, child) for name, child in node.items()}
    if isinstance(node, tuple):
        names = group_names(scenario.traders) if done == ["traders"] else [getattr(item, "name", None) for item in node]
        unique = [name if name and names.count(name) == 1 else str(order) for order, name in enumerate(names)]
        return {name: (order, item) for order, (name, item) in enumerate(zip(unique, node, strict=True))}
    return None


def _is_section(node: Any) -> bool:
    """Whether this is a list, or a mapping of names to models."""
    if isinstance(node, dict):
        return bool(node) and all(isinstance(item, BaseModel) for item in node.values())
    return isinstance(node, tuple)


def _all_paths(node: Any, done: tuple[Step, ...] = ()) -> Iterator[list[Step]]:
    """Paths of all fields of exchanges, protocols and the rest, by name."""
    if isinstance(node, RuleSpec):
        return
    if isinstance(node, BaseModel):
        children = {name: getattr(node, name) for name in type(node).model_fields}
    elif isinstance(node, dict) and all(isinstance(item, BaseModel) for item in node.values()):
        children = node
    else:
        return
    for name, child in children.items():
        yield [*done, name]
        yield from _all_paths(child, (*done, name))


def _nearest_path(path: str, known: set[str]) -> str:
    last = path.rpartition(".")[2]
    close = nearest(path, known)
    if close:
        return close
    by_field = {name.rpartition(".")[2]: name for name in sorted(known)}
    hint = nearest(last, by_field)
    return f"; nearest: {by_field[hint.removeprefix('; nearest: ').split(', ')[0]]}" if hint else ""


def _require_section(data: Any, keys: list[Step], path: str) -> None:
    for place, key in enumerate(keys[:-1]):
        data = data.get(key) if isinstance(data, dict) else data[key]
        if data is None:
            return
        if not isinstance(data, dict | list):
            raise InputError(path, "no such field", f"no field below {'.'.join(map(str, keys[: place + 1]))}")


def _set(data: Any, keys: list[Step], value: Any) -> None:
    for key in keys[:-1]:
        if isinstance(data, dict) and data.get(key) is None:
            data[key] = {}
        data = data[key]
    data[keys[-1]] = value
