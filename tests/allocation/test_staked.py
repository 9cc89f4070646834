"""Stakers of a pool's claims lose before its other suppliers, and the vault that holds them passes it on."""

from __future__ import annotations

import pytest

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario


def crash(layer: dict, reserve: float = 1_000.0, **vault) -> ContagionModel:
    """One borrower: 100,000 of ether, 75,000 owed; ether halves; a keeper repays 47,619 for all of it at 5% bonus.

    27,381 are missing. The supply is 900,000 from outside and 100,000 staked.
    """
    data = {
        "name": "slashing", "steps": 3, "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.5}],
        "protocols": {
            "pool": {
                "kind": "lending_pool", "supplied": 9e5, "reserve": {"size": reserve}, "oracle": {"deviation": 0.0},
                "rate": {"slope1": 0.0, "slope2": 0.0},
                "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}},
                "waterfall": ["reserve", layer, "depositor_write_down"],
            },
            "stakers": {"kind": "vault", "deposits": 1e5, "holds": {"pool": 1e5}} | vault,
        },
        "traders": [
            {"archetype": "borrower", "venue": "pool", "size": {"fixed": 1e5}, "parameters": {"ltv": 0.75}},
            {"archetype": "keeper", "venue": "pool", "capital": 1e6, "parameters": {"gas": 0.0, "spot_depth": 1e15}},
        ],
    }  # fmt: skip
    return ContagionModel(load_scenario(data), rng=1)


def values(model: ContagionModel) -> tuple[float, float]:
    """Of a unit of the pool's claim and of the stakers'. [USD]"""
    assets = model.world.state.assets
    return tuple(float(assets.fundamental[assets.row(name)]) for name in ("pool", "stakers"))


MISSING = 75_000 - 50_000 / 1.05


def test_stakers_are_slashed_before_suppliers_and_after_the_reserve():
    model = crash({"layer": "staked_claims", "vault": "stakers"})
    model.step()
    outcomes = model.result().outcomes
    assert outcomes["absorbed.reserve"] == pytest.approx(1_000.0)
    assert outcomes["absorbed.staked_claims"] == pytest.approx(MISSING - 1_000)
    assert values(model) == pytest.approx((1.0, 1 - (MISSING - 1_000) / 1e5))


def test_only_a_share_can_be_taken():
    model = crash({"layer": "staked_claims", "vault": "stakers", "most": 0.1}, reserve=0.0)
    model.step()
    assert model.result().outcomes["absorbed.staked_claims"] == pytest.approx(10_000.0)
    # 17,381 are left to 990,000 units, 90,000 of them the stakers'.
    unit = 1 - (MISSING - 10_000) / 990_000
    assert values(model) == pytest.approx((unit, 0.9 * unit))


@pytest.mark.parametrize("vault", ["staker", "pool"])
def test_the_vault_must_hold_claims_on_the_pool(vault):
    with pytest.raises(InputError, match="a vault that holds pool"):
        crash({"layer": "staked_claims", "vault": vault})
