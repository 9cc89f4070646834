"""Phase 4: margin calls and the answers of the owners."""

from __future__ import annotations

import numpy as np

from contagion.agents.transfers import Transfers
from contagion.state.codes import AccountFlag, Cause, InstrumentKind, Phase
from contagion.state.world import World

_GONE = int(AccountFlag.CLOSED | AccountFlag.TAKEN_OVER | AccountFlag.BANKRUPT | AccountFlag.HOUSE)
_CALLED = int(AccountFlag.CALLED)
HEARD = _GONE | _CALLED
"""Flags of accounts that are not called (again)."""
_NOBODY = np.empty(0, np.int64)


class MarginCalls:
    """Calls accounts below the warning level and carries out their owners' answers.

    An account whose equity is strictly below ``warning * requirement`` is called once until it is back at that level.
    After its group's delay the owner answers: `top_up` (from the wallet, up to the level), `reduce` (closes the share
    of its contracts that brings the requirement down to what the equity carries) or `ignore`. Which of them is a keyed
    draw against the shares of the group's ``answers``. Money of groups with a ``transfer`` arrives later, or not.
    Institutions are not called: their rules say what they do.

    Attributes
    ----------
    orders : tuple of two ndarray
        Rows of Positions and signed changes of units of those who reduce, when :meth:`run` is told to leave them.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        groups = world.groups
        self._delay = np.array([group.spec.delay for group in groups], np.int32)
        self._top_up = np.array([group.spec.answers.get("top_up", 0.0) for group in groups])
        self._reduce = self._top_up + np.array([group.spec.answers.get("reduce", 0.0) for group in groups])
        self._due: dict[int, list[np.ndarray]] = {}
        self._answered = _NOBODY  # called accounts that have answered and are not known to have recovered
        self._transfers = Transfers(world)
        self.orders = (_NOBODY, np.empty(0))

    @property
    def next_due(self) -> int | None:
        """Step at which the next answer is due, or money under way arrives."""
        arrival = self._transfers.next_due
        return min([*self._due, *([] if arrival is None else [arrival])], default=None)

    @property
    def answered(self) -> np.ndarray:
        """Rows of called accounts that have answered and were still below the level when last seen."""
        return self._answered

    def run(self, called: np.ndarray, execute: bool = True) -> bool:
        """Call, and answer what is due.

        Parameters
        ----------
        called : ndarray
            Rows of accounts found below the warning level; those above it are left out.
        execute : bool
            Execute the orders of those who reduce; otherwise leave them in `orders` to join the other intents.

        Returns
        -------
        bool
            Whether money or positions moved.
        """
        if len(self.orders[0]):
            self.orders = (_NOBODY, np.empty(0))
        arrival = self._transfers.next_due
        if not (len(called) or self._due or len(self._answered) or arrival is not None):
            return False
        self.world.bookkeeper.phase = Phase.TRADE
        moved = arrival is not None and self._receive()
        if len(self._answered):
            self._forget_recovered()
        if len(called):
            self._call(called)
        due = self._due.pop(self.world.step, None)
        if due is None:
            return moved
        accounts = np.concatenate(due)
        self._answered = np.union1d(self._answered, accounts)
        accounts = accounts[self._below(accounts) & ~self._gone(accounts)]
        return (len(accounts) > 0 and self._answer(accounts, execute)) or moved

    def _receive(self) -> bool:
        """Money that was under way comes in, as far as its sender still has it; whether any did."""
        world, state = self.world, self.world.state
        moved = False
        for account, _, sent in self._transfers.arrive():
            settle = int(state.books.settle[state.accounts.book[account]])
            units = min(sent, max(0.0, float(self._means(state.accounts.owner[account : account + 1], settle)[0])))
            if units > 0.0:
                world.bookkeeper.deposit(np.array([account]), np.array([units]))
                world.count("top_ups", units * float(state.assets.fundamental[settle]))
                moved = True
        return moved

    def _gone(self, accounts: np.ndarray) -> np.ndarray:
        return (self.world.state.accounts.flags[accounts] & _GONE) != 0

    def _level(self, accounts: np.ndarray) -> np.ndarray:
        state = self.world.state
        return state.books.warning[state.accounts.book[accounts]] * state.accounts.requirement[accounts]

    def _below(self, accounts: np.ndarray) -> np.ndarray:
        level = self._level(accounts)
        return (self.world.state.accounts.equity[accounts] < level) & (level > 0.0)

    def _forget_recovered(self) -> None:
        accounts = self._answered
        below = self._below(accounts) & ~self._gone(accounts)
        table = self.world.state.accounts
        table.flags[accounts[~below]] &= np.uint8(255 - _CALLED)
        table.due[accounts[~below]] = -1
        self._answered = accounts[below]

    def _call(self, accounts: np.ndarray) -> None:
        state = self.world.state
        table = state.accounts
        accounts = np.asarray(accounts, np.int64)
        fresh = (table.flags[accounts] & np.uint8(HEARD)) == 0
        fresh &= (state.agents.group[table.owner[accounts]] >= 0) & self._below(accounts)
        accounts = accounts[fresh]
        if not len(accounts):
            return
        delay = self._delay[state.agents.group[table.owner[accounts]]]
        table.flags[accounts] |= np.uint8(_CALLED)
        table.due[accounts] = self.world.step + delay
        for wait in np.unique(delay):
            self._due.setdefault(self.world.step + int(wait), []).append(accounts[delay == wait])
        self.world.count("margin_calls", len(accounts))

    def _answer(self, accounts: np.ndarray, execute: bool) -> bool:
        state = self.world.state
        group = state.agents.group[state.accounts.owner[accounts]]
        draw = self.world.streams.uniforms("margin call answer", state.accounts.key[accounts], self.world.step)
        paying = draw < self._top_up[group]
        reducing = ~paying & (draw < self._reduce[group])
        ignored = int(len(accounts) - paying.sum() - reducing.sum())
        if ignored:
            self.world.count("calls_ignored", ignored)
        # Orders first: they are sized on the equity all of this phase is decided on.
        orders = self._reductions(accounts[reducing]) if reducing.any() else self.orders
        moved = self._pay(accounts[paying]) if paying.any() else False
        if not execute:
            self.orders = orders
            return moved
        if len(orders[0]):
            moved |= bool(np.any(self.world.market.execute(*orders, Cause.EXECUTION) != 0.0))
        return moved

    def _pay(self, accounts: np.ndarray) -> bool:
        """Top up to the warning level; owners with too little pay their accounts pro rata to what each lacks."""
        world, state = self.world, self.world.state
        table, moved = state.accounts, False
        lacking = self._level(accounts) - table.equity[accounts]  # [USD]
        paid_in = np.zeros(len(accounts))
        settle = state.books.settle[table.book[accounts]]
        for asset in np.unique(settle):
            price = float(state.assets.fundamental[asset])
            here = np.flatnonzero(settle == asset)
            owners, place = np.unique(table.owner[accounts[here]], return_inverse=True)
            means = price * (self._means(owners, int(asset)) - self._transfers.promised(owners, int(asset)))
            asked = np.bincount(place, weights=lacking[here])
            share = np.minimum(1.0, np.maximum(means, 0.0) / asked)
            paid_in[here] = lacking[here] * share[place]
        met = int((paid_in >= lacking * (1.0 - 1e-12)).sum())
        crosses = self._transfers.slow[state.agents.group[table.owner[accounts]]] & (paid_in > 0.0)
        if crosses.any():
            price = state.assets.fundamental[settle[crosses]]
            self._transfers.send(accounts[crosses], paid_in[crosses] / price)
        paid_in = np.where(crosses, 0.0, paid_in)
        for book in np.unique(table.book[accounts]):
            here = (table.book[accounts] == book) & (paid_in > 0.0)
            if here.any():
                price = float(state.assets.fundamental[state.books.settle[book]])
                world.bookkeeper.deposit(accounts[here], paid_in[here] / price)
                moved = True
        if moved:
            world.count("top_ups", float(paid_in.sum()))
        world.count("calls_met", met)
        return moved

    def _means(self, owners: np.ndarray, asset: int) -> np.ndarray:
        """What owners hold of a settlement asset in their own hands. [units]"""
        state = self.world.state
        if asset == 0:
            return state.agents.cash[owners]
        held = np.zeros(len(owners))
        for order, owner in enumerate(owners):
            rows = slice(state.agents.holding_start[owner], state.agents.holding_start[owner + 1])
            held[order] = state.holdings.units[rows][state.holdings.asset[rows] == asset].sum()
        return held

    def _reductions(self, accounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Orders that close the share f with equity = level * (1 - f); trading costs and tiers are not foreseen."""
        state = self.world.state
        share = np.clip(1.0 - state.accounts.equity[accounts] / self._level(accounts), 0.0, 1.0)
        start, end = state.accounts.start[accounts].astype(np.int64), state.accounts.start[accounts + 1]
        width = end - start
        rows = np.repeat(start - np.concatenate([[0], np.cumsum(width)[:-1]]), width) + np.arange(width.sum())
        units = -np.repeat(share, width) * state.positions.units[rows]
        kind = state.instruments.kind[state.positions.instrument[rows]]
        some = (units != 0.0) & (kind <= InstrumentKind.INVERSE)
        self.world.count("calls_reduced", len(accounts))
        return rows[some], units[some]
