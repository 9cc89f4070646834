"""Markets that several tests start from."""

from __future__ import annotations

import pytest
from allocation_market import Trader, position


@pytest.fixture
def opposite_sides() -> list[Trader]:
    """A bankrupt-to-be long of 10 entered at 100 on margin 50, and three shorts entered at 100 (4, 4, 2)."""
    return [
        position("long", 50.0, 10.0, 100.0),
        position("small", 10.0, -2.0, 100.0),
        position("middle", 40.0, -4.0, 100.0),
        position("safe", 400.0, -4.0, 100.0),
    ]
