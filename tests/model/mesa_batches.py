"""Mesa's batch runner with seeds, which 3.3 takes among the parameters and 3.5 as an argument of their own."""

from __future__ import annotations

import inspect
from typing import Any

import mesa


def batch(model: type[mesa.Model], parameters: dict[str, Any], seeds: list[int]) -> list[dict[str, Any]]:
    """The last row of every run."""
    apart = "rng" in inspect.signature(mesa.batch_run).parameters
    seeding = {"rng": seeds} if apart else {}
    parameters = parameters if apart else parameters | {"rng": seeds}
    return mesa.batch_run(model, parameters, display_progress=False, data_collection_period=-1, **seeding)
