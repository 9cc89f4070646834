"""Price impact of executed flow: how far an order moves a price and what it pays on the way.

Conventions, the same for every rule. ``quantity`` is signed notional at the price before the order: buys positive,
sells negative [USD]. ``depth``, positive, is the notional whose *sale* moves the price down by exactly 1% in normal
conditions [USD]. ``volatility``, positive, is the current volatility over the normal one; moves grow in proportion
to it [1]. A *move* is relative: price after / price before - 1 [1]. Each rule has three scalar functions:

- ``*_impact(quantity, depth, volatility)``: the move of the marginal price;
- ``*_average(quantity, depth, volatility)``: the average execution price over units, as a move;
- ``*_quantity(move, depth, volatility)``: the order that makes a move; the inverse of ``*_impact``.

Linear and square-root sales larger than ``*_quantity(-1, ...)`` would cross zero; the classes stop executions at
``largest_move``, where the book ends: what is beyond stays unfilled.

References
----------
Kyle (1985) for linear impact; Donier and Bonart (2015, arXiv 1412.4503) for the square root of volume; Caccioli et al.
(2014) for the exponential; Obizhaeva and Wang (2013) for the block book with resilience.
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, exp, expm1, log, log1p, sqrt
from typing import Annotated, Any, ClassVar

from numba import njit
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

REFERENCE_MOVE = 0.01
"""The move that ``depth`` refers to."""

_SCALAR: dict[str, Any] = {"cache": True, "inline": "never"}
_EXPONENT = -log1p(-REFERENCE_MOVE)
_POOL = 1.0 / (1.0 / sqrt(1.0 - REFERENCE_MOVE) - 1.0)


@njit(**_SCALAR)
def linear_impact(quantity: float, depth: float, volatility: float) -> float:
    """Move in proportion to the order (Kyle's lambda = 0.01 / depth)."""
    return REFERENCE_MOVE * volatility * quantity / depth


@njit(**_SCALAR)
def linear_average(quantity: float, depth: float, volatility: float) -> float:
    """Half of the move."""
    return 0.5 * linear_impact(quantity, depth, volatility)


@njit(**_SCALAR)
def linear_quantity(move: float, depth: float, volatility: float) -> float:
    """Order that makes a move under linear impact."""
    return move * depth / (REFERENCE_MOVE * volatility)


@njit(**_SCALAR)
def square_root_impact(quantity: float, depth: float, volatility: float) -> float:
    """Move in proportion to the square root of the order."""
    return copysign(REFERENCE_MOVE * volatility * sqrt(abs(quantity) / depth), quantity)


@njit(**_SCALAR)
def square_root_average(quantity: float, depth: float, volatility: float) -> float:
    """Two thirds of the move: the integral of sqrt(x) from 0 to q is 2/3 q sqrt(q)."""
    return 2.0 / 3.0 * square_root_impact(quantity, depth, volatility)


@njit(**_SCALAR)
def square_root_quantity(move: float, depth: float, volatility: float) -> float:
    """Order that makes a move under square-root impact."""
    return copysign(depth * (move / (REFERENCE_MOVE * volatility)) ** 2, move)


@njit(**_SCALAR)
def exponential_impact(quantity: float, depth: float, volatility: float) -> float:
    """Log price in proportion to the order: price ratio exp(alpha q), alpha = -ln(0.99) / depth; never below zero."""
    return expm1(_EXPONENT * volatility * quantity / depth)


@njit(**_SCALAR)
def exponential_average(quantity: float, depth: float, volatility: float) -> float:
    """Exact: (exp(y) - 1) / y - 1 with y = alpha q."""
    exponent = _EXPONENT * volatility * quantity / depth
    if abs(exponent) < 1e-3:
        # The quotient cancels near zero; three terms of its series are exact to 1e-11.
        return exponent * (1.0 / 2.0 + exponent * (1.0 / 6.0 + exponent / 24.0))
    return expm1(exponent) / exponent - 1.0


@njit(**_SCALAR)
def exponential_quantity(move: float, depth: float, volatility: float) -> float:
    """Order that makes a move under exponential impact."""
    return log1p(move) * depth / (_EXPONENT * volatility)


@njit(**_SCALAR)
def constant_product_impact(quantity: float, depth: float, volatility: float) -> float:
    """Pool x y = k without fee whose sides are worth R = 198.5 depth: price ratio 1 / (1 - q / R)^2.

    A buy of R would empty the pool: the move is infinite from there. A pool's curve does not know volatility; the
    ratio acts as a withdrawal of liquidity.
    """
    share = volatility * quantity / (_POOL * depth)
    if share >= 1.0:
        return float("inf")
    return share * (2.0 - share) / (1.0 - share) ** 2


@njit(**_SCALAR)
def constant_product_swap(amount_in, reserve_in, reserve_out, fee):
    """A swap in a pool x y = k, the fee kept in the pool.

    Returns amount out, marginal price after the swap and slippage: 1 - average price / marginal price before. Prices
    are units out per unit in. The fee is a share of ``amount_in`` [1].
    """
    net = amount_in * (1 - fee)
    out = reserve_out * net / (reserve_in + net)
    after = (reserve_out - out) / (reserve_in + amount_in)
    return out, after, (reserve_in * fee + net) / (reserve_in + net)


@njit(**_SCALAR)
def constant_product_average(quantity: float, depth: float, volatility: float) -> float:
    """Reserve formula: average price ratio 1 / (1 - q / R)."""
    share = volatility * quantity / (_POOL * depth)
    if share >= 1.0:
        return float("inf")
    if share < 0.0:
        return -constant_product_swap(-share, 1.0, 1.0, 0.0)[2]
    return share / (1.0 - share)


@njit(**_SCALAR)
def constant_product_quantity(move: float, depth: float, volatility: float) -> float:
    """Order that makes a move in a constant-product pool."""
    return -expm1(-0.5 * log1p(move)) * _POOL * depth / volatility


def imbalance_cost(before: Any, after: Any, exponent: Any, factor: Any) -> Any:
    """What moving a market's imbalance pays the trader: ``factor * (before**exponent - after**exponent)``. [USD]

    Negative is a cost. Imbalances count by their size [USD]; ``factor`` [USD^(1 - exponent)] (GMX v2,
    ``PricingUtils``).
    """
    return factor * (abs(before) ** exponent - abs(after) ** exponent)


@njit(**_SCALAR)
def decay(elapsed: float, half_life: float) -> float:
    """Share of a temporary move left after ``elapsed``, in the units of ``half_life``; half-life 0: none is left."""
    if half_life <= 0.0:
        return 1.0 if elapsed <= 0.0 else 0.0
    return exp(-log(2.0) * elapsed / half_life)


@njit(**_SCALAR)
def depth_with_resilience(capacity: float, consumed: float, elapsed: float, half_life: float) -> float:
    """Notional a block book still offers on one side. [USD]

    ``capacity`` is what it offers when full, ``consumed`` what was executed against it ``elapsed`` ago; the hole
    refills exponentially (Obizhaeva and Wang's resilience). Never negative.
    """
    return max(0.0, capacity - consumed * decay(elapsed, half_life))


def depth_from_volume(daily_volume: float, daily_volatility: float, prefactor: float = 1.0) -> float:
    """Depth at which ``square_root_impact`` is the law move = prefactor x daily volatility x sqrt(q / daily volume).

    ``daily_volume`` [USD], ``daily_volatility`` [1]; result [USD].
    """
    return daily_volume * (REFERENCE_MOVE / (prefactor * daily_volatility)) ** 2


def _seconds(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    import pandas as pd

    try:
        return pd.Timedelta(value).total_seconds()
    except (ValueError, TypeError) as error:
        raise ValueError("a duration such as '5min', or seconds") from error


class _Impact(BaseModel):
    """What impact rules share. The defaults are assumed; no public source gives them.

    Parameters
    ----------
    permanent_share
        Share of a move that stays; the rest is temporary. [1]
    half_life
        Of the temporary part: seconds, or a duration such as ``5min``. [s]
    largest_move
        Where the book ends on either side: an order executes up to this move, the rest is unfilled. [1]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    permanent_share: float = Field(default=0.3, ge=0, le=1)
    half_life: Annotated[float, BeforeValidator(_seconds), Field(ge=0)] = 300.0
    largest_move: float = Field(default=0.5, gt=0, lt=1)

    impact: ClassVar[Callable[[float, float, float], float]]
    average: ClassVar[Callable[[float, float, float], float]]
    quantity: ClassVar[Callable[[float, float, float], float]]

    def fillable(self, quantity: float, depth: float, volatility: float = 1.0) -> float:
        """The part of a signed order that the book can take; 0 when there is no depth. [USD]"""
        if depth <= 0.0:
            return 0.0
        bound = self.quantity(copysign(self.largest_move, quantity), depth, volatility)
        return copysign(min(abs(quantity), abs(bound)), quantity)

    def execute(self, quantity: float, depth: float, volatility: float = 1.0) -> tuple[float, float, float, float]:
        """Execute an order: filled [USD, signed], average move paid, permanent move, temporary move. [1]"""
        filled = self.fillable(quantity, depth, volatility)
        if filled == 0.0:
            return 0.0, 0.0, 0.0, 0.0
        move = self.impact(filled, depth, volatility)
        permanent = self.permanent_share * move
        return filled, self.average(filled, depth, volatility), permanent, move - permanent

    def remaining(self, temporary: float, elapsed: float) -> float:
        """What is left of a temporary move after ``elapsed``. [s]"""
        return temporary * decay(elapsed, self.half_life)


class LinearImpact(_Impact):
    """Kyle: the move is proportional to the order. The only shape without price manipulation when decay is exponential
    (Gatheral 2010)."""

    impact, average, quantity = map(staticmethod, (linear_impact, linear_average, linear_quantity))


class SquareRootImpact(_Impact):
    """The square-root law of metaorders."""

    impact, average, quantity = map(staticmethod, (square_root_impact, square_root_average, square_root_quantity))


class ExponentialImpact(_Impact):
    """The log price moves in proportion to the order."""

    impact, average, quantity = map(staticmethod, (exponential_impact, exponential_average, exponential_quantity))


class ConstantProductImpact(_Impact):
    """A constant-product pool with the stated depth at 1%."""

    impact, average, quantity = map(
        staticmethod, (constant_product_impact, constant_product_average, constant_product_quantity)
    )


class ImbalanceImpact(_Impact):
    """Trades pay for the imbalance they leave: ``factor * size**exponent`` in all, so the marginal move is its slope.

    The factor is the one at which a sale of ``depth`` moves the marginal price by 1%. What counts as imbalance is the
    executed flow, which decays with ``half_life``. Exponent 2 is linear impact, 1.5 the square root.

    Parameters
    ----------
    exponent
        Of the imbalance, above 1. [1]
    """

    exponent: float = Field(default=2.0, gt=1)

    def _factor(self, depth: float, volatility: float) -> float:
        return REFERENCE_MOVE * volatility / (self.exponent * depth ** (self.exponent - 1.0))

    def average(self, quantity: float, depth: float, volatility: float) -> float:
        """What an order pays per unit of notional. [1]"""
        return -imbalance_cost(0.0, quantity, self.exponent, self._factor(depth, volatility)) / quantity

    def impact(self, quantity: float, depth: float, volatility: float) -> float:
        """Move of the marginal price. [1]"""
        return copysign(REFERENCE_MOVE * volatility * (abs(quantity) / depth) ** (self.exponent - 1.0), quantity)

    def quantity(self, move: float, depth: float, volatility: float) -> float:
        """Order that makes a move. [USD]"""
        return copysign(depth * (abs(move) / (REFERENCE_MOVE * volatility)) ** (1.0 / (self.exponent - 1.0)), move)


class BlockBookImpact(LinearImpact):
    """A block-shaped book that ends, empties and refills: linear impact on what resilience has brought back.

    Its density is constant, 0.01 of price per ``depth``, up to ``largest_move`` away; executed notional leaves a hole
    that refills with ``half_life``.

    References
    ----------
    Obizhaeva and Wang (2013), "Optimal trading strategy and supply/demand dynamics", section 4.
    """

    def available(self, depth: float, consumed: float, elapsed: float, volatility: float = 1.0) -> float:
        """Notional left on a side of which ``consumed`` was executed ``elapsed`` ago. [USD]"""
        capacity = linear_quantity(self.largest_move, depth, volatility) if depth > 0.0 else 0.0
        return depth_with_resilience(capacity, abs(consumed), elapsed, self.half_life)
