"""Phase 9 at exchanges: customers take free margin out of a venue whose losses have come to show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.margin.initial import free_margins, initial_terms
from contagion.protocols.depositors import leaving_share
from contagion.protocols.faces import ILLIQUID
from contagion.scenario.venues import Exchange
from contagion.state.codes import AccountFlag, AgentKind, Cause
from contagion.state.world import Venue, World

_FEAR = 0.01  # loss per unit owed above which customers leave
_STAYS = AccountFlag.MAKER | AccountFlag.HOUSE | AccountFlag.CLOSED


@dataclass(slots=True)
class _Place:
    venue: Venue
    accounts: list[np.ndarray]  # customers by book
    haircuts: float = 0.0  # suffered by customers so far [USD]
    frightened: int = -1  # first step with fear above the threshold


class ExchangeRuns:
    """Withdrawals from exchanges.

    The loss that shows is what customers were cut so far plus the venue's negative net worth and what it keeps of
    withdrawals for, over what it owes them.
    Above 1% every customer without a market-making role asks for a share of the equity it does not need as initial
    margin, each step, from the step after: half of what is left in an hour. The venue pays in the order of a keyed
    hash from what it has liquid; when that is not enough it is illiquid and pays nothing more.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        self._places = [
            _Place(venue, [
                np.flatnonzero((state.accounts.book == book) & (state.accounts.flags & _STAYS == 0)
                               & (state.agents.kind[state.accounts.owner] == AgentKind.TRADER))
                for book in venue.books
            ])
            for venue in world.venues.values() if isinstance(venue.spec, Exchange)
        ]  # fmt: skip
        self._share = leaving_share(world)
        self._roots = 0
        self._step = -1

    def run(self) -> bool:
        """Ask and pay; whether anything was paid."""
        roots = len(self.world.bookkeeper.deficits)
        if not roots or self._step == self.world.step:
            return False
        self._step = self.world.step
        if roots != self._roots:
            self._roots = roots
            self._read_haircuts()
        paid = [self._leave(place) for place in self._places if self._frightened(place)]
        return any(paid)

    def _read_haircuts(self) -> None:
        kinds = self.world.state.agents.kind
        for rows in self.world.bookkeeper.ledger.parts_of_step(Cause.ALLOCATION):
            cut = kinds[rows["payer"]] == AgentKind.TRADER
            for place in self._places:
                place.haircuts += float(rows["amount"][cut & (rows["payee"] == place.venue.row)].sum())

    def _frightened(self, place: _Place) -> bool:
        state = self.world.state
        owed = float(state.books.owed[place.venue.books].sum())
        loss = place.haircuts + max(0.0, -float(state.agents.worth[place.venue.row]))
        loss += self.world.waterfall.shown_deficit(place.venue.row)
        halted = self.world.halted.get(place.venue.row, -1) >= self.world.step
        if halted or owed <= 0.0 or loss <= _FEAR * owed or state.agents.status[place.venue.row] & ILLIQUID:
            return False
        if place.frightened < 0:
            place.frightened = self.world.step
        return place.frightened < self.world.step

    def _leave(self, place: _Place) -> bool:
        world, state = self.world, self.world.state
        paid_any = False
        for book, accounts in zip(place.venue.books, place.accounts, strict=True):
            accounts = accounts[state.accounts.flags[accounts] & AccountFlag.CLOSED == 0]
            wanted = self._share * np.maximum(0.0, free_margin(world, accounts))
            draw = world.streams.uniforms("withdrawal order", state.accounts.key[accounts], world.step)
            order = np.argsort(draw)
            order = order[wanted[order] > 0.0]
            if not len(order):
                continue
            accounts, wanted = accounts[order], wanted[order]
            before = np.cumsum(wanted) - wanted
            paid = np.clip(liquid_settlement(world, book) - before, 0.0, wanted)
            some = paid > 0.0
            if some.any():
                kept = world.waterfall.charge_withdrawals(place.venue, accounts[some], paid[some])
                world.bookkeeper.withdraw(accounts[some], paid[some] - kept)
                paid_any = True
            price = float(state.assets.fundamental[state.books.settle[book]])
            world.count("withdrawals_asked", price * float(wanted.sum()))
            world.count("withdrawals_paid", price * float(paid.sum()))
            if paid.sum() < wanted.sum() * (1.0 - 1e-12):
                state.agents.status[place.venue.row] |= ILLIQUID
                break
        return paid_any


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
