"""Values of claims whose issuers may come to hold each other's, directly or as collateral."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.errors import ConvergenceError
from contagion.network.claims import solve_claim_values
from contagion.protocols.faces import ILLIQUID, face_value
from contagion.state.codes import InstrumentKind
from contagion.state.world import World

_SPOT = int(InstrumentKind.SPOT)
_ROUNDS = 200


class ClaimCycles:
    """Greatest solution of all issuers' balance sheets together.

    A pool has ``min(debt, collateral)`` of each borrower, which is concave in the value of claims posted as
    collateral. So start with every borrower good for its debt, solve, move those whose collateral turns out to be
    worth less to the side of their collateral, and repeat: values only fall, each borrower moves at most once, and
    the end is the greatest solution. An issuer's own account at another venue enters at the values of the pass
    before, until it stands still.

    Parameters
    ----------
    claims, issuers : ndarray of shape (n,)
        Rows of Assets and of Agents.
    own_start, own_accounts, customer_start, customers : ndarray
        Accounts of each issuer elsewhere and of its customers, as offsets and rows of Accounts.
    faces : tuple of ndarray
        As :func:`~contagion.protocols.faces.opening_faces` returns them. Where redemption values are solved such a
        claim stands at its face while its issuer has anything.
    """

    def __init__(
        self, world: World, claims, issuers, own_start, own_accounts, customer_start, customers, faces
    ) -> None:  # fmt: skip
        self.world = world
        self.claims, self.issuers = claims, issuers
        self._accounts = (own_start, own_accounts, customer_start, customers)
        self._names = [world.state.assets.names[row] for row in claims]
        self._column = np.full(len(world.state.assets.names), -1, np.int64)
        self._column[claims] = np.arange(len(claims))
        self._faces = faces
        self._at_face = np.flatnonzero(np.diff(faces[0]))

    def solve(self, carried: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Fundamental and redemption value of each claim, shape (n,) each. [USD per unit]

        Deficits that are `carried`, shape (n,) or a number for all, count as assets until they are recognised. [USD]
        """
        assets = self.world.state.assets
        fundamental = self._greatest(assets.fundamental.copy(), True, 0.0)
        return fundamental, self._greatest(assets.redemption.copy(), False, carried)

    def _greatest(self, prices: np.ndarray, recognise_all: bool, carried: np.ndarray | float) -> np.ndarray:
        """`prices` by asset, claims at their last value; borrowers below water count in full if not `recognise_all`."""
        state, claims = self.world.state, self.claims
        supply, par = state.assets.supply[claims], state.assets.par[claims]
        last = prices[claims].copy()
        column, at_face = self._column, np.empty(0, np.int64) if recognise_all else self._paying_face()
        if len(at_face):
            column = column.copy()
            column[claims[at_face]] = -1
        sunk = np.zeros(len(self._accounts[3]), np.bool_)
        values = last
        for _ in range(_ROUNDS):
            own, units = self._sheets(prices, sunk, column)
            own += carried
            values = solve_claim_values(
                np.maximum(own, 0.0), np.maximum(-own, 0.0), np.maximum(units, 0.0), supply, par, names=self._names
            )
            values = np.where(supply > 0.0, values, last)
            for j in at_face:
                if values[j] > 0.0:
                    values[j] = max(values[j], face_value(j, prices, *self._faces))
            moved = np.abs(values - prices[claims]) > 1e-14 * values
            prices[claims] = values
            if recognise_all and self._sink(prices, sunk):
                continue
            if not moved.any():
                return values
        raise ConvergenceError(f"claim values did not settle in {_ROUNDS} passes at step {self.world.step}")

    def _paying_face(self) -> np.ndarray:
        status = self.world.state.agents.status
        return self._at_face[status[self.issuers[self._at_face]] & ILLIQUID == 0]

    def _columns(self) -> tuple:
        state = self.world.state
        return (
            *self._accounts, state.accounts.balance, state.accounts.book, state.accounts.start, state.books.settle,
            state.positions.instrument, state.positions.units, state.instruments.kind, state.instruments.asset,
            state.instruments.value_price,
        )  # fmt: skip

    def _sheets(self, prices: np.ndarray, sunk: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Assets net of what ranks first besides claims, shape (n,) [USD], and units of claims held, shape (n, n)."""
        state = self.world.state
        own, units = _balance_sheets(
            self.issuers, column, prices, sunk, state.agents.cash, state.agents.holding_start,
            state.holdings.asset, state.holdings.units, *self._columns(),
        )  # fmt: skip
        for lender, borrower, face in zip(state.loans.lender, state.loans.borrower, state.loans.face, strict=True):
            own[self.issuers == lender] += face
            own[self.issuers == borrower] -= face
        return own, units

    def _sink(self, prices: np.ndarray, sunk: np.ndarray) -> bool:
        return _mark_sunk(prices, sunk, *self._columns())


@nb.njit(cache=True)
def _equity(a, prices, balance, start, position_instrument, position_units, kind, instrument_asset, value_price):
    equity = balance[a]
    for p in range(start[a], start[a + 1]):
        k = position_instrument[p]
        equity += position_units[p] * (prices[instrument_asset[k]] if kind[k] == _SPOT else value_price[k])
    return equity


@nb.njit(cache=True)
def _balance_sheets(
    issuers, column, prices, sunk, cash, holding_start, holding_asset, holding_units, own_start, own_accounts,
    customer_start, customers, balance, book, start, settle, position_instrument, position_units, kind,
    instrument_asset, value_price,
):  # fmt: skip
    n = len(issuers)
    own, units = np.zeros(n), np.zeros((n, n))
    for j in range(n):
        own[j] = cash[issuers[j]]
        for h in range(holding_start[issuers[j]], holding_start[issuers[j] + 1]):
            k = column[holding_asset[h]]
            if k >= 0:
                units[j, k] += holding_units[h]
            else:
                own[j] += holding_units[h] * prices[holding_asset[h]]
        for i in range(own_start[j], own_start[j + 1]):
            a = own_accounts[i]
            equity = _equity(a, prices, balance, start, position_instrument, position_units, kind, instrument_asset,
                             value_price)  # fmt: skip
            own[j] += max(0.0, equity) * prices[settle[book[a]]]
        for i in range(customer_start[j], customer_start[j + 1]):
            if sunk[i]:
                continue
            a = customers[i]
            price = prices[settle[book[a]]]
            own[j] -= balance[a] * price
            for p in range(start[a], start[a + 1]):
                k = position_instrument[p]
                claim = column[instrument_asset[k]] if kind[k] == _SPOT else -1
                if claim >= 0:
                    units[j, claim] -= position_units[p] * price
                elif kind[k] == _SPOT:
                    own[j] -= position_units[p] * prices[instrument_asset[k]] * price
                else:
                    own[j] -= position_units[p] * value_price[k] * price
    return own, units


@nb.njit(cache=True)
def _mark_sunk(
    prices, sunk, own_start, own_accounts, customer_start, customers, balance, book, start, settle,
    position_instrument, position_units, kind, instrument_asset, value_price,
):  # fmt: skip
    found = False
    for i in range(len(customers)):
        if not sunk[i]:
            equity = _equity(customers[i], prices, balance, start, position_instrument, position_units, kind,
                             instrument_asset, value_price)  # fmt: skip
            if equity < 0.0:
                sunk[i] = True
                found = True
    return found
