"""The folder whose cases are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from contagion.conformance import read_cases
from contagion.conformance.report import default_folder

OPTION = "--cases"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, metavar="DIR", default=None, help="folder of case files in place of the project's own")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        # A run of the whole suite reads this file too late to know the option.
        folder = Path(metafunc.config.getoption(OPTION, default=None) or default_folder())
        cases = read_cases(folder)
        metafunc.parametrize("case", [pytest.param(case, id=f"{case['topic']}-{case['id']}") for case in cases])
