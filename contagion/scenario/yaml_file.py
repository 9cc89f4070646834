"""YAML as a user writes it: a key given twice is an error, and 2e7 is a number."""

from __future__ import annotations

import re
from typing import Any

import yaml

from contagion.errors import InputError


class _Loader(yaml.SafeLoader):
    """Safe loader that rejects duplicate keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise InputError(f"line {key_node.start_mark.line + 1}", key, "a key given once in its mapping")
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(text: str, where: str) -> Any:
    """The value of a YAML document.

    Parameters
    ----------
    where : str
        Name of the document, for messages.

    Raises
    ------
    InputError
        Not YAML, or a key given twice.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "its text"
        raise InputError(f"{where}, {line}", getattr(error, "problem", str(error)), "a YAML document") from None
    except InputError as error:
        raise InputError(f"{where}, {error.field}", error.value, error.accepted) from None
