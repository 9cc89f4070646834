"""The exposure graph at both ends of a run, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagion.network.of_model import exposures_of
from contagion.state.world import World

SHOWN_ONE_BY_ONE = 5_000
"""Traders; where there are more, the exposures of a group are added up."""


class ExposureEnds:
    """Remembers the exposures of the opening, where ledger rows are kept too."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._start: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def open(self) -> None:
        """Note the exposures; to be called when the world is complete."""
        if self.world.bookkeeper.ledger.keep:
            self._start = exposures_of(self.world)

    def frame(self) -> pd.DataFrame:
        """One row for each pair of agents and kind: when (``start``, ``end``), creditor, debtor, kind, amount [USD]."""
        keep = self.world.bookkeeper.ledger.keep
        ends = {"start": self._start, "end": exposures_of(self.world) if keep else {}}
        rows = [
            pd.DataFrame({"when": when, "creditor": creditor, "debtor": debtor, "kind": kind, "amount": amount})
            for when, kinds in ends.items()
            for kind, (creditor, debtor, amount) in kinds.items()
        ]
        frame = pd.concat([*rows, _NO_ROWS], ignore_index=True)
        label, names = self._labels()
        for end in ("creditor", "debtor"):
            frame[end] = label[frame[end].to_numpy(int)]
        frame = frame.groupby(["when", "kind", "creditor", "debtor"], sort=False, as_index=False)["amount"].sum()
        for end in ("creditor", "debtor"):
            frame[end] = pd.array(names[frame[end].to_numpy(int)], dtype="str")
        return frame[["when", "creditor", "debtor", "kind", "amount"]].astype({"when": "str", "kind": "str"})

    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of each agent in a list of names, and the list."""
        state = self.world.state
        count, first = state.n_agents, state.first_trader
        if count - first > SHOWN_ONE_BY_ONE:
            label = np.concatenate([np.arange(first), first + state.agents.group[first:].astype(np.int64)])
            return label, np.asarray([*state.agents.names[:first], *state.group_names], dtype=object)
        return np.arange(count), np.asarray([state.agent_name(row) for row in range(count)], dtype=object)


_NO_ROWS = pd.DataFrame(
    {"when": pd.Series(dtype=str), "creditor": pd.Series(dtype=int), "debtor": pd.Series(dtype=int),
     "kind": pd.Series(dtype=str), "amount": pd.Series(dtype=float)}
)  # fmt: skip
