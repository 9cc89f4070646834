"""A network of vaults and markets read from a table, in place of the scenario's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from contagion import ContagionModel, load_scenario
from contagion.cli import main
from contagion.errors import InputError
from contagion.scenario import scenario_text
from contagion.scenario.morpho_network import OTHER, TABLE

DATA = Path(__file__).parents[3] / "shared" / "data" / "morpho_xusd_2025-11"
recorded = pytest.mark.skipif(not (DATA / TABLE).is_file(), reason="optional data ../shared/data/morpho_xusd_2025-11")

HEADER = "vault_name,vault_address,market_unique_key,collateral_symbol,lltv,supply_assets_usd\n"
ROWS = """\
north,0xa,0x1111111199,TKN,8e17,6000
north,0xa,0x2222222299,?,0,4000
south,0xb,0x1111111199,TKN,8e17,4000
south,0xb,0x3333333399,PT,5e17,10000
south,0xb,0x4444444499,PT,5e17,0
"""
TOKEN, PLAIN = "TKN 0x11111111", "PT 0x33333333"


def world(**network: Any) -> dict[str, Any]:
    """A token whose backing is stolen, and a made-up vault and market that the table replaces."""
    terms = {"ltv": 0.8, "liquidation_threshold": 0.8}
    market = {"kind": "lending_pool", "preset": "morpho", "collateral": {"token": terms}}
    return {
        "name": "small", "steps": 1, "dt": "1s", "feedback": "local", "prices": "constant", "assets": {"ETH": {}},
        "shocks": [{"at": 1, "kind": "theft", "target": "token", "size": 30_000.0}],
        "protocols": {
            "token": {"kind": "vault", "deposits": 10_000.0},
            "made_up": market,
            "curator": {"kind": "curated_vault", "deposits": 5.0, "caps": {"made_up": 5.0}, "holds": {"made_up": 5.0}},
        },
        "traders": [
            {
                "archetype": "borrower", "name": "old", "venue": "made_up", "size": {"fixed": 1.0},
                "parameters": {"ltv": 0.5},
            },
            {"archetype": "keeper", "venue": ["made_up"], "count": 2, "capital": 100.0},
        ],
        "network": {"reader": "morpho", "collateral": {"TKN": "token"}, "drawn": 0.5, "smallest": 10.0, **network},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / TABLE).write_text(HEADER + ROWS)
    return tmp_path


def test_vaults_markets_and_borrowers_are_those_of_the_table(folder: Path) -> None:
    scenario = load_scenario(world(), {"network.source": str(folder)})
    assert set(scenario.protocols) == {"token", OTHER, TOKEN, PLAIN, "north", "south"}
    north, south = scenario.protocols["north"], scenario.protocols["south"]
    assert (north.deposits, north.holds) == (10_000.0, {TOKEN: 6_000.0})  # 4,000 lie where nobody borrows
    assert (south.deposits, south.holds) == (14_000.0, {TOKEN: 4_000.0, PLAIN: 10_000.0})
    market = scenario.protocols[TOKEN]
    assert market.liquidation.name == "incentive_by_threshold"
    terms = market.collateral["token"]
    assert (terms.ltv, terms.liquidation_threshold, terms.oracle.source) == (0.8, 0.8, ("fixed",))
    groups = {group.name or group.archetype: group for group in scenario.traders}
    assert set(groups) == {"keeper", f"{TOKEN} borrower", f"{PLAIN} borrower"}
    assert groups["keeper"].venue == (TOKEN, PLAIN)
    # 0.9 of 10,000 is owed at half of 0.8, and of 0.5: 9,000 / 0.4 and 9,000 / 0.25.
    assert groups[f"{TOKEN} borrower"].size["fixed"] == pytest.approx(22_500.0)
    assert groups[f"{PLAIN} borrower"].size["fixed"] == pytest.approx(36_000.0)


def test_a_stolen_token_leaves_vaults_their_cash_and_the_other_market(folder: Path) -> None:
    """The token has 10,000 from outside and the borrower's 22,500; 30,000 stolen leave 2,500 of 32,500.

    The loan of 9,000 is worth its collateral, 22,500 * 2,500 / 32,500, beside 1,000 that were not lent.
    """
    result = ContagionModel(world(), rng=1, **{"network.source": str(folder)}).run()
    market = (1_000.0 + 22_500.0 * 2_500.0 / 32_500.0) / 10_000.0
    value = {name: result.outcomes[f"claim_value.{name}"] for name in (TOKEN, PLAIN, "north", "south")}
    north, south = (4_000 + 6_000 * market) / 10_000, (10_000 + 4_000 * market) / 14_000
    assert value == pytest.approx({TOKEN: market, PLAIN: 1.0, "north": north, "south": south}, rel=1e-6)


def test_what_borrowers_do_not_post_is_held_outside(folder: Path) -> None:
    """Of 40,000 issued the borrower posts 22,500."""
    scenario = load_scenario(world(source=str(folder), issued={"token": 40_000.0}))
    assert scenario.protocols["token"].deposits == pytest.approx(17_500.0)


def test_without_files_the_scenarios_own_network_stays() -> None:
    assert set(load_scenario(world()).protocols) == {"token", "made_up", "curator"}


def test_what_was_read_stands_in_the_scenario_and_overrides_apply_to_it(folder: Path) -> None:
    settings = {"network.source": str(folder), "protocols.north.idle": 0.25}
    scenario = load_scenario(world(), settings)
    assert scenario.protocols["north"].idle == 0.25
    assert f'"{TOKEN}"' in json.dumps(list(yaml.safe_load(scenario_text(world(), settings))["protocols"]))
    (folder / TABLE).unlink()
    assert load_scenario(scenario.model_dump(mode="json")) == scenario
    assert load_scenario(scenario, {"steps": 2}).protocols == scenario.protocols


def test_the_command_names_the_files_it_read(folder: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(world()))
    assert main(["run", str(file), "--network", str(folder), "-q", f"--out={out}"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["network_files"] == {str(folder / TABLE): hashlib.sha256((HEADER + ROWS).encode()).hexdigest()}


def test_a_scenario_without_a_reader_takes_no_network(folder: Path, capsys) -> None:
    assert main(["run", "quickstart", "--network", str(folder)]) == 2
    assert "names no reader" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEADER.replace("lltv", "limit") + ROWS, "column 'lltv'"),
        (HEADER + ROWS.replace("6000", "nan"), "column 'supply_assets_usd', row 1: got 'nan'"),
        (HEADER + ROWS.replace("6000", ""), "column 'supply_assets_usd', row 1: got ''"),
        (HEADER + ROWS.replace("10000", "inf"), "column 'supply_assets_usd', row 4: got 'inf'"),
        (HEADER + ROWS.replace("?,0,4000", "?,0,-4000"), "row 2: got '-4000'"),
        (HEADER + ROWS.replace("5e17,10000", "1e18,10000"), "column 'lltv', row 4: got '1e18'"),
        (HEADER + ROWS.replace("south,0xb,0x3", ",0xb,0x3"), "column 'vault_name', row 4: got ''"),
        (HEADER + ROWS.replace("south,0xb,0x1", "north,0xb,0x1"), "column 'market_unique_key', row 3"),
        (HEADER + ROWS.replace("south,0xb,0x3", "south,0xc,0x3"), "column 'vault_address', row 4: got '0xc'"),
        (HEADER + ROWS.replace("TKN,8e17,4000", "TKN,9e17,4000"), "column 'lltv', row 3: got 0.9"),
        (HEADER + ROWS.replace("north", "token"), "other than those of the scenario's issuers"),
    ],
)
def test_a_table_that_cannot_be_used_says_where(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / TABLE).write_text(text)
    with pytest.raises(InputError) as error:
        load_scenario(world(source=str(tmp_path)))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ({"source": "nowhere"}, f"network.source: got 'nowhere'; accepted: a folder with {TABLE}"),
        ({"flees_at": {"nroth": 0.1}}, "network.flees_at: got 'nroth'; accepted: one of north, south; nearest: north"),
        ({"issued": {"dollar": 1.0}}, "network.issued: got 'dollar'"),
        ({"issued": {"token": 22_499.0}}, "network.issued.token: got 22499.0; accepted: at least 22500"),
        ({"collateral": {"TKN": "dollar"}}, "network.collateral: got 'dollar'"),
        ({"used": 1.5}, "reader morpho.used"),
    ],
)
def test_a_name_or_term_that_does_not_fit_is_told(folder: Path, network: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        load_scenario(world(**{"source": str(folder), **network}))
    assert told in str(error.value)


@recorded
def test_the_recorded_network_has_what_its_own_table_adds_up_to() -> None:
    """31 October 2025: 876.1 million USD, 22.8 of it in markets of deUSD and sdeUSD (recomputed from the table)."""
    scenario = load_scenario("xusd_2025", {"network.source": str(DATA)})
    vaults = {name: spec for name, spec in scenario.protocols.items() if spec.kind == "curated_vault"}
    assert sum(spec.deposits for spec in vaults.values()) == pytest.approx(876.1e6, abs=0.05e6)
    tokens = [name for name, spec in scenario.protocols.items()
              if spec.kind == "lending_pool" and set(spec.collateral) & {"deusd", "sdeusd"}]  # fmt: skip
    held = sum(spec.holds.get(name, 0.0) for spec in vaults.values() for name in tokens)
    assert held == pytest.approx(22.8e6, abs=0.05e6)
    assert vaults["MEV Capital USDC"].flees_at == 0.02


@recorded
def test_the_page_tells_what_comes_of_the_recorded_network() -> None:
    result = ContagionModel("xusd_2025", rng=7, **{"network.source": str(DATA)}).run()
    page = (Path(__file__).parents[2] / "docs" / "how_to" / "bring_positions.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if " USDC" in line[:25]]
    told = {cells[0]: cells[1:] for cells in rows if len(cells) == 5}
    exposures, last = result.exposures, result.steps.iloc[-1]
    opening, closing = (exposures[exposures["when"] == when] for when in ("start", "end"))
    assert len(told) == 5
    for vault, cells in told.items():
        assets = opening.loc[opening["debtor"] == vault, "amount"].sum()
        held = opening[(opening["creditor"] == vault) & opening["debtor"].str.contains(r"^(?:sdeUSD|deUSD) ")]
        redemption = last[f"redemption.{vault}"]
        stayed = closing.loc[closing["debtor"] == vault, "amount"].sum() / redemption / assets
        lost = 1.0 - result.outcomes[f"claim_value.{vault}"] / redemption
        lent = held["amount"].sum() / assets
        assert cells == [f"{assets / 1e6:.1f} m", f"{lent:.2%}", f"{abs(1.0 - stayed):.1%}", f"{abs(lost):.2%}"]
    market = "sdeUSD 0x0f956344"
    assert result.outcomes[f"claim_value.{market}"] / last[f"redemption.{market}"] == pytest.approx(1 - 0.298, abs=5e-4)
    assert last[f"redemption.{market}"] >= 1.0
