"""Presets of venues: they validate, say where every number is from, and get through a crash."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from contagion.cli import main
from contagion.model import ContagionModel
from contagion.scenario import describe, load_scenario, preset_text, scenario_text
from contagion.scenario.preset import preset_fields, preset_names

DESIGNS = [name for name in preset_names() if "liquidation.design" in preset_fields(name)]
POOLS = [name for name in DESIGNS if "kind" not in preset_fields(name)]
VENUES = [name for name in preset_names() if name not in DESIGNS]


def crash(preset: str, **venue: Any) -> dict[str, Any]:
    """Traders of every kind at one venue; prices of both assets fall by a third in four minutes."""
    answers = {"top_up": 0.5, "reduce": 0.3, "ignore": 0.2}
    bets = {"archetype": "directional", "venue": "perp", "count": 30, "long_share": 0.7, "wallet": 0.1,
            "size": {"pareto": 1.2, "truncate": 0.2, "mean": 1e5}, "leverage": {"lognormal": [12, 0.5]},
            "answers": answers, "parameters": {"entry_spread": 0.05}}  # fmt: skip
    return {
        "name": f"crash_{preset}",
        "steps": 20,
        "assets": {"BTC": {"price": 60_000, "volatility": 0.6}, "SOL": {"price": 150, "volatility": 0.9}},
        "prices": {"process": "gbm", "correlation": 0.8},
        "shocks": [
            {"at": at, "kind": "price_gap", "asset": asset, "size": -0.1}
            for at in (4, 5, 6, 7) for asset in ("BTC", "SOL")
        ],
        "exchanges": {"perp": {"preset": preset, "equity": 1e5, "insurance_fund": {"size": 2e4}} | venue},
        "protocols": {"backstop": {"kind": "vault", "backs": "perp", "deposits": 5e4}},
        "traders": [
            bets,
            {"archetype": "passive", "venue": "perp", "count": 8, "long_share": 0.2, "size": {"fixed": 1e5},
             "leverage": {"fixed": 2.0}},
            {"archetype": "hedger", "venue": "perp", "count": 3, "size": {"fixed": 1e5}, "leverage": {"fixed": 2.0}},
            {"archetype": "market_maker", "venue": "perp", "count": 2, "capital": 3e6, "parameters": {"depth": 3e5}},
            {"archetype": "liquidator", "venue": "perp", "count": 2, "capital": 2e5},
        ],
    }  # fmt: skip


def test_every_named_venue_has_a_preset() -> None:
    named = {"binance", "bitmex", "bybit", "okx", "hyperliquid", "dydx_v4", "drift", "deribit", "vega", "paradex",
             "lighter", "ccp_eu"}  # fmt: skip
    assert named <= set(VENUES)


@pytest.mark.parametrize("name", preset_names())
def test_a_field_has_a_source_and_a_date_or_is_assumed(name: str) -> None:
    for path, field in preset_fields(name).items():
        assert set(field) == {"value", "source", "as_of", "assumed", "note"}, path
        known = bool(field["source"]) and bool(field["as_of"])
        assert known != field["assumed"], path
        assert known or field["source"] is None, path


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_gets_through_a_crash_and_its_books_add_up(name: str) -> None:
    model = ContagionModel(load_scenario(crash(name)), rng=3)
    result = model.run()
    assert result.outcomes["liquidations"] + result.outcomes.get("takeovers", 0) > 0
    roots = result.ledger[result.ledger["cause"].astype(str) == "deficit"]["amount"].sum()
    borne = result.ledger[result.ledger["cause"].astype(str) == "allocation"]
    assert borne[borne["deficit_id"] >= 0]["amount"].sum() == pytest.approx(roots, rel=1e-9)
    if name != "paradex":  # portfolio margin of both assets at once leaves nobody below zero here
        assert roots > 0.0


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_gets_through_a_crash_and_its_books_add_up(name: str) -> None:
    """Borrowers at 60 to 68% against ether that falls by 40% in one minute: every design leaves bad debt."""
    borrowers = {"archetype": "borrower", "count": 30, "size": {"pareto": 1.2, "truncate": 0.2, "mean": 1e5},
                 "leverage": {"lognormal": [2.8, 0.05]}}  # fmt: skip
    data = {
        "name": f"crash_{name}", "steps": 10, "assets": {"ETH": {"price": 4000, "volatility": 0.8}},
        "shocks": [{"at": 3, "kind": "price_gap", "asset": "ETH", "size": -0.4}],
        "protocols": {"pool": {"kind": "lending_pool", "preset": name, "supplied": 1e7, "reserve": {"size": 1e3}}},
        "traders": [borrowers, {"archetype": "keeper", "count": 3, "capital": 1e6, "parameters": {"spot_depth": 1e7}}],
    }  # fmt: skip
    result = ContagionModel(load_scenario(data), rng=3).run()
    assert result.outcomes.get("loan_liquidations", 0) + result.outcomes.get("absorbed_loans", 0) > 0
    assert result.outcomes["bad_debt.pool"] > 0.0
    roots = result.ledger[result.ledger["cause"].astype(str) == "deficit"]["amount"].sum()
    borne = result.ledger[result.ledger["cause"].astype(str) == "allocation"]
    assert borne[borne["deficit_id"] >= 0]["amount"].sum() == pytest.approx(roots, rel=1e-9)


@pytest.mark.parametrize("name", VENUES)
def test_any_field_of_a_preset_can_be_overridden(name: str) -> None:
    free = {"liquidation.fee": 0.002, "liquidation.surplus_to": "owner", "waterfall": ["venue_equity"]}
    for path in set(free) & set(preset_fields(name)):
        rows = {row["path"]: row for row in describe(crash(name), {f"exchanges.perp.{path}": free[path]})}
        assert rows[f"exchanges.perp.{path}"]["overridden"] is True
        perp = load_scenario(crash(name), {f"exchanges.perp.{path}": free[path]}).exchanges["perp"]
        if path == "waterfall":
            assert [layer.name for layer in perp.waterfall] == ["venue_equity"]
        else:
            assert getattr(perp.liquidation, path.split(".")[1]) == free[path]


def test_the_backstop_of_a_preset_is_the_vault_that_backs_the_venue() -> None:
    data = crash("hyperliquid")
    layers = load_scenario(data).exchanges["perp"].waterfall
    assert [layer.parameters.get("vault") for layer in layers] == [None, "backstop", None]
    del data["protocols"]
    assert [layer.name for layer in load_scenario(data).exchanges["perp"].waterfall] == [
        "insurance_fund", "auto_deleverage",
    ]  # fmt: skip


def test_show_marks_what_is_assumed_and_what_is_overridden() -> None:
    text = scenario_text(crash("binance"), {"exchanges.perp.liquidation.fee": 0.02})
    assert yaml.safe_load(text) == load_scenario(crash("binance"), {"exchanges.perp.liquidation.fee": 0.02}).model_dump(
        mode="json"
    )
    venue = text.split("protocols:")[0]
    lines = {line.split(":")[0].strip(): line for line in venue.splitlines()}
    origin = "exchangeInfo liquidationFee, BTC and ETH (2025-11)"
    assert lines["fee"].endswith(f"fee: 0.02  # overridden; the preset's is from {origin}")
    assert "# binance.com faq 360033525271" in lines["limit"]
    assert "SOL:  # assumed: tables of smaller coins" in text
    assert "BTC:  # freqtrade binance_leverage_tiers.json, BTCUSDT (2024-10)" in text
    assert "# overridden" not in lines["waterfall"]


def test_show_prints_a_preset_and_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "preset:okx"]) == 0
    text = capsys.readouterr().out
    assert text == preset_text("okx")
    assert "liquidation.limit: bankruptcy\n    # assumed\n" in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["show", "preset:okex"]) == 2
    assert "nearest: okx" in capsys.readouterr().err
    assert main(["show", "preset:okx", "--set", "fee=1"]) == 2
