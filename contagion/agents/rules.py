"""What a trader sees of one position, and the trading rules: one scalar function each, compiled once.

A rule maps :class:`Seen` and the archetype's parameters to the change of units it wants. The array lane loops a rule
over the rows of a group, the Python lane calls the same function from the agent's ``decide``, so both agree to the bit.
"""

from __future__ import annotations

from math import copysign
from typing import NamedTuple

import numpy as np
from numba import njit


class Seen(NamedTuple):
    """What phase 2 lets a trader know of one position, as numbers. Exposures are USD, long positive."""

    index: float  # index price now [USD]
    past: float  # index price `lookback` steps ago [USD]
    basis: float  # log gap of the venue's price to the index [1]
    funding: float  # rate longs would pay per interval at this basis [1]
    volatility: float  # realised over the lookback, annualised [1]
    normal: float  # volatility in calm, annualised [1]
    depth: float  # quoted now for a 1% move [USD]
    delta: float  # exposure of one unit [USD]
    units: float  # own units
    equity: float  # margin equity of the account [USD]
    requirement: float  # its maintenance requirement [USD]
    opening: float  # own exposure over equity when the run began, signed [1]
    hedge: float  # own exposure to the same asset elsewhere: spot, and positions in other contracts [USD]
    legs: float  # own positions that can still trade the asset, this one included; 0: there never was another leg


NOTHING, DIRECTIONAL, HEDGER, REBALANCER, FUND = range(5)
"""Codes of the built-in rules, so that one compiled loop serves every group."""

PARAMETERS = 5
"""Length of a built-in rule's parameter vector."""


@njit(cache=True, error_model="numpy")
def directional(seen: Seen, p: np.ndarray) -> float:
    """Follow (style 1) or fade (style -1) the move over the lookback; never trades against the own signal.

    Parameters: style, threshold [1], speed [share of the gap per step], target leverage (0: the opening one), its cap.
    """
    if seen.equity <= 0.0 or seen.delta == 0.0:
        return 0.0
    signal = p[0] * (seen.index / seen.past - 1.0)
    if abs(signal) <= p[1]:
        return 0.0
    leverage = min(p[4], p[3] if p[3] > 0.0 else abs(seen.opening))
    gap = copysign(leverage * seen.equity, signal) - seen.units * seen.delta
    if gap * signal <= 0.0:
        return 0.0
    return p[2] * gap / seen.delta


@njit(cache=True, error_model="numpy")
def hedger(seen: Seen, p: np.ndarray) -> float:
    """Keep the legs of a hedge equal; sell a rich contract and buy a cheap one beyond a threshold.

    A hedge of which a leg was liquidated or deleveraged is closed up from all legs that can still trade, once the open
    exposure leaves the band. Where there never was another leg only the basis is traded. Parameters: threshold of the
    basis [log], USD of flow per USD of equity and unit of excess basis, band [share of the larger leg], speed.
    """
    if seen.equity <= 0.0 or seen.delta == 0.0:
        return 0.0
    change = 0.0
    own = seen.units * seen.delta
    exposed = own + seen.hedge
    if seen.legs > 0.0 and abs(exposed) > p[2] * max(abs(own), abs(seen.hedge)):
        change = -p[3] * exposed / seen.legs
    excess = abs(seen.basis) - p[0]
    if excess > 0.0:
        change -= copysign(p[1] * excess * seen.equity, seen.basis)
    return change / seen.delta


@njit(cache=True, error_model="numpy")
def rebalancer(seen: Seen, p: np.ndarray) -> float:
    """Back to the target leverage once it drifted out of the band: sells after losses, buys after gains.

    Parameters: band [relative], speed, target leverage (0: the opening one), its cap.
    """
    leverage = min(p[3], p[2] if p[2] > 0.0 else abs(seen.opening))
    goal = copysign(leverage * seen.equity, seen.opening)
    if seen.equity <= 0.0 or seen.delta == 0.0 or seen.opening == 0.0:
        return 0.0
    gap = goal - seen.units * seen.delta
    if abs(gap) <= p[0] * abs(goal):
        return 0.0
    return p[1] * gap / seen.delta


@njit(cache=True, error_model="numpy")
def fund(seen: Seen, p: np.ndarray) -> float:
    """Hold value at risk at what the opening leverage used in calm: leverage falls as realised volatility rises.

    Value at risk constraint of Adrian and Shin (2010, "Liquidity and leverage", J. Financial Intermediation 19(3)):
    leverage is inversely proportional to volatility. Parameters: band [relative], speed, cap of the leverage.
    """
    if seen.equity <= 0.0 or seen.delta == 0.0 or seen.opening == 0.0 or seen.volatility <= 0.0:
        return 0.0
    leverage = min(p[2], abs(seen.opening) * seen.normal / seen.volatility)
    goal = copysign(leverage * seen.equity, seen.opening)
    gap = goal - seen.units * seen.delta
    if abs(gap) <= p[0] * abs(goal):
        return 0.0
    return p[1] * gap / seen.delta
