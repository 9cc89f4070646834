"""All adapters, by the model they answer for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

Adapter = Callable[[dict[str, Any]], dict[str, Any]]

ENGINE_MODULES = (
    "margin", "prices", "liquidation", "two_tokens", "lending", "auctions", "deleveraging", "allocation", "amm",
)  # fmt: skip
"""Those whose targets a bundled scenario must reach."""

MODULES = (*ENGINE_MODULES, "network", "metrics")
"""Each is ``contagion.conformance.adapters_NAME`` with ``ADAPTERS`` and, as far as it has any, ``TARGETS`` (model to
the functions it calls), ``OUT_OF_SCOPE`` and ``NOT_YET`` (model to the reason)."""

NO_MECHANISM = frozenset({"optimal_fund_exponential"})
"""Models that are a venue's fixed-point rounding or a pure statistic: free to be left out of scope."""


def gathered(table: str, modules: tuple[str, ...] = MODULES) -> dict[str, Any]:
    """One table of all modules: ``ADAPTERS``, ``TARGETS``, ``OUT_OF_SCOPE`` or ``NOT_YET``."""
    return {model: entry for module in modules for model, entry in getattr(_module(module), table, {}).items()}


@cache
def adapter_of(model: str) -> Adapter | None:
    """The adapter of a model, none if there is none."""
    return gathered("ADAPTERS").get(model)


@cache
def reason_against(table: str, model: str) -> str | None:
    """Why a model is in ``OUT_OF_SCOPE`` or ``NOT_YET``; none if it is not."""
    return gathered(table).get(model)


def _module(name: str) -> Any:
    return importlib.import_module(f"contagion.conformance.adapters_{name}")
