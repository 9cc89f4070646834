"""Presets: what is publicly known of a venue's rules, each field with its value, source and date.

A preset file maps dotted paths below an exchange or protocol to ``{value, source, as_of}``; a field that rests on no
public source says ``assumed: true``. What a scenario says overrides it, key by key; a list is replaced as a whole.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any

from contagion.errors import InputError
from contagion.scenario.names import nearest
from contagion.scenario.yaml_file import read_yaml

ANY = "*"
"""Key of ``contracts`` that stands for every asset the preset does not name; name of the vault that backs a venue."""


def preset_names() -> list[str]:
    """Names of the bundled presets, sorted."""
    folder = files("contagion.scenario") / "presets"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


@cache
def preset_fields(name: str) -> dict[str, dict[str, Any]]:
    """Dotted path -> ``{value, source, as_of, assumed, note}``.

    Raises
    ------
    InputError
        No such preset.
    """
    fields = _preset(name)["fields"]
    return {
        path: {"source": None, "as_of": None, "assumed": False, "note": None} | entry for path, entry in fields.items()
    }


def presets_of(section: str) -> list[str]:
    """Presets that fit ``exchanges`` or ``protocols``: only the latter have a design of liquidation."""
    of_protocols = section == "protocols"
    return [name for name in preset_names() if ("liquidation.design" in preset_fields(name)) == of_protocols]


def preset_title(name: str) -> str:
    """Which venue and version a preset describes."""
    return _preset(name)["title"]


@cache
def _preset(name: str) -> dict[str, Any]:
    if name not in preset_names():
        raise InputError("preset", name, f"one of {', '.join(preset_names())}{nearest(name, preset_names())}")
    text = (files("contagion.scenario") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return read_yaml(text, f"preset {name}")


def expand(data: dict[str, Any], market: list[str], vault: str | None = None) -> dict[str, Any]:
    """An exchange or protocol as written, on top of its preset if it names one.

    Parameters
    ----------
    data : dict
        Plain data with or without the key ``preset``.
    market : list of str
        Market assets: a preset's contracts or collateral in other assets are left out.
    vault : str, optional
        The vault that backs this exchange; without one a preset's backstop layer is left out.
    """
    name = data.get("preset")
    if name is None:
        return data
    if not isinstance(name, str):
        raise InputError("preset", name, f"one of {', '.join(preset_names())}")
    base: dict[str, Any] = {}
    for path, entry in preset_fields(name).items():
        _put(base, path.split("."), deepcopy(entry["value"]))
    for section in ("contracts", "collateral"):
        if section in base:
            terms = base[section]
            chosen = data.get(section) or [asset for asset in market if asset in terms or ANY in terms]
            base[section] = {asset: terms.get(asset, terms.get(ANY, {})) for asset in chosen}
    if "waterfall" in base:
        layers = [_backed(_listed(layer, market), vault) for layer in base["waterfall"]]
        base["waterfall"] = [layer for layer in layers if layer is not None]
    if "margin" in base:
        base["margin"] = _listed(base["margin"], market)
    return merge(base, data)


def _listed(rule: Any, market: list[str]) -> Any:
    """A rule without the terms of assets that are not there."""
    if not isinstance(rule, dict):
        return rule
    return {
        key: {asset: term for asset, term in value.items() if asset in market} if isinstance(value, dict) else value
        for key, value in rule.items()
    }


def _backed(layer: Any, vault: str | None) -> Any:
    if not isinstance(layer, dict) or layer.get("vault") != ANY:
        return layer
    return None if vault is None else layer | {"vault": vault}


def merge(base: Any, over: Any) -> Any:
    """`over` on top of `base`: mappings key by key, anything else replaced, and so a design by another design."""
    both = isinstance(base, dict) and isinstance(over, dict)
    if both and over.get("design", base.get("design")) == base.get("design"):
        return base | {key: merge(base.get(key), value) for key, value in over.items()}
    return over


def _put(target: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        target = target.setdefault(key, {})
    target[keys[-1]] = value
