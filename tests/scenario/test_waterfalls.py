"""A waterfall with a layer that has nobody to ask is explained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from scenario_worlds import exchange_world, pool_world

from contagion.errors import InputError
from contagion.scenario import load_scenario


def exchange(*layers: Any) -> dict[str, Any]:
    return exchange_world(exchanges={"perp": {"waterfall": list(layers)}})


def test_a_ranking_without_candidates() -> None:
    data = pool_world()
    data["protocols"]["pool"]["waterfall"] = ["reserve", "auto_deleverage"]
    with pytest.raises(InputError, match="a pool has no contracts, so there are no candidates"):
        load_scenario(data)
    with pytest.raises(InputError, match=r"auto_deleverage\.ranking.*'biggest'.*pnl_leverage"):
        load_scenario(exchange({"layer": "auto_deleverage", "ranking": "biggest"}))


def test_a_layer_of_pools_at_an_exchange() -> None:
    with pytest.raises(InputError, match=r"waterfall\.1.*only a lending pool has depositors"):
        load_scenario(exchange("insurance_fund", "depositor_write_down"))
