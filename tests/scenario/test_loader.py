"""Reading scenarios: presets, overrides, and one clear error for every mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from scenario_worlds import exchange_world, pool_world

from contagion.errors import InputError
from contagion.scenario import Scenario, bundled_scenarios, describe, load_scenario, scenario_schema
from contagion.scenario.preset import preset_fields, preset_names
from contagion.scenario.yaml_file import read_yaml


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def test_a_file_reads_like_the_same_data(file):
    path = file(yaml.safe_dump(exchange_world()))
    assert load_scenario(path).model_dump() == load_scenario(exchange_world()).model_dump()
    assert load_scenario(str(path)).model_dump() == load_scenario(path).model_dump()


def test_a_filled_in_scenario_reads_back_as_itself():
    for name in bundled_scenarios():
        scenario = load_scenario(name)
        again = load_scenario(json.loads(json.dumps(scenario.model_dump(mode="json"))))
        assert again.model_dump() == scenario.model_dump()


def test_yaml_numbers_and_duplicate_keys(file):
    assert read_yaml("{a: 2e7, b: 1e-3, c: -1.5e+2, d: 1_000, e: 1min}", "x") == {
        "a": 2e7, "b": 1e-3, "c": -150.0, "d": 1000, "e": "1min",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"mine.yaml, line 3: got 'dt'"):
        load_scenario(file("name: x\ndt: 1min\ndt: 2min\n"))
    with pytest.raises(InputError, match=r"mine\.yaml, line"):
        load_scenario(file("name: [x\n"))
    with pytest.raises(InputError, match="a YAML mapping"):
        load_scenario(file("- 1\n"))


def test_preset_under_what_the_scenario_says():
    data = exchange_world(
        assets={"BTC": {"price": 100.0}, "XYZ": {"price": 1.0}},
        exchanges={"perp": {"preset": "hyperliquid", "liquidation": {"fee": 0.01}, "insurance_fund": {"size": 3.0}}},
    )
    perp = load_scenario(data).exchanges["perp"]
    # Hyperliquid: maintenance is half of initial margin, 40x for BTC, 10x for small coins; backstop at two thirds.
    rates = [(tier.maintenance, tier.initial) for tier in perp.contracts["BTC"].tiers]
    assert rates == [(0.0125, 0.025), (0.025, 0.05)]
    assert perp.contracts["XYZ"].tiers[0].initial == 0.1
    assert list(perp.contracts) == ["BTC", "XYZ"]
    assert perp.liquidation.takeover_below == pytest.approx(2 / 3)
    assert (perp.liquidation.fee, perp.insurance_fund.size) == (0.01, 3.0)
    assert [layer.name for layer in perp.waterfall] == ["insurance_fund", "auto_deleverage"]
    listed = load_scenario(data, {"exchanges.perp.preset": "binance"}).exchanges["perp"]
    assert listed.liquidation.engine.name == "partial"


@pytest.mark.parametrize(("section", "preset"), [("exchanges", "aave_v3"), ("protocols", "binance")])
def test_a_preset_of_another_kind_of_venue_is_named(section, preset):
    with pytest.raises(InputError, match=rf"{section}.v.preset: got '{preset}'; accepted: one of "):
        load_scenario({"name": "x", section: {"v": {"preset": preset}}})


def test_every_preset_field_is_known_to_the_schema_and_says_where_it_is_from():
    for name in preset_names():
        fields = preset_fields(name)
        assert fields
        for path, entry in fields.items():
            assert entry["assumed"] is True or (entry["source"] and entry["as_of"]), f"{name}: {path}"
        section = "protocols" if "liquidation.design" in fields else "exchanges"
        terms = {"kind": "lending_pool"} if section == "protocols" and "kind" not in fields else {}
        data = exchange_world(assets={"BTC": {"price": 10.0}, "ETH": {"price": 1.0}, "MKR": {"price": 250.0}})
        data[section] = {**data.get(section, {}), "venue": {"preset": name, **terms}}
        data["traders"] = [entry | {"venue": "perp"} for entry in data["traders"]]
        load_scenario(data)


def test_another_design_leaves_the_parameters_of_the_presets_design_behind():
    data = exchange_world(assets={"BTC": {"price": 10.0}, "ETH": {"price": 1.0}})
    pool = {"kind": "lending_pool", "preset": "aave_v3", "liquidation": {"design": "absorb", "store_front": 0.4}}
    liquidation = load_scenario(data | {"protocols": {"pool": pool}}).protocols["pool"].liquidation
    assert (liquidation.name, liquidation.parameters) == ("absorb", {"store_front": 0.4})
    pool["liquidation"] = {"close_factor": 0.4}
    kept = load_scenario(data | {"protocols": {"pool": pool}}).protocols["pool"].liquidation
    assert (kept.name, kept.parameters["close_factor"], kept.parameters["least_left"]) == ("close_factor", 0.4, 1000)


def test_describe_marks_what_is_assumed_and_what_is_overridden():
    rows = {row["path"]: row for row in describe("october_2025")}
    assert rows["exchanges.perp.liquidation.fee"]["assumed"] is True
    assert rows["exchanges.perp.waterfall"]["overridden"] is True
    assert rows["exchanges.perp.liquidation.takeover_below"]["overridden"] is False
    assert "hyperliquid.gitbook.io" in rows["exchanges.perp.liquidation.takeover_below"]["source"]


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("exchanges.perp.insurance_fund.size", 5.0, lambda s: s.exchanges["perp"].insurance_fund.size),
        ("exchanges.insurance_fund.size", 5.0, lambda s: s.exchanges["perp"].insurance_fund.size),
        ("exchanges.*.insurance_fund.size", 5.0, lambda s: s.exchanges["perp"].insurance_fund.size),
        ("insurance_fund", 5.0, lambda s: s.exchanges["perp"].insurance_fund.size),
        ("assets.volatility", 0.1, lambda s: s.assets["BTC"].volatility),
        ("traders.long.count", 4, lambda s: s.traders[0].count),
        ("traders.0.count", 4, lambda s: s.traders[0].count),
        ("traders.market_maker.parameters.stress", 2.0, lambda s: s.traders[1].parameters["stress"]),
        ("traders.long.size.fixed", 7.0, lambda s: s.traders[0].size["fixed"]),
        ("exchanges.waterfall.venue_equity.limit", 9.0, lambda s: s.exchanges["perp"].waterfall[1].parameters["limit"]),
        ("exchanges.perp.funding.cap", 0.01, lambda s: s.exchanges["perp"].funding.cap),
        ("impact.permanent_share", 0.5, lambda s: s.impact.parameters["permanent_share"]),
        ("prices", {"process": "gbm", "drift": 0.5}, lambda s: s.prices.parameters["drift"]),
        ("steps", 9, lambda s: s.steps),
    ],
)
def test_overrides_by_path(path, value, read):
    expected = 0.5 if path == "prices" else value
    assert read(load_scenario(exchange_world(), {path: value})) == expected
    assert read(load_scenario(Scenario(**exchange_world()), {path: value})) == expected


def test_all_means_all():
    data = exchange_world(exchanges={"perp": {}, "other": {}})
    data["traders"] = [entry | {"venue": "perp"} for entry in data["traders"]]
    loaded = load_scenario(data, {"exchanges.*.equity": 8.0, "traders.*.wallet": 2.0})
    assert [venue.equity for venue in loaded.exchanges.values()] == [8.0, 8.0]
    assert [group.wallet for group in loaded.traders] == [2.0, 2.0]
    with pytest.raises(InputError, match="several fields"):
        load_scenario(data, {"insurance_fund": 1.0})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("exchanges.perp.insurence_fund.size", "nearest: insurance_fund"),
        ("exchanges.prep.nothing", "equity"),
        ("traders.longs.count", "nearest: long"),
        ("insurance_fnd", "nearest: exchanges.perp.insurance_fund"),
        ("impact.permanent", "nearest: permanent_share"),
        ("protocols.pool.reserve.size", "none is declared"),
    ],
)
def test_a_path_that_does_not_exist(path, message):
    with pytest.raises(InputError, match=message) as caught:
        load_scenario(exchange_world(), {path: 1.0})
    assert caught.value.field == path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": 3}, r"stepz: got 3; accepted: keys .*nearest: steps"),
        ({"exchanges": {"perp": {"insurence_fund": {}}}}, r"exchanges.perp.insurence_fund.*nearest: insurance_fund"),
        ({"protocols": {"p": {"kind": "vault", "deposit": 1}}}, r"protocols.p.deposit.*nearest: deposits"),
        ({"protocols": {"p": {"kind": "lending_pool", "collateral": {}, "rate": {"kind": "flat"}}}},
         r"protocols.p.rate.kind: got 'flat'; accepted: kinked, adaptive"),
        ({"protocols": {"p": {"kind": "lending_pool", "collateral": {}, "rate": {"kink": 1.0}}}},
         r"protocols.p.rate.kink: got 1.0"),
        ({"protocols": {"p": {"kind": "curated_vault", "caps": {"q": 1.0}}}}, r"protocols.p.caps: got 'q'"),
        ({"protocols": {"p": {"kind": "liquid_staking", "stakes": "USD"}}}, r"protocols.p.stakes: got 'USD'"),
        ({"protocols": {"p": {"kind": "amm", "deposits": 2.0, "holds": {"BTC": 1.0}, "prices": ["BTC"]}}},
         r"protocols.p.prices: got 'BTC'; accepted: one of p"),
        ({"credit": {"loans": [{"lender": "outside", "borrower": "outside", "amount": 1.0, "due": 1}]}},
         r"credit.loans.0.borrower: got 'outside'; accepted: an agent other than the lender"),
        ({"assets": {"BTC": {"price": float("nan")}}}, r"assets.BTC.price: got nan"),
        ({"assets": {"BTC": {"price": -1}}}, r"assets.BTC.price: got -1"),
        ({"dt": "soon"}, r"dt: got 'soon'; accepted: a duration"),
        ({"exchanges": {"perp": {"preset": "binanze"}}}, r"preset: got 'binanze'.*nearest: binance"),
        ({"exchanges": {"perp": {"contracts": {"BTX": {}}}}}, r"exchanges.perp.contracts: got 'BTX'.*nearest: BTC"),
        ({"exchanges": {"perp": {"waterfall": ["insurance_fond"]}}}, r"perp.waterfall.0.*nearest: insurance_fund"),
        (
            {"exchanges": {"perp": {"waterfall": [{"layer": "backstop_vault", "vault": "hlp"}]}}},
            r"waterfall.0.vault: got 'hlp'; accepted: one of \(none",
        ),
        (
            {"exchanges": {"perp": {"contracts": {"BTC": {"tiers": [
                {"maintenance": 0.02, "initial": 0.1}, {"floor": 100, "maintenance": 0.03, "initial": 0.04},
            ]}}}}},
            r"perp.contracts.BTC: .*initial rates must not decrease, got \[0.1, 0.04\]",
        ),
        (
            {"exchanges": {"perp": {"margin": {"margin": "open_interest_scaled", "lower": 1e8, "upper": 5e7}}}},
            r"perp.margin: .*upper must exceed lower, or both be 0",
        ),
        (
            {"exchanges": {"perp": {"margin": {
                "margin": "open_interest_scaled", "lower": {"BTC": 2.0}, "upper": {"BTC": 2.0, "ETH": 3.0},
            }}}},
            r"upper of BTC must exceed lower",
        ),
        (
            {"exchanges": {"perp": {"liquidation": {"engine": {"engine": "smallest_share", "shares": [0.8, 0.2]}}}}},
            r"perp.liquidation.engine: .*shares must increase, got \[0.8, 0.2\]",
        ),
        (
            {"exchanges": {"perp": {"liquidation": {"engine": {"engine": "smallest_share", "shares": []}}}}},
            r"smallest_share.shares: .*at least 1 item",
        ),
        (
            {"exchanges": {"perp": {"liquidation": {"liquidators": {"fee": 0.05, "most": 0.01}}}}},
            r"perp.liquidation.liquidators: .*must not be below fee",
        ),
        ({"impact": {"impact": "linear", "half_lives": 3}}, r"half_lives.*nearest: half_life"),
        ({"shocks": [{"at": 1, "kind": "price_gap", "asset": "BTT", "size": -0.1}]}, r"shocks.0.asset.*nearest: BTC"),
        ({"shocks": [{"at": 1, "kind": "price_gap", "asset": "BTC", "size": -1.0}]}, r"shocks.0.size: got -1.0"),
        ({"shocks": [{"at": 1, "kind": "halt", "target": "prep"}]}, r"shocks.0.target.*nearest: perp"),
        ({"shocks": [{"at": 1, "kind": "default", "target": "long:2"}]}, r"long:0 to long:1"),
        (
            {"credit": {"loans": [{"lender": "perp", "borrower": "nobody", "amount": 1, "due": 1}]}},
            r"credit.loans.0.borrower: got 'nobody'",
        ),
        ({"facts": [{"name": "a", "value": 1, "unit": "USD", "role": "check", "source": "x"}]}, r"facts.0"),
    ],
)
def test_a_mistake_names_field_value_and_what_is_accepted(changes, message):
    with pytest.raises(InputError, match=message):
        load_scenario(exchange_world(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"venue": "nowhere"}, r"traders.0.venue: got 'nowhere'"),
        ({"assets": {"DOGE": 1.0}}, r"traders.0.assets: got 'DOGE'; accepted: contracts of perp: BTC"),
        ({"answers": {"top_up": 0.5}}, r"traders.0: .*answers must add up to 1"),
        ({"size": {"fixed": -1.0}}, r"traders.0.size"),
        ({"size": {"parento": 1.0}}, r"traders.0.size"),
        ({"archetype": "directionl"}, r"traders.0: archetype: got 'directionl'.*nearest: directional"),
        ({"parameters": {"entry_spred": 0.1}}, r"traders.0: archetype passive.entry_spred.*nearest: entry_spread"),
        ({"name": "perp"}, r"traders.0.name"),
        ({"archetype": "borrower"}, r"traders.0.venue"),
    ],
)
def test_a_mistake_about_traders(changes, message):
    data = exchange_world()
    data["traders"] = [data["traders"][0] | changes, data["traders"][1]]
    with pytest.raises(InputError, match=message):
        from contagion.scenario.assemble import assemble

        assemble(load_scenario(data), 0)


def test_mistakes_about_pools():
    data = pool_world()
    data["protocols"]["pool"]["collateral"]["ETX"] = {"ltv": 0.5, "liquidation_threshold": 0.6}
    with pytest.raises(InputError, match=r"protocols.pool.collateral: got 'ETX'.*nearest: ETH"):
        load_scenario(data)
    data = pool_world()
    data["protocols"]["vault"] = {"kind": "vault", "holds": {"pol": 1.0}, "deposits": 1.0}
    with pytest.raises(InputError, match=r"protocols.vault.holds: got 'pol'.*nearest: pool"):
        load_scenario(data)


def test_an_unknown_scenario():
    with pytest.raises(InputError, match="nearest: quickstart"):
        load_scenario("quikstart")


def test_schema_accepts_the_bundled_keys_and_lists_rules():
    schema = scenario_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["properties"]["prices"] == {"$ref": "#/$defs/rule_process"}
    names = schema["$defs"]["rule_layer"]["anyOf"][0]["anyOf"][0]["enum"]
    assert "auto_deleverage" in names
    assert set(schema["properties"]) == set(Scenario.model_fields)
    assert schema["$defs"]["Exchange"]["additionalProperties"] is False
    assert schema["properties"]["dt"]["type"] == "string"
