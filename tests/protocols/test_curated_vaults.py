"""A curated vault over two isolated markets, worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

MISSING = 75_000 - 50_000 / 1.0638297872340425
"""A borrower of 75,000 against 100,000 of ether that halves; the incentive at a threshold of 0.8 is 1 / 0.94."""


def market(asset: str, supplied: float, threshold: float = 0.8) -> dict:
    return {
        "kind": "lending_pool", "preset": "morpho", "supplied": supplied, "oracle": {"deviation": 0.0},
        "rate": {"kind": "adaptive", "at_target": 1e-9, "least": 0.0},
        "collateral": {asset: {"ltv": threshold, "liquidation_threshold": threshold}},
    }  # fmt: skip


def build(vault: dict, shocks: list[dict], steps: int = 3, traders=(), **ether) -> ContagionModel:
    """Ether market with 100,000 from outside, bitcoin market with none; the vault supplies both."""
    data = {
        "name": "curated", "steps": steps, "prices": "constant", "dt": "1h",
        "assets": {"ETH": {"price": 1000.0}, "BTC": {"price": 10_000.0}}, "shocks": shocks,
        "protocols": {
            "ether": market("ETH", 1e5) | ether, "bitcoin": market("BTC", 0.0),
            "vault": {"kind": "curated_vault", "deposits": 4e5, "caps": {"ether": 3e5, "bitcoin": 3e5},
                      "holds": {"ether": 2e5, "bitcoin": 1e5}} | vault,
        },
        "traders": [
            {"archetype": "borrower", "name": "in_ether", "venue": "ether", "size": {"fixed": 1e5},
             "parameters": {"ltv": 0.75, "comfort": 0.01}},
            {"archetype": "keeper", "venue": "ether", "capital": 1e6, "parameters": {"gas": 0.0, "spot_depth": 1e15}},
            *traders,
        ],
    }  # fmt: skip
    return ContagionModel(load_scenario(data), rng=1)


HALVED = {"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.5}


def units(model: ContagionModel, claim: str, holder: str = "vault") -> float:
    world = model.world
    slot = world.bookkeeper.slot(world.agent_rows[holder], world.state.assets.row(claim))
    return float(world.state.holdings.units[slot])


def value(model: ContagionModel, claim: str) -> float:
    return float(model.world.state.assets.fundamental[model.world.state.assets.row(claim)])


def test_bad_debt_of_one_market_reaches_the_vaults_depositors_at_once_and_the_other_market_not():
    model = build({}, [HALVED])
    model.step()
    unit = 1 - MISSING / 3e5  # 300,000 of supply
    assert value(model, "ether") == pytest.approx(unit, rel=1e-6)
    assert value(model, "bitcoin") == pytest.approx(1.0, rel=1e-6)
    assert value(model, "vault") == pytest.approx((2e5 * unit + 1e5 + 1e5) / 4e5, rel=1e-6)


def test_idle_cash_goes_down_the_queue_up_to_each_cap():
    """100,000 idle, of which 5% of 400,000 stay: 50,000 fill the bitcoin market's cap, 30,000 go to ether."""
    caps = {"ether": 3e5, "bitcoin": 1.5e5}
    model = build({"caps": caps, "supply_queue": ["bitcoin", "ether"], "idle": 0.05}, [], steps=2)
    model.step()
    assert units(model, "bitcoin") == pytest.approx(1.5e5)
    assert units(model, "ether") == pytest.approx(2.3e5)
    assert model.world.counters["curators_supplied"] == pytest.approx(8e4)
    model.step()
    assert model.world.counters["curators_supplied"] == pytest.approx(8e4)


@pytest.mark.parametrize(("queue", "first"), [(["bitcoin", "ether"], "bitcoin"), (["ether", "bitcoin"], "ether")])
def test_withdrawals_are_taken_from_the_markets_in_the_order_of_the_queue(queue, first):
    """A depositor with 200,000 of 600,000 leaves because of the loss in ether. 50,000 are idle, the rest of what it
    gets comes from the first market of the queue alone."""
    depositor = {"archetype": "depositor", "venue": "vault", "capital": 2e5, "parameters": {"tolerance": 0.005}}
    calm = {"turnover": {"nervous": 0.0}, "holds": {"ether": 3e5, "bitcoin": 2.5e5}}
    model = build(calm | {"withdraw_queue": queue}, [HALVED], traders=[depositor])
    model.step()
    opened = {"ether": 3e5, "bitcoin": 2.5e5}
    ether = 1 - MISSING / 4e5
    needed = 2e5 * (3e5 * ether + 2.5e5 + 5e4) / 6e5 - 5e4
    price = {"ether": ether, "bitcoin": 1.0}[first]
    other = "ether" if first == "bitcoin" else "bitcoin"
    assert units(model, first) == pytest.approx(opened[first] - needed / price, rel=1e-5)
    assert units(model, other) == pytest.approx(opened[other])


FIXED = {"source": "fixed"}
TENTH = {"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.1}


@pytest.mark.parametrize(("flees_at", "left"), [(0.05, 0.0), (0.2, 2e5)])
def test_a_curator_leaves_a_market_whose_collateral_trades_below_its_oracle(flees_at, left):
    """The oracle of the ether market is fixed; the market falls by 10%. 225,000 of 300,000 are liquid there: the
    curator takes its 200,000 out and never supplies it again."""
    vault = {"flees_at": flees_at, "supply_queue": ["ether"], "caps": {"ether": 2e5, "bitcoin": 3e5}}
    model = build(vault, [TENTH], oracle=FIXED)
    for _ in range(2):
        model.step()
        assert units(model, "ether") == pytest.approx(left)


def test_what_a_market_has_lent_cannot_be_taken_out():
    """The vault alone supplies ether: 200,000 of which 75,000 are lent. It gets out 125,000."""
    model = build({"flees_at": 0.05}, [TENTH], oracle=FIXED, supplied=0.0)
    model.step()
    assert units(model, "ether") == pytest.approx(75_000.0)
    assert model.world.counters["curators_withdrew"] == pytest.approx(125_000.0)


def test_terms_of_a_vault_are_explained():
    for vault, message in (
        ({"supply_queue": ["eth"]}, "supply_queue.*pools with a cap: ether, bitcoin"),
        ({"holds": {"ether": 4e5}}, r"holds\.ether.*at most its cap"),
        ({"caps": {"ether": 3e5, "bitcoin": 3e5, "vault": 1.0}}, "vault"),
    ):
        with pytest.raises(InputError, match=message):
            build(vault, [])


@settings(max_examples=15, deadline=None)
@given(fall=st.floats(-0.9, 0.0), idle=st.floats(0.0, 0.5), flees_at=st.one_of(st.none(), st.floats(0.01, 0.5)))
def test_books_add_up_and_caps_hold(fall, idle, flees_at):
    """The audit of every step finds every net worth; no market is supplied above its cap."""
    caps = {"ether": 2.2e5, "bitcoin": 1.2e5}
    vault = {"caps": caps, "supply_queue": ["bitcoin", "ether"], "idle": idle, "flees_at": flees_at}
    model = build(vault, [HALVED | {"size": fall}])
    for _ in range(3):
        model.step()
        for claim, cap in caps.items():
            assert units(model, claim) * value(model, claim) <= cap * (1 + 1e-6)
