"""Scenarios and presets as text that says where each number of a preset comes from."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contagion.scenario.loader import describe, load_scenario
from contagion.scenario.preset import ANY, preset_fields, preset_title

WIDTH = 80


def scenario_text(source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> str:
    """A scenario as YAML with every default, and a comment at each field that a preset knows.

    Parameters and errors: see :func:`contagion.scenario.loader.load_scenario`.
    """
    data = load_scenario(source, overrides).model_dump(mode="json")
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    lines, places = text.splitlines(), _lines_of(yaml.compose(text))
    known = {tuple(field["path"].split(".")): field for field in describe(source, overrides)}
    for path, field in known.items():
        for place in _named(path, places, known):
            lines[place] += f"  # {origin(field)}"
    return "\n".join(lines) + "\n"


def preset_text(name: str) -> str:
    """A preset: its title, then each field with its value and, indented, where it comes from."""
    lines = [f"# {preset_title(name)}"]
    for path, field in preset_fields(name).items():
        value = yaml.safe_dump(field["value"], default_flow_style=True, allow_unicode=True, width=1000)
        value = value.removesuffix("...\n").strip()
        lines += textwrap.wrap(f"{path}: {value}", WIDTH, subsequent_indent="  ", break_long_words=False)
        lines += textwrap.wrap(f"# {origin(field)}", WIDTH, initial_indent="    ", subsequent_indent="    # ")
    return "\n".join(lines) + "\n"


def origin(field: Mapping[str, Any]) -> str:
    """Where a field's value comes from, in words."""
    if field.get("overridden"):
        return "overridden; the preset's is " + ("assumed" if field["assumed"] else f"from {_source(field)}")
    if field["assumed"]:
        return f"assumed: {field['note']}" if field.get("note") else "assumed"
    return _source(field)


def _source(field: Mapping[str, Any]) -> str:
    return f"{field['source']} ({field['as_of']})"


def _lines_of(node: yaml.Node, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    """Line of every key of nested mappings."""
    found = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found[(*path, key.value)] = key.start_mark.line
            found |= _lines_of(value, (*path, key.value))
    return found


def _named(path: tuple[str, ...], places: Mapping[tuple[str, ...], int], known: Mapping) -> list[int]:
    """Lines a path names; its ``*`` stands for every key that no other path names."""
    if ANY not in path:
        return [places[path]] if path in places else []
    before, after = path[: path.index(ANY)], path[path.index(ANY) + 1 :]
    taken = {other[len(before)] for other in known if other[: len(before)] == before and len(other) > len(before)}
    keys = {key[len(before)] for key in places if key[: len(before)] == before and len(key) > len(before)}
    return [places[(*before, key, *after)] for key in sorted(keys - taken) if (*before, key, *after) in places]
