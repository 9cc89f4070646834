"""Phase 4: borrowers whose loan gets uncomfortable repay from their wallets or add collateral before a keeper acts."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.agents.behaviours import Borrower
from contagion.agents.kernels import OUT
from contagion.agents.transfers import Transfers
from contagion.protocols import minting
from contagion.protocols.peg import pegs_of
from contagion.protocols.verbs import OUTSIDE, buy_spot, post_collateral, repay
from contagion.state.codes import InstrumentKind, Phase
from contagion.state.world import World

_DEBT, _SPOT = int(InstrumentKind.DEBT), int(InstrumentKind.SPOT)


class Borrowers:
    """Keeps loans at their owners' comfort: brings the health factor back to it, within the wallet.

    With C the risk-adjusted collateral and D the debt, health is C / D and the repayment is D - C / comfort, or the
    collateral to add ``(comfort D - C) / threshold``. A pool sends no margin calls, so nothing is delayed but money and
    collateral that have to cross to it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._groups = [
            (group.rule, int(group.accounts[0]), int(group.accounts[-1]) + 1)
            for group in world.groups if isinstance(group.rule, Borrower) and len(group.accounts)
        ]  # fmt: skip
        self._pegs = pegs_of(world)
        self._transfers = Transfers(world)
        largest = max((last - first for _, first, last in self._groups), default=0)
        self._rows, self._amounts = np.empty(largest, np.int64), np.empty(largest)

    def run(self) -> bool:
        """Answer where health is below comfort; whether anybody did."""
        moved = self._transfers.next_due is not None and self._receive()
        for rule, first, last in self._groups:
            state = self.world.state
            posts = rule.answers_with == "collateral"
            found = _uncomfortable(
                first, last, rule.comfort, state.accounts.start, state.accounts.flags, state.accounts.owner,
                state.agents.cash, state.accounts.equity, state.accounts.requirement, state.positions.instrument,
                state.positions.units, state.instruments.kind,
                state.instruments.equity_price, posts, self._rows, self._amounts,
            )  # fmt: skip
            if found and posts:
                moved |= self._add_collateral(self._rows[:found], rule.comfort * self._amounts[:found])
            elif found:
                moved |= self._repay(self._rows[:found], self._amounts[:found])
        return moved

    def _repay(self, positions: np.ndarray, amounts: np.ndarray) -> bool:
        """An owner with too little pays its loans pro rata to what each needs."""
        state = self.world.state
        self.world.bookkeeper.phase = Phase.TRADE
        accounts = state.positions.account[positions].astype(np.int64)
        amounts = np.maximum(0.0, amounts - self._transfers.under_way(accounts))
        owners, place = np.unique(state.accounts.owner[accounts], return_inverse=True)
        asked = np.bincount(place, weights=amounts)
        means = np.maximum(state.agents.cash[owners] - self._transfers.promised(owners, 0), 0.0)
        share = np.minimum(1.0, np.divide(means, asked, out=np.zeros(len(owners)), where=asked > 0.0))
        paid = amounts * share[place]
        crosses = self._transfers.slow[state.agents.group[state.accounts.owner[accounts]]] & (paid > 0.0)
        if crosses.any():
            self._transfers.send(accounts[crosses], paid[crosses], positions[crosses].astype(np.int64))
            paid = np.where(crosses, 0.0, paid)
        for position, amount in zip(positions.tolist(), paid.tolist(), strict=True):
            if amount > 0.0:
                self._repay_one(position, amount)
        total = float(paid.sum())
        if total > 0.0:
            self.world.count("repaid", total)
        return total > 0.0

    def _receive(self) -> bool:
        """What was under way repays, or is posted, as far as its sender still has it and owes it; whether any did."""
        state, total, posted = self.world.state, 0.0, False
        for account, position, sent in self._transfers.arrive():
            if state.instruments.kind[state.positions.instrument[position]] == _SPOT:
                posted |= self._post(position, sent)
                continue
            owed = -float(state.positions.units[position])
            owed *= float(state.instruments.value_price[state.positions.instrument[position]])
            paid = min(sent, owed, max(0.0, float(state.agents.cash[state.accounts.owner[account]])))
            if paid > 0.0:
                self.world.bookkeeper.phase = Phase.TRADE
                self._repay_one(position, paid)
                total += paid
        if total > 0.0:
            self.world.count("repaid", total)
        return posted or total > 0.0

    def _add_collateral(self, debts: np.ndarray, lacking: np.ndarray) -> bool:
        """Owners bring what their risk-adjusted collateral lacks, in their order; whether any did. [USD]"""
        state, moved = self.world.state, False
        accounts = state.positions.account[debts].astype(np.int64)
        for account, lack in zip(accounts.tolist(), lacking.tolist(), strict=True):
            position = self._largest(account)
            instrument = state.positions.instrument[position]
            counted = 1.0 - float(state.instruments.tier_rate[state.instruments.tier_start[instrument]])
            wanted = lack / (counted * float(state.instruments.equity_price[instrument]))
            wanted -= float(self._transfers.under_way(np.array([account]))[0])
            units = self._fetch(int(state.accounts.owner[account]), int(state.instruments.asset[instrument]), wanted)
            if units <= 0.0:
                continue
            if self._transfers.slow[state.agents.group[state.accounts.owner[account]]]:
                self._transfers.send(np.array([account]), np.array([units]), np.array([position]))
                moved = True
            else:
                moved |= self._post(position, units)
        return moved

    def _largest(self, account: int) -> int:
        """Position of the collateral that is worth most."""
        state = self.world.state
        rows = np.arange(state.accounts.start[account], state.accounts.start[account + 1])
        value = state.positions.units[rows] * state.instruments.equity_price[state.positions.instrument[rows]]
        return int(rows[np.argmax(value)])

    def _fetch(self, owner: int, asset: int, wanted: float) -> float:
        """Units in an owner's hands, the missing bought at the market price as far as its wallet goes."""
        books, state, owners = self.world.bookkeeper, self.world.state, np.array([owner])
        slot, price = books.slot(owner, asset), float(state.assets.market[asset])
        free = float(state.holdings.units[slot]) - float(self._transfers.promised(owners, asset)[0])
        cash = float(state.agents.cash[owner]) - float(self._transfers.promised(owners, 0)[0])
        bought = min(wanted - free, max(0.0, cash) / price) if price > 0.0 else 0.0
        if state.assets.issuer[asset] >= 0:
            bought = min(bought, float(state.holdings.units[books.slot(OUTSIDE, asset)]))
        if bought > 0.0:
            books.phase = Phase.TRADE
            buy_spot(books, owner, asset, bought, min(cash, bought * price))
            free += bought
        return min(wanted, free)

    def _post(self, position: int, units: float) -> bool:
        """Post units as far as the owner has them; whether it did."""
        state, instrument = self.world.state, self.world.state.positions.instrument[position]
        owner = int(state.accounts.owner[state.positions.account[position]])
        slot = self.world.bookkeeper.slot(owner, int(state.instruments.asset[instrument]))
        units = min(units, float(state.holdings.units[slot]))
        if units <= 0.0:
            return False
        self.world.bookkeeper.phase = Phase.TRADE
        post_collateral(self.world.bookkeeper, position, units)
        self.world.count("collateral_added", units * float(state.instruments.equity_price[instrument]))
        return True

    def _repay_one(self, position: int, amount: float) -> None:
        """In cash, or in the stablecoin that is owed, bought for that cash."""
        state = self.world.state
        pool = int(state.instruments.venue[state.positions.instrument[position]])
        peg = self._pegs.get(pool)
        if peg is None:
            repay(self.world.bookkeeper, position, amount)
            return
        price = peg.cost(amount)
        units = amount / max(1.0, price)  # a premium leaves less of the debt repaid, a discount money in hand
        minting.repay(self.world.bookkeeper, position, peg.claim, units, price)
        peg.bought(units)


@nb.njit(cache=True)
def _uncomfortable(
    first, last, comfort, start, flags, owner, cash, equity, requirement, instrument, units, kind, price, posts,
    rows, amounts,
) -> int:
    """Debt positions of accounts ``first``..``last`` whose health is strictly below comfort, and what each lacks. [USD]

    Owners who repay and have no cash are left out. Margin equity less the maintenance requirement is C - D.
    """
    found = 0
    for account in range(first, last):
        if flags[account] & OUT or (cash[owner[account]] <= 0.0 and not posts):
            continue
        debt, row = 0.0, -1
        for p in range(start[account], start[account + 1]):
            if kind[instrument[p]] == _DEBT and units[p] < 0.0:
                debt -= units[p] * price[instrument[p]]
                row = p
        if row < 0:
            continue
        weighted = equity[account] - requirement[account] + debt
        if weighted < comfort * debt:
            rows[found] = row
            amounts[found] = min(debt, debt - weighted / comfort)
            found += 1
    return found
