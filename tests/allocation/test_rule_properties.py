"""What ``contagion rules`` says of each rule: every yes is searched for a counterexample, every no has one."""

from __future__ import annotations

import pytest
import rule_markets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contagion.rules_table import RULES, rendered, table

BY_NAME = {rule.name: rule for rule in RULES}
CLAIMS = [(name, key, has) for name, found in table() for key, has in found.items()]

COUNTEREXAMPLES: dict[str, dict[str, int]] = {
    "insurance fund, drawdown gate": {"budget_balance": 0},
    "insurance fund, cap per window": {"budget_balance": 0, "scale_invariant": 0},
    "skin in the game": {"budget_balance": 0, "scale_invariant": 0},
    "backstop vault": {"budget_balance": 0},
    "default fund": {"principal_untouched": 0},
    "assessments": {"principal_untouched": 0},
    "recourse": {"principal_untouched": 0},
    "depositor write-down": {"principal_untouched": 0},
    "safety pool, cap per window": {"budget_balance": 0, "scale_invariant": 0},
    "token dilution": {"budget_balance": 0, "principal_untouched": 0},
    "profit haircut, risk-aware": {"monotone_in_profit": 3, "split_proof": 28},
    "profit haircut, queue": {"monotone_in_profit": 8, "split_proof": 25},
    "optimal, loss over equity": {"split_proof": 32},
    "optimal, greatest survivor": {"split_proof": 7},
    "balance haircut": {"principal_untouched": 1},
    "open-interest levy": {"split_proof": 0, "principal_untouched": 0},
    "withdrawal haircut": {"budget_balance": 0, "principal_untouched": 1},
    "ADL Binance": {"scale_invariant": 31, "split_proof": 25, "principal_untouched": 0},
    "ADL BitMEX": {"monotone_in_profit": 8, "split_proof": 46, "principal_untouched": 0},
    "ADL Bybit": {"budget_balance": 0, "monotone_in_profit": 8, "split_proof": 46, "principal_untouched": 0},
    "ADL OKX": {"budget_balance": 0},
    "ADL Hyperliquid": {
        "budget_balance": 0, "no_over_collection": 0, "monotone_in_profit": 0, "split_proof": 22,
        "principal_untouched": 0,
    },
    "ADL dYdX v4": {"monotone_in_profit": 1, "split_proof": 9, "principal_untouched": 0},
    "ADL pro rata to size": {"principal_untouched": 0},
    "ADL pro rata to profit": {"principal_untouched": 2},
    "ADL pro rata to equity": {"split_proof": 19, "principal_untouched": 0},
    "ADL pro rata, capped": {"principal_untouched": 1},
    "ADL pro rata, risk-aware": {"monotone_in_profit": 0, "split_proof": 12, "principal_untouched": 0},
    "ADL pro rata, whole lots": {
        "monotone_in_profit": 1, "scale_invariant": 0, "split_proof": 4, "principal_untouched": 0,
    },
    "tear-up, partial": {"budget_balance": 0},
}  # fmt: skip
"""Seeds of markets on which a property fails."""


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, key, has in CLAIMS if has])
def test_no_counterexample_to_a_yes(name: str, key: str) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(0, 100_000))
    def search(seed: int) -> None:
        assert getattr(rule_markets, key)(BY_NAME[name], seed)

    search()


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, key, has in CLAIMS if has is False])
def test_a_counterexample_to_a_no(name: str, key: str) -> None:
    assert not getattr(rule_markets, key)(BY_NAME[name], COUNTEREXAMPLES[name][key])


def test_the_table_fits_a_terminal() -> None:
    lines = rendered().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert len(RULES) == len(BY_NAME)
    row = next(line for line in lines if line.startswith("ADL Hyperliquid"))
    assert row.split()[2:] == ["no", "no", "no", "yes", "no", "no"]
