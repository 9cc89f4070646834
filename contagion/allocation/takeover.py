"""What is left on a venue's takeover account: its own shortfall is a new root, its surplus goes to the fund."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contagion.allocation.evidence import Evidence
from contagion.allocation.lots import Lots, open_positions
from contagion.allocation.transfers import credit_takeover
from contagion.state.codes import Cause
from contagion.state.tables import State
from contagion.state.world import Venue, World

RELATIVE = 1e-9  # of what passed through: below it a rest is rounding


class Standing(NamedTuple):
    """Where a takeover account stands at current prices."""

    equity: float  # [USD]
    gross: float  # balance and positions without sign [USD]
    flat: bool


def standing(world: World, takeover: int) -> Standing:
    """Equity of a takeover account and whether it holds units."""
    state = world.state
    instruments, units = open_positions(state, takeover)
    settle = float(state.assets.fundamental[state.books.settle[state.accounts.book[takeover]]])
    values = units * state.instruments.value_price[instruments]
    balance = float(state.accounts.balance[takeover])
    gross = abs(balance) + float(np.abs(values).sum())
    return Standing(settle * (balance + float(values.sum())), settle * gross, len(units) == 0)


def open_own_shortfall(world: World, venue: Venue, takeover: int, explained: float, gross: float) -> int:
    """Open a root for what a takeover account lacks beyond `explained`, the open deficits that went into it. [USD]

    It is the loss on units taken over earlier (or passed on below mark since).

    Returns
    -------
    int
        Deficit id, -1 if it lacks nothing.
    """
    now = standing(world, takeover)
    shortfall = -now.equity - explained
    if shortfall <= RELATIVE * max(1.0, now.gross, gross):
        return -1
    root = world.bookkeeper.open_deficit(venue.row, takeover, venue.row, shortfall)
    world.bookkeeper.book(Cause.DEFICIT, venue.row, venue.row, shortfall, deficit=root)
    return root


def spread_shortfall(world: World, root: int, lots: list[Lots], open_roots: list[int], evidence: Evidence) -> None:
    """Lots of no open deficit become those of an own shortfall, spread over them pro rata to notional."""
    state = world.state
    amount = world.bookkeeper.deficits.amount[root]
    free = [~np.isin(lot.deficit, open_roots) for lot in lots]
    prices = [float(state.instruments.value_price[lot.instrument]) for lot in lots]
    notional = sum(
        float(np.abs(lot.units[mine]).sum()) * price for lot, mine, price in zip(lots, free, prices, strict=True)
    )
    if notional <= 0.0:
        return
    for lot, mine, price in zip(lots, free, prices, strict=True):
        settle = float(state.assets.fundamental[state.books.settle[state.instruments.book[lot.instrument]]])
        lot.bankruptcy[mine] = price * (1.0 + np.sign(lot.units[mine]) * amount / (settle * notional))
        lot.deficit[mine] = root
        for row in np.flatnonzero(mine):
            evidence.lot(world, lot.instrument, float(lot.units[row]), float(lot.bankruptcy[row]), root)


def pass_on_surplus(world: World, venue: Venue, takeover: int, gross: float) -> None:
    """What a flat takeover account holds goes to the fund, or stays with a venue that has none. [USD]"""
    now = standing(world, takeover)
    balance = world.state.accounts.balance
    if not now.flat or balance[takeover] == 0.0:
        return
    if now.equity > RELATIVE * max(1.0, gross):
        payee = venue.fund if venue.fund >= 0 else venue.row
        world.bookkeeper.charge(Cause.SURPLUS, np.array([takeover]), payee, now.equity)
    elif now.equity < -RELATIVE * max(1.0, now.gross, gross):
        return  # a shortfall is a deficit: nobody forgives it here
    else:
        credit_takeover(world.bookkeeper, np.array([takeover]), np.array([-now.equity]))
    balance[takeover] = 0.0


def markets_of(state: State, account: int, instruments: np.ndarray, units: np.ndarray) -> dict[int, float]:
    """Share of each instrument in a deficit: by notional held, or equal over what the account has ever held."""
    usd = np.abs(units) * state.instruments.mark[instruments]
    if not usd.sum() > 0.0:
        rows = slice(int(state.accounts.start[account]), int(state.accounts.start[account + 1]))
        instruments = state.positions.instrument[rows][state.positions.entry[rows] != 0.0]
        usd = np.ones(len(instruments))
    return {int(row): float(part / usd.sum()) for row, part in zip(instruments, usd, strict=True)}
