"""Arrays that are written over from call to call: fresh memory for a million numbers costs more than filling it."""

from __future__ import annotations

import numpy as np


class Workspace:
    """Keeps one array per name, as long as it ever had to be."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def array(self, name: str, count: int, dtype: type = np.float64) -> np.ndarray:
        """Room for `count` numbers, with whatever the last use of that name left in it."""
        found = self._kept.get(name)
        if found is None or len(found) < count:
            found = self._kept[name] = np.empty(count, dtype)
        return found[:count]
