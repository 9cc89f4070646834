"""Phase 7: every venue's waterfall bears the deficits of the round, layer by layer, to the last cent."""

from __future__ import annotations

import numpy as np

from contagion.allocation.candidates import PositionIndex
from contagion.allocation.checks import Evidence, check_losses, check_payment, check_takeover, check_transfer
from contagion.allocation.exhaustion import check_exhausted
from contagion.allocation.layer import Case, Layer, Payment, Transfer
from contagion.allocation.lots import Lots, open_positions
from contagion.allocation.takeover import open_own_shortfall, pass_on_surplus, spread_shortfall
from contagion.allocation.transfers import (
    book_losses,
    credit_takeover,
    debit_accounts,
    move_positions,
    pair,
    surrender,
)
from contagion.errors import InvariantError
from contagion.state.codes import Cause, Phase
from contagion.state.world import Venue, World

MAX_PASSES = 20


class Waterfall:
    """Allocates deficits (roots) and disposes of what is left on takeover accounts.

    A root ends at nobody's account or on somebody's: what no layer takes is booked from the venue to itself as
    ``unallocated`` and stays as lower net worth of the venue.

    Parameters
    ----------
    world : World
        ``ledger.layers`` must hold the name of every layer of every waterfall, and ``unallocated``.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        world.waterfall = self
        self.index = PositionIndex(world.state)
        self.lots: dict[int, Lots] = {}  # by instrument
        self.evidence = Evidence()
        self._marks = world.state.instruments.value_price.copy()
        self._previous = self._marks.copy()  # of the round before this one
        self._seen = 0  # roots before this one are closed
        self._borne: dict[tuple[int, int], float] = {}  # by (venue row, place of the layer) [USD]
        books, names = world.state.books, world.bookkeeper.ledger.layers
        self._unallocated = names.index("unallocated")
        self._venues = [venue for venue in world.venues.values() if venue.layers or venue.books]
        self._takeovers = {
            venue.row: [int(books.takeover[book]) for book in venue.books if books.takeover[book] >= 0]
            for venue in self._venues
        }
        self._all_takeovers = [account for accounts in self._takeovers.values() for account in accounts]
        self._layers = {
            venue.row: [
                (names.index(spec.name), layer) for spec, layer in zip(venue.spec.waterfall, venue.layers, strict=True)
            ]
            for venue in self._venues
        }

    # -- what the liquidation phase hands in ----------------------------------------------------------------------

    def add_lots(
        self, venue_row: int, account: int, instruments: np.ndarray, units: np.ndarray, bankruptcy_prices: np.ndarray,
        deficit_id: int,
    ) -> None:  # fmt: skip
        """Keep the units a handed-over account brought, signed as its own, and the prices at which its equity is zero.

        Prices in settlement asset per unit; `deficit_id` is -1 where its equity was not negative.
        """
        takeover = int(self.world.state.books.takeover[self.world.state.accounts.book[account]])
        for instrument, amount, price in zip(instruments, units, bankruptcy_prices, strict=True):
            lots = self.lots.setdefault(int(instrument), Lots(int(instrument), takeover))
            lots.add(float(amount), float(price), deficit_id)
            if deficit_id >= 0:
                self.evidence.lot(self.world, int(instrument), float(amount), float(price), deficit_id)

    def add_lots_of(
        self, accounts: np.ndarray, instruments: np.ndarray, units: np.ndarray, bankruptcy_prices: np.ndarray,
        deficits: np.ndarray,
    ) -> None:  # fmt: skip
        """The same for the positions of many accounts, one entry per position; arrays of shape (n,)."""
        takeover = self.world.state.books.takeover[self.world.state.accounts.book[accounts]]
        for instrument in np.unique(instruments):
            here = np.flatnonzero(instruments == instrument)
            lots = self.lots.setdefault(int(instrument), Lots(int(instrument), int(takeover[here[0]])))
            lots.add(units[here], bankruptcy_prices[here], deficits[here])
        self.evidence.lots(self.world, instruments, units, bankruptcy_prices, deficits)

    # -- the phase ------------------------------------------------------------------------------------------------

    def allocate(self) -> bool:
        """Run every waterfall that has open deficits or something on a takeover account; True if anything moved."""
        self._previous, self._marks = self._marks, self._previous
        self._marks[:] = self.world.state.instruments.value_price
        balance = self.world.state.accounts.balance
        if self._seen == len(self.world.bookkeeper.deficits) and not self.lots:
            for account in self._all_takeovers:
                if balance[account] != 0.0:
                    break
            else:
                return False
        self.world.bookkeeper.phase = Phase.ALLOCATE
        self.evidence.open_step(self.world.step)
        rows = len(self.world.bookkeeper.ledger)
        roots = self.world.bookkeeper.deficits
        for venue in self._venues:
            here = (root for root in range(self._seen, len(roots)) if roots.venue[root] == venue.row)
            self._allocate(venue, [root for root in here if roots.open[root] > 0.0])
        self._seen = len(roots)
        return len(self.world.bookkeeper.ledger) > rows

    def _allocate(self, venue: Venue, open_roots: list[int]) -> None:
        takeovers = self._takeovers[venue.row]
        lots = self._lots_of(takeovers)
        if not open_roots and not lots and not any(self.world.state.accounts.balance[row] != 0.0 for row in takeovers):
            return
        for turn in range(MAX_PASSES):
            own = self._own_shortfalls(venue, takeovers, lots, open_roots)
            if turn and not own:
                break
            case = self._case(venue, open_roots + own, lots)
            self.evidence.case += 1
            for place, (name, layer) in enumerate(self._layers[venue.row]):
                if case.need > 0.0 or lots:
                    self._run_layer(case, place, name, layer)
            self._leave_unallocated(case)
            open_roots = []
        else:
            self._fail(venue, 0.0, f"the takeover account still lacks money after {MAX_PASSES} passes")
        for takeover in takeovers:
            pass_on_surplus(self.world, venue, takeover, self.evidence.gross)
            check_takeover(self.world, takeover, self.evidence)
        for instrument in [lot.instrument for lot in lots if len(lot.units) == 0]:
            del self.lots[instrument]

    def _lots_of(self, takeovers: list[int]) -> list[Lots]:
        """Lots that agree with what the takeover accounts hold, by instrument name."""
        state, bookkeeper = self.world.state, self.world.bookkeeper
        for takeover in takeovers:
            for instrument, units in zip(*open_positions(state, takeover), strict=True):
                self.lots.setdefault(int(instrument), Lots(int(instrument), takeover)).reconcile(
                    float(units), float(state.instruments.value_price[instrument])
                )
        found = [lot for lot in self.lots.values() if lot.takeover in takeovers]
        for lot in found:
            row = bookkeeper.takeover_position(lot.takeover, lot.instrument)
            if state.positions.units[row] == 0.0:
                lot.reconcile(0.0, float(state.instruments.value_price[lot.instrument]))
        return sorted(found, key=lambda lot: state.instruments.names[lot.instrument])

    def _case(self, venue: Venue, roots: list[int], lots: list[Lots]) -> Case:
        deficits, keys = self.world.bookkeeper.deficits, self.world.state.accounts.key
        roots = sorted(roots, key=lambda root: (int(keys[deficits.account[root]]), root))
        left = np.array([deficits.open[root] for root in roots])
        ids = np.array(roots, dtype=np.int64)
        return Case(self.world, venue, ids, left, lots, self.index, self._previous)

    def _target(self, root: int) -> int:
        """Takeover account of the book of a root's account, -1 for a lending pool."""
        state = self.world.state
        return int(state.books.takeover[state.accounts.book[self.world.bookkeeper.deficits.account[root]]])

    def _run_layer(self, case: Case, place: int, name: int, layer: Layer) -> None:
        case.borne = self._borne.get((case.venue.row, place), 0.0)
        before, used = case.need, False
        for item in layer.bear(case):
            used |= len(item.amounts if isinstance(item, Payment) else item.units) > 0
            if isinstance(item, Payment):
                self._pay(case, place, name, layer, item)
            else:
                self._move(case, place, name, layer, item)
            case.borne = self._borne.get((case.venue.row, place), 0.0) + before - case.need
        check_exhausted(case, place, layer, used, before)
        self._borne[case.venue.row, place] = self._borne.get((case.venue.row, place), 0.0) + before - case.need

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
        elif payment.agents is not None:
            for agent in np.unique(payers):
                surrender(bookkeeper, venue, int(agent), float(amounts[payers == agent].sum()))
        self._credit(case, np.bincount(claim_of, weights=amounts, minlength=len(case.roots)))
        bookkeeper.book(Cause.ALLOCATION, owners, venue.row, amounts, name, case.roots[claim_of])

    def _credit(self, case: Case, paid: np.ndarray) -> None:
        """Raise the takeover accounts by what was paid for each root (a pool has none: its assets rose). [USD]"""
        targets = np.array([self._target(int(root)) for root in case.roots], dtype=np.int64)
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
        values, collected = share * lots.units[chosen] * gap, np.zeros(len(case.roots))
        for lot, value in zip(chosen, values, strict=True):
            collected[case.roots == lots.deficit[lot]] += value
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
        self.world.count("deleveraging_fills", float(len(rows)))
        self.world.count("deleveraged_notional", settle * filled * float(state.instruments.mark[lots.instrument]))
        self.world.count("over_collected", max(0.0, float(losses.sum()) - float(paid.sum())))

    def _own_shortfalls(self, venue: Venue, takeovers: list[int], lots: list[Lots], open_roots: list[int]) -> list[int]:
        """Roots of the takeover accounts themselves."""
        own = []
        for takeover in takeovers:
            explained = sum(
                self.world.bookkeeper.deficits.open[root] for root in open_roots if self._target(root) == takeover
            )
            root = open_own_shortfall(self.world, venue, takeover, explained, self.evidence.gross)
            if root >= 0:
                own.append(root)
                mine = [lot for lot in lots if lot.takeover == takeover]
                spread_shortfall(self.world, root, mine, open_roots, self.evidence)
        return own

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

    def _fail(self, venue: Venue, amount: float, what: str) -> None:
        ledger = self.world.bookkeeper.ledger
        raise InvariantError(
            f"phase allocate, step {ledger.step}, round {ledger.round}, agent {venue.name}: {what} ({amount:g} USD)"
        )
