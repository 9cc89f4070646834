"""What the published prices of protocols, stale or wrong, would give away to whoever trades against them now."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.market.pools import Pool, Pools
from contagion.scenario.lending import LendingPool
from contagion.state.codes import InstrumentKind
from contagion.state.world import Venue, World


class StalePrices:
    """Measures the value on offer at each protocol that reads an oracle, once a step after publication.

    At a lending pool: buy collateral at the market, borrow all there is against it at the oracle's prices, never
    repay. A dollar lent, at market prices, against c dollars of collateral at market per dollar at the oracle gains
    ``1 - c / ltv`` where that is positive. At a pool that swaps at oracle prices: the best swap of all it holds.

    Writes the counters ``stale_value.<protocol>`` [USD] and ``oracle_gap.<protocol>`` [1]: of the step in the step's,
    the greatest so far in the run's. A gap is counted over the higher of the two prices: 0.5 where one is twice the
    other, either way, and 1 where collateral is worthless at the market and the oracle does not know yet.
    """

    def __init__(self, world: World, pools: Pools) -> None:
        self.world = world
        self._lenders: list[tuple[Venue, np.ndarray, int, int, np.ndarray]] = []
        self._swappers: list[tuple[Pool, np.ndarray]] = []
        instruments = world.state.instruments
        for venue in world.venues.values():
            rows = np.array(venue.instruments, np.int64)
            rows = rows[instruments.kind[rows] == InstrumentKind.SPOT] if len(rows) else rows
            if isinstance(venue.spec, LendingPool):
                lent = int(instruments.asset[venue.debts[0]])
                slot = world.bookkeeper.slot(venue.row, lent) if lent else -1
                ltv = 1.0 - instruments.tier_initial[instruments.tier_start[rows]]
                self._lenders.append((venue, rows, venue.debts[0], slot, ltv))
            elif venue.row in pools.by_row and len(rows):
                self._swappers.append((pools.by_row[venue.row], rows))

    def measure(self) -> None:
        """Measure all protocols."""
        state = self.world.state
        market, instruments = state.assets.market, state.instruments
        for venue, rows, debt, slot, ltv in self._lenders:
            liquid = float(state.agents.cash[venue.row] if slot < 0 else state.holdings.units[slot])
            share, gap = _best_loan(rows, debt, ltv, instruments.oracle, market, instruments.asset)
            self._note(venue.name, max(0.0, liquid) * share, gap)
        for pool, rows in self._swappers:
            _, gap = _best_loan(rows, -1, rows, instruments.oracle, market, instruments.asset)
            self._note(pool.name, self._best_swap(pool), gap)

    def _best_swap(self, pool: Pool) -> float:
        """Most that one swap gains at outside prices. [USD]"""
        market, best = self.world.state.assets.market, 0.0
        for sold in pool.coins:
            for bought in pool.coins:
                if sold == bought or market[sold] <= 0.0 or market[bought] <= 0.0:
                    continue
                amount = pool.amount_to(sold, bought, float(market[sold] / market[bought]))
                if amount > 0.0:
                    gain = pool.quote(sold, bought, amount) * market[bought] - amount * market[sold]
                    best = max(best, float(gain))
        return best

    def _note(self, protocol: str, value: float, gap: float) -> None:
        now, most = self.world.step_counters, self.world.counters
        for name, found in ((f"stale_value.{protocol}", value), (f"oracle_gap.{protocol}", gap)):
            now[name] = found
            most[name] = max(most.get(name, 0.0), found)


@nb.njit(cache=True)
def _best_loan(rows, debt, ltv, oracle, market, asset):
    """Gain per unit lent against the most overvalued collateral [USD], and the greatest gap of an oracle, over the
    higher price."""
    best, gap = 0.0, 0.0
    for i in range(len(rows)):
        price, true = oracle[rows[i]], market[asset[rows[i]]]
        if true <= 0.0 and price <= 0.0:
            continue
        gap = max(gap, abs(price - true) / max(price, true))
        if true <= 0.0 or price <= 0.0:
            continue
        if debt >= 0 and ltv[i] > 0.0:
            best = max(best, market[asset[debt]] - oracle[debt] * true / (price * ltv[i]))
    return best, gap
