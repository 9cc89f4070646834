"""Interest: the kinked rate at the pool's utilisation, through the debt index, and the reserve's share."""

from __future__ import annotations

from math import exp

import pytest
from protocol_worlds import audit, build, debt_of, rows, simple_pool

from contagion.errors import InputError
from contagion.protocols.claims import ClaimValues
from contagion.protocols.interest import Interest, utilisation
from contagion.protocols.rates import BorrowRate
from contagion.scenario.loader import load_scenario
from contagion.scenario.rates import AdaptiveRate, KinkedRate
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


def test_a_supply_curve_of_its_own_leaves_the_rest_to_the_reserve():
    """Compound v3 at 60%: borrowers pay 1.5% + 3.5% x 0.6 = 3.6%, suppliers earn 3.25% x 0.6 = 1.95%. Of 3.6% x 0.6 =
    2.16% of the supply, 0.21% is the reserve's: 0.0972 of the interest."""
    rate = BorrowRate(KinkedRate(
        base=0.015, slope1=0.035, slope2=0.25, slopes_are_totals=False, supply={"slope1": 0.0325, "slope2": 0.4}
    ))  # fmt: skip
    assert rate.over(0.6, 1.0) == pytest.approx(0.036)
    assert rate.reserve_share(0.036, 0.6) == pytest.approx(0.0021 / 0.0216)
    # Above the kink suppliers earn 3.25% x 0.8 + 40% x 0.15 = 8.6% of 8.05% x 0.95: more than borrowers pay.
    assert rate.reserve_share(rate.over(0.95, 1.0), 0.95) == 0.0


def test_an_adaptive_rate_moves_until_utilisation_is_at_its_target():
    """Error 0.5 at 95% of a target of 90%: the rate at the target grows by exp(50 x 0.5 x years), the curve is 2.5."""
    rate, years = BorrowRate(AdaptiveRate()), 1 / 365
    growth = 50 * 0.5 * years
    assert rate.over(0.95, years) == pytest.approx(2.5 * 0.04 * (exp(growth) - 1) / growth)
    assert rate.at_target == pytest.approx(0.04 * exp(growth))
    assert BorrowRate(AdaptiveRate()).over(0.9, years) == pytest.approx(0.04)
    assert BorrowRate(AdaptiveRate(speed=0.0)).over(0.0, years) == pytest.approx(0.01)
    assert BorrowRate(AdaptiveRate(speed=0.0)).over(1.0, years) == pytest.approx(0.16)
    for _ in range(1000):
        rate.over(1.0, years)
    assert rate.at_target == 2.0


def test_a_pool_with_an_adaptive_rate():
    """8,000 of 10,000 lent, target 80%: 4% for an hour at the opening, and no more than rounding later."""
    pool = {"supplied": 10_000.0, "rate": {"kind": "adaptive", "target": 0.8}}
    world = simple_pool([0.8], pool=pool, dt="1h")
    assert Interest(world).accrue()
    reprice(world)
    audit(world)
    assert debt_of(world, "borrower_0")[1] == pytest.approx(8_000 * (1 + 0.04 / 8_760), rel=1e-12)
    with pytest.raises(InputError, match=r"rate\.kind"):
        load_scenario({"name": "x", "assets": {"ETH": {}}, "protocols": {
            "pool": {"kind": "lending_pool", "collateral": {}, "rate": {"kind": "flat"}}}})  # fmt: skip
