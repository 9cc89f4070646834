"""Where a result comes from: versions, platform and commit of the code that made it, and the hash of its scenario."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import contagion

_PACKAGES = ("mesa", "networkx", "numba", "numpy", "pandas", "pyarrow", "pydantic", "scipy")


def scenario_hash(scenario: Mapping[str, Any]) -> str:
    """SHA-256 of a scenario given as plain values: independent of key order, the same on every machine."""
    canonical = json.dumps(scenario, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def provenance() -> dict[str, Any]:
    """The software and machine of this process, and the time now (UTC, ISO 8601)."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "contagion": contagion.__version__,
            "python": platform.python_version(),
            **{package: _installed(package) for package in _PACKAGES},
        },
        "platform": {"system": platform.platform(), "machine": platform.machine()},
        "git": git_state(Path(contagion.__file__).parent.parent),
    }


def git_state(checkout: Path) -> dict[str, Any] | None:
    """Commit, and whether any file differs from it; None where `checkout` is not the root of a git checkout."""
    if not (checkout / ".git").exists():
        return None
    commit, changes = _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain")
    return None if commit is None else {"commit": commit, "dirty": changes != ""}


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(checkout: Path, *arguments: str) -> str | None:
    # Variables such as GIT_DIR, set inside a git hook, would point at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments],
            capture_output=True, text=True, timeout=10, check=True, env=environment, stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
