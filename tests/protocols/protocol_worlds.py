"""Small worlds of protocols, and an auditor that recomputes every net worth in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from contagion.margin.audit import Audit
from contagion.protocols import verbs
from contagion.protocols.lending import Lending
from contagion.scenario.assemble import assemble
from contagion.scenario.schema import Scenario
from contagion.state.codes import Cause
from contagion.state.world import World

ILLIQUID = 4  # status bit


def build(seed: int = 1, steps: int = 10, **parts: Any) -> World:
    """A world at constant prices."""
    given = {"name": "test", "steps": steps, "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
             "impact": "linear"}  # fmt: skip
    for protocol in parts.get("protocols", {}).values():
        if protocol["kind"] == "lending_pool":
            protocol.setdefault("waterfall", [])
            protocol.setdefault("rate", {"slope1": 0.0, "slope2": 0.0})
    return assemble(Scenario.model_validate(given | parts), seed)


def chain(**changes: Any) -> World:
    """Vault a is held by vault b, b's claim is collateral in pool c, c's claim is held by vault d.

    Five borrowers at c each post 20,000 of b and owe 15,000; 1,100,000 was supplied to c, 100,000 of it by d.
    """
    pool = {
        "kind": "lending_pool", "supplied": 1_000_000.0, "reserve": {"size": 0.0},
        "collateral": {"b": {"ltv": 0.8, "liquidation_threshold": 0.85, "bonus": 0.05}},
    }  # fmt: skip
    protocols = {
        "a": {"kind": "vault", "deposits": 700_000.0},
        "b": {"kind": "vault", "deposits": 400_000.0, "holds": {"a": 300_000.0}},
        "c": pool | changes.pop("pool", {}),
        "d": {"kind": "vault", "deposits": 250_000.0, "holds": {"c": 100_000.0}},
    }
    traders = [
        {"archetype": "borrower", "count": 5, "venue": "c", "size": {"fixed": 20_000.0}, "leverage": {"fixed": 4.0}},
        {"archetype": "keeper", "count": 1, "venue": "c", "capital": 1e6,
         "parameters": {"gas": 0.0, "spot_depth": 1e15} | changes.pop("keeper", {})},
        *changes.pop("traders", []),
    ]  # fmt: skip
    return build(protocols=protocols, traders=traders, **changes)


def simple_pool(ltv: list[float], *, price: float = 1000.0, seed: int = 1, **changes: Any) -> World:
    """One pool, one borrower per loan-to-value, each with 10,000 of ETH collateral; one keeper with much cash."""
    pool = {
        "kind": "lending_pool", "supplied": 1e6, "reserve": {"size": 0.0},
        "collateral": {"ETH": {"ltv": 0.98, "liquidation_threshold": 0.985, "bonus": 0.05}},
        "oracle": {"deviation": 0.0},
    }  # fmt: skip
    keeper = {"archetype": "keeper", "count": 1, "venue": "pool", "capital": 1e6,
              "parameters": {"gas": 0.0, "spot_depth": 1e15}}  # fmt: skip
    keeper["parameters"] |= changes.pop("keeper", {})
    keeper |= changes.pop("keeper_group", {})
    borrowers = [
        {"archetype": "borrower", "name": f"borrower_{order}", "count": 1, "venue": "pool",
         "size": {"fixed": 10_000.0}, "leverage": {"fixed": 1.0}}
        for order in range(len(ltv))
    ]  # fmt: skip
    world = build(seed, protocols={"pool": pool | changes.pop("pool", {})},
                  traders=[*borrowers, keeper, *changes.pop("traders", [])], **changes)  # fmt: skip
    for order, value in enumerate(ltv):
        set_debt(world, f"borrower_{order}", 10_000.0 * value)
    return world


def set_debt(world: World, borrower: str, debt: float) -> None:
    """Let a borrower without debt borrow, outside of any step."""
    row, _ = debt_of(world, borrower)
    verbs.borrow(world.bookkeeper, row, debt)
    audit(world)


def positions_of(world: World, borrower: str) -> tuple[int, int]:
    """Rows of Positions of a borrower of one pool: first collateral, debt."""
    state = world.state
    account = state.agents.account_start[world.agent_rows[borrower]]
    return int(state.accounts.start[account]), int(state.accounts.start[account + 1]) - 1


def debt_of(world: World, borrower: str) -> tuple[int, float]:
    """Row of the debt position and what is owed. [USD]"""
    row = positions_of(world, borrower)[1]
    state = world.state
    return row, -float(state.positions.units[row] * state.instruments.value_price[state.positions.instrument[row]])


def set_price(world: World, name: str, price: float) -> None:
    """A market asset has a new price everywhere, oracles included."""
    assets, instruments = world.state.assets, world.state.instruments
    row = assets.row(name)
    for column in (assets.index, assets.fundamental, assets.redemption, assets.market):
        column[row] = price
    here = instruments.asset == row
    for column in (instruments.mark, instruments.equity_price, instruments.value_price, instruments.oracle):
        column[here] = price * instruments.debt_index[here]


def publish_claims(world: World) -> None:
    """Oracles show the market value of claims."""
    assets, instruments = world.state.assets, world.state.instruments
    on_claim = assets.issuer[instruments.asset] >= 0
    instruments.equity_price[on_claim] = assets.market[instruments.asset[on_claim]]


def net_worths(world: World) -> np.ndarray:
    """Net worth of every agent, written out from its definition, shape (n_agents,). [USD]"""
    state = world.state
    agents, accounts, books, positions = state.agents, state.accounts, state.books, state.positions
    worth = [float(cash) for cash in agents.cash]
    for owner, asset, units in zip(state.holdings.owner, state.holdings.asset, state.holdings.units, strict=True):
        worth[owner] += units * state.assets.fundamental[asset]
    for a in range(len(accounts.owner)):
        value = accounts.balance[a]
        for p in range(accounts.start[a], accounts.start[a + 1]):
            value += positions.units[p] * state.instruments.value_price[positions.instrument[p]]
        value *= state.assets.fundamental[books.settle[accounts.book[a]]]
        venue = books.venue[accounts.book[a]]
        if venue != accounts.owner[a]:
            worth[accounts.owner[a]] += max(0.0, value)
            worth[venue] -= max(0.0, value)
    for lender, borrower, face in zip(state.loans.lender, state.loans.borrower, state.loans.face, strict=True):
        worth[lender] += face
        worth[borrower] -= face
    for asset, issuer in enumerate(state.assets.issuer):
        if issuer >= 0:
            worth[issuer] -= state.assets.supply[asset] * state.assets.fundamental[asset]
    return np.array(worth)


def audit(world: World) -> np.ndarray:
    """Run the model's audit, then hold what it settled on to the definition; net worths."""
    world.bookkeeper.traded = True
    Audit(world).run()
    expected = net_worths(world)
    np.testing.assert_allclose(world.state.agents.worth[1:], expected[1:], rtol=1e-9, atol=1e-6)
    return expected


def liquidate_to_the_end(world: World, *, most: int) -> None:
    """Rounds of liquidation until nothing happens, at most so many; books add up and keepers gain in each."""
    lending = Lending(world)
    for _ in range(most):
        profit = world.counters.get("keeper_profit", 0.0)
        if not lending.liquidate():
            return
        assert world.counters.get("keeper_profit", 0.0) >= profit
        audit(world)
    raise AssertionError("liquidations do not end")


def rows(world: World, cause: Cause) -> list[tuple[str, str, float]]:
    """Ledger rows of a cause: payer, payee, amount."""
    state = world.state
    return [
        (state.agent_name(int(row["payer"])), state.agent_name(int(row["payee"])), float(row["amount"]))
        for row in world.bookkeeper.ledger.rows() if row["cause"] == cause
    ]  # fmt: skip
