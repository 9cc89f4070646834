"""The bundled events: who failed first and because of whom is as it was, and checks are no further off than stated."""

from __future__ import annotations

import pytest

from contagion.model import ContagionModel
from contagion.scenario import load_scenario

EVENTS = ("terra_2022", "credit_2022", "ftx_2022", "crv_2022", "svb_usdc_2023", "xusd_2025")


@pytest.fixture(scope="module", params=[7, 11])
def runs(request):
    """Every event; books are audited in every round, so that a run that ends conserves."""
    return {name: ContagionModel(name, rng=request.param).run() for name in EVENTS}


def first(result, agent: str, kind: str | None = None) -> tuple[int, str]:
    """Step and cause of the first failure (of a kind)."""
    found = result.failures[result.failures["agent"] == agent]
    if kind is not None:
        found = found[found["failure"] == kind]
    return int(found["step"].iloc[0]), str(found["cause"].iloc[0])


@pytest.mark.parametrize("name", EVENTS)
def test_facts_have_roles_and_sources(name):
    scenario = load_scenario(name)
    roles = {fact.role for fact in scenario.facts}
    assert roles == {"input", "check"} and all(fact.source for fact in scenario.facts)
    assert scenario.question.endswith("?") and scenario.limits.endswith(".")


def test_checks_have_simulated_values(runs):
    for result in runs.values():
        checks = result.facts[result.facts["role"] == "check"]
        assert checks["simulated"].notna().all()


def test_terra_depositors_queue_then_the_peg_goes_then_minting_takes_the_token(runs):
    result = runs["terra_2022"]
    assert first(result, "anchor")[1] == "ust"
    assert first(result, "ust", "worth less")[1] == "LUNA"
    assert first(result, "ust", "below its value")[0] < first(result, "ust", "worth less")[0]
    assert result.outcomes["drawdown.LUNA"] > 0.99 and result.outcomes["claim_low.ust"] < 0.1
    assert result.outcomes["minted_value"] > 1e9


def test_celsius_stops_before_the_fund_fails_and_voyager_because_of_it(runs):
    result = runs["credit_2022"]
    celsius, _ = first(result, "celsius", "illiquid")
    fund, _ = first(result, "three_arrows", "default")
    voyager, cause = first(result, "voyager", "illiquid")
    assert celsius < fund < voyager and cause == "three_arrows"
    assert first(result, "genesis")[1] == "three_arrows"
    assert "blockfi" not in set(result.failures["agent"])
    assert 0.03 < result.outcomes["discount.steth"] < 0.08  # 4 to 6%


def test_customers_run_on_ftx_and_lenders_stop_after_it(runs):
    result = runs["ftx_2022"]
    ftx, cause = first(result, "ftx", "illiquid")
    assert cause == "alameda"
    assert ftx < first(result, "blockfi", "illiquid")[0] < first(result, "genesis", "illiquid")[0]
    assert first(result, "ftx", "failed")[0] >= first(result, "alameda", "default")[0]
    assert 0.5 < result.outcomes["withdrawals_paid"] / 6e9 < 1.5
    assert 0.0 < result.outcomes["recovery.ftx"] < 1.0


def test_the_short_leaves_bad_debt_that_suppliers_do_not_bear(runs):
    result = runs["crv_2022"]
    assert first(result, "aave", "bad debt")[1] == "short"
    assert 0.3 < result.outcomes["bad_debt.aave"] / 1.65e6 < 3.0
    assert result.outcomes["absorbed.reserve"] == pytest.approx(result.outcomes["bad_debt.aave"])


def test_the_weekend_of_usdc(runs):
    result = runs["svb_usdc_2023"]
    assert list(dict.fromkeys(result.failures["agent"]))[:3] == ["svb", "usdc", "dai"]
    assert first(result, "usdc")[1] == "svb" and first(result, "dai")[1] == "usdc"
    assert abs(result.outcomes["claim_low.usdc"] - 0.882) < 0.05
    assert abs(result.outcomes["claim_low.dai"] - 0.897) < 0.05
    assert result.outcomes["claim_value.usdc"] == pytest.approx(1.0)


def test_buyers_who_wait_hold_the_price_of_usdc(runs):
    """With a tenth of their money it falls further."""
    poor = ContagionModel("svb_usdc_2023", rng=7, **{"traders.bargain_hunters.count": 1}).run()
    assert poor.outcomes["claim_low.usdc"] < runs["svb_usdc_2023"].outcomes["claim_low.usdc"] - 0.005


def test_markets_that_do_not_see_the_loss_are_left_by_those_who_do(runs):
    result = runs["xusd_2025"]
    assert list(dict.fromkeys(result.failures["agent"]))[:3] == ["xusd", "deusd", "sdeusd"]
    assert first(result, "lends_on", "illiquid")[1] == "xusd_market"
    assert first(result, "stays", "illiquid")[1] == "sdeusd_market"
    assert "early" not in set(result.failures["agent"])
    assert "loan_liquidations" not in result.outcomes  # the oracle is fixed: at most five were observed
    steps = result.steps
    assert (steps["redemption.xusd_market"] >= 1.0).all()  # nobody recognises it
    assert result.outcomes["claim_value.xusd_market"] < 0.9
