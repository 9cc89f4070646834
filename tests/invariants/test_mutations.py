"""The books' own checks catch every way of cooking them: a mutated run stops, the unmutated one passes."""

from __future__ import annotations

import pytest
from mutations import MUTATIONS
from worlds import crisis, scenario

from contagion.errors import InvariantError
from contagion.model import ContagionModel


def test_the_run_that_is_mutated_goes_through_everything() -> None:
    """Control: without a mutation the run ends, and every mechanism that is broken below has been used in it."""
    found = ContagionModel(scenario(crisis()), rng=7).run()
    assert len(found.steps) == 7
    for name in (
        "fund_use.perp", "absorbed.auto_deleverage", "absorbed.profit_haircut", "absorbed.venue_equity", "unallocated",
        "bad_debt.pool", "absorbed.reserve", "absorbed.depositor_write_down", "liquidated_debt", "withdrawals_paid",
        "top_ups",
    ):  # fmt: skip
        assert found.outcomes[name] > 0.0, name
    assert found.outcomes["fund_end.dex"] == 0.0
    causes = set(found.ledger["cause"])
    assert {"liquidation", "liquidation_fee", "limited_liability", "surplus", "funding", "loan_payment"} <= causes


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_mutated_run_stops(mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with pytest.raises(InvariantError):
        ContagionModel(scenario(crisis()), rng=7).run()
