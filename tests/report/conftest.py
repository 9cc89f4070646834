from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from contagion import ContagionModel
from contagion.results import RunResult, save


@pytest.fixture(scope="session")
def run() -> RunResult:
    """Quickstart until ten minutes after its shock: funds, a vault, deleveraging and a pool all have to pay."""
    return ContagionModel("quickstart", rng=7, steps=30).run()


@pytest.fixture(scope="session")
def folder(run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(run, tmp_path_factory.mktemp("runs") / "quickstart-7")


@pytest.fixture(scope="session")
def calm() -> RunResult:
    """A run in which nothing happens."""
    return ContagionModel("quickstart", rng=7, steps=5).run()


@pytest.fixture
def runs() -> pd.DataFrame:
    """Two policies on two worlds and three seeds. Policy b costs 10 less in world 0 and 4 more in world 1."""
    rows = [
        {"policy": policy, "world": world, "replication": seed, "seed": seed, "fund": [100.0, 200.0][world],
         "deficit": 100.0 * (1 + world) + seed + (0.0 if policy == "a" else (-10.0, 4.0)[world])}
        for world in (0, 1) for policy in ("a", "b") for seed in (1, 2, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows)
