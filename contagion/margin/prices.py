"""Prices at which something happens to a position: liquidation, bankruptcy, zero price, fillable price.

One equation covers the venues' formulas. A position of signed units ``u`` in an account whose equity is ``E`` at price
``p`` meets a requirement of ``|u| P rate + fixed`` where ``E + u (P - p) = |u| P rate + fixed``. Prices are in the
settlement asset per unit; for an inverse contract they are in coin per USD (1/P) and units are minus the contracts, so
the same equation holds and the USD price is the reciprocal.

=======================================  ==========================  ==========================================
price                                    rate                        fixed
=======================================  ==========================  ==========================================
tiered cross or isolated (Binance)       of the bracket              others' maintenance less the deduction
net collateral (dYdX)                    maintenance fraction        others' maintenance
half of initial margin (Hyperliquid)     1 / (2 max leverage)        0
taker fee in the denominator (OKX)       maintenance plus taker fee  0
initial margin distance (Bybit)          0                           maintenance at the entry price
bankruptcy                               0 (or the closing fee)      0
=======================================  ==========================  ==========================================
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, error_model="numpy")
def price_at_requirement(equity, units, price, rate=0.0, fixed=0.0):
    """Price of one position at which its account's equity equals the requirement, other prices unchanged.

    Parameters
    ----------
    equity : float
        Equity of the account at `price`. [settlement asset]
    units : float
        Signed units; negative is short (inverse contracts: minus the USD contracts).
    price : float
        Price at which `equity` is stated. [settlement asset per unit]
    rate : float
        Requirement per notional at the price looked for: maintenance rate, plus the taker fee where a venue adds it.
    fixed : float
        Requirement that does not move with the price: other positions', less the tier's deduction. [settlement asset]

    Returns
    -------
    float
        The price; not above zero where the position can never meet it, infinite where its equity moves with its
        requirement. [settlement asset per unit]
    """
    return (equity - units * price - fixed) / (abs(units) * rate - units)


@nb.njit(cache=True)
def tiered_liquidation_price(equity, units, mark, others, floor, rate, deduction, extra):
    """Price of one position at which equity meets the tiered requirement, in the bracket that holds there.

    Parameters
    ----------
    equity : float
        Equity of the account. [settlement asset]
    units, mark : float
        Signed units, price for notionals now; the price for equity moves along with it.
    others : float
        Requirement of the account's other positions. [settlement asset]
    floor, rate, deduction : ndarray of shape (n_tiers,)
        Tiers of the contract.
    extra : float
        Added to the rate of every tier: size slope times size, add-ons of the side. [1]

    Returns
    -------
    float
        The price (in the terms of `mark`); nan where no price above zero meets it.
    """
    size = abs(units)
    best = np.nan
    for tier in range(len(floor)):
        found = price_at_requirement(equity, units, mark, rate[tier] + extra, others - deduction[tier])
        if not 0.0 < found < np.inf:
            continue
        notional = size * found
        ceiling = floor[tier + 1] if tier + 1 < len(floor) else np.inf
        if floor[tier] <= notional < ceiling and not abs(found - mark) >= abs(best - mark):
            best = found
    return best


def bankruptcy_quote(notional_change, equity, requirement_change, requirement):
    """What closing (part of) a position is paid at its bankruptcy price, equity being spread pro rata to maintenance.

    ``-(change of net notional) - equity * |change of maintenance| / maintenance`` (dYdX v4,
    ``x/clob/keeper/liquidations.go``, before rounding to quantums).

    Parameters
    ----------
    notional_change : float or ndarray
        Signed net notional after the close less before; negative for closing a long. [settlement asset]
    equity : float
        Net collateral of the account. [settlement asset]
    requirement_change : float or ndarray
        Change of the account's maintenance by the close; only its size counts. [settlement asset]
    requirement : float
        Maintenance of the account. [settlement asset]

    Returns
    -------
    float or ndarray
        Signed quote received. [settlement asset]
    """
    return -notional_change - equity * abs(requirement_change) / requirement


def bankruptcy_prices(
    units: np.ndarray, price: np.ndarray, requirement: np.ndarray, equity: float | np.ndarray,
    owner: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Price of each position at which closing all of them leaves nothing, shape (n,). [settlement asset per unit]

    Equity is spread over positions pro rata to their maintenance, so that closing any one at its price leaves equity
    over maintenance unchanged: Lighter's zero price, dYdX's bankruptcy price; with one position it is where equity is
    zero. Positions of an account without any maintenance share by value.

    Parameters
    ----------
    units, price, requirement : ndarray of shape (n,)
        Signed units, none zero; price for equity now; maintenance of each position. [settlement asset]
    equity : float or ndarray of shape (n_accounts,)
        Of the account, or of each. [settlement asset]
    owner : ndarray of shape (n,), optional
        Account of each position, a row of `equity`; default: all are of one.
    """
    equity = np.atleast_1d(equity)
    owner = np.zeros(len(units), np.int64) if owner is None else owner
    total = np.bincount(owner, weights=requirement, minlength=len(equity))[owner]
    value = np.abs(units * price)
    worth = np.bincount(owner, weights=value, minlength=len(equity))[owner]
    weight, total = np.where(total > 0.0, requirement, value), np.where(total > 0.0, total, worth)
    found = price.astype(float)
    some = total > 0.0
    quote = bankruptcy_quote(-units[some] * price[some], equity[owner][some], weight[some], total[some])
    found[some] = quote / units[some]
    return found


def fillable_price(
    notional: float, equity: float, requirement: float, position_requirement: float, units: float,
    adjustment: float = 1.0, spread: float = 1.5,
) -> float:
    """Worst price at which a liquidation order may be filled (dYdX v4, ``x/clob/keeper/liquidations.go``).

    ``(notional - ABR * spread * position maintenance) / units``, ABR = clamp(adjustment * (1 - equity / maintenance)).

    Parameters
    ----------
    notional : float
        Signed net notional of the position. [settlement asset]
    equity, requirement : float
        Net collateral and maintenance of the account. [settlement asset]
    position_requirement : float
        Maintenance of the position. [settlement asset]
    units : float
        Signed units of the position.
    adjustment : float
        Speed at which the price gives way as equity falls below maintenance. [1]
    spread : float
        Greatest distance to the oracle price as a multiple of maintenance. [1]

    Returns
    -------
    float
        [settlement asset per unit]
    """
    give_way = min(1.0, max(0.0, adjustment * (1.0 - equity / requirement))) if requirement > 0.0 else 1.0
    return (notional - give_way * spread * position_requirement) / units
