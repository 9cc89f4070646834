"""Borrow rates of a lending pool over one step, with what an adaptive rate remembers."""

from __future__ import annotations

from contagion.protocols.lending_rules import adapted_rate, curve_around_target, kinked_rate
from contagion.scenario.rates import AdaptiveRate, KinkedRate


class BorrowRate:
    """The borrow rate of one pool.

    Attributes
    ----------
    at_target : float
        Of an adaptive rate, now. [1 / year]
    """

    def __init__(self, spec: KinkedRate | AdaptiveRate) -> None:
        self.spec = spec
        self.at_target = spec.at_target if isinstance(spec, AdaptiveRate) else 0.0

    def over(self, utilisation: float, years: float) -> float:
        """Average rate while a step of this length passes at a utilisation. [1 / year]"""
        spec = self.spec
        if isinstance(spec, KinkedRate):
            return kinked_rate(utilisation, spec.base, spec.slope1, spec.slope2, spec.kink, spec.slopes_are_totals)
        error = (utilisation - spec.target) / (1.0 - spec.target if utilisation > spec.target else spec.target)
        average, self.at_target = adapted_rate(self.at_target, spec.speed * error * years, spec.least, spec.most)
        return average * curve_around_target(error, spec.steepness)

    def reserve_share(self, rate: float, utilisation: float) -> float:
        """Share of the interest at this borrow rate that the reserve gets. [1]"""
        spec = self.spec
        if isinstance(spec, AdaptiveRate) or spec.supply is None:
            return spec.reserve_factor
        curve = spec.supply
        earned = kinked_rate(utilisation, curve.base, curve.slope1, curve.slope2, spec.kink, spec.slopes_are_totals)
        paid = rate * utilisation
        return max(0.0, 1.0 - earned / paid) if paid > 0.0 else 0.0
