"""What deleveraging does to those who were hedged: the other leg stays, and they are exposed."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.state.tables import State


def broken_hedges(state: State, positions: np.ndarray, units: np.ndarray) -> tuple[int, float]:
    """Hedges that a transfer of units broke, at current prices.

    A position was a hedge if its owner held the opposite exposure to the same asset elsewhere: in another instrument,
    at another venue, or in its own hands.

    Parameters
    ----------
    positions, units : ndarray of shape (n,)
        Rows of Positions after the transfer, and the signed units each received.

    Returns
    -------
    tuple of int and float
        How many, and what of the other leg they used to cover and no longer do. [USD]
    """
    instruments = state.instruments
    settle = state.assets.fundamental[state.books.settle[instruments.book]]
    return _broken(
        positions, units, instruments.sign * instruments.mark * settle, instruments.asset, state.positions.account,
        state.positions.instrument, state.positions.units, state.accounts.owner, state.accounts.start,
        state.agents.account_start, state.agents.holding_start, state.holdings.asset, state.holdings.units,
        state.assets.fundamental,
    )  # fmt: skip


@nb.njit(cache=True)
def _broken(
    positions, units, usd, asset_of, account_of, instrument_of, held, owner_of, account_start_of, accounts_of,
    holdings_of, held_asset, held_units, fundamental,
):  # fmt: skip
    count, left = 0, 0.0
    one = np.uint64(1)
    for i in range(len(positions)):
        row = np.uint64(positions[i])  # unsigned: a signed row is checked, at every use, for counting from the end
        k = np.uint64(instrument_of[row])
        asset, owner = asset_of[k], np.uint64(owner_of[np.uint64(account_of[row])])
        other = 0.0
        for account in range(np.uint64(accounts_of[owner]), np.uint64(accounts_of[owner + one])):
            for p in range(np.uint64(account_start_of[account]), np.uint64(account_start_of[account + one])):
                its = np.uint64(instrument_of[p])
                if p != row and held[p] != 0.0 and asset_of[its] == asset:
                    other += held[p] * usd[its]
        for h in range(np.uint64(holdings_of[owner]), np.uint64(holdings_of[owner + one])):
            if held_asset[h] == asset:
                other += held_units[h] * fundamental[asset]
        if other == 0.0:
            continue
        after = held[row] * usd[k]
        before = after - units[i] * usd[k]
        if other * before < 0.0:
            covered = min(abs(other), abs(before)) - min(abs(other), abs(after))
            if covered > 0.0:
                count += 1
                left += covered
    return count, left
