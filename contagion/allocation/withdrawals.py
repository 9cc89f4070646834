"""Losses that are recognised when somebody leaves (Paradex)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from contagion.allocation.layer import Case, Layer, Payment, Properties, last_step
from contagion.allocation.standing import settle_prices
from contagion.allocation.transfers import means_of
from contagion.errors import InputError


class WithdrawalHaircut(Layer):
    """While the venue lacks money, a share of every withdrawal is kept for the deficit; nobody else pays.

    The share is what is missing beyond the insurance fund over what the venue owes its customers (docs.paradex.trade:
    the denominator is not stated there). The deficit is carried until then; at the end of the run the next layers bear
    what is left.

    Parameters
    ----------
    most : float
        Greatest share of a withdrawal that is kept.
    """

    has: ClassVar[Properties] = Properties(False, True, True, True, True, False)

    most: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _on_withdrawal(self) -> WithdrawalHaircut:
        if "recognition" in self.model_fields_set:
            raise InputError("recognition", self.recognition, "nothing: the layer acts when somebody withdraws")
        return self

    def due(self, case: Case) -> bool:
        return last_step(case.world)

    def bear(self, case: Case) -> Iterator[Payment]:
        """Nothing: what nobody withdrew, nobody paid."""
        yield from ()

    def kept(self, case: Case, accounts: np.ndarray, amounts: np.ndarray) -> Payment:
        """What of these withdrawals stays. [settlement asset of their book]"""
        state = case.world.state
        fund = means_of(state, case.venue, case.venue.fund) if case.venue.fund >= 0 else 0.0
        factor = loss_factor(exchange_bankruptcy(-case.open, fund), float(state.books.owed[case.venue.books].sum()))
        usd = amounts * settle_prices(state)[state.accounts.book[accounts]]
        limits = min(factor, self.most) * usd
        total = float(limits.sum())
        return Payment(limits * min(1.0, case.need / total) if total > 0.0 else limits, limits, accounts=accounts)


def exchange_bankruptcy(account_values: np.ndarray, fund: float) -> float:
    """What accounts below zero lack beyond the insurance fund, ``max(0, sum max(0, -value) - fund)``. [USD]"""
    return max(0.0, float(np.maximum(0.0, -np.asarray(account_values, dtype=np.float64)).sum()) - fund)


def loss_factor(missing: float, owed: float) -> float:
    """Share of a withdrawal that is kept: what is missing over what customers are owed. [1]"""
    return min(1.0, missing / owed) if owed > 0.0 else 0.0
