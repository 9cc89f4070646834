"""Lenders who roll over, and lenders who want their money back: the chain from a fund to a desk to savers."""

from __future__ import annotations

import pytest

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario


def chain(shows: str, **loan) -> tuple[ContagionModel, dict[str, float]]:
    """A desk has lent 1,000 to a fund that then has 1,500, from which 800 are stolen at step 3; prices stand still."""
    data = {
        "name": "credit", "steps": 8, "dt": "24h", "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
        "shocks": [{"at": 3, "kind": "theft", "target": "fund", "size": 800.0}],
        "protocols": {"fund": {"kind": "fund_share", "equity": 500.0}, "desk": {"kind": "fund_share", "equity": 1e3}},
        "credit": {"loans": [
            {"lender": "desk", "borrower": "fund", "amount": 1e3, "due": 2, "term": 2, "disclosure": shows} | loan
        ]},
    }  # fmt: skip
    model = ContagionModel(load_scenario(data), rng=1)
    model.run()
    return model, model.result().outcomes


@pytest.mark.parametrize(("shows", "rolled", "unpaid"), [
    ("positions", 1_000.0, 300.0),  # due at 2 and extended to 4, when the fund has 700: not again
    ("accounts", 1_000.0, 300.0),
    ("proof_of_solvency", 1_000.0, 300.0),
    ("none", 4_000.0, 0.0),  # extended at 2, 4, 6 and 8: the loss is never recognised
])  # fmt: skip
def test_a_loan_is_rolled_over_while_nothing_is_seen(shows, rolled, unpaid):
    model, outcomes = chain(shows)
    assert outcomes["loans_rolled_over"] == pytest.approx(rolled)
    assert outcomes.get("loans_unpaid", 0.0) == pytest.approx(unpaid)
    cash = float(model.world.state.agents.cash[model.world.agent_rows["desk"]])
    assert cash == pytest.approx(700.0 if unpaid else 0.0)


def test_without_a_term_it_falls_due_once():
    _, outcomes = chain("none", term=None)
    assert "loans_rolled_over" not in outcomes
    assert outcomes.get("loans_unpaid", 0.0) == 0.0  # paid at step 2, before the theft


def test_outside_lends_and_owes():
    """The fund has 700 of 1,000 that it owes outside; a loan to outside is paid in full. Thefts went outside, too."""
    _, outcomes = chain("none", lender="outside", term=None, due=4)
    assert outcomes["loans_unpaid"] == pytest.approx(300.0)
    assert outcomes["gain.outside"] == pytest.approx(800.0 - 300.0)
    assert outcomes["gain.protocols"] == pytest.approx(-500.0)
    _, paid = chain("none", lender="desk", borrower="outside", term=None, due=4)
    assert paid["gain.outside"] == pytest.approx(500.0) and paid["loans_unpaid"] == 0.0


def test_a_worried_lender_calls():
    """Seen at step 3, due a step later in place of step 99."""
    _, outcomes = chain("positions", due=99, term=None, notice=1)
    assert outcomes["loans_called"] == pytest.approx(1_000.0)
    assert outcomes["loans_unpaid"] == pytest.approx(300.0)
    assert outcomes["credit_defaults"] == 1
    _, silent = chain("none", due=99, term=None, notice=1)
    assert "loans_called" not in silent and "loans_unpaid" not in silent


def test_positions_look_through_a_chain_of_borrowers():
    """savers -> desk -> fund: the desk has 200 besides its loan of 1,000, worth 700 at market, and owes 1,000."""
    data = chain("none")[0].scenario.model_dump(mode="json")
    data["protocols"]["savers"] = {"kind": "fund_share", "equity": 1e3}
    data["protocols"]["desk"]["equity"] = 200.0
    for shows, called in (("positions", 1_000.0), ("proof_of_solvency", 1_000.0), ("accounts", 0.0)):
        data["credit"]["loans"] = [
            {"lender": "desk", "borrower": "fund", "amount": 1e3, "due": 99},
            {"lender": "savers", "borrower": "desk", "amount": 1e3, "due": 99, "notice": 1, "disclosure": shows},
        ]
        model = ContagionModel(load_scenario(data), rng=1)
        for _ in range(3):
            model.step()
        assert model.result().outcomes.get("loans_called", 0.0) == pytest.approx(called)
        if shows == "positions":  # 200 + 700 of 1,000
            assert model.lenders._disclosure.of_loan(1, shows) == pytest.approx(0.1)


def test_a_lender_that_is_run_on_calls_what_it_lent():
    """Savers with 1,000 in a bank that lent 800: 200 are paid at step 1, the rest at step 3, out of what comes back."""
    data = chain("none")[0].scenario.model_dump(mode="json") | {"shocks": []}
    data["protocols"] = {
        "bank": {"kind": "bank", "exit": {"pays": "face"}}, "fund": {"kind": "fund_share"},
    }  # fmt: skip
    data["shocks"] = [{"at": 1, "kind": "withdrawal", "target": "bank", "size": 1e3}]
    data["traders"] = [{"archetype": "depositor", "venue": "bank", "capital": 1e3}]
    data["credit"]["loans"] = [{"lender": "bank", "borrower": "fund", "amount": 800.0, "due": 99, "notice": 2}]
    model = ContagionModel(load_scenario(data), rng=1)
    paid = []
    for _ in range(4):
        model.step()
        paid.append(model.world.step_counters.get("withdrawals_paid", 0.0))
    assert paid == pytest.approx([200.0, 0.0, 800.0, 0.0])
    assert model.result().outcomes["loans_called"] == pytest.approx(800.0)


def test_a_borrower_sells_what_it_has_before_it_defaults():
    """Due at step 4, when 1,500 of ether are worth 900; the desk sells 100 of its 180 to pay the savers in full."""
    data = chain("none")[0].scenario.model_dump(mode="json")
    data["shocks"] = [{"at": 3, "kind": "price_gap", "asset": "ETH", "size": -0.4}]
    data["protocols"] = {
        "fund": {"kind": "fund_share", "equity": 500.0, "holds": {"ETH": 1_500.0}},
        "desk": {"kind": "fund_share", "equity": 300.0, "holds": {"ETH": 300.0}},
        "savers": {"kind": "fund_share", "equity": 1e3},
    }  # fmt: skip
    data["credit"]["loans"] = [
        {"lender": "desk", "borrower": "fund", "amount": 1e3, "due": 4},
        {"lender": "savers", "borrower": "desk", "amount": 1e3, "due": 4},
    ]
    model = ContagionModel(load_scenario(data), rng=1)
    model.run()
    worth = {name: float(model.world.state.agents.worth[model.world.agent_rows[name]]) for name in data["protocols"]}
    assert worth == pytest.approx({"fund": 0.0, "desk": 80.0, "savers": 1_000.0})
    assert model.result().outcomes["loans_unpaid"] == pytest.approx(100.0)
    assert model.result().outcomes["credit_defaults"] == 1
