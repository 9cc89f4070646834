"""What creditors of a venue are shown, and so which losses they can see before they are recognised."""

from __future__ import annotations

import math

import numpy as np

from contagion.network.clearing import eisenberg_noe
from contagion.protocols.depositors import Line
from contagion.protocols.faces import ILLIQUID
from contagion.scenario.issuers import Issuer, Reflexive
from contagion.state.codes import AgentKind
from contagion.state.world import Venue, World

FAILED = 1 | ILLIQUID | 8
"""Status bits everybody knows of: default, a withdrawal that was not paid, resolution."""


class Disclosure:
    """Losses that show under each venue's terms of disclosure (`disclosure` in a scenario).

    With ``positions`` everything counts at market, loans at what their borrowers could pay. ``accounts`` show
    recognised values: loans and debts at face until they are written off. A ``proof_of_solvency`` shows reserves
    (cash, coins, claims, margin) beside liabilities; what was lent out is no reserve. With ``none`` there is the price
    others trade at, what one was cut oneself, and a withdrawal that fails.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        self._contributions = np.isin(
            np.arange(len(state.loans.face)),
            np.concatenate([[], *(v.contributions for v in world.venues.values() if v.contributions is not None)]),
        )  # fmt: skip
        self._lends = bool((~self._contributions).any())
        self._backing = {
            venue.row: float(state.assets.fundamental[venue.claim]) for venue in world.venues.values()
            if venue.claim >= 0
        }  # fmt: skip
        self._recovery, self._at = np.ones(len(state.loans.face)), (-1, -1)

    def of_claim(self, line: Line) -> float:
        """Loss per unit that holders of a claim see. [1]"""
        shows = getattr(line.venue.spec, "disclosure", "accounts")
        if shows == "accounts":
            return line.loss()
        state, venue = self.world.state, line.venue
        if shows == "positions":
            worth = float(state.assets.fundamental[line.asset])
            if self._lends and line.supply() > 0.0:
                worth -= self.expected_loss(venue.row) / line.supply()
            before = self._backing[venue.row]
            return max(line.loss(), 1.0 - max(0.0, worth) / before if before > 0.0 else 0.0)
        traded = 1.0 - math.exp(-float(state.assets.discount[line.asset])) if line.depth else 0.0
        if shows == "none":
            if state.agents.status[venue.row] & ILLIQUID:
                return 1.0
            return line.loss() if line.cut else max(0.0, traded)
        if not isinstance(venue.spec, Issuer):
            return line.loss()  # what borrowers owe to a pool is in its proof, at face
        owed = line.supply() * line.par
        return max(0.0, traded, 1.0 - self.reserves(venue) / owed if owed > 0.0 else 0.0)

    def of_exchange(self, venue: Venue, haircuts: float) -> float:
        """Loss that customers of an exchange see, who were cut `haircuts` so far. [USD]"""
        world, state = self.world, self.world.state
        worth = float(state.agents.worth[venue.row])
        shows = venue.spec.disclosure
        if shows == "positions" and self._lends:
            worth -= self.expected_loss(venue.row)
        elif shows == "proof_of_solvency":
            worth = self.reserves(venue) - float(state.books.owed[venue.books].sum())
        elif shows == "none":
            worth = 0.0
        return haircuts + max(0.0, -worth) + world.waterfall.shown_deficit(venue.row)

    def of_loan(self, loan: int, shows: str) -> float:
        """Loss per dollar of a loan that its lender sees. [1]"""
        state = self.world.state
        borrower = int(state.loans.borrower[loan])
        if state.agents.status[borrower] & FAILED:
            return 1.0
        if shows == "positions":
            return 1.0 - float(self.recovery()[loan])
        debts = float(state.loans.face[state.loans.borrower == borrower].sum())
        if shows == "accounts":
            return min(1.0, max(0.0, -float(state.agents.worth[borrower])) / debts)
        if shows == "proof_of_solvency":
            return max(0.0, 1.0 - self._held(borrower, set()) / debts)
        return 0.0

    def reserves(self, venue: Venue) -> float:
        """What a venue can show of what it has: cash, coins and claims at market, margin at exchanges. [USD]"""
        own = {venue.claim}
        if isinstance(venue.spec, Reflexive):
            own.add(self.world.state.assets.row(venue.spec.mints))
        return self._held(venue.row, own)

    def _held(self, agent: int, own: set[int]) -> float:
        state = self.world.state
        total = float(state.agents.cash[agent])
        for row in range(int(state.agents.holding_start[agent]), int(state.agents.holding_start[agent + 1])):
            asset = int(state.holdings.asset[row])
            if asset not in own:
                total += float(state.holdings.units[row] * state.assets.market[asset])
        for account in range(int(state.agents.account_start[agent]), int(state.agents.account_start[agent + 1])):
            if state.books.venue[state.accounts.book[account]] != agent:
                settle = state.books.settle[state.accounts.book[account]]
                total += max(0.0, float(state.accounts.equity[account] * state.assets.fundamental[settle]))
        return total

    def expected_loss(self, lender: int) -> float:
        """What a lender would miss if its loans were settled at market values now. [USD]"""
        loans = self.world.state.loans
        mine = (loans.lender == lender) & ~self._contributions
        return float(loans.face[mine] @ (1.0 - self.recovery()[mine])) if mine.any() else 0.0

    def recovery(self) -> np.ndarray:
        """Share of each loan that its borrower could pay if all were due now, shape (n_loans,). [1]

        Eisenberg-Noe on what borrowers own beside their loans at market values; customers of an exchange rank before
        its loans, holders of claims behind them.
        """
        now = (self.world.step, len(self.world.bookkeeper.ledger))
        if now == self._at:
            return self._recovery
        self._at = now
        state = self.world.state
        loans = state.loans
        rows = np.flatnonzero((loans.face > 0.0) & ~self._contributions)
        self._recovery = np.ones(len(loans.face))
        if not len(rows):
            return self._recovery
        agents, node = np.unique(np.concatenate([loans.borrower[rows], loans.lender[rows]]), return_inverse=True)
        debtor, creditor = node[: len(rows)], node[len(rows) :]
        owed = np.zeros((len(agents), len(agents)))
        np.add.at(owed, (debtor, creditor), loans.face[rows])
        means = state.agents.worth[agents] + owed.sum(axis=1) - owed.sum(axis=0)
        for order, agent in enumerate(agents.tolist()):
            if state.agents.kind[agent] == AgentKind.PROTOCOL:
                issued = np.flatnonzero(state.assets.issuer == agent)
                means[order] += float(state.assets.supply[issued] @ state.assets.fundamental[issued])
        self._recovery[rows] = eisenberg_noe(owed, np.maximum(0.0, means)).recovery[debtor]
        return self._recovery
