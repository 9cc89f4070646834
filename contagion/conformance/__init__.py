"""Published and recomputed numbers, run through the functions that a simulation runs through.

A case file holds cases; ``inputs.model`` of a case names a rule; an adapter of that name calls the package and returns
what the case expects, by key. An adapter converts units and rounds, nothing more.
"""

from __future__ import annotations

from contagion.conformance.runner import Outcome, Status, read_cases, run_case, run_folder

__all__ = ["Outcome", "Status", "read_cases", "run_case", "run_folder"]
