"""What a conformance case calls is what a run calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from contagion.conformance.adapters import ENGINE_MODULES, gathered

FOLDER = Path(__file__).parent


def test_every_adapter_of_an_engine_topic_names_what_it_calls() -> None:
    assert set(gathered("ADAPTERS", ENGINE_MODULES)) == set(gathered("TARGETS", ENGINE_MODULES))
    assert all(gathered("TARGETS", ENGINE_MODULES).values())


def test_what_adapters_call_is_reached_by_a_bundled_scenario() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    script = [sys.executable, str(FOLDER / "traced_run.py")]
    done = subprocess.run(script, capture_output=True, text=True, env=environment, cwd=FOLDER.parents[1], timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    missing = json.loads(done.stdout.splitlines()[-1])
    assert not missing, "no bundled scenario enters: " + ", ".join(f"{name} ({model})" for model, name in missing)
