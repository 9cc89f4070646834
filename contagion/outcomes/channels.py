"""Ways a loss reaches an agent other than by prices, by the causes of ledger rows."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from contagion.state.codes import Cause


class Channel(IntEnum):
    """A loss is in one of these. Causes not named below are ``OTHER``."""

    EXECUTION = 0  # trades, liquidations and sales of collateral against the mark
    FEES = 1
    SOCIALISED = 2
    LIMITED = 3  # what a venue carries for accounts below zero: the other side of limited liability
    CREDIT = 4
    RUNS = 5  # withdrawals and deposits at another value than the fundamental one; zero at par
    OTHER = 6  # theft, interventions


_CAUSES = {
    Channel.EXECUTION: (
        Cause.EXECUTION, Cause.LIQUIDATION, Cause.SPOT_SALE, Cause.SPOT_DELIVERY, Cause.REPAYMENT, Cause.SEIZURE,
    ),
    Channel.FEES: (Cause.LIQUIDATION_FEE, Cause.GAS, Cause.SURPLUS, Cause.FEE),
    Channel.SOCIALISED: (Cause.ALLOCATION, Cause.RESOLUTION),
    Channel.LIMITED: (Cause.LIMITED_LIABILITY, Cause.DEFICIT),
    Channel.CREDIT: (Cause.LOAN_PAYMENT, Cause.LOAN_DISCHARGE, Cause.FORGIVEN_DEBT, Cause.DEFAULT_COST),
    Channel.RUNS: (
        Cause.WITHDRAWAL, Cause.REDEEMED, Cause.DEPOSIT, Cause.ISSUED, Cause.TOP_UP, Cause.MARGIN_CREDIT,
        Cause.MARGIN_DEBIT,
    ),
}  # fmt: skip
CHANNEL = np.full(len(Cause), int(Channel.OTHER))
for _channel, _causes in _CAUSES.items():
    CHANNEL[list(_causes)] = _channel
"""Of each cause, shape (n_causes,)."""
