"""The real network of vaults and lending markets of November 2025, where the optional data is at hand."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "morpho_xusd_2025-11"
ALLOCATIONS, BRIDGES = DATA / "block6_vault_full_allocations.csv", DATA / "block6_contagion_bridges.csv"

pytestmark = pytest.mark.skipif(not ALLOCATIONS.is_file(), reason="optional data ../shared/data/morpho_xusd_2025-11")


@pytest.fixture(scope="module")
def balances() -> tuple[dict[str, float], dict[str, float]]:
    place = ROOT / "experiments" / "morpho_xusd_network.py"
    spec = importlib.util.spec_from_file_location("morpho_xusd_network", place)
    experiment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(experiment)
    return experiment.shocked(DATA)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_vaults_lose_their_allocation_to_toxic_markets_and_nothing_else(balances):
    """By the file itself: what a vault had supplied, and what of it to markets marked as toxic."""
    supplied, toxic = {}, {}
    for row in rows(ALLOCATIONS):
        usd, vault = float(row["supply_assets_usd"]), row["vault_name"]
        supplied[vault] = supplied.get(vault, 0.0) + usd
        toxic[vault] = toxic.get(vault, 0.0) + usd * (row["is_toxic_market"] == "True")
    before, after = balances
    assert before == pytest.approx({vault: supplied[vault] for vault in before})
    assert set(supplied) - set(before) == {vault for vault, usd in supplied.items() if usd == 0.0}
    for vault, usd in before.items():
        assert usd - after[vault] == pytest.approx(toxic[vault], abs=1e-9 * usd)
    assert all(after[vault] == pytest.approx(before[vault], rel=1e-12) for vault in before if toxic[vault] == 0.0)


def test_losses_are_those_of_the_independent_table_of_bridges(balances):
    """Another table of the data set adds the toxic supply up by vault."""
    before, after = balances
    lost = {row["vault_name"]: float(row["toxic_supply_usd"]) for row in rows(BRIDGES)}
    assert lost["Hyperithm USDC Degen"] == pytest.approx(14_849_697.61, abs=0.01)
    assert {vault: before.get(vault, 0.0) - after.get(vault, 0.0) for vault in lost} == pytest.approx(lost, abs=0.01)
