"""Default funds of clearing houses at the opening: how large, and who has paid what into them."""

from __future__ import annotations

import numpy as np

from contagion.allocation.clearing_house import cover
from contagion.scenario.venues import DefaultFundTerms, Exchange
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import Accounts, Agents, Books, Instruments, Loans, Positions


def fund_clearing_houses(
    specs: dict[int, object], agents: Agents, accounts: Accounts, positions: Positions, books: Books,
    instruments: Instruments, settle_price: np.ndarray, loans: Loans, due: int,
) -> tuple[Loans, dict[int, np.ndarray]]:  # fmt: skip
    """Add what members have paid into default funds as loans to their venue, out of money of their own.

    Members are the owners of the accounts with the most margin; contributions are pro rata to margin.

    Parameters
    ----------
    settle_price : ndarray of shape (n_books,)
        Price of each book's settlement asset. [USD]
    due : int
        Step at which contributions fall due, after the end of the run.

    Returns
    -------
    tuple of Loans and dict
        All loans, and by venue row the rows of its contributions.
    """
    rows: dict[int, np.ndarray] = {}
    for venue, spec in specs.items():
        if not isinstance(spec, Exchange) or spec.default_fund is None:
            continue
        terms = spec.default_fund
        mine = np.flatnonzero((books.venue[accounts.book] == venue) & ((accounts.flags & AccountFlag.HOUSE) == 0))
        margin = np.bincount(accounts.owner[mine], np.maximum(0.0, accounts.value[mine]), minlength=len(agents.cash))
        members = np.flatnonzero(margin > 0.0)
        if terms.members is not None and len(members) > terms.members:
            members = np.sort(members[np.argsort(-margin[members], kind="stable")[: terms.members]])
        losses = stress_losses(terms, mine, members, accounts, positions, books, instruments, settle_price)
        size = cover(losses, terms.cover) if terms.size is None else terms.size
        paid = size * margin[members] / margin[members].sum() if len(members) else np.zeros(0)
        agents.cash[venue] += paid.sum()
        rows[venue] = np.arange(len(loans.face), len(loans.face) + len(members))
        loans = Loans(
            np.append(loans.lender, members), np.append(loans.borrower, np.full(len(members), venue)),
            np.append(loans.face, paid), np.append(loans.due, np.full(len(members), due)),
            np.append(loans.recovery_cash, np.ones(len(members))),
            np.append(loans.recovery_claims, np.ones(len(members))),
        )  # fmt: skip
    return loans, rows


def stress_losses(
    terms: DefaultFundTerms, mine: np.ndarray, members: np.ndarray, accounts: Accounts, positions: Positions,
    books: Books, instruments: Instruments, settle_price: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Loss of each member beyond its margin when all prices move by ``+-stress``, shape (2, n_members). [USD]"""
    held = np.isin(positions.account, mine)
    account, instrument = positions.account[held], positions.instrument[held]
    inverse = instruments.kind[instrument] == InstrumentKind.INVERSE
    losses = np.zeros((2, len(members)))
    for row, move in enumerate((-terms.stress, terms.stress)):
        relative = np.where(inverse, 1.0 / (1.0 + move) - 1.0, move)
        change = positions.units[held] * instruments.mark[instrument] * relative
        change = np.bincount(account, change * settle_price[accounts.book[account]], minlength=len(accounts.owner))
        coin = np.where(books.settle[accounts.book] == 0, 1.0, 1.0 + move)
        beyond = np.maximum(0.0, -(accounts.value + change)[mine] * coin[mine])
        losses[row] = np.bincount(accounts.owner[mine], beyond, minlength=int(accounts.owner.max()) + 1)[members]
    return losses
