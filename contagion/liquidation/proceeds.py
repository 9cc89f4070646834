"""Who gets what a liquidation leaves: fees and better-than-bankruptcy fills to the fund, the rest to the owner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.errors import InvariantError
from contagion.liquidation.engines import Breaches
from contagion.liquidation.fees import insurance_delta, insurance_flow
from contagion.state.codes import Cause
from contagion.state.world import Venue, World

_RELATIVE = 1e-9


@dataclass(frozen=True, slots=True)
class Fills:
    """Executed orders of one venue. Arrays of shape (m,), `notional` by account."""

    owner: np.ndarray  # which account of the breaches, by order
    done: np.ndarray  # signed change of units
    price: np.ndarray  # [settlement asset per unit]
    bankruptcy: np.ndarray  # price at which closing everything leaves nothing [settlement asset per unit]
    notional: np.ndarray  # closed, at the mark [USD]


def collect_fees(
    world: World, venue: Venue, breaches: Breaches, fills: Fills, equity: np.ndarray, closed: np.ndarray
) -> None:
    """Charge accounts for their liquidation by the venue's rule, never more than their equity.

    Parameters
    ----------
    equity : ndarray of shape (n,)
        After the fills. [settlement asset]
    closed : ndarray of shape (n,)
        Accounts that hold nothing any more.

    Raises
    ------
    InvariantError
        Where the surplus is the fund's: what is left of a closed account is not the sum over its positions of
        ``units * (execution - bankruptcy)``.
    """
    rule = venue.spec.liquidation.surplus_to
    if rule == "owner":
        return
    left = np.maximum(equity * breaches.settle, 0.0)
    due = breaches.fee * fills.notional
    if rule == "fund":
        _check_flow(world, venue, breaches, fills, equity, closed)
        due = np.where(closed, left * (1.0 - 1e-15), due)  # a hair less, or rounding would leave a deficit
    elif rule == "fund_up_to_fee":
        due = _surplus_up_to_fee(breaches, fills)
    fee = np.minimum(due, left)
    some = fee > 0.0
    if some.any():
        payee = venue.fund if venue.fund >= 0 else venue.row
        world.bookkeeper.charge(Cause.LIQUIDATION_FEE, breaches.accounts[some], payee, fee[some])
        venue.fees += float(fee.sum())


def _surplus_up_to_fee(breaches: Breaches, fills: Fills) -> np.ndarray:
    """The fund's part of better-than-bankruptcy fills by account; a shortfall is left to the waterfall. [USD]"""
    quote = -fills.done * fills.price
    delta = insurance_delta(quote, -fills.done * fills.bankruptcy, breaches.fee[fills.owner])
    gain = np.maximum(delta, 0.0) * breaches.settle[fills.owner]
    return np.bincount(fills.owner, weights=gain, minlength=len(breaches.accounts))


def _check_flow(world: World, venue: Venue, breaches: Breaches, fills: Fills, equity, closed) -> None:
    count = len(breaches.accounts)
    flow = insurance_flow(-fills.done, fills.price, fills.bankruptcy)
    flow = np.bincount(fills.owner, weights=flow, minlength=count)
    gross = np.bincount(fills.owner, weights=np.abs(fills.done * fills.price), minlength=count)
    wrong = closed & (fills.notional > 0.0) & (np.abs(flow - equity) > _RELATIVE * (gross + breaches.notional))
    if wrong.any():
        worst = int(np.flatnonzero(wrong)[0])
        amount = float((flow - equity)[worst] * breaches.settle[worst])
        raise InvariantError(
            f"phase liquidate, step {world.step}, agent {venue.name}: what is left of a closed account is not "
            f"units * (execution - bankruptcy) ({amount:g} USD)"
        )
