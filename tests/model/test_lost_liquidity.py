"""What happens when depth or cash that was counted on is gone."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import crisis, scenario

from contagion.model import ContagionModel
from contagion.state.codes import Cause


@pytest.mark.parametrize("done", [-5e5, 5e5])
@pytest.mark.parametrize("asked", [-1e3, 1e3])
def test_an_order_never_fills_beyond_its_size_after_depth_shrank(done: float, asked: float) -> None:
    """Flow of half a million was done when depth was there; now a tenth of a cent of depth is left."""
    model = ContagionModel(scenario(crisis()), rng=1)
    instruments = model.world.state.instruments
    instruments.flow[0], instruments.depth[0] = done, 1e-3
    filled, price, _ = model.market.price(0, asked)
    assert 0.0 <= filled / asked <= 1.0
    assert np.isfinite(price)


def test_a_venue_without_cash_keeps_the_fee_it_cannot_pass_on() -> None:
    """All cash of perp is gone; a fee of 10 lowers the account and what perp owes it, and the fund gets nothing."""
    model = ContagionModel(scenario(crisis()), rng=1)
    world, state = model.world, model.world.state
    perp, fund = world.agent_rows["perp"], world.agent_rows["perp/insurance_fund"]
    world.bookkeeper.pay(Cause.THEFT, perp, 0, float(state.agents.cash[perp]))
    account = int(np.flatnonzero(state.books.venue[state.accounts.book] == perp)[-1])
    balance, before = float(state.accounts.balance[account]), float(state.agents.cash[fund])
    world.bookkeeper.charge(Cause.LIQUIDATION_FEE, account, fund, 10.0)
    assert state.accounts.balance[account] == balance - 10.0
    assert state.agents.cash[fund] == before and state.agents.cash[perp] == 0.0
    row = world.bookkeeper.ledger.rows()[-1]
    assert (row["payer"], row["payee"], row["amount"]) == (state.accounts.owner[account], perp, 10.0)
    model.audit.run()
