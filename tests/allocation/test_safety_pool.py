"""Safety pools: stakers lose before suppliers, share among venues what they have, and are paid premiums."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

MISSING = 75_000 - 50_000 / 1.05


def crash(*layers: dict, reserve: float = 0.0, supplied: float = 9e5, steps: int = 3, **stakers) -> ContagionModel:
    """At each pool one borrower: 100,000 of ether, 75,000 owed; ether halves; a keeper repays 47,619 for all of it.

    27,381 are missing at each. There are as many pools as layers; the stakers have 100,000, by default in cash.
    """
    pools = {
        f"pool{order or ''}": {
            "kind": "lending_pool", "supplied": supplied, "reserve": {"size": reserve}, "oracle": {"deviation": 0.0},
            "rate": {"slope1": 0.0, "slope2": 0.0},
            "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}},
            "waterfall": ["reserve", {"layer": "safety_pool", "pool": "stakers"} | layer, "depositor_write_down"],
        }
        for order, layer in enumerate(layers)
    }  # fmt: skip
    traders = [
        {"archetype": "borrower", "name": f"at {pool}", "venue": pool, "size": {"fixed": 1e5},
         "parameters": {"ltv": 0.75}} for pool in pools
    ]  # fmt: skip
    keeper = {"archetype": "keeper", "venue": list(pools), "capital": 1e6,
              "parameters": {"gas": 0.0, "spot_depth": 1e15}}  # fmt: skip
    data = {
        "name": "slashing", "steps": steps, "assets": {"ETH": {"price": 1000.0}, "TKN": {"price": 10.0}},
        "prices": "constant", "dt": "1h", "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.5}],
        "protocols": pools | {"stakers": {"kind": "safety_pool", "deposits": 1e5} | stakers},
        "traders": [*traders, keeper],
    }  # fmt: skip
    return ContagionModel(load_scenario(data), rng=1)


def value(model: ContagionModel, name: str) -> float:
    """Of a unit of a claim. [USD]"""
    assets = model.world.state.assets
    return float(assets.fundamental[assets.row(name)])


def outcomes(model: ContagionModel) -> dict[str, float]:
    return model.result().outcomes


IN_KIND = {"holds": {"pool": 1e5}}


def test_staked_claims_are_burned_after_the_reserve_and_before_suppliers_lose():
    """Burning 26,381 claims leaves the other suppliers at par, as Umbrella does."""
    model = crash({}, reserve=1_000.0, **IN_KIND)
    model.step()
    assert outcomes(model)["absorbed.reserve"] == pytest.approx(1_000.0)
    assert outcomes(model)["absorbed.safety_pool"] == pytest.approx(MISSING - 1_000)
    assert outcomes(model)["stakes_slashed"] == pytest.approx(MISSING - 1_000)
    assert value(model, "pool") == pytest.approx(1.0)
    assert value(model, "stakers") == pytest.approx(1 - (MISSING - 1_000) / 1e5)


def test_only_a_share_can_be_taken():
    model = crash({"most": 0.1}, **IN_KIND)
    model.step()
    assert outcomes(model)["absorbed.safety_pool"] == pytest.approx(10_000.0)
    # 17,381 are left to 990,000 units, 90,000 of them the stakers'.
    unit = 1 - (MISSING - 10_000) / 990_000
    assert value(model, "pool") == pytest.approx(unit)
    assert value(model, "stakers") == pytest.approx(0.9 * unit)


def test_a_token_is_sold_for_what_is_missing():
    """70,000 in a token at 10, 30,000 in cash: nothing is sold for 27,381, and 24,762 for twice as much."""
    for pools, sold in ((1, 0.0), (2, 2 * MISSING - 30_000)):
        model = crash(*[{}] * pools, holds={"TKN": 7e4})
        model.step()
        held = model.world.state.holdings.units[model.world.bookkeeper.slot(model.world.agent_rows["stakers"], 2)]
        assert held == pytest.approx(7_000 - sold / 10)
        assert outcomes(model)["stakes_slashed"] == pytest.approx(pools * MISSING)


def test_venues_share_what_there_is_pro_rata_and_caps_bind():
    """40,000 for two that miss 27,381 each; then a cap of 5,000 for one, what it leaves stays with the stakers."""
    half = crash({}, {}, deposits=4e4)
    half.step()
    assert value(half, "pool") == pytest.approx(value(half, "pool1"))
    assert outcomes(half)["stakes_slashed"] == pytest.approx(40_000)
    assert value(half, "stakers") == pytest.approx(0.0, abs=1e-9)
    capped = crash({"cap_per_window": 5_000.0}, {}, deposits=4e4)
    capped.step()
    assert value(capped, "pool") == pytest.approx(1 - (MISSING - 5_000) / 9e5)
    assert value(capped, "pool1") == pytest.approx(1 - (MISSING - 20_000) / 9e5)
    assert value(capped, "stakers") == pytest.approx(15 / 40)


def test_claims_on_one_venue_spare_the_cash_of_the_other():
    """30,000 of claims on the first pool cover it; the second has half of the 40,000 in cash, whoever is first."""
    model = crash({}, {}, deposits=7e4, holds={"pool": 3e4})
    model.step()
    assert value(model, "pool") == pytest.approx(1.0)
    assert value(model, "pool1") == pytest.approx(1 - (MISSING - 20_000) / 9e5)
    assert value(model, "stakers") == pytest.approx((7e4 - MISSING - 20_000) / 7e4)


def test_an_exchange_is_covered_too():
    """A long of 100,000 on 10,000 falls by a fifth: 10,000 are missing and what the sale of it costs; stakers pay."""
    data = {
        "name": "cover", "steps": 1, "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
        "shocks": [{"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.2}],
        "exchanges": {"perp": {"insurance_fund": {"size": 0.0}, "mark": "index",
                               "liquidation": {"engine": "take_over", "fee": 0.0},
                               "waterfall": ["insurance_fund", {"layer": "safety_pool", "pool": "stakers"},
                                             {"layer": "auto_deleverage", "price": "mark"}]}},
        "protocols": {"stakers": {"kind": "safety_pool", "deposits": 1e5}},
        "traders": [
            {"archetype": "passive", "venue": "perp", "size": {"fixed": 1e5}, "leverage": {"fixed": 10},
             "long_share": 1.0},
            {"archetype": "market_maker", "venue": "perp", "capital": 1e6},
        ],
    }  # fmt: skip
    model = ContagionModel(load_scenario(data), rng=1)
    model.step()
    assert outcomes(model)["absorbed.safety_pool"] >= 10_000.0 * (1 - 1e-9)
    assert 1e5 * (1 - value(model, "stakers")) == pytest.approx(outcomes(model)["absorbed.safety_pool"])


def test_who_waits_out_the_notice_is_slashed_like_the_others():
    """A staker asks at step 1, before the loss of step 2, and is paid at step 4 what is left of a unit."""
    frightened = {"archetype": "depositor", "venue": "stakers", "capital": 2e4, "parameters": {"tolerance": 0.0}}
    model = crash({}, steps=6, exit={"notice": 3})
    data = model.scenario.model_dump(mode="json")
    data["traders"].append(frightened)
    data["shocks"] = [{"at": 1, "kind": "depeg", "asset": "stakers", "size": -0.01, "lasts": 1},
                      {"at": 2, "kind": "price_gap", "asset": "ETH", "size": -0.5}]  # fmt: skip
    model = ContagionModel(load_scenario(data), rng=1)
    model.run()
    left = 1 - MISSING / 1.2e5
    cash = model.world.state.agents.cash[model.world.agent_rows["depositor"]]
    assert cash == pytest.approx(2e4 * left)


def test_premiums_go_from_the_reserve_to_the_stakers():
    """A tenth of 100,000 a year for three hours: 3.42 in all; a reserve with 2 pays 2."""
    for reserve, paid in ((1e4, 3 * 1e4 / 8760), (2.0, 2.0)):
        model = crash({"premium": 0.1}, reserve=reserve, steps=3)
        data = model.scenario.model_dump(mode="json") | {"shocks": []}
        model = ContagionModel(load_scenario(data), rng=1)
        model.run()
        assert outcomes(model)["premiums"] == pytest.approx(paid, rel=1e-3)
        assert value(model, "stakers") == pytest.approx(1 + paid / 1e5, rel=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    deposits=st.floats(1e3, 1e5), token=st.floats(0.0, 1.0), caps=st.lists(st.floats(0.0, 4e4), min_size=2, max_size=2),
    most=st.floats(0.05, 1.0),
)  # fmt: skip
def test_stakers_lose_what_venues_get_and_no_more_than_the_terms_allow(deposits, token, caps, most):
    layers = [{"cap_per_window": cap, "most": most} for cap in caps]
    model = crash(*layers, deposits=deposits, holds={"TKN": token * deposits})
    model.step()  # the audit of the run holds every net worth to its rows
    slashed, lost = outcomes(model).get("stakes_slashed", 0.0), deposits * (1 - value(model, "stakers"))
    assert lost == pytest.approx(slashed, rel=1e-6, abs=1e-4)
    allowed = [min(cap, most * deposits, deposits / 2, MISSING) for cap in caps]
    assert slashed == pytest.approx(sum(allowed), rel=1e-6, abs=1e-4)
    written = [9e5 * (1 - value(model, pool)) for pool in ("pool", "pool1")]
    assert written == pytest.approx([MISSING - paid for paid in allowed], rel=1e-6, abs=1e-2)


def test_the_order_of_venues_does_not_matter():
    """The pool named first gets the same as when it is named last."""
    found = []
    for caps in ((5_000.0, 30_000.0), (30_000.0, 5_000.0)):
        model = crash(*[{"cap_per_window": cap} for cap in caps], deposits=3e4)
        model.step()
        found.append([value(model, "pool"), value(model, "pool1")])
    assert found[0] == pytest.approx(found[1][::-1])


@pytest.mark.parametrize("name", ["staker", "pool"])
def test_the_layer_names_a_safety_pool(name):
    with pytest.raises(InputError, match="stakers"):
        crash({"pool": name})


@pytest.mark.parametrize(("exit", "field"), [({"value": "request"}, "exit.value"), ({"pays": "face"}, "exit.pays")])
def test_nobody_escapes_by_terms_of_exit(exit, field):
    with pytest.raises(InputError, match=field):
        crash({}, exit=exit)
