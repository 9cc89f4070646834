"""The arithmetic of collateral auctions: how much debt one takes up, how its price falls, and what a purchase gets.

Numbers may be floats or fixed-point: only sums, products, quotients and comparisons are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Lot:
    """Debt and collateral of a vault that go to auction: `debt` before the rate, `owed` with it and the penalty."""

    debt: Any
    collateral: Any
    owed: Any


def lot_of(
    collateral: Any, debt: Any, room: Any, penalty: Any = 1.0, rate: Any = 1.0, dust: Any = 0.0, grain: Any = None
) -> Lot | None:
    """What part of a vault is put up for auction, none if the room is too small (Maker, dog.sol ``bark``).

    As much debt as fits with its penalty into `room`; all of it where there is room and the rest would be less than
    `dust`; nothing where the part itself would be.

    Parameters
    ----------
    collateral, debt : number
        Of the vault; debt before `rate`. [units, USD]
    room : number
        What the limit on debt in auction (hole) leaves. [USD]
    penalty : number
        Factor on the debt, such as 1.13. [1]
    rate : number
        Accumulated stability fee, a factor on debt. [1]
    dust : number
        Least debt of a vault. [USD]
    grain : callable, optional
        Rounds debt down to what can be booked, for fixed-point numbers.
    """
    if not room > 0:
        return None
    part = room / rate / penalty
    if grain is not None:
        part = grain(part)
    if not part < debt or (debt - part) * rate < dust:
        part = debt
    elif part * rate < dust:
        return None
    if not part > 0:
        return None
    share = collateral if part == debt else collateral * part / debt
    return Lot(part, share, part * rate * penalty)


def linear_price(top: Any, duration: Any, elapsed: Any) -> Any:
    """Price that falls from `top` to zero in a straight line over `duration` (Maker, abaci.sol LinearDecrease)."""
    if elapsed >= duration:
        return 0 * top
    return top * ((duration - elapsed) / duration)


def stairstep_price(top: Any, cut: Any, step: Any, elapsed: Any) -> Any:
    """Price multiplied by `cut` after every full `step` (Maker, abaci.sol StairstepExponentialDecrease).

    With a step of a second it is the smooth exponential of ExponentialDecrease.
    """
    return top * power(cut, int(elapsed // step))


def power(base: Any, exponent: int) -> Any:
    """Whole power by squaring, so that fixed-point numbers round where a contract's do (abaci.sol ``rpow``)."""
    result = base if exponent % 2 else None
    while exponent := exponent // 2:
        base = base * base
        if exponent % 2:
            result = base if result is None else result * base
    return 1 if result is None else result


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a buyer gets and pays, and what is left of the auction."""

    bought: float
    paid: float
    owed_left: float
    lot_left: float


def purchase(owed: float, lot: float, most: float, price: float, least_left: float = 0.0) -> Purchase | None:
    """Buy from a falling-price auction; none if it must be refused (Maker, clip.sol ``take``).

    Nobody pays more than is owed, and a rest of debt below `least_left` may not stay: the purchase shrinks so that
    just that is left, or is refused where no more than that is owed.

    Parameters
    ----------
    owed : float
        Debt with penalty still to be covered. [USD]
    lot, most : float
        Collateral on offer and the most the buyer wants. [units]
    price : float
        Price now. [USD per unit]
    least_left : float
        Dust with penalty (chost). [USD]
    """
    bought = min(lot, most)
    paid = bought * price
    if paid > owed:
        paid = owed
        bought = owed / price
    elif paid < owed and bought < lot and owed - paid < least_left:
        if not owed > least_left:
            return None
        paid = owed - least_left
        bought = paid / price
    return Purchase(bought, paid, owed - paid, lot - bought)
