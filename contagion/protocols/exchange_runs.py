"""Phase 9 at exchanges: customers take free margin out of a venue whose losses have come to show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.margin.initial import free_margins, initial_terms
from contagion.protocols.depositors import DepositorTerms, leaving_share
from contagion.protocols.disclosure import Disclosure
from contagion.protocols.exit_queue import ExitQueue
from contagion.protocols.faces import ILLIQUID
from contagion.scenario.venues import Exchange
from contagion.state.codes import AccountFlag, AgentKind, Cause
from contagion.state.world import Venue, World

_CUSTOMERS = DepositorTerms()
_STAYS = AccountFlag.MAKER | AccountFlag.HOUSE | AccountFlag.CLOSED


@dataclass(slots=True)
class _Place:
    venue: Venue
    accounts: list[np.ndarray]  # customers by book
    exit: ExitQueue  # its terms; nobody queues: who is not paid asks again
    haircuts: float = 0.0  # suffered by customers so far [USD]
    frightened: int = -1  # first step with fear above the threshold
    stopped_until: int = -2


class ExchangeRuns:
    """Withdrawals from exchanges.

    The loss that shows (see :class:`~contagion.protocols.disclosure.Disclosure`) over what the venue owes its
    customers, plus what they hear, is their fear. Above 1% every customer without a market-making role asks for a
    share of the equity it does not need as initial margin, each step, from the step after: half of what is left in an
    hour. The venue pays in the order of a keyed hash from what it has liquid, within its terms of exit; when what is
    liquid is not enough it is illiquid and pays nothing more.

    Attributes
    ----------
    watched : bool
        Whether a loss may show although no account was ever bankrupt: money is lent out, or may be stolen or asked for.
    """

    def __init__(self, world: World, disclosure: Disclosure) -> None:
        self.world, self._disclosure = world, disclosure
        state = world.state
        self._places = [
            _Place(venue, [
                np.flatnonzero((state.accounts.book == book) & (state.accounts.flags & _STAYS == 0)
                               & (state.agents.kind[state.accounts.owner] == AgentKind.TRADER))
                for book in venue.books
            ], ExitQueue(venue.spec.exit, 0))
            for venue in world.venues.values() if isinstance(venue.spec, Exchange)
        ]  # fmt: skip
        rows = [place.venue.row for place in self._places]
        names = {place.venue.name for place in self._places}
        shocks = world.scenario.shocks
        self.watched = bool(np.isin(state.loans.lender, rows).any()) or any(
            shock.kind in ("theft", "withdrawal") and shock.target in names for shock in shocks
        )
        self._share = leaving_share(world)
        self._roots = 0
        self._step = -1

    @property
    def _idle(self) -> bool:
        return not self.watched and not len(self.world.bookkeeper.deficits)

    def show(self, losses: np.ndarray) -> None:
        """Write the loss that shows at each exchange into an array by agent row. [1]"""
        if self._idle:
            return
        self._read_haircuts()
        for place in self._places:
            losses[place.venue.row] = min(1.0, self._loss(place))

    def run(self, heard: np.ndarray) -> bool:
        """Ask and pay; whether anything was paid. `heard`: rumours by agent row [1]."""
        if self._idle or self._step == self.world.step:
            return False
        self._step = self.world.step
        self._read_haircuts()
        paid = [self._leave(place, self._share) for place in self._places if self._flees(place, heard)]
        for place in self._places if self.world.asked else ():
            if place.venue.row in self.world.asked:
                paid.append(self._ask(place, self.world.asked.pop(place.venue.row)))
        return any(paid)

    def _read_haircuts(self) -> None:
        if len(self.world.bookkeeper.deficits) == self._roots:
            return
        self._roots = len(self.world.bookkeeper.deficits)
        kinds = self.world.state.agents.kind
        for rows in self.world.bookkeeper.ledger.parts_of_step(Cause.ALLOCATION):
            cut = kinds[rows["payer"]] == AgentKind.TRADER
            for place in self._places:
                place.haircuts += float(rows["amount"][cut & (rows["payee"] == place.venue.row)].sum())

    def _owed(self, place: _Place) -> float:
        return float(self.world.state.books.owed[place.venue.books].sum())

    def _loss(self, place: _Place) -> float:
        owed = self._owed(place)
        return self._disclosure.of_exchange(place.venue, place.haircuts) / owed if owed > 0.0 else 0.0

    def _closed(self, place: _Place) -> bool:
        row = place.venue.row
        halted = self.world.halted.get(row, -1) >= self.world.step
        return halted or bool(self.world.state.agents.status[row] & ILLIQUID)

    def _flees(self, place: _Place, heard: np.ndarray) -> bool:
        if self._closed(place) or self._owed(place) <= 0.0:
            return False
        if self._loss(place) + _CUSTOMERS.rumour * float(heard[place.venue.row]) <= _CUSTOMERS.tolerance:
            return False
        self._note_fright(place)
        return place.frightened + place.exit.terms.notice < self.world.step

    def _note_fright(self, place: _Place) -> None:
        if place.frightened < 0:
            place.frightened = self.world.step
            self.world.counters[f"run_began.{place.venue.name}"] = float(self.world.step)

    def _ask(self, place: _Place, amount: float) -> bool:
        """Customers ask for an amount together, pro rata to free margin, whatever they see. [USD]"""
        free = sum(price * float(free.sum()) for _, _, free, price in self._free(place))
        if free <= 0.0 or amount <= 0.0:
            return False
        if self._closed(place):
            self.world.count("withdrawals_asked", min(amount, free))
            return False
        return self._leave(place, min(1.0, amount / free))

    def _free(self, place: _Place) -> list[tuple[int, np.ndarray, np.ndarray, float]]:
        """Book, accounts, their free margin [settlement asset] and its price [USD], by book."""
        state, found = self.world.state, []
        for book, accounts in zip(place.venue.books, place.accounts, strict=True):
            accounts = accounts[state.accounts.flags[accounts] & AccountFlag.CLOSED == 0]
            price = float(state.assets.fundamental[state.books.settle[book]])
            found.append((book, accounts, np.maximum(0.0, free_margin(self.world, accounts)), price))
        return found

    def _leave(self, place: _Place, share: float) -> bool:
        """Customers ask for a share of their free margin; whether anything was paid."""
        world, terms, owed = self.world, place.exit.terms, self._owed(place)
        requests = self._free(place)
        asked = share * sum(price * float(free.sum()) for _, _, free, price in requests)
        waiting = asked / owed if owed > 0.0 else 0.0
        pays = place.exit.is_open(world.step) and not self._stops(place, waiting)
        room = min(np.inf if terms.rate is None else terms.rate, np.inf if terms.gate == 1.0 else terms.gate * owed)
        hole = self._hole(place, owed)
        paid_any = False
        for book, accounts, free, price in requests:
            wanted = share * free
            draw = world.streams.uniforms("withdrawal order", world.state.accounts.key[accounts], world.step)
            order = np.argsort(draw)
            order = order[wanted[order] > 0.0]
            if not len(order):
                continue
            accounts, wanted = accounts[order], wanted[order]
            world.count("withdrawals_asked", price * float(wanted.sum()))
            liquid, allowed = liquid_settlement(world, book), room / price if pays else 0.0
            paid = _shared(wanted, min(liquid, allowed), terms.order)
            if (paid > 0.0).any():
                self._pay(place, accounts, paid, price, terms.fee + terms.swing * min(1.0, waiting), hole)
                room -= price * float(paid.sum())
                paid_any = True
            if liquid < min(float(wanted.sum()), allowed) * (1.0 - 1e-12):
                world.state.agents.status[place.venue.row] |= ILLIQUID
                self._note_fright(place)
                break
        return paid_any

    def _stops(self, place: _Place, waiting: float) -> bool:
        """Whether payments are stopped because too much is asked for; after a stop a step's payments are made."""
        terms, step = place.exit.terms, self.world.step
        if terms.halts_at is not None and step > place.stopped_until + 1 and waiting >= terms.halts_at:
            place.stopped_until = step + terms.halt - 1
            self.world.count("withdrawal_halts")
        return step <= place.stopped_until

    def _hole(self, place: _Place, owed: float) -> float:
        """What is missing per dollar owed, loans at what their borrowers could pay. [1]"""
        row = place.venue.row
        worth = float(self.world.state.agents.worth[row]) - self._disclosure.expected_loss(row)
        return min(1.0, max(0.0, -worth) / owed) if owed > 0.0 else 0.0

    def _pay(
        self, place: _Place, accounts: np.ndarray, paid: np.ndarray, price: float, fee: float, hole: float
    ) -> None:  # fmt: skip
        world, some = self.world, paid > 0.0
        accounts, paid = accounts[some], paid[some]
        due = paid - world.waterfall.charge_withdrawals(place.venue, accounts, paid)
        world.bookkeeper.withdraw(accounts, due * (1.0 - fee))
        if fee > 0.0:
            world.bookkeeper.charge(Cause.FEE, accounts, place.venue.row, due * fee * price)
            world.count("exit_fees", price * fee * float(due.sum()))
        world.count("withdrawals_paid", price * float(paid.sum()))
        world.count("paid_at_par", price * float(due.sum()))
        world.count("left_at_par", price * hole * float(due.sum()) * (1.0 - fee))


def _shared(wanted: np.ndarray, money: float, order: str) -> np.ndarray:
    """What each gets of `money`: all in their order, or the same share."""
    if order == "pro_rata":
        paid = wanted * min(1.0, money / float(wanted.sum()))
    else:
        paid = np.clip(money - (np.cumsum(wanted) - wanted), 0.0, wanted)
    left = float(np.subtract.reduce(np.concatenate([[money], paid])))
    if left < 0.0:  # rounding: paid one by one they would take more than there is
        paid[np.argmax(paid)] += 2.0 * left
    return paid


def liquid_settlement(world: World, book: int) -> float:
    """What an exchange can pay out now in a book's settlement asset. [settlement asset]"""
    state = world.state
    venue, settle = int(state.books.venue[book]), int(state.books.settle[book])
    if settle == 0:
        return max(0.0, float(state.agents.cash[venue]))
    return max(0.0, float(state.holdings.units[world.bookkeeper.slot(venue, settle)]))


def free_margin(world: World, accounts: np.ndarray) -> np.ndarray:
    """Equity above what the venue's margin rule keeps back at current marks, may be negative. [settlement asset]"""
    state = world.state
    return free_margins(
        accounts, state.accounts.start, state.accounts.book, state.accounts.balance, state.positions.instrument,
        state.positions.units, state.instruments.equity_price, state.books.release,
        initial_terms(state.instruments, state.books.scan),
    )  # fmt: skip
