"""Rumours: losses at a debtor are heard by those who have money with its creditors, weaker and later with each hop."""

from __future__ import annotations

from collections import deque

import numpy as np

from contagion.state.world import World


class Rumours:
    """Along claims held, loans and margin accounts among venues; all arrays by agent row, shape (n_institutions,).

    Who has money with a venue hears, as a share of what the venue owes, the losses that show at its debtors now; and
    what was heard `delay` steps ago by those who have money with these debtors, times `decay`.

    Parameters
    ----------
    par : dict of int to float
        Opening price of each claim, by asset. [USD]
    """

    def __init__(self, world: World, par: dict[int, float]) -> None:
        self.world, state = world, world.state
        self._count = state.first_trader
        self._terms = world.scenario.rumours
        issues = {int(state.assets.issuer[asset]): asset for asset in par}
        venues = {venue.row for venue in world.venues.values()}
        holders = np.array([
            row for row in np.flatnonzero(np.isin(state.holdings.asset, list(par)))
            if int(state.holdings.owner[row]) in venues
            and int(state.holdings.owner[row]) != int(state.assets.issuer[state.holdings.asset[row]])
        ], np.int64)  # fmt: skip
        self._holders = holders
        self._price = np.array([par[int(asset)] for asset in state.holdings.asset[holders]], float)
        self._loans = np.flatnonzero([
            int(lender) in venues and int(borrower) in venues
            for lender, borrower in zip(state.loans.lender, state.loans.borrower, strict=True)
        ])  # fmt: skip
        place = state.books.venue[state.accounts.book] if len(state.books.venue) else np.empty(0, np.int64)
        owner = state.accounts.owner
        self._accounts = np.flatnonzero((owner < self._count) & (place != owner))
        self._settle = state.books.settle[state.accounts.book[self._accounts]] if len(self._accounts) else []
        self._settle = np.array(self._settle, np.int64)
        self.creditor = np.concatenate([
            state.holdings.owner[holders], state.loans.lender[self._loans], owner[self._accounts],
        ]).astype(np.int64)  # fmt: skip
        self.debtor = np.concatenate([
            state.assets.issuer[state.holdings.asset[holders]], state.loans.borrower[self._loans],
            place[self._accounts],
        ]).astype(np.int64)  # fmt: skip
        self._issues = [(row, asset, par[asset]) for row, asset in issues.items()]
        self._exchanges = [(venue.row, venue.books) for venue in world.venues.values() if venue.claim < 0]
        self._silence = np.zeros(self._count)
        self._heard = deque([self._silence] * self._terms.delay, maxlen=self._terms.delay)  # the oldest first

    @property
    def any(self) -> bool:
        """Whether there is anything along which a rumour could travel."""
        return len(self.creditor) > 0

    def spread(self, losses: np.ndarray) -> np.ndarray:
        """What is heard of losses that show now, as a share of what is owed to those who hear. Once a step. [1]"""
        if not self.any:
            return self._silence
        older = self._heard[0]
        if not (losses.any() or older.any()):
            self._heard.append(self._silence)
            return self._silence
        word = np.maximum(losses, self._terms.decay * older)
        at_risk = np.bincount(self.creditor, self._exposures() * word[self.debtor], self._count)
        owed = self._owed()
        heard = np.minimum(1.0, np.divide(at_risk, owed, out=np.zeros(self._count), where=owed > 0.0))
        self._heard.append(heard)
        return heard

    def _exposures(self) -> np.ndarray:
        state = self.world.state
        return np.concatenate([
            state.holdings.units[self._holders] * self._price, state.loans.face[self._loans],
            np.maximum(0.0, state.accounts.equity[self._accounts]) * state.assets.fundamental[self._settle],
        ])  # fmt: skip

    def _owed(self) -> np.ndarray:
        state, owed = self.world.state, np.zeros(self._count)
        for row, asset, par in self._issues:
            owed[row] = float(state.assets.supply[asset]) * par
        for row, books in self._exchanges:
            owed[row] = float(state.books.owed[books].sum())
        return owed
