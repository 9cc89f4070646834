"""What accounts are worth now, and what is missing in them after a stated move of prices."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from contagion.errors import InputError
from contagion.state.codes import InstrumentKind
from contagion.state.tables import State


def account_equity(state: State) -> np.ndarray:
    """Value of each account at present prices, negative where it is under water, shape (n_accounts,). [USD]"""
    settle = state.assets.fundamental[state.books.settle]
    return _equity(state, state.instruments.value_price, settle)


def stressed_deficits(state: State, stress: float | Mapping[str, float] | None) -> np.ndarray:
    """``max(0, -equity)`` of each account after a move, shape (n_accounts,). [USD]

    Parameters
    ----------
    stress : float or mapping, optional
        Relative move of every market asset, or by asset name; below zero is down. None: each position moves against
        its owner by its maintenance rate, so that ``equity - requirement`` is what is left.
    """
    if stress is None:
        return np.maximum(0.0, _requirement(state) - account_equity(state))
    table, assets = state.instruments, state.assets
    growth = 1.0 + _moves(state, stress)
    own = growth[table.asset]
    contract = table.kind <= InstrumentKind.INVERSE
    # Cumulative funding in the price of a contract doesn't move with its mark.
    moving = np.where(contract, table.mark * table.delta, table.value_price)
    moved = table.value_price + moving * (np.where(table.sign > 0.0, own, 1.0 / own) - 1.0)
    settle = (assets.fundamental * growth)[state.books.settle]
    return np.maximum(0.0, -_equity(state, moved, settle))


def _equity(state: State, price: np.ndarray, settle: np.ndarray) -> np.ndarray:
    accounts, positions = state.accounts, state.positions
    worth = np.bincount(positions.account, positions.units * price[positions.instrument], len(accounts.balance))
    return (accounts.balance + worth) * settle[accounts.book] if len(accounts.balance) else np.zeros(0)


def _requirement(state: State) -> np.ndarray:
    """Maintenance requirement of each account at present marks, shape (n_accounts,). [USD]"""
    table, positions, accounts = state.instruments, state.positions, state.accounts
    if not len(accounts.balance):
        return np.zeros(0)
    needed = np.zeros(len(positions.units))
    for row in range(len(table.names)):
        held = np.flatnonzero((positions.instrument == row) & (positions.units != 0.0))
        units = positions.units[held]
        notional = (np.maximum(units, 0.0) if table.long_only[row] else np.abs(units)) * table.mark[row]
        tiers = slice(table.tier_start[row], table.tier_start[row + 1])
        tier = tiers.start + np.searchsorted(table.tier_floor[tiers], notional, side="right") - 1
        needed[held] = notional * table.tier_rate[tier] - table.tier_deduction[tier]
    settle = state.assets.fundamental[state.books.settle]
    return np.bincount(positions.account, needed, len(accounts.balance)) * settle[accounts.book]


def _moves(state: State, stress: float | Mapping[str, float]) -> np.ndarray:
    assets = state.assets
    market = [name for name, issuer in zip(assets.names, assets.issuer, strict=True) if issuer < 0 and name != "USD"]
    named = stress if isinstance(stress, Mapping) else dict.fromkeys(market, stress)
    moves = np.zeros(len(assets.names))
    for name, move in named.items():
        if name not in assets.names[1:]:
            raise InputError("stress", name, "one of " + ", ".join(assets.names[1:]))
        if isinstance(move, bool) or not isinstance(move, int | float) or not math.isfinite(move) or move <= -1.0:
            raise InputError(f"stress.{name}", move, "a relative move above -1")
        moves[assets.row(name)] = move
    return moves
