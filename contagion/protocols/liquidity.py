"""What a lending pool can pay with: its cash, and at the market price the coins it lends and has not lent."""

from __future__ import annotations

from contagion.protocols.lent_coins import sell_coins
from contagion.protocols.verbs import own_units
from contagion.state.world import Venue, World


def lent_asset(world: World, venue: Venue) -> int:
    """Row of the asset a pool lends, 0 for dollars and for venues that lend nothing."""
    return int(world.state.instruments.asset[venue.debts[0]]) if venue.debts else 0


def liquidity(world: World, venue: Venue) -> float:
    """What a venue could pay at once. [USD]"""
    cash, asset = max(0.0, float(world.state.agents.cash[venue.row])), lent_asset(world, venue)
    return cash + _coins(world, venue, asset) if asset else cash


def raise_from_coins(world: World, venue: Venue, need: float) -> None:
    """Sell as much of the coins that are not lent as is needed, or all. [USD]"""
    asset = lent_asset(world, venue)
    amount = min(need, _coins(world, venue, asset)) if asset else 0.0
    if amount > 0.0:
        sell_coins(world.bookkeeper, venue.row, asset, amount)


def _coins(world: World, venue: Venue, asset: int) -> float:
    return own_units(world.bookkeeper, venue.row, asset) * float(world.state.assets.market[asset])
