"""What an account leaves when its venue takes it over: positions with bankruptcy prices, and quotes that end."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.liquidation.engines import holdings_of
from contagion.margin.prices import bankruptcy_prices
from contagion.state.tables import State


def stop_quoting(state: State, accounts: np.ndarray) -> None:
    """A maker whose account is gone takes no more flow in later rounds of the step."""
    makers = state.makers
    gone = np.isin(makers.account, accounts)
    if gone.any():
        makers.depth[gone] = 0.0
        state.instruments.depth[:] = np.bincount(makers.instrument, makers.depth, len(state.instruments.depth))


def bankruptcy_lots(state: State, accounts: int | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Instruments, signed units and bankruptcy prices of the open contracts of accounts, account by account.

    The bankruptcy price of one position is where equity is zero; with several, equity is spread over them in
    proportion to maintenance. [settlement asset per unit]
    """
    accounts = np.atleast_1d(accounts)
    held = holdings_of(state, accounts)
    price = state.instruments.equity_price[held.instrument]
    value = np.bincount(held.owner, weights=held.units * price, minlength=len(accounts))
    equity = state.accounts.balance[accounts] + value
    return held.instrument, held.units, bankruptcy_prices(held.units, price, held.requirement, equity, held.owner)


@nb.njit(cache=True)
def without_units(accounts, start, units):
    """Whether each listed account holds nothing."""
    flat = np.ones(len(accounts), np.bool_)
    for i in range(len(accounts)):
        for p in range(start[accounts[i]], start[accounts[i] + 1]):
            if units[p] != 0.0:
                flat[i] = False
    return flat
