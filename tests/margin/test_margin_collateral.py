"""Coins posted as margin: they count less a haircut, fall with the market, and are sold when their owner is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion import ContagionModel
from contagion.errors import InputError
from contagion.scenario.schema import Scenario


def market(haircut: float = 0.1, gap: float = -0.25, **more) -> Scenario:
    return Scenario.model_validate({
        "name": "posted", "dt": "1h", "steps": 6, "prices": "constant",
        "assets": {"BTC": {"price": 100_000, "volatility": 0.6}},
        "shocks": [{"at": 3, "kind": "price_gap", "asset": "BTC", "size": gap}],
        "exchanges": {"perp": {"equity": 1e5, "insurance_fund": {"size": 1e6},
                               "collateral": {"BTC": {"haircut": haircut}}}},
        "traders": [
            {"archetype": "directional", "count": 4, "venue": "perp", "size": {"fixed": 1e5}, "leverage": {"fixed": 4},
             "long_share": 1.0, "posts": {"BTC": 0.8}, "answers": {"ignore": 1.0}, "parameters": {"speed": 0.0}},
            {"archetype": "market_maker", "count": 2, "venue": "perp", "capital": 3e6},
        ],
        **more,
    })  # fmt: skip


def test_opening_by_hand():
    model = ContagionModel(market(), rng=1)
    model.step()
    state = model.world.state
    trader = state.first_trader
    account = int(state.agents.account_start[trader])
    # 100,000 at 4x: 25,000 of margin, 80% of it 0.2 BTC; a tenth of their 20,000 does not count.
    rows = slice(state.accounts.start[account], state.accounts.start[account + 1])
    np.testing.assert_allclose(state.positions.units[rows], [1.0, 0.2], rtol=1e-12)
    assert state.agents.worth[trader] == pytest.approx(25_000.0)
    assert state.accounts.equity[account] == pytest.approx(23_000.0)
    custody = state.holdings.units[model.world.bookkeeper.slot(model.world.agent_rows["perp"], 1)]
    assert custody == pytest.approx(4 * 0.2)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.9))
def test_a_smaller_haircut_raises_equity(haircut):
    equity = []
    for size in (haircut, haircut / 2):
        model = ContagionModel(market(size), rng=1)
        model.pricing.reprice()
        model.audit.run()
        state = model.world.state
        equity.append(state.accounts.equity[state.agents.account_start[state.first_trader]])
    assert equity[1] >= equity[0]
    assert equity[1] - equity[0] == pytest.approx(20_000.0 * haircut / 2, abs=1e-6)


def test_collateral_is_sold_with_its_owner():
    result = ContagionModel(market(), rng=1).run()
    # The gap of 25% eats the position's margin; 0.8 BTC of four owners go to outside for less than their value.
    ledger = result.ledger
    sold = ledger[ledger.cause == "spot_delivery"]
    assert sold.amount.sum() == pytest.approx(0.8 * 75_000.0)
    proceeds = ledger[ledger.cause == "spot_sale"].amount.sum()
    assert 0.0 < proceeds < 0.8 * 75_000.0
    assert result.outcomes["collateral_sold"] == pytest.approx(proceeds)


def test_without_a_fall_nothing_is_sold():
    result = ContagionModel(market(gap=0.1), rng=1).run()
    assert "collateral_sold" not in result.outcomes


def test_a_failed_venue_sells_what_it_holds_for_customers():
    scenario = market(gap=-0.4).model_dump(mode="json")
    scenario["exchanges"]["perp"] |= {"on_insolvency": "resolve", "equity": 0.0, "insurance_fund": {"size": 0.0}}
    result = ContagionModel(Scenario.model_validate(scenario), rng=1).run()
    assert result.outcomes["insolvencies"] == 1.0


def test_only_accepted_assets_can_be_posted():
    scenario = market().model_dump(mode="json")
    scenario["exchanges"]["perp"]["collateral"] = {}
    with pytest.raises(InputError, match="collateral of perp"):
        ContagionModel(Scenario.model_validate(scenario), rng=1)


def test_coins_lose_in_the_scan_what_counts_of_them():
    """A fall of a tenth: 1 BTC long loses 10,000 and 0.2 BTC posted, nine tenths of which count, 1,800; half of it."""
    scenario = market().model_dump(mode="json")
    scenario["exchanges"]["perp"]["margin"] = {
        "margin": "portfolio", "scenarios": [[-0.1, 0.0, 1.0], [0.1, 0.0, 1.0]], "net_delta_rate": 0.0, "fee": 0.0,
        "hedged_delta_rate": 0.0,
    }  # fmt: skip
    model = ContagionModel(Scenario.model_validate(scenario), rng=1)
    model.step()
    state = model.world.state
    account = state.agents.account_start[[state.first_trader]].astype(np.int64)
    assert model.world.margin.initial(account) == pytest.approx([11_800.0])
    assert model.world.margin.of(account)[1] == pytest.approx([5_900.0])
