"""Phase 4: loopers bring debt over collateral back to their target, or wind down when borrowing got too dear."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.agents.kernels import OUT
from contagion.agents.looper import Looper
from contagion.protocols import verbs
from contagion.protocols.claim_market import ClaimMarket
from contagion.protocols.liquidity import liquidity
from contagion.scenario.isolation import owed_against
from contagion.scenario.lending import LendingPool
from contagion.state.codes import InstrumentKind, Phase
from contagion.state.world import Group, World

_DEBT, _SPOT = int(InstrumentKind.DEBT), int(InstrumentKind.SPOT)


class Loopers:
    """Levers up and down the loans of all loopers of a world.

    With collateral C and debt D at the oracle's prices and target t, repaying ``(D - t C) / (1 - t)`` out of collateral
    sold at the oracle's price brings D / C to t; so does borrowing its negative and buying.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._groups = [group for group in world.groups if isinstance(group.rule, Looper) and len(group.accounts)]
        largest = max(len(group.accounts) for group in self._groups)
        self._found, self._sums = np.empty((largest, 2), np.int64), np.empty((largest, 2))
        self._index = world.state.instruments.debt_index.copy()
        self._rate = np.zeros(len(self._index))
        self._market = ClaimMarket(world)
        self._venues = {venue.row: venue for venue in world.venues.values()}
        self._ceilings = np.full(len(self._index), np.inf)
        for venue in world.venues.values():
            for row in venue.instruments if isinstance(venue.spec, LendingPool) else ():
                terms = venue.spec.collateral.get(world.state.instruments.key(row))
                if terms is not None and terms.debt_ceiling is not None:
                    self._ceilings[row] = terms.debt_ceiling
        self._step = -1

    def run(self) -> bool:
        """Trade where loans are off their target; whether anybody did."""
        world = self.world
        if world.step != self._step:
            index = world.state.instruments.debt_index
            self._rate[:] = (index / self._index - 1.0) / world.dt_years
            self._index[:] = index
            self._market.open_step()
            self._step = world.step
        moved = False
        for group in self._groups:
            moved |= self._run(group)
        return moved

    def _run(self, group: Group) -> bool:
        rule, state = group.rule, self.world.state
        found = _off_target(
            int(group.accounts[0]), int(group.accounts[-1]) + 1, rule.target_ltv, rule.band, rule.releverages,
            rule.most_rate, self._rate, state.accounts.start, state.accounts.flags, state.positions.instrument,
            state.positions.units, state.instruments.kind, state.instruments.equity_price, self._found, self._sums,
        )  # fmt: skip
        if not found:
            return False
        self.world.bookkeeper.phase = Phase.TRADE
        order = np.argsort(state.accounts.key[state.positions.account[self._found[:found, 1]]])
        moved = False
        for row in order:
            collateral, debt = (int(position) for position in self._found[row])
            moved |= self._adjust(rule, collateral, debt, *self._sums[row].tolist())
        return moved

    def _adjust(self, rule: Looper, collateral: int, debt: int, value: float, owed: float) -> bool:
        """Change one loan, whose collateral and debt are worth `value` and `owed`; whether anything was done."""
        too_dear = self._rate[self.world.state.positions.instrument[debt]] > rule.most_rate
        repaid = rule.speed * owed if too_dear else (owed - rule.target_ltv * value) / (1.0 - rule.target_ltv)
        if repaid > 0.0:
            return self._unwind(rule, collateral, debt, min(repaid, owed))
        return self._loop(rule, collateral, debt, -repaid, value, owed)

    def _unwind(self, rule: Looper, collateral: int, debt: int, amount: float) -> bool:
        """Sell collateral and repay with what it brings."""
        world, books, state = self.world, self.world.bookkeeper, self.world.state
        asset = int(state.instruments.asset[state.positions.instrument[collateral]])
        sold, cash = self._trade(rule, asset, -float(state.positions.units[collateral]), amount)
        if sold >= 0.0:
            return False
        owner = int(state.accounts.owner[state.positions.account[debt]])
        verbs.post_collateral(books, collateral, sold)
        verbs.sell_spot(books, owner, asset, -sold, cash / sold)
        verbs.repay(books, debt, -cash)
        world.count("unlooped", -cash)
        return True

    def _loop(self, rule: Looper, collateral: int, debt: int, amount: float, value: float, owed: float) -> bool:
        """Borrow, buy and post, as far as the pool has money and its limit allows."""
        world, books, state = self.world, self.world.bookkeeper, self.world.state
        instrument = int(state.positions.instrument[collateral])
        asset, pool = int(state.instruments.asset[instrument]), int(state.instruments.venue[instrument])
        limit = 1.0 - float(state.instruments.tier_initial[state.instruments.tier_start[instrument]])
        room = (limit * value - owed) / (1.0 - limit) if limit < 1.0 else amount
        most = min(amount, room, liquidity(world, self._venues[pool]), self._below_ceiling(instrument))
        if most <= 1e-9 * value or world.halted.get(pool, -1) >= world.step:
            return False
        bought, cash = self._trade(rule, asset, np.inf, most)
        if bought <= 0.0:
            return False
        owner = int(state.accounts.owner[state.positions.account[debt]])
        verbs.borrow(books, debt, cash)
        verbs.buy_spot(books, owner, asset, bought, cash)
        verbs.post_collateral(books, collateral, bought)
        world.count("looped", cash)
        return True

    def _below_ceiling(self, instrument: int) -> float:
        """What may still be borrowed against isolated collateral; without limit against other. [USD]"""
        state, ceiling = self.world.state, self._ceilings[instrument]
        if ceiling == np.inf:
            return np.inf
        return max(0.0, ceiling - owed_against(instrument, state.accounts, state.positions, state.instruments))

    def _trade(self, rule: Looper, asset: int, units: float, cash: float) -> tuple[float, float]:
        """Buy (positive) or sell at most so many units for at most so much cash: units and cash, signed alike."""
        if rule.spot_depth is not None:
            return self._market.trade(asset, units, rule.spot_depth, cash)
        price = float(self.world.state.assets.market[asset])
        if price <= 0.0:
            return 0.0, 0.0
        traded = np.copysign(min(abs(units), cash / price), units)
        return float(traded), float(traded * price)


@nb.njit(cache=True)
def _off_target(
    first, last, target, band, releverages, most_rate, rate, start, flags, instrument, units, kind, price, rows, sums
) -> int:
    """Loans whose debt over collateral is off its target, or too dear: collateral and debt rows, and their values."""
    found = 0
    for account in range(first, last):
        if flags[account] & OUT:
            continue
        collateral, debt, best, held, owed = -1, -1, 0.0, 0.0, 0.0
        for p in range(start[account], start[account + 1]):
            value = units[p] * price[instrument[p]]
            if kind[instrument[p]] == _DEBT:
                debt, owed = p, -value
            elif kind[instrument[p]] == _SPOT and value > 0.0:
                held += value
                if value > best:
                    collateral, best = p, value
        if collateral < 0 or debt < 0:
            continue
        dear = rate[instrument[debt]] > most_rate
        above = owed > (1.0 + band) * target * held or (dear and owed > 0.0)
        below = releverages and not dear and owed < (1.0 - band) * target * held
        if above or below:
            rows[found, 0], rows[found, 1] = collateral, debt
            sums[found, 0], sums[found, 1] = held, owed
            found += 1
    return found
