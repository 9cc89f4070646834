"""What a layer says is done: money and units move, rows are booked, deficits fall."""

from __future__ import annotations

import numpy as np

from contagion.allocation.backstop import BackstopVault
from contagion.allocation.evidence import Evidence
from contagion.allocation.hedges import broken_hedges
from contagion.allocation.layer import Case, Layer, Payment, Transfer
from contagion.allocation.payment_checks import check_losses, check_payment, check_transfer
from contagion.allocation.transfers import (
    book_losses,
    credit_takeover,
    debit_accounts,
    move_positions,
    pair,
    surrender,
    use_contributions,
)
from contagion.state.codes import Cause
from contagion.state.world import World


class Settlement:
    """Carries out payments and transfers of layers, and books what no layer took."""

    world: World
    evidence: Evidence
    _unallocated: int

    def _target(self, root: int) -> int:
        """Takeover account of the book of a root's account, -1 for a lending pool."""
        state = self.world.state
        return int(state.books.takeover[state.accounts.book[self.world.bookkeeper.deficits.account[root]]])

    # -- money ----------------------------------------------------------------------------------------------------

    def _pay(self, case: Case, place: int, name: int, layer: Layer, payment: Payment) -> None:
        check_payment(case, place, layer, payment, self.evidence)
        total, need = float(payment.amounts.sum()), case.need
        if total <= 0.0:
            return
        if payment.accounts is not None and payment.deficits is None and len(case.roots) == 1:
            root = int(case.roots[0])
            paid = self.world.bookkeeper.collect(
                Cause.ALLOCATION, payment.accounts, case.venue.row, payment.amounts, name, root
            )
            self._credit(case, np.array([paid]))
            self._reduce(case, np.array([paid]))
            return
        some = np.flatnonzero(payment.amounts > 0.0)
        amounts, claim_of = payment.amounts[some], None
        payers = payment.accounts if payment.accounts is not None else payment.agents
        payers = np.full(len(some), case.venue.row) if payers is None else payers[some]
        if payment.deficits is not None:
            order = {int(root): row for row, root in enumerate(case.roots)}
            claim_of = np.array([order[int(root)] for root in payment.deficits[some]])
        else:
            if len(case.roots) > 1 and len(some) > 1:
                keys = self.world.state.accounts.key if payment.accounts is not None else self.world.state.agents.key
                by_key = np.argsort(keys[payers], kind="stable")
                amounts, payers = amounts[by_key], payers[by_key]
            payer_of, claim_of, amounts = pair(amounts, case.open * (total / need))
            payers = payers[payer_of]
        self._collect(case, name, payment, payers, amounts, claim_of)
        self._reduce(case, np.bincount(claim_of, weights=amounts, minlength=len(case.roots)))

    def _collect(self, case: Case, name: int, payment: Payment, payers, amounts, claim_of) -> None:
        state, bookkeeper, venue = self.world.state, self.world.bookkeeper, case.venue
        owners = state.accounts.owner[payers] if payment.accounts is not None else payers
        if payment.accounts is not None:
            debit_accounts(bookkeeper, payers, amounts)
        elif payment.contributions:
            use_contributions(bookkeeper, venue, payers, amounts)
        elif payment.agents is not None and not payment.diluted:
            for agent in np.unique(payers):
                paid = float(amounts[payers == agent].sum())
                surrender(bookkeeper, venue, int(agent), paid, payment.claims_first)
        self._credit(case, np.bincount(claim_of, weights=amounts, minlength=len(case.roots)))
        bookkeeper.book(Cause.ALLOCATION, owners, venue.row, amounts, name, case.roots[claim_of])

    def _credit(self, case: Case, paid: np.ndarray) -> None:
        """Raise the takeover accounts by what was paid for each root (a pool has none: its assets rose). [USD]"""
        state, account = self.world.state, self.world.bookkeeper.deficits.account
        accounts = np.array([account[root] for root in case.roots.tolist()], dtype=np.int64)
        targets = state.books.takeover[state.accounts.book[accounts]].astype(np.int64)
        some = (targets >= 0) & (paid > 0.0)
        if some.any():
            credit_takeover(self.world.bookkeeper, targets[some], paid[some])

    def _reduce(self, case: Case, paid: np.ndarray) -> None:
        deficits = self.world.bookkeeper.deficits
        for row in np.flatnonzero(paid):
            root = int(case.roots[row])
            left = deficits.open[root] - float(paid[row])
            deficits.open[root] = left if left > 1e-12 * deficits.amount[root] else 0.0
            case.open[row] = deficits.open[root]

    # -- units ----------------------------------------------------------------------------------------------------

    def _move(self, case: Case, place: int, name: int, layer: Layer, item: Transfer) -> None:
        state, bookkeeper, venue = self.world.state, self.world.bookkeeper, case.venue
        check_transfer(case, place, layer, item, self.evidence)
        if len(item.units) == 0:
            return
        lots, chosen, price = item.lots, item.chosen, item.price
        filled = abs(float(item.units.sum()))
        share = min(1.0, filled / float(np.abs(lots.units[chosen]).sum()))
        settle = float(state.assets.fundamental[state.books.settle[state.instruments.book[lots.instrument]]])
        gap = settle * (item.prices - float(state.instruments.value_price[lots.instrument]))
        values, root_of = share * lots.units[chosen] * gap, case.rows_of(lots.deficit[chosen])
        collected = np.bincount(root_of + 1, weights=values, minlength=len(case.roots) + 1)[1:]
        claims = np.minimum(np.maximum(0.0, collected), case.open)
        rows, units = item.positions, item.units
        beyond = float(values.sum()) - float(claims.sum())
        if np.count_nonzero(claims) != 1 or beyond > 1e-12 * float(claims.sum()):  # by key who pays for which
            order = np.argsort(state.accounts.key[state.positions.account[rows]], kind="stable")
            rows, units = rows[order], units[order]
        into = bookkeeper.takeover_position(lots.takeover, lots.instrument)
        losses = move_positions(bookkeeper, rows, units, into, price)
        check_losses(case, place, item, float(losses.sum()), float(values.sum()))
        owners = state.accounts.owner[state.positions.account[rows]]
        paid = book_losses(bookkeeper, owners, venue.row, losses, claims, case.roots, name)
        self._reduce(case, paid)
        lots.give(chosen, 1.0 if share > 1.0 - 1e-12 else share)
        notional = settle * filled * float(state.instruments.mark[lots.instrument])
        if isinstance(layer, BackstopVault):
            self.world.count("backstop_notional", notional)
        else:
            broken, left = broken_hedges(state, rows, units)
            self.world.count("hedges_broken", float(broken))
            self.world.count("hedge_delta_left", left)
            self.world.count("deleveraging_fills", float(len(rows)))
            self.world.count("deleveraged_notional", notional)
        self.world.count("over_collected", max(0.0, float(losses.sum()) - float(paid.sum())))

    def _leave_unallocated(self, case: Case) -> None:
        some = np.flatnonzero(case.open > 0.0)
        if len(some) == 0:
            return
        left = case.open.copy()
        self._credit(case, left)
        self.world.bookkeeper.book(
            Cause.ALLOCATION, case.venue.row, case.venue.row, left[some], self._unallocated, case.roots[some]
        )
        self.world.count("unallocated", float(left.sum()))
        self._reduce(case, left)
