"""Losses on claims, from origin to bearer, with numbers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.model import ContagionModel
from contagion.outcomes import claim_origins

CALM = {"turnover": {"nervous": 0.0}}


def lent_chain(thefts: dict[str, float]) -> ContagionModel:
    """Vault a is held by vault b, b's claim is collateral at pool c, c's claim is held by vault d.

    a: 1,000,000 for 700,000 outside and 300,000 of b. b: 500,000, of which 400,000 outside and 20,000 with each of five
    borrowers who owe 15,000 each. c: 1,100,000, of which 100,000 with d. d: 250,000.
    """
    pool = {"kind": "lending_pool", "supplied": 1e6, "rate": {"slope1": 0.0, "slope2": 0.0},
            "collateral": {"b": {"ltv": 0.8, "liquidation_threshold": 0.85}}}  # fmt: skip
    return ContagionModel({
        "name": "origins", "steps": 1, "dt": "1h", "prices": "constant", "assets": {"ETH": {"price": 1000.0}},
        "protocols": {"a": {"kind": "vault", "deposits": 7e5, **CALM},
                      "b": {"kind": "vault", "deposits": 4e5, "holds": {"a": 3e5}, **CALM}, "c": pool,
                      "d": {"kind": "vault", "deposits": 2.5e5, "holds": {"c": 1e5}, **CALM}},
        "traders": [{"archetype": "borrower", "count": 5, "venue": "c", "size": {"fixed": 20_000.0},
                     "leverage": {"fixed": 4.0}}],
        "shocks": [{"at": 1, "kind": "theft", "target": name, "size": size} for name, size in thefts.items()],
    }, rng=1)  # fmt: skip


def test_one_theft_four_claims_deep():
    """a 0.5, b 0.7; each loan of 15,000 has 14,000 of collateral, so c misses 5,000 and the borrowers have lost all."""
    model = lent_chain({"a": 500_000.0})
    model.step()
    table = claim_origins(model.world)
    assert list(table.index) == ["a"]
    assert table.loc["a", "borrower"] == pytest.approx(5 * 5_000)
    # 350,000 on a, 120,000 on b, and all of what c misses: its holders are outside, directly and through d.
    assert table.loc["a", "outside"] == pytest.approx(350_000 + 120_000 + 5_000)
    assert table.to_numpy().sum() == pytest.approx(500_000)


def test_a_write_down_carries_the_mix_of_its_causes():
    """b loses 150,000 through a and 50,000 of its own: three to one, and so does everything behind it."""
    model = lent_chain({"a": 500_000.0, "b": 50_000.0})
    model.step()
    table = claim_origins(model.world)
    # b is worth 0.6: 12,000 of collateral for each 15,000, c misses 15,000; borrowers lose 5,000 each.
    behind = 160_000 + 15_000
    assert table.loc["a", "outside"] == pytest.approx(350_000 + 0.75 * behind)
    assert table.loc["b", "outside"] == pytest.approx(0.25 * behind)
    assert table.loc["a", "borrower"] == pytest.approx(0.75 * 25_000)
    assert table["borrower"].sum() == pytest.approx(25_000)
    assert table.to_numpy().sum() == pytest.approx(550_000)


def depeg_chain(bank: float, stolen: float, equity: float) -> ContagionModel:
    """bank -> stablecoin -> bridge -> fund, which also holds ether; the price of ether falls by a tenth."""
    return ContagionModel({
        "name": "depeg", "steps": 2, "dt": "1h", "prices": "constant", "assets": {"ETH": {"price": 1000.0}},
        "protocols": {"bank": {"kind": "bank", "deposits": 500.0, **CALM},
                      "usd": {"kind": "fiat_backed", "deposits": 600.0, "equity": equity, "holds": {"bank": 500.0},
                              **CALM},
                      "far": {"kind": "bridge", "locks": "usd", "deposits": 100.0, **CALM},
                      "fund": {"kind": "fund_share", "deposits": 1000.0, "holds": {"far": 300.0, "ETH": 500.0},
                               **CALM}},
        "shocks": [{"at": 1, "kind": "theft", "target": "bank", "size": bank},
                   {"at": 1, "kind": "theft", "target": "far", "size": stolen},
                   {"at": 1, "kind": "price_gap", "asset": "ETH", "size": -0.1}],
    }, rng=1)  # fmt: skip


def test_a_depeg_adds_up_over_bank_bridge_and_price():
    """The bank loses 200 of 1,000; the stablecoin 100 of 1,000, of which 10 are its own. Of the bridge's 400 units 91
    are stolen; what is left and what the thief has lose 9% each."""
    model = depeg_chain(200.0, 91.0, 10.0)
    model.step()
    table = claim_origins(model.world)
    # The stablecoin is worth (1,010 - 100) / 1,000 = 0.91; its own 10 are gone.
    assert table.loc["bank", "usd"] == pytest.approx(10.0)
    # Outside: 500 * 0.2 at the bank, 600 and the stolen 91 at 0.09, and the bridge's 309, directly or through the fund.
    assert table.loc["bank", "outside"] == pytest.approx(100 + 0.09 * (600 + 91 + 309))
    assert table.loc["far", "outside"] == pytest.approx(91.0)
    assert table.loc["prices", "outside"] == pytest.approx(50.0)
    assert table.to_numpy().sum() == pytest.approx(200 + 91 + 50)


@settings(max_examples=25, deadline=None)
@given(bank=st.floats(0.0, 1000.0), stolen=st.floats(0.0, 360.0), equity=st.floats(0.0, 50.0))
def test_what_arose_is_what_was_borne(bank, stolen, equity):
    model = depeg_chain(bank, stolen, equity)
    model.step()
    table = claim_origins(model.world)
    taken = model.world.counters.get("stolen", 0.0)
    assert table.to_numpy().sum() == pytest.approx(taken + 50.0, rel=1e-6, abs=1e-5)
    assert (table.to_numpy() >= 0.0).all()


def test_the_bundled_scenario_names_its_causes():
    model = ContagionModel("stablecoins", rng=1)
    model.run()
    table = claim_origins(model.world)
    assert {"staked_eth", "bridged_fiat_usd", "prices"} <= set(table.index)
    assert (table.sum() > 0.0).all()
