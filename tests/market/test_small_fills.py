"""Orders that are tiny beside what has been executed before them."""

from __future__ import annotations

import pytest
from worlds import crisis, scenario

from contagion.errors import InputError
from contagion.model import ContagionModel


@pytest.mark.parametrize("impact", ["linear", "square_root", "exponential"])
@pytest.mark.parametrize("order", [1e-3, 1e-7, 1e-9])
def test_a_tiny_order_meets_the_price_at_which_the_last_one_stopped(impact: str, order: float) -> None:
    """Half the book's depth is bought, then next to nothing: paid is the price of the next unit over the mark."""
    market = ContagionModel(scenario(crisis() | {"impact": impact}), rng=1).market
    instruments = market.world.state.instruments
    row = instruments.names.index("perp:BTC")
    mark, depth = float(instruments.mark[row]), float(instruments.depth[row])
    instruments.flow[row] = 0.5 * depth
    filled, price, _ = market.price(row, order)
    factor = float(market.pricing.volatility_factor[instruments.asset[row]])
    assert filled == pytest.approx(order, rel=0.1)
    assert price == pytest.approx(mark * (1.0 + market.world.impact.impact(0.5 * depth, depth, factor)), rel=1e-9)


@pytest.mark.parametrize("size", [0.0, -1.0])
def test_a_jump_of_volatility_is_a_factor_above_zero(size: float) -> None:
    data = crisis() | {"shocks": [{"at": 1, "kind": "volatility_jump", "asset": "BTC", "size": size}]}
    with pytest.raises(InputError, match="a factor above 0"):
        ContagionModel(scenario(data), rng=1)
