"""Requests to be paid out of a claim: who asked when, for how much, and who is paid of what there is."""

from __future__ import annotations

import numpy as np

from contagion.scenario.issuers import Exit


class ExitQueue:
    """Open requests of the holders of one claim.

    A request is (holder, step, units, value of a unit when it was made); arrays have shape (n_requests,).

    Parameters
    ----------
    terms : Exit
    holders : int
        Number of holders; requests name them by order.
    """

    def __init__(self, terms: Exit, holders: int) -> None:
        self.terms, self.holders = terms, holders
        self.holder, self.step = np.empty((2, 0), np.int64)
        self.units, self.price = np.empty((2, 0))

    def add(self, holders: np.ndarray, units: np.ndarray, step: int, price: float) -> None:
        """New requests, units above 0."""
        self.holder = np.concatenate([self.holder, holders])
        self.step = np.concatenate([self.step, np.full(len(holders), step)])
        self.units = np.concatenate([self.units, units])
        self.price = np.concatenate([self.price, np.full(len(holders), price)])

    def pending(self) -> np.ndarray:
        """Units asked for and not paid, by holder. Shape (n_holders,)."""
        return np.bincount(self.holder, self.units, self.holders)

    def fit(self, held: np.ndarray) -> None:
        """Nobody waits for more than it has, shape (n_holders,); requests that are dust are done."""
        if not len(self.units):
            return
        pending, held = self.pending(), np.maximum(held, 0.0)
        over = pending > held
        if over.any():
            share = np.where(over, held / np.where(over, pending, 1.0), 1.0)
            self.units = self.units * share[self.holder]
        keep = self.units > 1e-12 * (1.0 + held[self.holder])
        if not keep.all():
            self._keep(keep)

    def _keep(self, keep: np.ndarray) -> None:
        self.holder, self.step = self.holder[keep], self.step[keep]
        self.units, self.price = self.units[keep], self.price[keep]

    def is_open(self, step: int) -> bool:
        """Whether anything is paid in a step."""
        return step >= self.terms.opens and not any(first <= step <= last for first, last in self.terms.closed)

    def opens_in(self, step: int) -> int:
        """Steps until something is paid again."""
        opening = max(step, self.terms.opens)
        for first, last in sorted(self.terms.closed):
            if first <= opening <= last:
                opening = last + 1
        return opening - step

    def fee(self, supply: float) -> float:
        """What the issuer keeps, as a share of what is paid. [1]"""
        waiting = min(1.0, float(self.units.sum()) / supply) if supply > 0.0 else 0.0
        return self.terms.fee + self.terms.swing * waiting

    def worth(self, price: float, supply: float) -> np.ndarray:
        """What a unit of each request gets, after the fee, at the redemption value of now. [USD]"""
        gross = self.price if self.terms.value == "request" else np.full(len(self.units), price)
        return gross * (1.0 - self.fee(supply))

    def due(self, step: int, price: float, supply: float) -> float:
        """What is to be paid in a step if there is money enough. [USD]"""
        payable = self.payable(step, price, supply, np.inf)
        return float(payable @ self.worth(price, supply))

    def payable(
        self, step: int, price: float, supply: float, money: float, rank: tuple[np.ndarray, ...] = ()
    ) -> np.ndarray:  # fmt: skip
        """Units of each request that are paid in a step.

        Parameters
        ----------
        money : float
            What the issuer can pay. [USD]
        rank : tuple of ndarray of shape (n_holders,)
            Who goes first among requests of one step, the strongest criterion last.
        """
        units = np.where(self.step + self.terms.notice <= step, self.units, 0.0)
        if not len(units) or not self.is_open(step):
            return np.zeros(len(units))
        worth = self.worth(price, supply)
        budget = min(money, np.inf if self.terms.rate is None else self.terms.rate)
        gate = np.inf if self.terms.gate == 1.0 else self.terms.gate * supply
        if self.terms.order == "pro_rata":
            asked, value = float(units.sum()), float(units @ worth)
            share = min(1.0, budget / value if value > 0.0 else 1.0, gate / asked if asked > 0.0 else 1.0)
            return units * share
        order = np.lexsort((*(column[self.holder] for column in rank), self.step))
        left = units[order]
        left = np.clip(gate - (np.cumsum(left) - left), 0.0, left)
        cost = left * worth[order]
        room = np.clip(budget - (np.cumsum(cost) - cost), 0.0, cost)
        paid = np.empty(len(units))
        paid[order] = np.divide(room, worth[order], out=np.zeros(len(left)), where=worth[order] > 0.0)
        return np.minimum(paid, units)

    def take(self, units: np.ndarray) -> None:
        """Units of each request are paid, or given up."""
        self.units = self.units - units
        self._keep(self.units > 1e-12 * units)

    def wait(self, step: int, price: float, supply: float) -> float:
        """Steps a request made now would wait if nobody withdraws his: closed, notice, those in front."""
        wait = float(self.opens_in(step) + self.terms.notice)
        ahead = float(self.units.sum())
        if self.terms.rate is not None:
            wait += ahead * price / self.terms.rate
        if self.terms.gate < 1.0 and supply > 0.0:
            wait += ahead / (self.terms.gate * supply)
        return wait
