from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import contagion

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIN_LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
PINS = [Requirement(line) for line in PIN_LINES]


def test_importing_the_package_stays_light() -> None:
    script = (
        "import sys, contagion; heavy = {'mesa', 'numba', 'numpy', 'pandas', 'matplotlib', 'typer'} & set(sys.modules);"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", contagion.__all__)
def test_every_public_name_is_there_on_first_use(name: str) -> None:
    assert name in dir(contagion)
    assert getattr(contagion, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'contagion' has no attribute 'ContagionModle'"):
        contagion.ContagionModle  # noqa: B018


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == citation["version"] == contagion.__version__
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_every_direct_dependency_is_pinned_within_its_range(python: str) -> None:
    environment = {"python_version": python}
    pinned = {pin.name: pin for pin in PINS if pin.marker is None or pin.marker.evaluate(environment)}
    for dependency in map(Requirement, PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]):
        assert re.fullmatch(r"==[0-9.]+", str(pinned[dependency.name].specifier))
        assert dependency.specifier.contains(str(pinned[dependency.name].specifier).removeprefix("=="))
    # The newest Mesa each Python can have.
    assert str(pinned["mesa"].specifier).startswith({"3.11": "==3.3.", "3.13": "==3.5."}[python])


def test_a_package_is_pinned_once_per_python() -> None:
    for python in ("3.11", "3.12", "3.13", "3.14"):
        names = [pin.name for pin in PINS if pin.marker is None or pin.marker.evaluate({"python_version": python})]
        assert len(names) == len(set(names))
        assert {"mesa", "numba", "numpy", "pandas", "pytest"} <= set(names)


def test_pins_are_plain_versions() -> None:
    plain = re.compile(r"[a-z0-9_.-]+==[0-9.]+(b[0-9]+)?( ; python_version (<|>=) \"3\.12\")?")
    assert [line for line in PIN_LINES if not plain.fullmatch(line)] == []


def executable(path: Path, *lines: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / ".ci" / name), *arguments],
        capture_output=True, text=True, timeout=60, cwd=ROOT, env={**os.environ, **environment},
    )


posix = pytest.mark.skipif(sys.platform == "win32", reason="make and shell scripts are POSIX tools")


@posix
def test_setup_says_when_python_is_too_old(tmp_path: Path) -> None:
    old = executable(tmp_path / "python3", '[ "$1" = --version ] && echo "Python 3.8.18" && exit 0', "exit 1")
    done = script("make-venv", old, str(tmp_path / "venv"))
    assert done.returncode == 2
    assert f"contagion needs Python 3.11 or newer; '{old}' is: Python 3.8.18." in done.stderr
    assert not (tmp_path / "venv").exists()


@posix
def test_setup_says_when_there_is_no_python(tmp_path: Path) -> None:
    done = script("make-venv", "no-such-python", str(tmp_path / "venv"))
    assert done.returncode == 2
    assert "contagion needs Python 3.11 or newer; 'no-such-python'" in done.stderr


@posix
def test_the_newest_python_is_found_on_the_path_and_under_pyenv(tmp_path: Path) -> None:
    executable(tmp_path / "bin/python3.14", "exit 127")  # a stand-in for a version that is not installed
    executable(tmp_path / "bin/python3.13", "echo 003.098.002 /there/python3.98")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = script("newest-python", PATH=path, PYENV_ROOT=str(tmp_path / "none"))
    assert (done.stdout, done.stderr) == ("/there/python3.98\n", "")
    executable(tmp_path / "pyenv/versions/3.98.10/bin/python3", "echo 003.098.010 /pyenv/3.98.10/bin/python3")
    done = script("newest-python", PATH=path, PYENV_ROOT=str(tmp_path / "pyenv"))
    assert done.stdout == "/pyenv/3.98.10/bin/python3\n"


@posix
def test_help_names_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-s", "help"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, env=environment).stdout
    assert set(re.findall(r"^make (\S+)", told, re.MULTILINE)) == set(targets[1].split()) - {"help"}
