"""Phase 4: borrowers whose loan gets uncomfortable repay from their wallets before a keeper acts."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.agents.behaviours import Borrower
from contagion.agents.kernels import OUT
from contagion.agents.transfers import Transfers
from contagion.protocols import minting
from contagion.protocols.peg import pegs_of
from contagion.protocols.verbs import repay
from contagion.state.codes import InstrumentKind, Phase
from contagion.state.world import World

_DEBT = int(InstrumentKind.DEBT)


class Borrowers:
    """Keeps loans at their owners' comfort: repays what brings the health factor back to it, within the wallet.

    With C the risk-adjusted collateral and D the debt, health is C / D and the repayment is D - C / comfort. A pool
    sends no margin calls, so nothing is delayed but money that has to cross to it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._groups = [
            (group.rule.comfort, int(group.accounts[0]), int(group.accounts[-1]) + 1)
            for group in world.groups if isinstance(group.rule, Borrower) and len(group.accounts)
        ]  # fmt: skip
        self._pegs = pegs_of(world)
        self._transfers = Transfers(world)
        largest = max((last - first for _, first, last in self._groups), default=0)
        self._rows, self._amounts = np.empty(largest, np.int64), np.empty(largest)

    def run(self) -> bool:
        """Repay where health is below comfort; whether anybody did."""
        moved = self._transfers.next_due is not None and self._receive()
        for comfort, first, last in self._groups:
            state = self.world.state
            found = _uncomfortable(
                first, last, comfort, state.accounts.start, state.accounts.flags, state.accounts.owner,
                state.agents.cash, state.accounts.equity, state.accounts.requirement, state.positions.instrument,
                state.positions.units, state.instruments.kind,
                state.instruments.equity_price, self._rows, self._amounts,
            )  # fmt: skip
            if found:
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
        """Money that was under way repays, as far as its sender still has it and owes it; whether any did."""
        state, total = self.world.state, 0.0
        for account, position, sent in self._transfers.arrive():
            owed = -float(state.positions.units[position])
            owed *= float(state.instruments.value_price[state.positions.instrument[position]])
            paid = min(sent, owed, max(0.0, float(state.agents.cash[state.accounts.owner[account]])))
            if paid > 0.0:
                self.world.bookkeeper.phase = Phase.TRADE
                self._repay_one(position, paid)
                total += paid
        if total > 0.0:
            self.world.count("repaid", total)
        return total > 0.0

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
    first, last, comfort, start, flags, owner, cash, equity, requirement, instrument, units, kind, price, rows,
    amounts,
) -> int:
    """Debt positions of accounts ``first``..``last`` whose health is strictly below comfort, and what each lacks. [USD]

    Owners without cash are left out: they have no answer. Margin equity less the maintenance requirement is C - D.
    """
    found = 0
    for account in range(first, last):
        if flags[account] & OUT or cash[owner[account]] <= 0.0:
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
