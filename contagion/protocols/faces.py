"""What a unit of a claim stands for, where its issuer pays that and not a share in what is left."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.scenario.issuers import Issuer
from contagion.state.world import World

ILLIQUID = 4
"""Status bit of a venue or issuer that could not pay a withdrawal."""


def opening_faces(world: World, claims: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Assets that one unit of each claim was issued against.

    A claim with a par stands for that many dollars; any other for the issuer's opening holdings per unit, and dollars
    for what is missing to its opening price. Issuers that pay by their balance sheet have no entry.

    Returns
    -------
    start : ndarray of shape (n_claims + 1,)
    asset, units : ndarray
        Rows of Assets, and units of them per unit of the claim.
    """
    state, entries = world.state, [[] for _ in claims]
    venues = {venue.claim: venue for venue in world.venues.values()}
    for order, claim in enumerate(claims.tolist()):
        venue = venues[claim]
        if not isinstance(venue.spec, Issuer) or venue.spec.exit.pays != "face":
            continue
        par, price, supply = (float(column[claim]) for column in (
            state.assets.par, state.assets.fundamental, state.assets.supply))  # fmt: skip
        if np.isfinite(par) or supply == 0.0:
            entries[order] = [(0, min(par, price))]
            continue
        first, last = state.agents.holding_start[venue.row], state.agents.holding_start[venue.row + 1]
        held = [(int(state.holdings.asset[row]), float(state.holdings.units[row]) / supply)
                for row in range(first, last) if state.holdings.units[row] > 0.0]  # fmt: skip
        rest = price - sum(units * float(state.assets.fundamental[asset]) for asset, units in held)
        entries[order] = [(0, rest), *held]
    start = np.concatenate([[0], np.cumsum([len(entry) for entry in entries])]).astype(np.int64)
    flat = [item for entry in entries for item in entry]
    return start, np.array([asset for asset, _ in flat], np.int64), np.array([units for _, units in flat], float)


@nb.njit(cache=True)
def face_value(order, prices, start, asset, units):
    """Value of what a unit of a claim stands for, at prices by asset; 0 where nothing is promised. [USD]"""
    value = 0.0
    for i in range(start[order], start[order + 1]):
        value += units[i] * prices[asset[i]]
    return max(0.0, value)
