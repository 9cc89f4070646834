"""The values of a claim: fundamental, redemption and market (the fourth, the oracle's, is published by pricing).

- *fundamental*: the issuer's balance sheet per unit, (assets - what ranks before the claim) / supply. A borrower's
  account counts at ``max(0, equity)`` for its owner, so a pool has the smaller of debt and collateral.
- *redemption*: what a withdrawal gets. The same with recognised values: debt stands at face until it is written off,
  and claims of other issuers stand at their own redemption value. An issuer that pays at face gives each unit what it
  stood for at the opening until it cannot pay what its terms of exit allow; then again while it can.
- *market*: redemption times ``exp(-discount)``, what a sale gets.
"""

from __future__ import annotations

import math
from graphlib import CycleError, TopologicalSorter

import numba as nb
import numpy as np

from contagion.errors import ConvergenceError, InputError
from contagion.protocols.carried import CarriedDeficits
from contagion.protocols.claim_cycles import ClaimCycles
from contagion.protocols.faces import ILLIQUID, face_value, opening_faces
from contagion.state.codes import InstrumentKind
from contagion.state.tables import State
from contagion.state.world import World

_SPOT = int(InstrumentKind.SPOT)


class ClaimValues:
    """Solves the values of all claims of a world.

    Where no issuer can come to depend on itself the values follow in one pass, issuers of what others hold first;
    otherwise they are the greatest solution of all balance sheets together.

    Parameters
    ----------
    world : World
        Agents hold only what they have a slot for, which fixes who can depend on whom.

    Raises
    ------
    InputError
        Equity-like claims hold each other entirely: no finite value exists.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        self.claims = np.flatnonzero(state.assets.issuer >= 0)
        self.count = len(self.claims)
        if not self.count:
            return
        self.issuers = state.assets.issuer[self.claims].astype(np.int64)
        self.own_start, self.own_accounts = _accounts_elsewhere(state, self.issuers)
        self.customer_start, self.customers = _customer_accounts(state, self.issuers)
        self.faces = opening_faces(world, self.claims)
        self._carried = CarriedDeficits(world, self.issuers)
        on_claim = state.assets.issuer[state.instruments.asset] >= 0
        self.spot = np.flatnonzero((state.instruments.kind == _SPOT) & on_claim)
        try:
            order = list(TopologicalSorter(self._dependencies()).static_order())
            self.order, self.cycles = np.array(order, np.int64), None
        except CycleError:
            self.order = np.empty(0, np.int64)
            self.cycles = ClaimCycles(world, self.claims, self.issuers, self.own_start, self.own_accounts,
                                      self.customer_start, self.customers, self.faces)  # fmt: skip
            self.cycles.solve(self._carried.now())

    def solve(self) -> bool:
        """Value all claims at current cash, units and prices of market assets; whether any value changed.

        Raises
        ------
        ConvergenceError
            Claims have come to hold each other entirely.
        """
        if not self.count:
            return False
        state = self.world.state
        if self.cycles is None:
            fundamental, redemption = self._in_order(state)
        else:
            try:
                fundamental, redemption = self.cycles.solve(self._carried.now())
            except InputError as error:
                raise ConvergenceError(f"claim values at step {self.world.step}: {error}") from error
        assets, instruments = state.assets, state.instruments
        return _publish(
            self.claims, fundamental, redemption, assets.fundamental, assets.redemption, assets.market, assets.index,
            assets.discount, self.spot, instruments.asset, instruments.value_price,
        )  # fmt: skip

    def _in_order(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        assets, agents, holdings, accounts = state.assets, state.agents, state.holdings, state.accounts
        instruments, positions, loans = state.instruments, state.positions, state.loans
        return _solve_in_order(
            self.order, self.claims, self.issuers, self.own_start, self.own_accounts, self.customer_start,
            self.customers, assets.fundamental.copy(), assets.redemption.copy(), assets.supply, assets.par,
            agents.cash, agents.holding_start, holdings.asset, holdings.units, accounts.balance, accounts.book,
            accounts.start, state.books.settle, positions.instrument, positions.units, instruments.kind,
            instruments.asset, instruments.value_price, loans.lender, loans.borrower, loans.face,
            *self.faces, agents.status, self._carried.now(),
        )  # fmt: skip

    def _dependencies(self) -> dict[int, set[int]]:
        """For each claim (by order) the claims whose value its issuer's balance sheet contains."""
        state = self.world.state
        order_of = {int(asset): order for order, asset in enumerate(self.claims)}
        collateral = {(int(state.instruments.venue[row]), int(state.instruments.asset[row])) for row in self.spot}
        result: dict[int, set[int]] = {}
        for order, issuer in enumerate(self.issuers.tolist()):
            held = state.holdings.asset[state.agents.holding_start[issuer] : state.agents.holding_start[issuer + 1]]
            needs = {order_of[int(asset)] for asset in held if int(asset) in order_of}
            if (issuer, int(self.claims[order])) not in collateral:
                needs.discard(order)  # units of its own in treasury are not outstanding
            for account in self.own_accounts[self.own_start[order] : self.own_start[order + 1]]:
                rows = slice(state.accounts.start[account], state.accounts.start[account + 1])
                instrument = state.positions.instrument[rows]
                spot = state.instruments.asset[instrument[state.instruments.kind[instrument] == _SPOT]].tolist()
                settle = int(state.books.settle[state.accounts.book[account]])
                needs |= {order_of[int(asset)] for asset in [*spot, settle] if int(asset) in order_of}
            result[order] = needs
        return result


def _accounts_elsewhere(state: State, issuers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accounts of each issuer at other venues: offsets, shape (n + 1,), and rows of Accounts."""
    rows = []
    for issuer in issuers:
        mine = np.arange(state.agents.account_start[issuer], state.agents.account_start[issuer + 1])
        rows.append(mine[state.books.venue[state.accounts.book[mine]] != issuer])
    return _offsets(rows)


def _customer_accounts(state: State, issuers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accounts of customers of each issuer: offsets, shape (n + 1,), and rows of Accounts."""
    venue = state.books.venue[state.accounts.book] if len(state.books.venue) else np.empty(0, np.int64)
    return _offsets([np.flatnonzero((venue == issuer) & (state.accounts.owner != issuer)) for issuer in issuers])


def _offsets(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    start = np.concatenate([[0], np.cumsum([len(part) for part in rows])]).astype(np.int64)
    return start, np.concatenate(rows).astype(np.int64)


@nb.njit(cache=True)
def _solve_in_order(
    order, claims, issuers, own_start, own_accounts, customer_start, customers, fundamental, redemption, supply, par,
    cash, holding_start, holding_asset, holding_units, balance, book, start, settle, position_instrument,
    position_units, kind, instrument_asset, value_price, lender, borrower, face, face_start, face_asset, face_units,
    status, carried,
):  # fmt: skip
    """Fundamental and redemption of each claim; `fundamental` and `redemption` by asset are scratch."""
    values, recognised = np.empty(len(claims)), np.empty(len(claims))
    for j in order:
        issuer, claim = issuers[j], claims[j]
        worth = cash[issuer]
        for loan in range(len(face)):
            if lender[loan] == issuer:
                worth += face[loan]
            if borrower[loan] == issuer:
                worth -= face[loan]
        stated = worth + carried[j]
        outstanding = supply[claim]
        for h in range(holding_start[issuer], holding_start[issuer + 1]):
            asset = holding_asset[h]
            if asset == claim:
                outstanding -= holding_units[h]
            else:
                worth += holding_units[h] * fundamental[asset]
                stated += holding_units[h] * redemption[asset]
        for side in range(2):
            first = own_start[j] if side == 0 else customer_start[j]
            last = own_start[j + 1] if side == 0 else customer_start[j + 1]
            for i in range(first, last):
                a = own_accounts[i] if side == 0 else customers[i]
                equity = balance[a]
                at_redemption = balance[a]
                for p in range(start[a], start[a + 1]):
                    units = position_units[p]
                    if units != 0.0:
                        k = position_instrument[p]
                        if kind[k] == _SPOT:
                            equity += units * fundamental[instrument_asset[k]]
                            at_redemption += units * redemption[instrument_asset[k]]
                        else:
                            equity += units * value_price[k]
                            at_redemption += units * value_price[k]
                equity = max(0.0, equity) * fundamental[settle[book[a]]]
                if side == 0:
                    worth += equity
                    stated += max(0.0, at_redemption) * redemption[settle[book[a]]]
                else:
                    worth -= equity
                    stated -= at_redemption * redemption[settle[book[a]]]
        if outstanding > 0.0:
            fundamental[claim] = min(par[claim], max(0.0, worth) / outstanding)
            redemption[claim] = min(par[claim], max(0.0, stated) / outstanding)
            if stated > 0.0 and not status[issuer] & ILLIQUID:
                at_face = face_value(j, redemption, face_start, face_asset, face_units)
                redemption[claim] = max(redemption[claim], at_face)
        values[j] = fundamental[claim]
        recognised[j] = redemption[claim]
    return values, recognised


@nb.njit(cache=True)
def _publish(
    claims, values, recognised, fundamental, redemption, market, index, discount, spot, instrument_asset, value_price
):
    changed = False
    for j in range(len(claims)):
        claim = claims[j]
        price = recognised[j] * math.exp(-discount[claim])
        changed |= abs(values[j] - fundamental[claim]) > 1e-12 * fundamental[claim]
        changed |= abs(recognised[j] - redemption[claim]) > 1e-12 * redemption[claim]
        changed |= abs(price - market[claim]) > 1e-12 * market[claim]
        fundamental[claim] = values[j]
        redemption[claim] = recognised[j]
        market[claim] = price
        index[claim] = price
    for k in spot:
        value_price[k] = fundamental[instrument_asset[k]]
    return changed
