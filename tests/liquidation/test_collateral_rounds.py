"""Sales of collateral in a later round of a step are not charged again for the move that is in the price already."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.model import ContagionModel


def test_a_later_round_sells_down_the_same_curve() -> None:
    model = ContagionModel("options_desk", rng=1)
    market, assets = model.liquidation._collateral._market, model.world.state.assets
    coin, depth, half = 1, 1e6, 10.0
    first, _ = market.quote(coin, half, depth)
    in_one_round = market.quote(coin, 2 * half, depth)
    _, price = market.quote(coin, first, depth)
    proceeds = first * price
    market.sold(coin, first, depth)
    model.pricing.reprice()
    model.liquidation.run(np.empty(0, np.int64))  # the next round begins
    second, price = market.quote(coin, half, depth)
    # Half and half on one curve is the whole at once: the same units for the same money.
    assert assets.endogenous[coin] < 0.0
    assert first + second == pytest.approx(in_one_round[0], rel=1e-9)
    assert proceeds + second * price == pytest.approx(in_one_round[0] * in_one_round[1], rel=1e-9)
