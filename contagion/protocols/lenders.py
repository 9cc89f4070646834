"""Lenders of uncollateralised loans roll them over or want them back, on what they see of the borrower."""

from __future__ import annotations

from contagion.protocols.disclosure import Disclosure
from contagion.scenario.schema import Loan
from contagion.state.world import World


class Lenders:
    """What lenders do with loans that fall due, and with those they can call.

    A lender that sees a loss per dollar above its tolerance does not extend a loan, and calls it where it can: the
    loan is then due after the notice. Otherwise a loan with a term is extended by it each time it falls due.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        loans = enumerate(world.scenario.credit.loans)  # rows of Loans begin with the scenario's
        self._terms = [(row, loan) for row, loan in loans if loan.term is not None or loan.notice is not None]
        self._disclosure = Disclosure(world) if self._terms else None

    def decide(self) -> None:
        """Extend or call, once a step, after prices and shocks are seen and before what is due is cleared."""
        loans, step = self.world.state.loans, self.world.step
        for row, terms in self._terms:
            if loans.face[row] <= 0.0:
                continue
            worried = self._disclosure.of_loan(row, terms.disclosure) > terms.tolerance
            if worried:
                call(self.world, row, terms)
            elif terms.term is not None and loans.due[row] <= step:
                loans.due[row] = step + terms.term
                self.world.count("loans_rolled_over", float(loans.face[row]))


def call(world: World, row: int, terms: Loan) -> None:
    """Make a loan due after its notice, if it can be called and is not due before."""
    loans = world.state.loans
    if terms.notice is not None and loans.due[row] > world.step + terms.notice:
        loans.due[row] = world.step + terms.notice
        world.count("loans_called", float(loans.face[row]))


def call_for(world: World, lender: int, need: float) -> None:
    """A lender short of cash calls loans until what is called covers its need, those with the shortest notice first."""
    loans = world.state.loans
    mine = [
        (terms.notice, row, terms) for row, terms in enumerate(world.scenario.credit.loans)
        if terms.notice is not None and loans.lender[row] == lender and loans.face[row] > 0.0
    ]  # fmt: skip
    for notice, row, terms in sorted(mine, key=lambda item: item[:2]):
        if need <= 0.0:
            return
        if loans.due[row] > world.step + notice:
            call(world, row, terms)
        need -= float(loans.face[row])
