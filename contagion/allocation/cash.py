"""Layers that reach what the defaulter or the depositors of a pool have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from contagion.allocation.candidates import account_equity
from contagion.allocation.funds import InsuranceFund, Reserve, SkinInTheGame, VenueEquity, own_capital
from contagion.allocation.haircuts import ProfitHaircut
from contagion.allocation.layer import Case, Layer, Payment, Properties
from contagion.allocation.shares import pro_rata, unit_value
from contagion.state.codes import AccountFlag


class Recourse(Layer):
    """The owner of the bankrupt account pays with what else it has, each for its own deficits only.

    Parameters
    ----------
    reach : {"venue", "full"}
        Its other accounts at this venue, or these and then its wallet.
    """

    has: ClassVar[Properties] = Properties(True, True, None, True, None, False)

    reach: Literal["venue", "full"] = "full"

    def bear(self, case: Case) -> Iterator[Payment]:
        yield from self.paid_by(case, self._accounts)
        if self.reach == "full":
            yield from self.paid_by(case, self._wallets)

    def paid_by(self, case: Case, means, contributions: bool = False) -> Iterator[Payment]:
        owner_of = np.array(case.world.bookkeeper.deficits.owner, dtype=np.int64)[case.roots]
        payers, limits, debts, kind = [], [], [], ""
        for owner in np.unique(owner_of[owner_of != case.venue.row]):
            kind, rows, reachable = means(case, int(owner))
            payers.append(rows)
            limits.append(reachable)
            debts.append(int(owner))
        if not payers or not np.concatenate(limits).sum() > 0.0:
            return
        pieces = [
            (payer, limit, amount, int(root))
            for rows, reachable, owner in zip(payers, limits, debts, strict=True)
            for payer, limit, amount, root in _for_own(case, rows, reachable, owner_of == owner)
        ]
        rows, most, amounts, roots = (np.array(column) for column in zip(*pieces, strict=True))
        capacity = sum(
            min(float(reachable.sum()), float(case.open[owner_of == owner].sum()))
            for reachable, owner in zip(limits, debts, strict=True)
        )
        yield Payment(amounts, most, capacity=capacity, deficits=roots, contributions=contributions, **{kind: rows})

    def _accounts(self, case: Case, owner: int) -> tuple[str, np.ndarray, np.ndarray]:
        state = case.world.state
        rows = np.arange(state.agents.account_start[owner], state.agents.account_start[owner + 1])
        here = np.isin(state.accounts.book[rows], case.venue.books)
        rows = rows[here & ((state.accounts.flags[rows] & AccountFlag.BANKRUPT) == 0)]
        return "accounts", rows, np.maximum(0.0, account_equity(state, rows))

    def _wallets(self, case: Case, owner: int) -> tuple[str, np.ndarray, np.ndarray]:
        return "agents", np.array([owner]), np.array([max(0.0, float(case.world.state.agents.cash[owner]))])


def _for_own(case: Case, rows: np.ndarray, limits: np.ndarray, own: np.ndarray):
    """(payer, limit, amount, deficit id) so that payers bear the same share of their means, deficits of their size."""
    debt = float(case.open[own].sum())
    amounts = pro_rata(limits, debt)
    for payer, limit, amount in zip(rows, limits, amounts, strict=True):
        for root, left in zip(case.roots[own], case.open[own], strict=True):
            yield int(payer), float(limit), float(amount * left / debt) if debt > 0.0 else 0.0, root


class DepositorWriteDown(Layer):
    """A pool's claims are worth less by the loss: its depositors bear it pro rata to what they hold.

    The row stays on the pool; the holders' loss is the revaluation of their claim in the propagation phase.
    """

    has: ClassVar[Properties] = Properties(True, True, None, True, True, False)

    def bear(self, case: Case) -> Iterator[Payment]:
        claim, assets = case.venue.claim, case.world.state.assets
        if claim >= 0:
            supply = float(assets.supply[claim])
            limits = np.array([max(0.0, supply * float(assets.fundamental[claim]))])
            amounts = pro_rata(limits, case.need)
            left = unit_value(float(limits[0]), float(amounts[0]), supply)
            yield Payment(amounts, limits)
            case.world.counters[f"unit_value.{case.venue.name}"] = left


__all__ = [
    "DepositorWriteDown",
    "InsuranceFund",
    "ProfitHaircut",
    "Recourse",
    "Reserve",
    "SkinInTheGame",
    "VenueEquity",
    "own_capital",
    "pro_rata",
]
