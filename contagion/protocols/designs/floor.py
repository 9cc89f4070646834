"""Redemptions at par out of the riskiest loans: what holds a stablecoin's price from below (Liquity)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.protocols import minting, verbs
from contagion.protocols.designs.design import Pool, Posted
from contagion.protocols.keepers import Keeper
from contagion.protocols.peg import Peg
from contagion.state.codes import Phase

_SIZES = tuple(0.5**power for power in range(6))


@dataclass(slots=True)
class Floor:
    """Keepers who find the stablecoin below par less the fee buy it and hand it in for collateral at oracle prices.

    The debt of the riskiest safe loans falls by as much, so borrowers lose nothing but their leverage.

    Parameters
    ----------
    accounts, debt : ndarray of shape (n,)
        Borrowers' rows of Accounts, and of Positions for what they owe.
    least_fee : float
        Kept in collateral by the reserve. [1]
    half_life : float
        Of the part of the fee above that, which rises by half of the share of the supply redeemed. [steps]
    """

    peg: Peg
    accounts: np.ndarray
    debt: np.ndarray
    least_fee: float
    half_life: float
    base_rate: float = 0.0
    step: int = 0  # of the last redemptions

    def fee(self, pool: Pool) -> float:
        """Of a redemption now. [1]"""
        if self.base_rate == 0.0:
            return self.least_fee
        kept = 0.5 ** ((pool.world.step - self.step) / self.half_life) if self.half_life > 0.0 else 0.0
        return min(1.0, self.least_fee + self.base_rate * kept)

    def pays(self, pool: Pool) -> bool:
        """Whether the price is below the floor, and nobody has looked in this step."""
        return self.step != pool.world.step and 0.0 < self.peg.price() < 1.0 - self.fee(pool)

    def hold(self, pool: Pool) -> bool:
        """Keepers redeem, once a step each; whether one did."""
        if not self.pays(pool):
            return False
        fee, done = self.fee(pool), False
        self.base_rate, self.step = fee - self.least_fee, pool.world.step
        for keeper in pool.keepers.able(0):
            if self.peg.price() < 1.0 - fee:
                done |= self._redeem(keeper, fee, pool)
        return done

    def _redeem(self, keeper: Keeper, fee: float, pool: Pool) -> bool:
        """The amount that gains most, from the riskiest loans on."""
        loans = self.riskiest(pool)
        most = min(pool.keepers.means(keeper) / self.peg.price(), sum(loan[2] for loan in loans))
        amounts = [share * most for share in _SIZES] if most > 0.0 else []
        gain, amount = max(((each * (1.0 - fee - self.peg.cost(each)), each) for each in amounts), default=(0.0, 0.0))
        if gain <= keeper.minimum_profit + keeper.gas:
            return False
        pool.keepers.transact(keeper)
        books, price, left = pool.world.bookkeeper, self.peg.cost(amount), amount
        books.phase = Phase.LIQUIDATE
        supply = float(pool.world.state.assets.supply[self.peg.claim])
        for debt_row, item, owed in loans:
            part = min(left, owed, item.value)
            if part <= 0.0:
                break
            minting.cover(books, debt_row, self.peg.claim, keeper.row, part, price)
            self._hand_out(item, part, fee, keeper, pool)
            left -= part
        self.peg.bought(amount - left)
        self.base_rate += 0.5 * (amount - left) / supply
        pool.world.count("redemptions")
        pool.world.count("redeemed_at_par", amount - left)
        return True

    def _hand_out(self, item: Posted, amount: float, fee: float, keeper: Keeper, pool: Pool) -> None:
        """Collateral worth the amount: the fee to the reserve, the rest to the keeper, who sells it."""
        books, units = pool.world.bookkeeper, amount / item.price
        wanted = units * (1.0 - fee)
        filled, price = pool.keepers.proceeds(keeper, item.asset, wanted)
        if filled > 0.0:
            verbs.seize_and_sell(books, item.position, keeper.row, filled, price)
            pool.keepers.sold(keeper, item.asset, filled)
        if wanted > filled:
            minting.seize(books, item.position, keeper.row, wanted - filled)
        if fee > 0.0:
            minting.seize(books, item.position, pool.venue.fund, units - wanted)

    def riskiest(self, pool: Pool) -> list[tuple[int, Posted, float]]:
        """Debt row, collateral and debt of safe loans, least collateral over debt first. [USD]"""
        state, found = pool.world.state, []
        price = state.instruments.value_price[state.positions.instrument[self.debt]]
        owed = -state.positions.units[self.debt] * price
        for row in np.flatnonzero(owed > 0.0).tolist():
            account = int(self.accounts[row])
            for item in pool.posted(account):
                if item.value * pool.terms[item.instrument].liquidation_threshold >= owed[row]:
                    key = item.value / owed[row], int(state.accounts.key[account])
                    found.append((key, (int(self.debt[row]), item, float(owed[row]))))
        return [loan for _, loan in sorted(found, key=lambda entry: entry[0])]
