"""Loans at the opening: the scenario's, and what exchanges lent out of their customers' cash."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.scenario.layout import Layout
from contagion.scenario.plans import Plan
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Exchange
from contagion.state.tables import Books, Loans


def lend(scenario: Scenario, layout: Layout, plans: list[Plan], cash: np.ndarray, books: Books) -> Loans:
    """Loans between agents: the scenario's, and what exchanges lent out of customers' cash (due after the run).

    The scenario's loans were paid out before the opening: what the borrower still has of them is in its capital,
    and a protocol's are part of what its deposits bought. Cash, shape (n_agents,), is moved for the others. [USD]
    """
    credit, steps = scenario.credit, scenario.steps
    loans = [
        (agent_row(loan.lender, f"credit.loans.{order}.lender", layout, plans),
         agent_row(loan.borrower, f"credit.loans.{order}.borrower", layout, plans), loan.amount, loan.due)
        for order, loan in enumerate(credit.loans)
    ]  # fmt: skip
    for row, spec in layout.specs.items():
        if not isinstance(spec, Exchange) or spec.reserve_ratio == 1.0:
            continue
        where = f"exchanges.{layout.names[row]}.lent_to"
        if spec.lent_to is None:
            raise InputError(where, None, "the agent that owes the part of customers' cash that is not in reserve")
        borrower = agent_row(spec.lent_to, where, layout, plans)
        custody = sum(books.balance[book] for book in layout.books_of[row] if books.settle[book] == 0)
        lent = (1.0 - spec.reserve_ratio) * float(custody)
        cash[row] -= lent
        cash[borrower] += lent
        loans.append((row, borrower, lent, steps + 1))
    lender, borrower, face, due = zip(*loans, strict=True) if loans else ((), (), (), ())
    return Loans(
        np.array(lender, np.int64), np.array(borrower, np.int64), np.array(face, float), np.array(due, np.int64),
        np.full(len(loans), credit.recovery_cash), np.full(len(loans), credit.recovery_claims),
    )  # fmt: skip


def agent_row(name: str, where: str, layout: Layout, plans: list[Plan]) -> int:
    """Row of an agent by name: an institution, a group of one, or ``group:ordinal``."""
    if name in layout.agent_rows:
        return layout.agent_rows[name]
    group, _, ordinal = name.rpartition(":")
    for plan in plans:
        if plan.name == name and plan.count == 1:
            return plan.agents.start
        if plan.name == group and ordinal.isdecimal() and int(ordinal) < plan.count:
            return plan.agents.start + int(ordinal)
    raise InputError(where, name, "an institution, a trader group with count 1, or group:ordinal")
