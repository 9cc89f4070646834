"""A scenario may name the reader of its network: with files, what they hold takes the place of what it made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contagion.errors import InputError
from contagion.scenario.rules import RuleSpec


def with_network(data: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data of a scenario with its network read from files, where it has a source that has not been read.

    A reader is a pydantic model with ``source``, ``files`` (file -> SHA-256) and ``put_into(data)``, which returns the
    scenario with the network in it and `files` filled in. What has been read once stands in the scenario itself: the
    files are not needed to run it again.

    Parameters
    ----------
    overrides
        ``network``, or ``network.PARAMETER`` -> value. With any, the files are read anew.

    Raises
    ------
    InputError
        The scenario names no reader; what a reader raises.
    """
    written = data.get("network")
    for path, value in overrides.items():
        name = path.partition(".")[2]
        if name and written is None:
            raise InputError(path, value, "none: this scenario names no reader of a network (xusd_2025 does)")
        written = {**_mapping(written), name: value} if name else value
    written = _mapping(written)
    if not (isinstance(written, Mapping) and isinstance(written.get("reader"), str)):
        return {**data, "network": written}  # nothing to read, or to be refused with the rest of the scenario
    parameters = {name: value for name, value in written.items() if name != "reader"}
    reader = RuleSpec.model_construct(kind="reader", name=written["reader"], parameters=parameters).build()
    data = {**data, "network": written}
    return reader.put_into(data) if reader.source is not None and (overrides or not reader.files) else data


def _mapping(written: Any) -> Any:
    return {"reader": written} if isinstance(written, str) else written
