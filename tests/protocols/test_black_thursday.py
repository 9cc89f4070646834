"""The Maker side of 12 March 2020: what was observed and was not put in comes out within a factor of two."""

from __future__ import annotations

import pytest

from contagion.model import ContagionModel
from contagion.outcomes import loss_table


@pytest.fixture(scope="module")
def run():
    model = ContagionModel("black_thursday", rng=7)
    return model, model.run()


@pytest.mark.parametrize(
    ("outcome", "observed"),
    [
        ("auction_sales", 4076), ("collateral_at_zero", 8.32e6), ("bad_debt.maker", 5.1e6),
        ("absorbed.token_dilution", 5.3e6), ("tokens_issued.maker", 20_000),
    ],
)  # fmt: skip
def test_of_the_observed_size(run, outcome: str, observed: float) -> None:
    assert 0.5 < run[1].outcomes[outcome] / observed < 2.0


def test_the_stablecoin_rose_above_par(run) -> None:
    assert 1.03 < run[1].outcomes["highest_price.maker"] < 1.15  # 1.084


def test_losses_of_the_protocol_end_on_its_surplus_and_its_token(run) -> None:
    model, result = run
    burden = loss_table(model.world).loc["maker"]
    assert burden.sum() == pytest.approx(result.outcomes["bad_debt.maker"])
    assert burden["outside"] == pytest.approx(result.outcomes["absorbed.token_dilution"])
    assert result.outcomes["claim_value.maker"] == pytest.approx(1.0)


def test_zero_bids_win_where_keepers_are_left_out(run) -> None:
    counters = run[0].world.counters
    assert counters["keepers_left_out"] > 0 and counters["auctions_at_zero"] > 0
    free = ContagionModel("black_thursday", rng=7, chain={"others": 0.0})
    free.run()
    assert "keepers_left_out" not in free.world.counters
    assert free.world.counters["collateral_at_zero"] < 0.5 * counters["collateral_at_zero"]
