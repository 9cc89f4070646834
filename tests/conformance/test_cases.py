"""Every case of every case file, within the tolerance that it states."""

from __future__ import annotations

from typing import Any

import pytest

from contagion.conformance import Status, run_case
from contagion.conformance.report import data_folder


def test_case(case: dict[str, Any]) -> None:
    outcome = run_case(case, data_folder())
    if outcome.status is Status.FAILED:
        pytest.fail(f"{outcome.case}: {outcome.detail}", pytrace=False)
    if outcome.status is not Status.PASSED:
        pytest.skip(f"{outcome.status}: {outcome.detail}")
