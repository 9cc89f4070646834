"""Margin rates that follow realised risk, and what that costs: how far rates swing and whom they call."""

from __future__ import annotations

import numpy as np

from contagion.margin.rules import Dynamic, deductions
from contagion.state.world import Venue, World


def measure_of(returns: np.ndarray, measure: str, confidence: float, step_years: float) -> np.ndarray:
    """Realised risk of each column of log returns, shape (n_assets,).

    Annualised volatility about zero; or historical value at risk or expected shortfall of absolute returns, over one
    step. [1]
    """
    if measure == "volatility":
        return np.sqrt(np.mean(returns * returns, axis=0) / step_years)
    size = np.abs(returns)
    quantile = np.quantile(size, confidence, axis=0, method="higher")
    if measure == "value_at_risk":
        return quantile
    beyond = size >= quantile
    return np.where(beyond, size, 0.0).sum(axis=0) / beyond.sum(axis=0)


def next_multiplier(
    multiplier: np.ndarray, ratio: np.ndarray, floor: float, cap: float, speed: float
) -> np.ndarray:
    """A step of the multiplier towards ``clip(ratio, floor, cap)``; it never leaves that range once inside."""
    return multiplier + speed * (np.clip(ratio, floor, cap) - multiplier)


class RealisedRisk:
    """Follows the risk of a venue's underlyings and sets its tiers.

    Before a run's own history is long enough, the window holds returns of a calm normal market. Outcomes:
    ``margin_peak_to_trough``, greatest over smallest rate of any contract so far, and ``margin_calls_by_rates``,
    accounts once found below the warning level that at a multiplier of 1 would not be.
    """

    def __init__(self, world: World, venue: Venue, rule: Dynamic) -> None:
        from scipy.special import ndtri

        self.world, self.rule = world, rule
        state, table = world.state, world.state.instruments
        self._rows = [row for row in venue.instruments if state.assets.issuer[table.asset[row]] < 0]
        self._assets = np.unique(table.asset[self._rows])
        self._column = {int(asset): order for order, asset in enumerate(self._assets)}
        calm = state.assets.volatility[self._assets] * np.sqrt(world.dt_years)
        self._returns = ndtri((np.arange(rule.window) + 0.5) / rule.window)[:, None] * calm
        self._reference = measure_of(self._returns, rule.measure, rule.confidence, world.dt_years)
        if rule.reference is not None:
            self._reference = np.full(len(self._assets), rule.reference)
        self._last = state.assets.index[self._assets].copy()
        self._buffer = float(getattr(getattr(venue.spec, "countercyclical", None), "buffer", 0.0))
        self.multiplier = np.ones(len(self._assets))
        self._seen = np.ones((2, len(self._assets)))  # smallest and greatest so far
        self._base = table.tier_rate.copy(), table.tier_initial.copy()
        self._called = np.zeros(len(state.accounts.balance), np.bool_)
        self._books = np.array(venue.books)
        self._at = 0

    def follow(self) -> None:
        """Take in the prices of a step and set the rates."""
        rule, now = self.rule, self.world.state.assets.index[self._assets]
        self._returns[self._at] = np.log(now / self._last)
        self._last[:] = now
        self._at = (self._at + 1) % rule.window
        found = measure_of(self._returns, rule.measure, rule.confidence, self.world.dt_years)
        ratio = np.divide(found, self._reference, out=np.ones(len(found)), where=self._reference > 0.0)
        self.multiplier = next_multiplier(self.multiplier, ratio, rule.floor, rule.cap, rule.speed)
        # A buffer in the rates is used up before they rise.
        effective = np.maximum(1.0, self.multiplier / (1.0 + self._buffer)) if self._buffer else self.multiplier
        self._set(effective)
        self._seen[0], self._seen[1] = np.minimum(self._seen[0], effective), np.maximum(self._seen[1], effective)
        swing = float((self._seen[1] / self._seen[0]).max())
        self.world.counters["margin_peak_to_trough"] = max(
            swing, self.world.counters.get("margin_peak_to_trough", 1.0)
        )

    def _set(self, multiplier: np.ndarray) -> None:
        table = self.world.state.instruments
        for row in self._rows:
            tiers = slice(table.tier_start[row], table.tier_start[row + 1])
            factor = multiplier[self._column[int(table.asset[row])]]
            table.tier_rate[tiers] = np.minimum(1.0, factor * self._base[0][tiers])
            table.tier_initial[tiers] = np.minimum(1.0, factor * self._base[1][tiers])
            table.tier_deduction[tiers] = deductions(
                table.tier_floor[tiers].tolist(), table.tier_rate[tiers].tolist()
            )

    def count_calls(self, accounts: np.ndarray) -> None:
        """Count those of the listed accounts that the rates alone put there, each once a run."""
        if not len(accounts) or self.multiplier.max() <= 1.0:
            return
        state = self.world.state
        accounts = accounts[~self._called[accounts] & np.isin(state.accounts.book[accounts], self._books)]
        if not len(accounts):
            return
        level = state.books.warning[state.accounts.book[accounts]] * state.accounts.requirement[accounts]
        accounts = accounts[state.accounts.equity[accounts] >= level / self.multiplier.max()]
        self._called[accounts] = True
        self.world.count("margin_calls_by_rates", len(accounts))
