"""Posted coins that are sold only as far as margin is missing, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from contagion import ContagionModel
from contagion.liquidation.two_tokens import asset_for, debt_for, fee_within_weights, transfer_to_cover
from contagion.scenario.schema import Scenario


def market(collateral: str, gap: float = -0.22, fee: float = 0.02) -> Scenario:
    """One long of 1 BTC at 100,000 on 25,000, 80% of it 0.2 BTC of which 0.7 counts; nobody else moves the price."""
    return Scenario.model_validate({
        "name": "posted", "dt": "1h", "steps": 4, "prices": "constant", "feedback": "none",
        "assets": {"BTC": {"price": 100_000, "volatility": 0.6}},
        "shocks": [{"at": 2, "kind": "price_gap", "asset": "BTC", "size": gap}],
        "exchanges": {"perp": {
            "insurance_fund": {"size": 1e6}, "mark": "index", "collateral": {"BTC": {"haircut": 0.3}},
            "contracts": {"BTC": {"tiers": [{"maintenance": 0.05, "initial": 0.1}]}},
            "liquidation": {"engine": "full", "limit": "market", "fee": fee, "collateral": collateral},
        }},
        "traders": [
            {"archetype": "directional", "name": "long", "count": 1, "venue": "perp", "size": {"fixed": 1e5},
             "leverage": {"fixed": 4}, "long_share": 1.0, "posts": {"BTC": 0.8}, "answers": {"ignore": 1.0},
             "parameters": {"speed": 0.0}},
            {"archetype": "market_maker", "count": 2, "venue": "perp", "capital": 1e9, "parameters": {"depth": 1e15}},
        ],
    })  # fmt: skip


def test_only_what_margin_lacks_is_sold_and_the_contract_stays():
    # At 90,000: 5,000 of money less 10,000 lost, and 0.2 BTC of which 12,600 count: 7,600 for 4,500. At 85,000: 5,000 -
    # 15,000 + 11,900 = 1,900 for 4,250: 2,350 are missing. A sale frees 30% less the fee of 2%: 2,350 / 0.28 of it.
    model = ContagionModel(market("to_cover", gap=-0.15), rng=1)
    result = model.run()
    sold = 2_350.0 / 0.28
    assert result.outcomes["collateral_sold"] == pytest.approx(sold, rel=1e-6)
    ledger = result.ledger
    assert ledger[ledger.cause == "liquidation_fee"].amount.sum() == pytest.approx(0.02 * sold, rel=1e-6)
    state = model.world.state
    account = int(state.agents.account_start[model.world.agent_rows["long"]])
    rows = slice(state.accounts.start[account], state.accounts.start[account + 1])
    np.testing.assert_allclose(state.positions.units[rows], [1.0, 0.2 - sold / 85_000.0], rtol=1e-6)
    assert "liquidations" not in result.outcomes or result.outcomes["liquidations"] == 0.0


def test_where_coins_do_not_suffice_they_all_go_and_contracts_follow():
    # At 78,000: 5,000 - 22,000 + 10,920 is below zero.
    for terms, proceeds in ((("to_cover", -0.22), 0.2 * 78_000.0), (("all", -0.15), 0.2 * 85_000.0)):
        result = ContagionModel(market(*terms), rng=1).run()
        assert result.outcomes["collateral_sold"] == pytest.approx(proceeds, rel=1e-6)


def test_the_four_formulas_fit_together():
    # 10 are missing; a coin that counts 0.8 is handed over 5% above its value: each unit of debt frees 1 - 0.84.
    assert transfer_to_cover(10.0, 1.0, 1.0, 0.8, 1.05) == pytest.approx(10.0 / 0.16)
    assert transfer_to_cover(10.0, 1.0, 1.0, 0.96, 1.05) == float("inf")
    assert debt_for(asset_for(3.0, 2.0, 5.0, 1.05), 5.0, 2.0, 1.05) == pytest.approx(3.0)
    # 100 of debt repaid would free 16; 10 are needed, so 6 of 100 may go to the fund.
    assert fee_within_weights(0.5, 10.0, 100.0, 1.0, 1.0, 0.8, 1.05) == pytest.approx(0.06)
    assert fee_within_weights(0.5, 20.0, 100.0, 1.0, 1.0, 0.8, 1.05) == 0.0
