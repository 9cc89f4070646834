"""A deficit that a pool records and does not recognise: who leaves before the close is paid in full."""

from __future__ import annotations

import pytest

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

MISSING = 75_000 - 50_000 / 1.05
"""One borrower of 75,000 against 100,000 of ether that halves; a keeper repays 47,619 for all of it."""


def pool(recognition: str, cyclic: bool = False) -> ContagionModel:
    """900,000 from outside, who stay. In a cycle the pool's claim is collateral there: values are solved together."""
    waits = {"recognition": "close", "close_every": 3} if recognition == "close" else {}
    collateral = {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}}
    protocols = {
        "pool": {
            "kind": "lending_pool", "supplied": 9e5, "reserve": {"size": 0.0}, "oracle": {"deviation": 0.0},
            "rate": {"slope1": 0.0, "slope2": 0.0}, "collateral": collateral,
            "waterfall": [{"layer": "depositor_write_down"} | waits],
        },
    }  # fmt: skip
    if cyclic:
        protocols["a"] = {"kind": "vault", "deposits": 1e5, "holds": {"b": 1e4}}
        protocols["b"] = {"kind": "vault", "deposits": 1e5, "holds": {"a": 1e4}}
    data = {
        "name": "carried", "steps": 4, "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.5}], "protocols": protocols,
        "traders": [
            {"archetype": "borrower", "venue": "pool", "size": {"fixed": 1e5}, "parameters": {"ltv": 0.75}},
            {"archetype": "keeper", "venue": "pool", "capital": 1e6, "parameters": {"gas": 0.0, "spot_depth": 1e15}},
        ],
    }  # fmt: skip
    return ContagionModel(load_scenario(data), rng=1)


def value(model: ContagionModel, column: str) -> float:
    assets = model.world.state.assets
    return float(getattr(assets, column)[assets.row("pool")])


@pytest.mark.parametrize("cyclic", [False, True])
def test_a_recorded_deficit_is_in_the_value_at_once_and_in_redemptions_at_the_close(cyclic):
    model = pool("close", cyclic)
    unit = 1 - MISSING / 9e5
    for step in (1, 2):
        model.step()
        assert model.step_number == step
        assert value(model, "fundamental") == pytest.approx(unit)
        assert value(model, "redemption") == pytest.approx(1.0)
    model.step()
    assert model.world.bookkeeper.deficits.open == [0.0]
    assert value(model, "redemption") < 1.0
    assert value(model, "redemption") == pytest.approx(value(model, "fundamental"))


def test_recognised_at_once_it_is_in_both():
    model = pool("now")
    model.step()
    assert value(model, "redemption") == pytest.approx(value(model, "fundamental")) == pytest.approx(1 - MISSING / 9e5)
