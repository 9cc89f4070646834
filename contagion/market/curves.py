"""Formulas by which pools of coins quote: what a swap gives, the marginal price, and the trade that reaches a price.

A curve is handed `reserves` and `rates`, arrays of shape (n_coins,): units in the pool [units], and USD per unit at
which the curve counts them [USD]. Coins are places in these arrays. Prices are units of the coin bought per unit of the
coin sold. Fees stay in the pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np

from contagion.errors import ConvergenceError
from contagion.market.impact import constant_product_swap


class Curve(Protocol):
    """What a pool needs of its formula."""

    def out(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, amount: float) -> float:
        """Units bought by `amount` units sold."""

    def price(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int) -> float:
        """Marginal price of a sale, before the fee."""

    def amount_to(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, price: float) -> float:
        """Units whose sale brings the marginal price after the fee down to `price`; 0 where it is not above it."""


@dataclass(frozen=True)
class ConstantProduct:
    """x y = k (Uniswap v2)."""

    fee: float

    def out(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, amount: float) -> float:
        return float(constant_product_swap(amount, float(reserves[sold]), float(reserves[bought]), self.fee)[0])

    def price(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int) -> float:
        return float(reserves[bought] / reserves[sold])

    def amount_to(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, price: float) -> float:
        """Of out(a) = g a y / (x + g a), g = 1 - fee, the slope g x y / (x + g a)^2 is `price`."""
        kept, x, y = 1.0 - self.fee, float(reserves[sold]), float(reserves[bought])
        return max(0.0, (sqrt(kept * x * y / price) - x) / kept)


@dataclass(frozen=True)
class StableSwap:
    """Between constant sum and constant product: ``A n sum x + D = A n D + D^(n+1) / (n^n prod x)``.

    `amplification` is the A of Curve's contracts, which is A n^(n-1) of the paper. Balances x are counted at their
    opening prices, so coins need not be worth the same.

    References
    ----------
    Egorov (2019), "StableSwap: efficient mechanism for stablecoin liquidity".
    """

    amplification: float
    fee: float

    def invariant(self, balances: np.ndarray) -> float:
        """D: the balances' sum when they are equal. [USD]

        Raises
        ------
        ConvergenceError
            Newton's method does not settle: balances are too uneven.
        """
        n, total = len(balances), float(balances.sum())
        weight, guess = self.amplification * n, total
        for _ in range(255):
            product = guess
            for balance in balances:
                product *= guess / (n * float(balance))
            before = guess
            guess *= (weight * total + n * product) / ((weight - 1.0) * guess + (n + 1.0) * product)
            if abs(guess - before) <= 1e-14 * guess:
                return guess
        raise ConvergenceError(f"invariant of a stable swap with balances {balances.tolist()}")

    def balance(self, balances: np.ndarray, place: int, invariant: float) -> float:
        """The balance of one coin that keeps the invariant, given the others. [USD]"""
        n, weight = len(balances), self.amplification * len(balances)
        c, others = invariant, 0.0
        for other in range(n):
            if other != place:
                others += float(balances[other])
                c *= invariant / (n * float(balances[other]))
        c *= invariant / (n * weight)
        # y^2 + (b - D) y = c: the positive root, in the form that does not cancel.
        b = others + invariant / weight - invariant
        root = sqrt(b * b + 4.0 * c)
        return 0.5 * (root - b) if b < 0.0 else 2.0 * c / (root + b)

    def out(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, amount: float) -> float:
        balances = reserves * rates
        invariant = self.invariant(balances)
        before = float(balances[bought])
        balances[sold] += amount * rates[sold]
        gross = before - self.balance(balances, bought, invariant)
        return max(0.0, gross) * (1.0 - self.fee) / float(rates[bought])

    def price(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int) -> float:
        balances = reserves * rates
        return self._slope(balances, sold, bought, self.invariant(balances)) * float(rates[sold] / rates[bought])

    def _slope(self, balances: np.ndarray, sold: int, bought: int, invariant: float) -> float:
        """-dx_bought / dx_sold on the curve: the ratio of ``A n + D^(n+1) / (n^n prod x) / x`` of the two."""
        product = invariant
        for balance in balances:
            product *= invariant / (len(balances) * float(balance))
        weight = self.amplification * len(balances)
        return (weight + product / float(balances[sold])) / (weight + product / float(balances[bought]))

    def amount_to(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, price: float) -> float:
        """By bisection: on the curve the slope falls as more is sold."""
        start = reserves * rates
        invariant = self.invariant(start)
        target = price * float(rates[bought] / rates[sold]) / (1.0 - self.fee)

        def slope(added: float) -> float:
            balances = start.copy()
            balances[sold] += added
            balances[bought] = self.balance(balances, bought, invariant)
            return self._slope(balances, sold, bought, invariant)

        if slope(0.0) <= target:
            return 0.0
        low, high = 0.0, invariant
        while slope(high) > target and high < 1e6 * invariant:
            low, high = high, 2.0 * high
        for _ in range(100):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (middle, high) if slope(middle) > target else (low, middle)
        return 0.5 * (low + high) / float(rates[sold])


@dataclass(frozen=True)
class OraclePriced:
    """Swaps at the published price whatever the size, until the coin is gone (GMX's pools, Synthetix's swaps)."""

    fee: float

    def out(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, amount: float) -> float:
        return min(float(reserves[bought]), amount * self.price(reserves, rates, sold, bought) * (1.0 - self.fee))

    def price(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int) -> float:
        return float(rates[sold] / rates[bought])

    def amount_to(self, reserves: np.ndarray, rates: np.ndarray, sold: int, bought: int, price: float) -> float:
        """Everything or nothing: the price does not move."""
        after_fee = self.price(reserves, rates, sold, bought) * (1.0 - self.fee)
        return float(reserves[bought]) / after_fee if after_fee > price else 0.0
