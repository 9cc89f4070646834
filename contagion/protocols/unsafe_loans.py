"""Which loans may be liquidated, and what there is to gain from each: one compiled pass over borrowers' accounts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np

from contagion.protocols.lending_rules import health_factor
from contagion.state.codes import InstrumentKind
from contagion.state.world import World

_DEBT = int(InstrumentKind.DEBT)


@dataclass(slots=True, frozen=True)
class UnsafeLoans:
    """Accounts whose health factor is strictly below one. Arrays of shape (n,)."""

    account: np.ndarray  # row of Accounts
    since: np.ndarray  # step since when it is unsafe without a break
    debt_row: np.ndarray  # row of Positions
    health: np.ndarray  # [1]
    debt: np.ndarray  # at oracle prices [USD]
    collateral: np.ndarray  # at oracle prices [USD]
    gain: np.ndarray  # most a keeper could gain before gas at market prices, whatever the size [USD]
    bonus: np.ndarray  # of the best collateral, all of it, at oracle prices [USD]
    toxic: np.ndarray  # its liquidation lowers health: HF < LT (1 + bonus) of a collateral


class Borrowers:
    """Accounts at lending pools.

    Parameters
    ----------
    accounts : ndarray of shape (n_accounts,)
        Rows of Accounts.
    threshold : ndarray of shape (n_instruments,)
        Liquidation threshold of collateral, 0 elsewhere. [1]
    incentive : ndarray of shape (n_instruments, 3)
        Bonus by health of collateral: greatest, slope and power of an ``Incentive``, 0 elsewhere.
    """

    def __init__(self, world: World, accounts: np.ndarray, threshold: np.ndarray, incentive: np.ndarray) -> None:
        self.world = world
        self.accounts, self.threshold, self.incentive = accounts, threshold, incentive
        count = len(accounts)
        self._since, self._seen = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        self._found, self._health = np.empty(count, np.int64), np.empty(count)

    def unsafe(self) -> UnsafeLoans | None:
        """Unsafe loans at the current oracle prices, None if there are none.

        A step without a call is taken for one in which nothing was unsafe.
        """
        state = self.world.state
        instruments, positions = state.instruments, state.positions
        found = _find_unsafe(
            self.accounts, state.accounts.start, positions.instrument, positions.units, instruments.equity_price,
            self.threshold, self._since, self._seen, self.world.step, self._found, self._health,
        )  # fmt: skip
        if not found:
            return None
        order = self._found[:found]
        accounts, health = self.accounts[order], self._health[:found].copy()
        debt_row, debt, collateral, gain, bonus, toxic = _examine(
            accounts, health, state.accounts.start, positions.instrument, positions.units, instruments.kind,
            instruments.equity_price, state.assets.market[instruments.asset], self.threshold, self.incentive,
        )  # fmt: skip
        return UnsafeLoans(accounts, self._since[order], debt_row, health, debt, collateral, gain, bonus, toxic)


@nb.njit(cache=True)
def bonus_at(health, most, slope, power):
    """What a keeper gets above what it repays: ``min(most, slope (1 - health) / health ** power)``. [1]

    With slope and power 1 and most ``1 / (1 - d) - 1`` the keeper pays ``max(health, 1 - d)`` of the price (Euler).
    """
    if math.isinf(slope) or health <= 0.0:
        return most
    return min(most, slope * (1.0 - health) / health**power)


@nb.njit(cache=True)
def _find_unsafe(accounts, start, instrument, units, price, threshold, since, seen, step, found, health):
    n = 0
    for i in range(len(accounts)):
        a = accounts[i]
        weighted, debt = 0.0, 0.0
        for p in range(start[a], start[a + 1]):
            value = units[p] * price[instrument[p]]
            if value > 0.0:
                weighted += value * threshold[instrument[p]]
            else:
                debt -= value
        if weighted < debt:
            if since[i] < 0 or seen[i] < step - 1:
                since[i] = step
            seen[i] = step
            found[n], health[n] = i, health_factor(weighted, debt)
            n += 1
        else:
            since[i] = -1
    return n


@nb.njit(cache=True)
def _examine(accounts, health, start, instrument, units, kind, price, market, threshold, incentive):
    n = len(accounts)
    debt_row, toxic = np.full(n, -1, np.int64), np.zeros(n, np.bool_)
    debt, collateral, gain, best = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        a = accounts[i]
        for p in range(start[a], start[a + 1]):
            if kind[instrument[p]] == _DEBT and units[p] < 0.0:
                debt_row[i] = p
                debt[i] = -units[p] * price[instrument[p]]
        for p in range(start[a], start[a + 1]):
            k = instrument[p]
            value = units[p] * price[k]
            if value > 0.0 and kind[k] != _DEBT:
                collateral[i] += value
                bonus = bonus_at(health[i], incentive[k, 0], incentive[k, 1], incentive[k, 2])
                whole = value / (1.0 + bonus)
                best[i] = max(best[i], whole * bonus)
                gain[i] = max(gain[i], min(debt[i], whole) * ((1.0 + bonus) * market[k] / price[k] - 1.0))
                toxic[i] |= health[i] < threshold[k] * (1.0 + bonus)
    return debt_row, debt, collateral, gain, best, toxic
