"""What follows when a venue's own equity is gone: it operates on, halts, or is resolved.

*Insolvent* (equity below zero), *illiquid* (cannot pay a withdrawal) and *failed* (resolved) are kept apart.
"""

from __future__ import annotations

import numpy as np

from contagion.liquidation.collateral import CollateralSales
from contagion.scenario.venues import Exchange
from contagion.state.codes import Cause
from contagion.state.world import Venue, World

INSOLVENT, ILLIQUID, FAILED = 2, 4, 8


class Insolvency:
    """Watches exchanges after allocation and carries out ``on_insolvency``.

    Resolution tears every contract up at the last mark, cuts positive equities to pari-passu claims on custody and
    pays them after ``resolution_delay`` steps.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._exchanges = [venue for venue in world.venues.values() if isinstance(venue.spec, Exchange)]
        self._payments: dict[int, list[Venue]] = {}
        self._roots_seen = 0
        rows, names = [venue.row for venue in self._exchanges], {venue.name for venue in self._exchanges}
        # Beside deficits, an exchange loses what it lent out or what is stolen from it.
        self._may_lose_otherwise = bool(np.isin(world.state.loans.lender, rows).any()) or any(
            shock.kind == "theft" and shock.target in names for shock in world.scenario.shocks
        )

    def resolve(self) -> bool:
        """Flag and treat venues whose net worth is strictly below zero; pay what is due."""
        paid = self._pay_due() if self._payments else False
        roots = len(self.world.bookkeeper.deficits)
        if roots == self._roots_seen and not self._may_lose_otherwise:
            return paid
        self._roots_seen = roots
        happened = paid
        agents = self.world.state.agents
        for venue in self._exchanges:
            rounding = 1e-6 + 1e-12 * float(self.world.state.books.owed[venue.books].sum())
            worth = agents.worth[venue.row] + self._carried(venue)
            if worth >= -rounding or agents.status[venue.row] & INSOLVENT:
                continue
            agents.status[venue.row] |= INSOLVENT
            self.world.count("insolvencies")
            if venue.spec.on_insolvency == "operate":
                continue
            self.world.halted[venue.row] = self.world.scenario.steps + 1
            if venue.spec.on_insolvency == "resolve":
                self._tear_up(venue)
                due = self.world.step + venue.spec.resolution_delay
                self._payments.setdefault(due, []).append(venue)
                happened = True
                if venue.spec.resolution_delay == 0:
                    self._pay_due()
        return happened

    def _tear_up(self, venue: Venue) -> None:
        """Close every contract at its mark; zero-sum, so the sum of balances does not change."""
        state, bookkeeper = self.world.state, self.world.bookkeeper
        state.agents.status[venue.row] |= FAILED
        sales = CollateralSales(self.world)
        if sales.active:
            sales.sell(np.flatnonzero(state.books.venue[state.accounts.book] == venue.row))
        for instrument in venue.instruments:
            if not bookkeeper.is_contract(instrument):
                continue
            rows = np.flatnonzero((state.positions.instrument == instrument) & (state.positions.units != 0.0))
            if len(rows):
                price = np.full(len(rows), float(state.instruments.equity_price[instrument]))
                bookkeeper.trade(Cause.RESOLUTION, rows, -state.positions.units[rows], price)
        for book in venue.books:
            # What taken-over units earned is the venue's own: its customers share it, no fund takes it out of custody.
            takeover = int(state.books.takeover[book])
            surplus = max(0.0, float(state.accounts.balance[takeover]))
            bookkeeper._change_balance(np.array([takeover]), np.array([-surplus]))

    def _pay_due(self) -> bool:
        due = [step for step in self._payments if step <= self.world.step]
        for step in due:
            for venue in self._payments.pop(step):
                self._pay_out(venue)
        return bool(due)

    def _pay_out(self, venue: Venue) -> None:
        """Customers with positive equity share custody by claim; the rest of their claim is gone.

        Commingled, every claim ranks alike. Segregated, what a customer paid in and did not lose ranks before what it
        gained: the venue's shortfall falls on gains first.
        """
        state, bookkeeper = self.world.state, self.world.bookkeeper
        for book in venue.books:
            settle = int(state.books.settle[book])
            mine = (state.accounts.book == book) & (state.accounts.owner != venue.row)
            accounts = np.flatnonzero(mine & (state.accounts.balance > 0.0))
            if not len(accounts):
                continue
            owed = state.accounts.balance[accounts]
            custody = state.agents.cash[venue.row] if settle == 0 else self._held(venue.row, settle)
            segregated = venue.spec.custody == "segregated"
            own = np.clip(state.accounts.deposits[accounts], 0.0, owed) if segregated else np.zeros(len(owed))
            # A hair less than there is: rounding of thousands of payments must not overdraw custody.
            paid = _paid_by_rank(max(0.0, float(custody)) * (1.0 - 1e-13), own, owed - own)
            self.world.count(f"recovery.{venue.name}", float(paid.sum() / owed.sum()))
            loss = (owed - paid) * state.assets.fundamental[settle]
            bookkeeper.charge(Cause.RESOLUTION, accounts, venue.row, loss)
            bookkeeper.withdraw(accounts, paid)

    def _carried(self, venue: Venue) -> float:
        """Deficits not yet recognised are not the venue's loss so far. [USD]"""
        waterfall = self.world.waterfall
        return waterfall.carried_by(venue.row) if waterfall is not None else 0.0

    def _held(self, agent: int, asset: int) -> float:
        return float(self.world.state.holdings.units[self.world.bookkeeper.slot(agent, asset)])


def _paid_by_rank(means: float, *ranks: np.ndarray) -> np.ndarray:
    """What each claimant gets when `means` pay one rank after the other, pro rata within each."""
    paid = np.zeros(len(ranks[0]))
    for claims in ranks:
        total = float(claims.sum())
        if total > 0.0:
            share = means / total
            paid += claims * (share if share < 1.0 - 1e-12 else 1.0)
            means = max(0.0, means - total)
    return paid
