"""How a venue closes an account in breach: which units it orders to be closed, and when it stops trying.

An engine is a small frozen class with one method, :meth:`orders`. A new one is named ``module:Class`` in a scenario.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Breaches:
    """Accounts of one venue that are to be closed now, at the marks of the round. Arrays of shape (n,)."""

    accounts: np.ndarray  # rows of Accounts
    equity: np.ndarray  # margin equity [settlement asset]
    requirement: np.ndarray  # maintenance [settlement asset]
    notional: np.ndarray  # gross notional [settlement asset]
    notional_usd: np.ndarray  # gross notional [USD]
    cost: np.ndarray  # expected loss per notional closed: fee and distance of the expected price to the mark [1]
    attempts: np.ndarray  # earlier orders in this episode (0 for a new breach)


@dataclass(frozen=True, slots=True)
class Orders:
    """What to close. Arrays of shape (n,)."""

    share: np.ndarray  # of every position of the account, 0..1
    wait: np.ndarray  # steps until the next order of this account


class Engine(BaseModel):
    """Base of liquidation engines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def orders(self, breaches: Breaches) -> Orders:
        """Share of each account's positions to close now, and how long to wait after."""
        raise NotImplementedError


class FullClose(Engine):
    """Close everything at once."""

    def orders(self, breaches: Breaches) -> Orders:
        ones = np.ones(len(breaches.accounts))
        return Orders(ones, np.zeros(len(ones), np.int64))


class PartialToTarget(Engine):
    """Close the smallest share that brings equity back to `target` times the requirement of what is left.

    Closing a share s costs ``s * notional * cost`` of equity and leaves ``(1 - s) * requirement``, so
    ``s = (target * R - E) / (target * R - cost * N)``; the whole account where that cannot help. Tiers make the
    requirement fall at least in proportion, so the share is never too small.
    """

    target: Annotated[float, Field(gt=1)] = 1.2

    def orders(self, breaches: Breaches) -> Orders:
        goal = self.target * breaches.requirement
        gain = goal - breaches.cost * breaches.notional
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(gain > 0.0, (goal - breaches.equity) / gain, 1.0)
        return Orders(np.clip(share, 0.0, 1.0), np.zeros(len(share), np.int64))


class StagedClose(Engine):
    """Large accounts first close a share, wait, then close the rest; small ones close at once.

    Hyperliquid: above 100,000 USD first 20%, then 30 seconds (hyperliquid.gitbook.io, liquidations).
    """

    above: Annotated[float, Field(ge=0)] = 100_000.0  # gross notional [USD]
    first_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    cooldown: Annotated[int, Field(ge=0)] = 30  # steps

    def orders(self, breaches: Breaches) -> Orders:
        staged = (breaches.notional_usd > self.above) & (breaches.attempts == 0)
        share = np.where(staged, self.first_share, 1.0)
        return Orders(share, np.where(staged, self.cooldown, 0).astype(np.int64))
