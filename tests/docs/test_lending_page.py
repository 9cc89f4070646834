"""The table of docs/lending.md, worked out by hand there, is what runs of the designs give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

PAGE = (Path(__file__).parents[2] / "docs" / "lending.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\w+) \|((?: \d+\.\d\d \|){7})$", PAGE, flags=re.MULTILINE)


def liquidated(preset: str, price: float) -> tuple[float, float, float, float]:
    """What the owner loses of its equity, keeper and reserve gain, and the pool loses for good. [USD]"""
    bonus = 0.08 if preset == "compound_v2" else 0.05
    data = {
        "name": "one loan", "steps": 3, "assets": {"ETH": {"price": 1250.0}}, "prices": "constant", "feedback": "none",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": price / 1250.0 - 1.0}],
        "protocols": {"pool": {
            "kind": "lending_pool", "preset": preset, "supplied": 1e6, "oracle": {"deviation": 0.0},
            "rate": {"kind": "kinked", "base": 0.0, "slope1": 0.0, "slope2": 0.0, "supply": None},
            "collateral": {"ETH": {"ltv": 0.79, "liquidation_threshold": 0.8, "bonus": bonus}},
        }},
        "traders": [
            {"archetype": "borrower", "venue": "pool", "size": {"fixed": 12_500.0}, "parameters": {"ltv": 0.72}},
            {"archetype": "keeper", "venue": "pool", "capital": 1e6, "parameters": {"gas": 0.0, "spot_depth": 1e15}},
        ],
    }  # fmt: skip
    if preset == "morpho":
        data["protocols"]["pool"]["rate"] = {"kind": "adaptive", "at_target": 1e-12, "least": 0.0}
    model = ContagionModel(load_scenario(data), rng=1)
    model.run()
    state, rows = model.world.state, model.world.agent_rows
    gained = state.agents.worth - state.agents.opening
    owner = max(0.0, 10 * price - 9_000.0) - float(state.agents.worth[rows["borrower"]])
    missing = sum(model.world.bookkeeper.deficits.amount)
    reserve = float(gained[rows["pool/reserve"]])
    if preset in ("compound_v3", "compound_v2", "aave_v3", "aave_v2"):
        reserve += sum(
            float(row["amount"]) for row in model.world.bookkeeper.ledger.rows()
            if int(row["payer"]) == rows["pool/reserve"] and int(row["deficit"]) >= 0
        )  # fmt: skip
    return owner, float(gained[rows["keeper"]]), reserve, missing


def test_every_preset_has_a_row():
    assert [name for name, _ in ROWS] == ["aave_v2", "aave_v3", "compound_v2", "compound_v3", "morpho", "euler"]


@pytest.mark.parametrize(("preset", "numbers"), ROWS)
def test_a_row_of_the_table(preset, numbers):
    at_1000, at_800 = liquidated(preset, 1_000.0), liquidated(preset, 800.0)
    expected = [float(number) for number in numbers.split("|")[:-1]]
    assert (*at_1000, *at_800[1:]) == pytest.approx(expected, abs=0.006)
