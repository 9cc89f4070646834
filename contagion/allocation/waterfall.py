"""Phase 7: every venue's waterfall bears the deficits of the round, layer by layer, to the last cent."""

from __future__ import annotations

import numpy as np

from contagion.allocation.candidates import PositionIndex
from contagion.allocation.checks import check_takeover
from contagion.allocation.evidence import Evidence
from contagion.allocation.exhaustion import check_exhausted
from contagion.allocation.layer import Case, Layer, Memory, Payment
from contagion.allocation.lots import Lots, open_positions
from contagion.allocation.settlement import Settlement
from contagion.allocation.takeover import markets_of, open_own_shortfall, pass_on_surplus, spread_shortfall
from contagion.allocation.withdrawals import WithdrawalHaircut
from contagion.errors import InvariantError
from contagion.state.codes import Phase
from contagion.state.world import Venue, World

MAX_PASSES = 20


class Waterfall(Settlement):
    """Allocates deficits (roots) and disposes of what is left on takeover accounts.

    A root ends on somebody's account: what no layer takes is booked from the venue to itself as ``unallocated`` and
    stays as lower net worth of the venue. Where a layer waits (for a close, or for withdrawals) the venue carries the
    root until then.

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
        self._seen = 0  # roots before this one are closed or carried
        self.carried: dict[int, list[int]] = {}  # by venue row: roots that wait for a layer
        self.markets: dict[int, dict[int, float]] = {}  # by root: share of each instrument
        self.cut_profit: np.ndarray | None = None  # by account: of the profit it has now, once any was [USD]
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
        self._memories = {
            (row, place): Memory() for row, layers in self._layers.items() for place in range(len(layers))
        }
        self._watching = [
            (venue, layer, self._memories[venue.row, place])
            for venue in self._venues for place, (_, layer) in enumerate(self._layers[venue.row]) if layer.watches
        ]  # fmt: skip
        self._by_market = any(layer.by_market for layers in self._layers.values() for _, layer in layers)
        for venue, layer, memory in self._watching:
            layer.begin(world, venue, memory)

    @property
    def marks(self) -> np.ndarray:
        """Marks of the round in which allocation last ran [settlement asset per unit]; quiet steps keep them up."""
        return self._marks

    @property
    def watches(self) -> bool:
        """Whether a layer follows the run even when there is nothing to allocate."""
        return bool(self._watching)

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
        if deficit_id >= 0:
            self._note_markets(deficit_id, account, instruments, units)

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
        for root in np.unique(deficits[deficits >= 0]) if self._by_market else ():
            here = deficits == root
            self._note_markets(int(root), int(accounts[here][0]), instruments[here], units[here])

    def _note_markets(self, root: int, account: int, instruments: np.ndarray, units: np.ndarray) -> None:
        if self._by_market:
            self.markets[root] = markets_of(self.world.state, account, instruments, units)

    # -- the phase ------------------------------------------------------------------------------------------------

    def allocate(self) -> bool:
        """Run every waterfall that has open deficits or something on a takeover account; True if anything moved."""
        self._previous, self._marks = self._marks, self._previous
        self._marks[:] = self.world.state.instruments.value_price
        for venue, layer, memory in self._watching:
            layer.watch(self.world, venue, memory)
        balance = self.world.state.accounts.balance
        if self._seen == len(self.world.bookkeeper.deficits) and not self.lots and not self.carried:
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
            new = [root for root in range(self._seen, len(roots)) if roots.venue[root] == venue.row]
            waiting = self.carried.pop(venue.row, [])
            self._allocate(venue, [root for root in waiting + new if roots.open[root] > 0.0])
        self._seen = len(roots)
        return len(self.world.bookkeeper.ledger) > rows

    def _allocate(self, venue: Venue, open_roots: list[int]) -> None:
        takeovers = self._takeovers[venue.row]
        lots = self._lots_of(takeovers)
        if not open_roots and not lots and not any(self.world.state.accounts.balance[row] != 0.0 for row in takeovers):
            return
        waits = False
        for turn in range(MAX_PASSES):
            own = self._own_shortfalls(venue, takeovers, lots, open_roots)
            if turn and not own:
                break
            # Units pass on once: what that cost is borne in money, or a rule's cap would be used again and again.
            case = self._case(venue, open_roots + own, [] if turn else lots)
            self.evidence.case += 1
            waits = self._run_layers(case)
            if waits:  # what a transfer cost the takeover account meanwhile waits, too
                left = case.roots[case.open > 0.0].tolist()
                self.carried[venue.row] = left + self._own_shortfalls(venue, takeovers, lots, left)
                break
            self._leave_unallocated(case)
            open_roots = []
        else:
            self._fail(venue, 0.0, f"the takeover account still lacks money after {MAX_PASSES} passes")
        for takeover in takeovers:
            carried = self._open_at(takeover) if waits else 0.0
            if carried == 0.0:  # else what it earns stays with it: the deficits that went into it are still to be paid
                pass_on_surplus(self.world, venue, takeover, self.evidence.gross)
            check_takeover(self.world, takeover, self.evidence, carried)
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
        ids = np.array(roots, dtype=np.int64)
        accounts = np.array([deficits.account[root] for root in roots], dtype=np.int64)
        ids = ids[np.lexsort((ids, keys[accounts]))]
        left = np.array([deficits.open[root] for root in ids.tolist()])
        return Case(self.world, venue, ids, left, lots, self.index, self._previous, markets=self.markets)

    def _run_layers(self, case: Case) -> bool:
        """Ask layer after layer; True if one waits, and with it what stands behind it."""
        for place, (name, layer) in enumerate(self._layers[case.venue.row]):
            case.memory = self._memories[case.venue.row, place]
            if not layer.due(case):
                return bool((case.open > 0.0).any())
            if case.need > 0.0 or case.lots:
                self._run_layer(case, place, name, layer)
        return False

    def _run_layer(self, case: Case, place: int, name: int, layer: Layer) -> None:
        asked, used = case.need, False
        for item in layer.bear(case):
            before = case.need
            used |= len(item.amounts if isinstance(item, Payment) else item.units) > 0
            if isinstance(item, Payment):
                self._pay(case, place, name, layer, item)
            else:
                self._move(case, place, name, layer, item)
            case.memory.borne += before - case.need
        check_exhausted(case, place, layer, used, asked)

    def carried_by(self, venue_row: int) -> float:
        """Deficits that a venue carries because a layer waits. [USD]"""
        deficits = self.world.bookkeeper.deficits
        return sum(deficits.open[root] for root in self.carried.get(venue_row, ()))

    def shown_deficit(self, venue_row: int) -> float:
        """Deficit that customers see because part of their withdrawals is kept for it. [USD]"""
        if venue_row not in self.carried:
            return 0.0
        kept = any(isinstance(layer, WithdrawalHaircut) for _, layer in self._layers[venue_row])
        return self.carried_by(venue_row) if kept else 0.0

    def charge_withdrawals(self, venue: Venue, accounts: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        """What stays of withdrawals of one book while its venue carries a deficit. [settlement asset]"""
        kept = np.zeros(len(accounts))
        if venue.row not in self.carried:
            return kept
        for place, (name, layer) in enumerate(self._layers[venue.row]):
            if isinstance(layer, WithdrawalHaircut):
                case = self._case(venue, self.carried[venue.row], [])
                case.memory = self._memories[venue.row, place]
                self.evidence.open_step(self.world.step)
                self.evidence.case += 1
                payment, before = layer.kept(case, accounts, amounts), case.need
                self._pay(case, place, name, layer, payment)
                case.memory.borne += before - case.need
                state = self.world.state
                kept += payment.amounts / state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]
        return kept

    def _own_shortfalls(self, venue: Venue, takeovers: list[int], lots: list[Lots], open_roots: list[int]) -> list[int]:
        """Roots of the takeover accounts themselves."""
        own = []
        for takeover in takeovers:
            explained = self._open_at(takeover, open_roots)
            root = open_own_shortfall(self.world, venue, takeover, explained, self.evidence.gross)
            if root >= 0:
                own.append(root)
                mine = [lot for lot in lots if lot.takeover == takeover]
                spread_shortfall(self.world, root, mine, open_roots, self.evidence)
                self._note_markets(root, takeover, *open_positions(self.world.state, takeover))
        return own

    def _open_at(self, takeover: int, roots: list[int] | None = None) -> float:
        """Open deficits (default: those carried) that went into a takeover account. [USD]"""
        if roots is None:
            roots = [root for carried in self.carried.values() for root in carried]
        return sum(self.world.bookkeeper.deficits.open[root] for root in roots if self._target(root) == takeover)

    def _fail(self, venue: Venue, amount: float, what: str) -> None:
        ledger = self.world.bookkeeper.ledger
        raise InvariantError(
            f"phase allocate, step {ledger.step}, round {ledger.round}, agent {venue.name}: {what} ({amount:g} USD)"
        )
