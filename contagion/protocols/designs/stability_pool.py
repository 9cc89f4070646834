"""Depositors pay off unsafe loans for their collateral; other borrowers take what they cannot (Liquity)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagion.errors import InputError
from contagion.protocols import minting, verbs
from contagion.protocols.designs.design import Design, Loan, Pool, Posted
from contagion.protocols.designs.floor import Floor
from contagion.protocols.keepers import Keeper
from contagion.protocols.peg import Peg, pegs_of
from contagion.protocols.stability_rules import Offset, offset, redistribution
from contagion.scenario.fields import Duration, Share
from contagion.state.codes import AccountFlag, Phase


@dataclass(slots=True)
class Memory:
    """What the design knows of its protocol."""

    peg: Peg
    vaults: list[int]  # agents that hold the stability deposits
    accounts: np.ndarray  # of borrowers, shape (n,)
    debt: np.ndarray  # rows of their debt positions, shape (n,)
    floor: Floor


class StabilityPool(Design):
    """An unsafe loan is closed at once: deposits in the stablecoin are burned against its debt and get its collateral.

    Depositors are the holders of vaults that hold the stablecoin. What deposits do not cover goes to the other
    borrowers, debt and collateral pro rata to their collateral. A keeper's transaction closes a loan, for a part of
    the collateral. Keepers who find the stablecoin below its par less the fee buy it and hand it in for collateral of
    the riskiest loans, dollar for dollar, which holds the price from below.

    Parameters
    ----------
    vaults : tuple of str
        Protocols of kind vault which hold the stablecoin and may hold the collateral.
    keeper_share : float
        Part of the collateral for who closes the loan. [1]
    redemption_fee : float
        Least fee on a redemption, kept in collateral by the reserve. [1]
    recovery : float
        Collateral over debt of all loans together below which deposits also take safe loans that have less than that,
        the riskiest first, each as a whole and for `recovery_seizure` of its debt; none: never. [1]
    recovery_seizure : float
        Collateral taken for such a loan over its debt; the rest is the owner's. [1]
    fee_half_life : duration
        The fee rises by half of the share of the supply that is redeemed, and that part decays by half in this time.
    """

    by_keepers: ClassVar[bool] = False

    vaults: tuple[str, ...] = ()
    keeper_share: Share = 0.005
    redemption_fee: Share = 0.005
    recovery: Annotated[float, Field(ge=1)] | None = 1.5
    recovery_seizure: Annotated[float, Field(ge=1)] = 1.1
    fee_half_life: Duration = Field(default="12h", validate_default=True)

    def open(self, pool: Pool) -> Memory:
        world, state = pool.world, pool.world.state
        where = f"protocols.{pool.venue.name}.liquidation"
        peg = pegs_of(world).get(pool.venue.row)
        if peg is None:
            raise InputError(where, "stability_pool", "a protocol of kind collateralised_debt")
        names = [name for name, row in world.agent_rows.items() if self._may_hold(name, row, peg, pool)]
        for name in self.vaults:
            if name not in names:
                accepted = ", ".join(names) or "(none)"
                raise InputError(f"{where}.vaults", name, f"vaults that hold the claim and its collateral: {accepted}")
        accounts = np.flatnonzero(state.books.venue[state.accounts.book] == pool.venue.row)
        debt = state.accounts.start[accounts + 1].astype(np.int64) - 1
        vaults = [world.agent_rows[name] for name in self.vaults]
        floor = Floor(peg, accounts, debt, self.redemption_fee, self.fee_half_life / world.scenario.dt)
        return Memory(peg, vaults, accounts, debt, floor)

    def _may_hold(self, name: str, row: int, peg: Peg, pool: Pool) -> bool:
        state = pool.world.state
        held = state.holdings.asset[state.agents.holding_start[row] : state.agents.holding_start[row + 1]]
        wanted = {peg.claim, *(int(state.instruments.asset[instrument]) for instrument in pool.incentives)}
        return name in pool.world.scenario.protocols and name != pool.venue.name and wanted <= set(held.tolist())

    # -- liquidation --------------------------------------------------------------------------------------------

    def close(self, loan: Loan, pool: Pool) -> bool:
        keepers = pool.keepers.able(loan.since)
        posted = pool.posted(loan.account)
        reward = self.keeper_share * sum(item.value for item in posted)
        keeper = next((keeper for keeper in keepers if reward >= keeper.gas + keeper.minimum_profit), None)
        if keeper is None or not (posted and self._takers(loan, posted, pool)):
            return False
        books, memory = pool.world.bookkeeper, pool.memory
        pool.keepers.transact(keeper)
        value = sum(item.value for item in posted)
        for item in posted:
            self._reward(item, keeper, pool)
            self._pay_off(loan, item, loan.owed * item.value / value, memory, pool)
        if pool.world.state.positions.units[loan.debt_row] == 0.0:
            pool.world.state.accounts.flags[loan.account] |= AccountFlag.CLOSED
        pool.world.count("loan_liquidations")
        pool.world.count("liquidated_debt", loan.owed)
        books.phase = Phase.LIQUIDATE
        return True

    def _takers(self, loan: Loan, posted: list[Posted], pool: Pool) -> bool:
        """Whether anybody can take the loan."""
        books, state, memory = pool.world.bookkeeper, pool.world.state, pool.memory
        if any(state.holdings.units[books.slot(vault, memory.peg.claim)] > 0.0 for vault in memory.vaults):
            return True
        return all(len(self._others(loan.account, item.instrument, memory, pool)[0]) for item in posted)

    def _reward(self, item: Posted, keeper: Keeper, pool: Pool) -> None:
        units = self.keeper_share * item.units
        if units > 0.0:
            filled, price = pool.keepers.proceeds(keeper, item.asset, units)
            if filled >= units * (1.0 - 1e-12):
                proceeds = verbs.seize_and_sell(pool.world.bookkeeper, item.position, keeper.row, units, price)
                pool.keepers.sold(keeper, item.asset, units)
                pool.world.count("keeper_profit", proceeds - keeper.gas)
            else:
                minting.seize(pool.world.bookkeeper, item.position, keeper.row, units)

    def _pay_off(self, loan: Loan, item: Posted, debt: float, memory: Memory, pool: Pool) -> None:
        """Deposits first, then the other borrowers."""
        books, state = pool.world.bookkeeper, pool.world.state
        collateral = float(state.positions.units[item.position])
        slots = [books.slot(vault, memory.peg.claim) for vault in memory.vaults]
        split = offset(state.holdings.units[slots], debt, collateral)
        self._share_out(loan.debt_row, item, split, pool)
        if split.debt_left > 0.0:
            self._redistribute(loan, item, memory, pool)

    def _share_out(self, debt_row: int, item: Posted, split: Offset, pool: Pool) -> None:
        """Deposits are burned, and their vaults get collateral."""
        books, memory = pool.world.bookkeeper, pool.memory
        for vault, burned, gained in zip(memory.vaults, split.burned.tolist(), split.gained.tolist(), strict=True):
            if burned > 0.0:
                minting.burn_held(books, debt_row, memory.peg.claim, vault, burned)
                minting.seize(books, item.position, vault, gained)
        pool.world.count("offset_by_deposits", float(split.burned.sum()))

    def _redistribute(self, loan: Loan, item: Posted, memory: Memory, pool: Pool) -> None:
        """What is left of a loan goes to all open loans with the same collateral."""
        books, state = pool.world.bookkeeper, pool.world.state
        rows, debts = self._others(loan.account, item.instrument, memory, pool)
        if not len(rows):
            return
        debt, collateral = -float(state.positions.units[loan.debt_row]), float(state.positions.units[item.position])
        held = state.positions.units[rows]
        shares = redistribution(held, debt), redistribution(held, collateral)
        for row, owed, more, units in zip(rows.tolist(), debts.tolist(), *map(list, shares), strict=True):
            minting.take_over_debt(books, loan.debt_row, owed, more)
            minting.take_over_collateral(books, item.position, row, units)
        price = float(state.instruments.value_price[state.positions.instrument[loan.debt_row]])
        pool.world.count("redistributed_debt", debt * price)

    def _others(self, account: int, instrument: int, memory: Memory, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        """Collateral and debt positions of the other open loans with this collateral."""
        state = pool.world.state
        keep = (memory.accounts != account) & (state.accounts.flags[memory.accounts] & AccountFlag.CLOSED == 0)
        keep &= state.positions.units[memory.debt] < 0.0
        start, end = state.accounts.start[memory.accounts], memory.debt
        rows = np.full(len(keep), -1, np.int64)
        for place in range(int((end - start).max(initial=0))):
            here = np.minimum(start + place, end)
            fits = (state.positions.instrument[here] == instrument) & (state.positions.units[here] > 0.0)
            rows = np.where(fits, here, rows)
        keep &= rows >= 0
        return rows[keep], memory.debt[keep]

    # -- between liquidations -----------------------------------------------------------------------------------

    def busy(self, pool: Pool) -> bool:
        return pool.memory.floor.pays(pool) or self._below_recovery(pool)

    def work(self, pool: Pool) -> bool:
        done = pool.memory.floor.hold(pool)
        while self._below_recovery(pool) and self._recover(pool):
            done = True
        return done

    def _below_recovery(self, pool: Pool) -> bool:
        return self.recovery is not None and total_ratio(pool) < self.recovery

    def _recover(self, pool: Pool) -> bool:
        """Deposits take the riskiest safe loan; whether they did."""
        state, books, memory = pool.world.state, pool.world.bookkeeper, pool.memory
        riskiest = memory.floor.riskiest(pool)[:1]
        for debt_row, item, owed in riskiest:
            deposits = [state.holdings.units[books.slot(vault, memory.peg.claim)] for vault in memory.vaults]
            reward = self.keeper_share * item.value
            keepers = [one for one in pool.keepers.able(0) if reward >= one.gas + one.minimum_profit]
            if not keepers or item.value >= owed * total_ratio(pool) or sum(deposits) < owed:
                continue
            books.phase = Phase.LIQUIDATE
            pool.keepers.transact(keepers[0])
            self._reward(item, keepers[0], pool)
            left = float(state.positions.units[item.position])
            taken = min(left, self.recovery_seizure * owed / item.price)
            self._share_out(debt_row, item, offset(np.array(deposits), owed, taken), pool)
            minting.hand_back(books, item.position, left - taken)
            pool.world.count("loan_liquidations")
            pool.world.count("liquidated_debt", owed)
            return True
        return False


def total_ratio(pool: Pool) -> float:
    """Collateral over debt of all loans of a protocol together, at oracle prices. [1]"""
    instruments = pool.world.state.instruments
    rows = list(pool.incentives)
    debts = pool.venue.debts
    owed = -float(instruments.customer_units[debts] @ instruments.value_price[debts])
    return float(instruments.customer_units[rows] @ instruments.equity_price[rows]) / owed if owed > 0.0 else np.inf
