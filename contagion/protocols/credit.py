"""Phase 8 for credit: loans due at a step are cleared together, booked once, and the unpaid rest is forgiven."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contagion.errors import InputError
from contagion.network.clearing import Clearing, rogers_veraart
from contagion.protocols import verbs
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import AgentKind, Cause
from contagion.state.world import World

DEFAULTED = 1
"""Status bit of an agent that did not pay a due loan in full."""


class Credit:
    """Clears due loans with Eisenberg-Noe, or Rogers-Veraart where default destroys value.

    What a borrower can pay with is its cash, and an issuer of claims first sells or redeems what it needs to pay; an
    exchange pays from what exceeds its customers' account equity, so custody never pays the venue's own debt. A
    protocol pays from all its cash: loans rank before claims. Outside pays what it owes. Until due a loan counts at
    face.

    Attributes
    ----------
    clearing : Clearing or None
        Of the loans due last, as of the last call.

    Raises
    ------
    InputError
        Loans differ in their recovery rates, for which clearing has no unique rule.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.clearing: Clearing | None = None
        loans = world.state.loans
        self._any = len(loans.face) > 0
        for name in ("recovery_cash", "recovery_claims"):
            rates = np.unique(getattr(loans, name))
            if len(rates) > 1:
                raise InputError(f"credit.{name}", rates.tolist(), "one rate for all loans")

    def settle(self, final: bool, raise_cash: Callable[[int, float], float] | None = None) -> bool:
        """Clear the loans due by this step; book them if `final`. Whether anything was booked.

        `raise_cash` turns what an agent has into cash, so much at most, and says how much it was. [USD]

        Before the last round nothing moves: a due loan stays at face and the clearing, recomputed from opening
        obligations and the cash of the moment, can be read from :attr:`clearing`.
        """
        if not self._any:
            return False
        loans = self.world.state.loans
        due = (loans.due <= self.world.step) & (loans.face > 0.0)
        if not due.any():
            return False
        rows = np.flatnonzero(due)
        agents, liabilities = _network(loans.borrower[rows], loans.lender[rows], loans.face[rows])
        cash_rate, claim_rate = float(loans.recovery_cash[rows[0]]), float(loans.recovery_claims[rows[0]])
        owed = liabilities.sum(axis=1)
        for _ in agents:  # what one raises may be all that another is short of
            means = np.array([self._means(int(agent), due) for agent, due in zip(agents, owed, strict=True)])
            self.clearing = rogers_veraart(liabilities, means, alpha=cash_rate, beta=claim_rate)
            short = owed - means - liabilities.T @ self.clearing.recovery
            if raise_cash is None or not any(
                raise_cash(int(agents[order]), float(short[order])) > 1e-9 * short[order]
                for order in np.flatnonzero(self.clearing.defaulted)
            ):
                break
        if final:
            self._book(rows, agents, means, liabilities)
        return final

    def _means(self, agent: int, due: float) -> float:
        if agent == verbs.OUTSIDE:
            return due  # what is not modelled does not default
        state = self.world.state
        cash = float(state.agents.cash[agent])
        if state.agents.kind[agent] == AgentKind.EXCHANGE:
            owed = float(state.books.owed[state.books.venue == agent].sum())
            cash = cash - owed if cash - owed > 1e-12 * owed else 0.0  # below that it is the rounding of a sum
        return max(0.0, cash)

    def _book(self, rows: np.ndarray, agents: np.ndarray, means: np.ndarray, liabilities: np.ndarray) -> None:
        world, clearing = self.world, self.clearing
        books, loans = world.bookkeeper, world.state.loans
        node = {int(agent): order for order, agent in enumerate(agents)}
        receipts = liabilities.T @ clearing.recovery
        # Creditors are paid before default costs leave, so nobody's cash is ever short.
        for row in rows:
            borrower = node[int(loans.borrower[row])]
            face = float(loans.face[row])
            paid = face * float(clearing.recovery[borrower])
            settle_loan(books, int(row), paid)
            world.count("loans_unpaid", face - paid)
        for order in np.flatnonzero(clearing.defaulted):
            agent = int(agents[order])
            had, cash = float(means[order] + receipts[order]), float(world.state.agents.cash[agent])
            lost = had - float(clearing.payments[order])
            if abs(cash - lost) <= 1e-9 * had:
                lost = cash  # what the payments left, so that their rounding leaves no cash below zero
            if lost > 1e-12 * had:
                books.pay(Cause.DEFAULT_COST, agent, verbs.OUTSIDE, lost)
            elif lost < 0.0:
                books.pay(Cause.DEFAULT_COST, verbs.OUTSIDE, agent, -lost)
            world.state.agents.status[agent] |= DEFAULTED
            world.count("credit_defaults")


def settle_loan(books: Bookkeeper, loan: int, paid: float) -> None:
    """A due loan is paid as far as the borrower can; the rest is forgiven, a row from lender to borrower."""
    loans = books.state.loans
    lender, borrower, face = int(loans.lender[loan]), int(loans.borrower[loan]), float(loans.face[loan])
    if paid >= face * (1.0 - 1e-12):
        paid = face
    books.pay(Cause.LOAN_PAYMENT, borrower, lender, paid)
    books.book(Cause.LOAN_DISCHARGE, lender, borrower, paid)
    books.book(Cause.FORGIVEN_DEBT, lender, borrower, face - paid)
    loans.face[loan] = 0.0


def _network(borrower: np.ndarray, lender: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Agents involved, and what row owes column. [USD]"""
    agents, node = np.unique(np.concatenate([borrower, lender]), return_inverse=True)
    liabilities = np.zeros((len(agents), len(agents)))
    np.add.at(liabilities, (node[: len(face)], node[len(face) :]), face)
    return agents, liabilities
