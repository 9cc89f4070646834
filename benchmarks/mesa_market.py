"""The market of the plain Mesa model: contracts as objects, makers' quotes, square-root impact."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import copysign, exp, log, log1p, sqrt

UNIT_MOVE = 0.01  # depth is the notional that moves the price by 1%


class Asset:
    """An index price: its recorded path, scheduled gaps and what the model's own flow did to it."""

    def __init__(self, name: str, path: list[float], volatility: float, gaps: dict[int, float]) -> None:
        self.name, self.path, self.volatility, self.gaps = name, path, volatility, gaps
        self.price = path[0]
        self.jump = self.endogenous = 0.0

    def reprice(self, step: int) -> None:
        self.price = self.path[step] * exp(self.jump + self.endogenous)

    def gap(self, step: int) -> None:
        if step in self.gaps:
            self.jump += log1p(self.gaps[step])


@dataclass
class Quote:
    """A market maker's standing offer in one contract. [USD]"""

    maker: object
    contract: Contract
    base: float
    limit: float
    capital: float
    depth: float = 0.0

    def room(self, direction: float) -> float:
        """Notional it may still take against flow of a direction before its inventory limit."""
        if self.depth <= 0.0:
            return 0.0
        inventory = self.maker.positions.get(self.contract, 0.0) * self.contract.mark
        return max(0.0, self.limit + direction * inventory)


@dataclass(eq=False)
class Contract:
    """A linear perpetual contract."""

    asset: Asset
    tiers: list[tuple[float, float]]  # notional floor, maintenance rate
    impact: object  # permanent share, half-life, largest move
    feedback: str
    decay: float
    arbitrage: float
    warning: float
    quotes: list[Quote] = field(default_factory=list)
    basis: float = 0.0
    temporary: float = 0.0
    flow: float = 0.0
    flow_at_mark: float = 0.0
    depth: float = 0.0

    def __post_init__(self) -> None:
        self.warning_rate = self.warning * self.tiers[-1][1]  # no notional is warned at a higher rate
        self.reprice()

    def maintenance(self, notional: float) -> float:
        """Requirement when each slice of the notional pays the rate of its tier."""
        total = 0.0
        for order, (floor, rate) in enumerate(self.tiers):
            if notional < floor:
                break
            ceiling = self.tiers[order + 1][0] if order + 1 < len(self.tiers) else notional
            total += (min(notional, ceiling) - floor) * rate
        return total

    # -- from step to step --------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Temporary impact decays and arbitrage closes part of the basis."""
        self.temporary *= self.decay
        self.flow *= self.decay
        self.basis -= copysign(self.arbitrage * abs(self.basis), self.basis)

    def reprice(self) -> None:
        """A new mark, and what a unit is worth after the highest warning requirement on either side."""
        self.mark = self.asset.price * exp(self.basis + self.temporary)
        self.long_floor = self.mark * (1.0 - self.warning_rate)
        self.short_ceiling = self.mark * (1.0 + self.warning_rate)

    # -- orders -------------------------------------------------------------------------------------------------

    def _move(self, flow: float) -> float:
        return copysign(UNIT_MOVE * sqrt(abs(flow) / self.depth), flow)

    def takeable(self, flow: float) -> float:
        """The part of a net order that makers' inventory limits leave room for."""
        direction = copysign(1.0, flow)
        return copysign(min(abs(flow), sum(quote.room(direction) for quote in self.quotes)), flow)

    def quote_price(self, flow: float) -> tuple[float, float, float]:
        """Fillable part of a net order [USD], its average price, and the log move it makes."""
        if flow == 0.0 or self.depth <= 0.0:
            return 0.0, self.mark, 0.0
        before, marked = self.flow, self.flow_at_mark
        end = self.depth * (self.impact.largest_move / UNIT_MOVE) ** 2
        after = copysign(min(abs(before + flow), end), before + flow)
        filled = after - before
        if filled * flow <= 0.0:
            return 0.0, self.mark, 0.0
        area = 2.0 / 3.0 * (after * self._move(after) - before * self._move(before))
        average = log((1.0 + area / filled) / (1.0 + self._move(marked)))
        move = log((1.0 + self._move(after)) / (1.0 + self._move(before)))
        return filled, self.mark * exp(average), move

    def cross(self, asked: list[float]) -> tuple[list[float], list[float], float]:
        """Execute orders together at one price: what each gets, what each maker takes, the price."""
        bought = sum(units for units in asked if units > 0.0)
        sold = -sum(units for units in asked if units < 0.0)
        net = bought - sold
        taken, price, move = self.quote_price(self.takeable(net * self.mark))
        makers = self._ration(taken) if taken else [0.0] * len(self.quotes)
        heavy, light = (bought, sold) if net > 0 else (sold, bought)
        share = 1.0 if heavy == 0.0 else min(1.0, (light + abs(taken / self.mark)) / heavy)
        filled = [units * share if (units > 0) == (net > 0) else units for units in asked]
        if taken:
            self._leave_impact(taken, move)
        return filled, makers, price

    def _ration(self, taken: float) -> list[float]:
        """Units each maker takes, pro rata to depth, none beyond its room."""
        direction, need = copysign(1.0, taken), abs(taken)
        room = [quote.room(direction) for quote in self.quotes]
        left, shares = room.copy(), [0.0] * len(room)
        while need > 1e-12 * abs(taken):
            weights = [quote.depth if open_ > 0.0 else 0.0 for quote, open_ in zip(self.quotes, left, strict=True)]
            total = sum(weights)
            if total <= 0.0:
                break
            adds = [min(need * weight / total, open_) for weight, open_ in zip(weights, left, strict=True)]
            for order, add in enumerate(adds):
                shares[order] += add
                left[order] -= add
                if left[order] <= 1e-12 * room[order]:
                    left[order] = 0.0
            need -= sum(adds)
        total = sum(shares)
        return [-taken / self.mark * share / total for share in shares]

    def _leave_impact(self, taken: float, move: float) -> None:
        self.flow += taken
        if self.feedback == "none":
            return
        permanent = self.impact.permanent_share * move
        self.temporary += move - permanent
        if self.feedback == "full":
            self.asset.endogenous += permanent
        else:
            self.basis += permanent


class RealisedVolatility:
    """Root mean square of the last log returns, annualised; returns from before the run count as normal."""

    def __init__(self, asset: Asset, lookback: int, dt_years: float) -> None:
        normal = asset.volatility**2 * dt_years
        self.asset, self.dt_years, self.last = asset, dt_years, asset.price
        self._squares = deque([normal] * lookback, maxlen=lookback)

    def update(self) -> float:
        """Take in the current price; the excess over normal volatility. [1]"""
        self._squares.append(log(self.asset.price / self.last) ** 2)
        self.last = self.asset.price
        realised = sqrt(sum(self._squares) / (len(self._squares) * self.dt_years))
        return max(0.0, realised / self.asset.volatility - 1.0) if self.asset.volatility > 0.0 else 0.0
