"""Who failed because of whom: small worlds in which the answer and its amount follow by hand."""

from __future__ import annotations

import pytest

from contagion.model import ContagionModel
from contagion.results import load, save
from contagion.scenario import load_scenario


def failures(**parts):
    given = {"name": "chain", "steps": 6, "assets": {"ETH": {"price": 1000.0, "volatility": 0.0}},
             "prices": "constant", "impact": "linear"}  # fmt: skip
    result = ContagionModel(load_scenario(given | parts), rng=1).run()
    return result, [tuple(row) for row in result.failures.itertuples(index=False)]


BANK = {"kind": "bank", "deposits": 60.0}
HOLDER = {"kind": "fiat_backed", "deposits": 200.0, "holds": {"bank": 40.0}}


def test_a_loss_passes_from_issuer_to_holder():
    """The bank owes 100 and loses 50 of it; who holds 40 of its claims lost 20, 10% of the 200 it owes."""
    shocks = [{"at": 2, "kind": "theft", "target": "bank", "size": 50.0}]
    result, found = failures(protocols={"holder": HOLDER, "bank": BANK}, shocks=shocks)
    assert found[:2] == [
        (2, "bank", "worth less", "itself", pytest.approx(50.0)),
        (2, "holder", "worth less", "bank", pytest.approx(20.0)),
    ]
    assert result.failures["agent"].tolist().index("bank") < result.failures["agent"].tolist().index("holder")


def test_nobody_fails_in_a_calm_world():
    assert failures(protocols={"holder": HOLDER, "bank": BANK})[1] == []


def test_money_that_is_stuck_counts_in_full_for_who_cannot_pay():
    """A halted bank has lost nothing; a vault whose money is all there cannot pay 30 that its holders ask for."""
    vault = {"kind": "vault", "deposits": 50.0, "holds": {"bank": 50.0}}
    shocks = [{"at": 1, "kind": "halt", "target": "bank"},
              {"at": 2, "kind": "withdrawal", "target": "vault", "size": 30.0}]  # fmt: skip
    _, found = failures(protocols={"vault": vault, "bank": BANK}, shocks=shocks)
    assert found[0] == (1, "bank", "halted", "outside", 0.0)
    assert (2, "vault", "illiquid", "bank", pytest.approx(50.0)) in found


def test_who_pays_all_it_has_without_a_loss_fails_by_withdrawals():
    """A vault pays the 20 it has in cash and then waits: its bank pays nobody before step 100, and has lost nothing."""
    bank = BANK | {"deposits": 10.0}
    vault = {"kind": "vault", "deposits": 50.0, "holds": {"bank": 30.0}}
    terms = {"opens": 100}
    shocks = [{"at": 2, "kind": "withdrawal", "target": "vault", "size": 45.0}]
    _, found = failures(protocols={"vault": vault, "bank": bank | {"exit": terms}}, shocks=shocks)
    assert found == [(2, "vault", "illiquid", "withdrawals", pytest.approx(20.0))]


def test_a_lender_fails_by_its_borrower():
    """A borrower with 100 loses 90 in default and pays 10 of the 80 it owes: the lender lost 70 and had 10 to lose."""
    protocols = {
        "lender": {"kind": "bank", "deposits": 100.0, "equity": 10.0},
        "fund": {"kind": "fund_share", "deposits": 20.0, "redemption": "halted"},
    }
    credit = {"loans": [{"lender": "lender", "borrower": "fund", "amount": 80.0, "due": 50}]}
    shocks = [{"at": 3, "kind": "default", "target": "fund", "size": 0.9}]
    _, found = failures(protocols=protocols, credit=credit, shocks=shocks)
    assert (3, "fund", "default", "itself", pytest.approx(90.0)) in found
    assert (3, "lender", "worth less", "fund", pytest.approx(70.0)) in found


def test_bad_debt_comes_from_those_who_owed_it():
    """Collateral worth 10,000 against a debt of 7,500 falls by 40%: 6,000 less a bonus of 5% leaves 1,785.71 unpaid."""
    pool = {
        "kind": "lending_pool", "supplied": 1e5, "waterfall": ["depositor_write_down"],
        "liquidation": {"design": "close_factor", "close_factor": 1.0},
        "rate": {"slope1": 0.0, "slope2": 0.0}, "oracle": {"deviation": 0.0},
        "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}},
    }  # fmt: skip
    traders = [
        {"archetype": "borrower", "name": "owner", "venue": "pool", "size": {"fixed": 10_000.0},
         "parameters": {"ltv": 0.75}},
        {"archetype": "keeper", "venue": "pool", "capital": 1e5, "parameters": {"gas": 0.0, "spot_depth": 1e15}},
    ]  # fmt: skip
    shocks = [{"at": 2, "kind": "price_gap", "asset": "ETH", "size": -0.4}]
    _, found = failures(protocols={"pool": pool}, traders=traders, shocks=shocks, feedback="none")
    assert (2, "pool", "bad debt", "owner", pytest.approx(7500.0 - 6000.0 / 1.05)) in found


def test_failures_are_saved(tmp_path):
    shocks = [{"at": 2, "kind": "theft", "target": "bank", "size": 50.0}]
    result, _ = failures(protocols={"holder": HOLDER, "bank": BANK}, shocks=shocks)
    save(result, tmp_path / "out")
    assert load(tmp_path / "out").failures.equals(result.failures)
    assert len(result.failures) >= 2
