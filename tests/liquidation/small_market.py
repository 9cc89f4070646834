"""One venue, one trader long 100 BTC at 100 on 1,000 USD of margin, and a maker; the price falls at step 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

DEEP = 1e15  # depth at which 9,400 USD move a price by 1e-13


def market(
    liquidation: dict[str, Any], *, gap: float = -0.06, depth: float = DEEP, tiers: list[dict] | None = None,
    traders: list[dict[str, Any]] | None = None, assets: tuple[str, ...] = ("BTC",), steps: int = 12, **exchange: Any,
) -> ContagionModel:  # fmt: skip
    """A model; with the defaults equity is 400 and maintenance 470 after the fall to 94."""
    tiers = tiers or [{"maintenance": 0.05, "initial": 0.06}]
    one = {
        "archetype": "passive", "name": "one", "size": {"fixed": 1e4}, "leverage": {"fixed": 10}, "long_share": 1.0,
        "answers": {"top_up": 0.0, "reduce": 0.0, "ignore": 1.0},
    }  # fmt: skip
    groups = [{**one, **trader} for trader in traders or [{}]]
    maker = {
        "archetype": "market_maker", "capital": 1e9,
        "parameters": {"depth": depth, "stress": 0.0, "inventory_limit": 1e6},
    }  # fmt: skip
    return ContagionModel(load_scenario({
        "name": "small", "dt": "1min", "steps": steps, "feedback": "none",
        "assets": {name: {"price": 100, "volatility": 0.5} for name in assets},
        "prices": "constant",
        "impact": {"impact": "linear"},
        "shocks": [{"at": 1, "kind": "price_gap", "asset": name, "size": gap} for name in assets],
        "exchanges": {
            "perp": {
                "contracts": {name: {"tiers": tiers} for name in assets}, "insurance_fund": {"size": 1000.0},
                "liquidation": liquidation, **exchange,
            }
        },
        "traders": [*groups, maker],
    }), rng=1)  # fmt: skip


def account(model: ContagionModel, group: str = "one") -> int:
    return int(next(item for item in model.world.groups if item.name == group).accounts[0])


def units(model: ContagionModel, group: str = "one") -> np.ndarray:
    state = model.world.state
    row = account(model, group)
    return state.positions.units[state.accounts.start[row] : state.accounts.start[row + 1]].copy()


def equity(model: ContagionModel, group: str = "one") -> float:
    return float(model.world.margin.of(np.array([account(model, group)]))[0][0])


def fund(model: ContagionModel) -> float:
    return float(model.world.state.agents.cash[model.world.venues["perp"].fund])


def house_units(model: ContagionModel) -> np.ndarray:
    state = model.world.state
    row = int(state.books.takeover[0])
    return state.positions.units[state.accounts.start[row] : state.accounts.start[row + 1]].copy()


def run_once(model: ContagionModel) -> None:
    """Mark the fall and run the liquidation phase a single time (rounds would go on against the same book)."""
    model._open()
    model._shock()
    model._observe()
    model._mark()
    model.world.bookkeeper.ledger.round = 1
    assert model.liquidation.run(model.audit.breached)
