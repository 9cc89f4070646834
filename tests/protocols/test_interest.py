"""Interest: the kinked rate at the pool's utilisation, through the debt index, and the reserve's share."""

from __future__ import annotations

import pytest
from protocol_worlds import audit, build, debt_of, rows, simple_pool

from contagion.protocols.claims import ClaimValues
from contagion.protocols.interest import Interest, utilisation
from contagion.state.codes import Cause

RATE = {"base": 0.01, "slope1": 0.04, "slope2": 0.75, "kink": 0.8, "reserve_factor": 0.1}


def reprice(world):
    """Debt is worth its index (the pricing phase does this for a run)."""
    instruments = world.state.instruments
    row = instruments.names.index("pool:USD")
    for column in (instruments.mark, instruments.equity_price, instruments.value_price):
        column[row] = instruments.debt_index[row]


def test_interest_of_a_step():
    """8,000 of 10,000 lent: 5% a year. A step of an hour: 8,000 x 0.05 / 8,760, a tenth of it to the reserve."""
    world = simple_pool([0.8], pool={"supplied": 10_000.0, "rate": RATE}, dt="1h")
    claims, interest = ClaimValues(world), Interest(world)
    assert utilisation(world, world.venues["pool"]) == pytest.approx(0.8)
    assert interest.accrue()
    accrued = 8_000 * 0.05 / 8_760
    reprice(world)
    claims.solve()
    audit(world)
    assert debt_of(world, "borrower_0")[1] == pytest.approx(8_000 + accrued)
    assert rows(world, Cause.INTEREST) == [("pool", "pool", pytest.approx(accrued))]
    assert rows(world, Cause.ISSUED) == [("pool", "pool/reserve", pytest.approx(0.1 * accrued))]
    worth = world.state.agents.worth
    assert worth[world.agent_rows["pool/reserve"]] == pytest.approx(0.1 * accrued, rel=1e-4)
    value = (10_000 + accrued) / (10_000 + 0.1 * accrued)
    assert world.state.assets.fundamental[world.state.assets.row("pool")] == pytest.approx(value, rel=1e-12)


def test_interest_compounds_with_steps():
    world = simple_pool([0.8], pool={"supplied": 1e9, "rate": RATE | {"slope1": 0.0}}, dt="1h", steps=100)
    interest = Interest(world)
    for _ in range(50):
        interest.accrue()
        reprice(world)
    audit(world)
    assert debt_of(world, "borrower_0")[1] == pytest.approx(8_000 * (1 + 0.01 / 8_760) ** 50, rel=1e-12)


def test_nothing_to_accrue():
    assert not Interest(build()).accrue()
    world = simple_pool([0.0], pool={"rate": RATE})
    assert not Interest(world).accrue()
    assert rows(world, Cause.INTEREST) == []
