"""What a takeover account sells comes out of the lots it had, not of those of accounts taken over after the sale."""

from __future__ import annotations

import numpy as np
import pytest
from small_market import house_units, market, run_once


def test_a_sale_leaves_the_lots_at_once() -> None:
    model = market({"engine": "take_over", "disposal": {"share": 0.5}}, gap=-0.06)
    run_once(model)
    (lots,) = model.liquidation.waterfall.lots.values()
    assert lots.units.sum() == pytest.approx(100.0)
    model.liquidation.run(np.zeros(0, np.int32))
    assert house_units(model).sum() == pytest.approx(50.0)
    assert lots.units.sum() == pytest.approx(50.0)
