"""Where the money of a liquidation goes: fund, owner, liquidator; and the three prices apart."""

from __future__ import annotations

import numpy as np
import pytest
from small_market import account, equity, fund, market, run_once, units

from contagion.errors import InvariantError
from contagion.liquidation import proceeds
from contagion.liquidation.fees import insurance_delta, insurance_fee_within, insurance_flow, liquidator_fee

approx = pytest.approx
FULL = {"engine": "full", "limit": "market"}


@pytest.mark.parametrize(
    ("rule", "to_fund"),
    [
        ("owner", 0.0),
        ("owner_after_fee", 94.0),  # 1% of 9,400
        ("fund", 353.0),  # all of 400 less the 47 that depth costs
        # 1% of the 9,353 the close is paid; better than bankruptcy by 353
        ("fund_up_to_fee", 93.53),
    ],
)  # fmt: skip
def test_who_gets_what_is_left(rule, to_fund):
    # Depth 9,400: the close costs 0.5% on average: execution 93.53, trigger 94, bankruptcy 90.
    model = market({**FULL, "fee": 0.01, "surplus_to": rule}, depth=9_400.0)
    run_once(model)
    assert fund(model) == approx(1_000 + to_fund)
    assert equity(model) == approx(353 - to_fund)


def test_the_fund_gains_by_what_execution_is_better_than_bankruptcy():
    # The identity: side x size x (execution - bankruptcy) = 100 x (93.53 - 90)
    assert insurance_flow(100.0, 93.53, 90.0) == approx(353.0)
    assert insurance_flow(-40.0, 2611.0, 2604.5) == approx(-260.0)


def test_a_fund_that_does_not_get_its_surplus_stops_the_run(monkeypatch):
    monkeypatch.setattr(proceeds, "insurance_flow", lambda units, execution, bankruptcy: units * (execution - 89.0))
    model = market({**FULL, "surplus_to": "fund"}, depth=9_400.0)
    with pytest.raises(InvariantError, match="units \\* \\(execution - bankruptcy\\)"):
        model.step()


def test_a_shortfall_is_a_deficit_that_the_fund_pays():
    # Depth 940: closing costs 5% of 9,400, 470, 70 more than the equity.
    model = market({**FULL, "fee": 0.01}, depth=940.0)
    model.step()
    roots = model.world.bookkeeper.deficits
    assert roots.amount == approx([70.0])
    assert fund(model) == approx(930.0)


def test_surplus_is_capped_by_the_fee_and_a_shortfall_is_not():
    assert insurance_delta(np.array([5_610.0, 5_049.0]), 5_100.0, 0.005) == approx([28.05, -51.0])


def test_fee_within_margin():
    # 5% - 1% - 20 / (10 x 100) = 2%, of which 95%
    assert insurance_fee_within(0.05, 20.0, 10.0, 100.0, 0.05, 0.01) == approx(0.019)
    assert insurance_fee_within(0.05, 1_000.0, 10.0, 100.0, 0.05, 0.01) == 0.0
    # In a run: ratio 470/9,400 is 5%, shortage 70 is 0.745% of notional; without distance 0.95 x 4.255% exceeds 1%.
    model = market({"engine": "full", "limit": "market", "fee": 0.2, "fee_within_margin": 0.95})
    run_once(model)
    assert fund(model) == approx(1_000 + 0.95 * (470 - 70))


def test_discount_of_liquidators_is_flat_and_then_counts_all_the_time():
    fees = liquidator_fee(np.array([0.0, 1_499.0, 1_500.0, 10_000.0, 100_000.0]), 0.02, 0.05, 1_500.0, 1e-6)
    assert fees == approx([0.02, 0.02, 0.0215, 0.03, 0.05])


def _liquidators(**terms):
    groups = [{}, {
        "archetype": "liquidator", "name": "desk", "capital": 1e4, "size": {}, "leverage": {},
        "parameters": {"speed": 0.5, **terms.pop("parameters", {})},
    }]  # fmt: skip
    return market({"engine": "full", "limit": "market", "fee": 0.0, "liquidators": terms}, traders=groups)


def test_liquidators_buy_at_a_discount_and_sell_on():
    model = _liquidators(fee=0.02, most=0.05)
    run_once(model)
    assert units(model) == approx([0.0])
    assert units(model, "desk") == approx([100.0])
    assert equity(model) == approx(400 - 188)  # 2% of 9,400
    assert equity(model, "desk") == approx(1e4 + 188)
    model.step()
    assert units(model, "desk") == approx([50.0])


def test_liquidators_take_what_their_margin_carries_and_wait_for_their_discount():
    # 300 of margin at 6% carry 5,000 USD.
    model = market(
        {"engine": "full", "limit": "market", "fee": 0.0, "liquidators": {"fee": 0.02}},
        traders=[{}, {"archetype": "liquidator", "name": "desk", "capital": 300.0, "size": {}, "leverage": {}}],
    )  # fmt: skip
    run_once(model)
    assert units(model, "desk") == approx([5_000 / 94])
    # 0.6 an hour is 1% a minute: 2% until the third minute, when all three count; those who want 4.5% wait for it.
    waiting = _liquidators(fee=0.02, most=0.05, grace="3min", growth=0.6, parameters={"minimum_discount": 0.045})
    held = []
    for _ in range(5):
        waiting.step()
        held.append(float(units(waiting)[0]))
    assert held == approx([100.0, 100.0, 100.0, 0.0, 0.0])


def test_liquidators_leave_what_pays_less_than_they_want():
    traders = [{}, {"name": "two"}, {"archetype": "liquidator", "name": "desk", "capital": 1e4, "size": {},
                                     "leverage": {}, "parameters": {"minimum_discount": 0.04}}]  # fmt: skip
    model = market({**FULL, "liquidators": {}}, traders=traders)
    rows = model.world.state.accounts.start[[account(model), account(model, "two")]].astype(np.int64)
    desk = model.liquidation._desks[model.world.venues["perp"].row]
    done, price = desk.take(rows, np.array([-100.0, -100.0]), np.array([0.03, 0.05]))
    assert done == approx([0.0, -100.0])
    assert price == approx([97.0, 95.0])


def test_accounts_that_end_flat_are_closed_for_good():
    model = market(FULL)
    model.step()
    row = account(model)
    assert model.world.state.accounts.breached_at[row] == -1
    assert model.liquidation._attempts[row] == 0
