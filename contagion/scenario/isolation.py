"""Isolated collateral: accounts that hold it hold no other, and together owe at most its debt ceiling (Aave v3)."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.scenario.layout import Layout
from contagion.scenario.lending import LendingPool
from contagion.state.codes import InstrumentKind
from contagion.state.tables import Accounts, Instruments, Positions


def owed_against(instrument: int, accounts: Accounts, positions: Positions, instruments: Instruments) -> float:
    """Debt of all accounts that hold collateral. [USD]"""
    holders = positions.account[(positions.instrument == instrument) & (positions.units > 0.0)]
    debts = np.isin(positions.account, holders) & (instruments.kind[positions.instrument] == InstrumentKind.DEBT)
    return -float(positions.units[debts] @ instruments.mark[positions.instrument[debts]])


def check_isolation(layout: Layout, accounts: Accounts, positions: Positions) -> None:
    """Raise where opening loans break the terms of isolated collateral.

    Raises
    ------
    InputError
        Other collateral beside it, or more debt than its ceiling.
    """
    instruments = layout.instruments
    for row, spec in layout.specs.items():
        for key, terms in spec.collateral.items() if isinstance(spec, LendingPool) else ():
            if terms.debt_ceiling is None:
                continue
            instrument, where = layout.instrument_rows[row, key], f"protocols.{layout.names[row]}.collateral.{key}"
            holders = positions.account[(positions.instrument == instrument) & (positions.units > 0.0)]
            beside = np.isin(positions.account, holders) & (positions.units > 0.0)
            beside &= positions.instrument != instrument
            if beside.any():
                other = instruments.names[int(positions.instrument[beside][0])]
                raise InputError(where, f"borrowers with {other}", "borrowers who post nothing else: it is isolated")
            owed = owed_against(instrument, accounts, positions, instruments)
            if owed > terms.debt_ceiling * (1.0 + 1e-12):
                raise InputError(f"{where}.debt_ceiling", terms.debt_ceiling, f"at least {owed:.6g}, what is owed")
