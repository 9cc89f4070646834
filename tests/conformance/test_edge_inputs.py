"""Adapters on inputs at the edge of their rules: losers, nobody, sums too small for floats. Worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from contagion.conformance import run_case

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # (150 / 160) (3000 / 900) for a long that loses: the index as documented, without the side's reading.
    "adl_index_hyperliquid": (
        {"accounts": [{"entry_price": 160.0, "mark_price": 150.0, "notional": 3000.0, "account_value": 900.0}]},
        {"index": [3.125]},
    ),
    # 1e10 x 1 / 3e15 is below one unit and rounds up to it.
    "drift_spot_social": (
        {"cumulative_interest_1e10": 10**10, "bad_debt_1e6": 1, "total_deposits_1e6": 3 * 10**15},
        {"delta_cumulative_deposit_interest": 1},
    ),
    # 1 x 1e9 / 1e12 rounds up to 1, times 1000.
    "drift_social_funding": (
        {"loss_1e6": 1, "total_open_interest_1e9": 10**12}, {"delta_cumulative_funding": 1000},
    ),
    # 10 from the capped first, 25 = 0.5 x 50 from the second, nothing from who won nothing.
    "capped_pro_rata": (
        {"winners": [100.0, 50.0, 0.0], "cap": [0.1, 1.0, 1.0], "budget": 35.0},
        {"eta": 0.5, "rate": [0.1, 0.5, 0.0], "amount": [10.0, 25.0, 0.0]},
    ),
    "network_position": (
        {"trades": [], "marks": [90.0]}, {"position": 0.0, "realised_pnl": 0.0, "unrealised_pnl": [0.0]},
    ),
    # A tenth leaves 90.9 of margin on 100 - 0.505; 90.9 / 99.495 = 0.914 is not below 0.9, 80.8 / 98.99 = 0.816 is.
    "share_liquidation": (
        {
            "account_value": 100.0, "maint_margin": 101.0, "penalty_rate": 0.05, "target_ratio": 0.9,
            "shares": [0.1, 0.2, 0.5], "cash": 500.0, "positions": [],
        },
        {"chosen_share": 0.2, "penalty": 1.01, "realised_pnl": 0.0, "cash_after": 498.99},
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", CASES)
def test_edge_inputs(model: str) -> None:
    inputs, expected = CASES[model]
    tolerance = {"abs": 1e-9, "rel": 1e-9}
    case = {
        "id": model, "topic": "edge", "inputs": {"model": model} | inputs, "expected": expected, "tolerance": tolerance,
    }  # fmt: skip
    assert run_case(case).detail == ""
