"""Values of claims: hand-computed chains, cycles and their errors, and what each of the values reacts to."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import audit, build, chain, publish_claims, rows

from contagion.errors import ConvergenceError, InputError
from contagion.protocols import verbs
from contagion.protocols.claim_cycles import ClaimCycles
from contagion.protocols.claims import ClaimValues
from contagion.protocols.lending import Lending
from contagion.state.codes import Cause


def values(world, name):
    assets = world.state.assets
    row = assets.row(name)
    return tuple(float(column[row]) for column in (assets.fundamental, assets.redemption, assets.market))


def test_theft_reaches_a_protocol_four_claims_away():
    """a loses 500,000 of 1,000,000 -> a 0.5; b has 200,000 + 300,000 a for 500,000 -> 0.7; each of five borrowers
    owes 15,000 against 20,000 b = 14,000, so c misses 5,000 of 1,100,000; d has 150,000 + 100,000 c for 250,000."""
    world = chain()
    claims = ClaimValues(world)
    audit(world)
    before = world.state.agents.worth.copy()
    assert verbs.theft(world.bookkeeper, world.agent_rows["a"], 500_000.0) == 500_000.0
    assert claims.solve()
    worth = audit(world)
    assert values(world, "a") == pytest.approx((0.5, 0.5, 0.5))
    assert values(world, "b") == pytest.approx((0.7, 0.7, 0.7))
    # Nothing has been written off: a withdrawal from c still gets par.
    assert values(world, "c") == pytest.approx((1 - 5_000 / 1.1e6, 1.0, 1.0))
    assert values(world, "d") == pytest.approx((1 - 5_000 / 1.1e6 * 100_000 / 250_000, 1.0, 1.0))
    # Depositors outside hold 700,000 a, 400,000 b, 1,000,000 c, 250,000 d; borrowers lose their 5,000 of equity each.
    # Together they lose what was stolen.
    d = 1 - 5_000 / 1.1e6 * 100_000 / 250_000
    outside = 700_000 * 0.5 + 400_000 * 0.3 + 1e6 * 5_000 / 1.1e6 + 250_000 * (1 - d)
    borrowers = -(worth - before)[world.state.first_trader :].sum()
    assert borrowers == pytest.approx(5 * 5_000.0)
    assert outside + borrowers == pytest.approx(500_000.0)
    assert rows(world, Cause.THEFT) == [("a", "outside", 500_000.0)]


def test_redemption_falls_when_the_loss_is_written_off():
    world = chain()
    claims, lending = ClaimValues(world), Lending(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 1_000_000.0)
    claims.solve()
    publish_claims(world)
    # b is worth 200,000 / 500,000 = 0.4: collateral of 8,000 a loan; keepers repay 8,000 / 1.05, the rest is bad debt.
    assert values(world, "b")[0] == pytest.approx(0.4)
    assert values(world, "c") == pytest.approx((1 - 5 * 7_000 / 1.1e6, 1.0, 1.0))
    while lending.liquidate():
        claims.solve()
        audit(world)
    lost = 5 * (15_000 - 8_000 / 1.05)
    assert sum(world.bookkeeper.deficits.amount) == pytest.approx(lost)
    assert sum(amount for _, _, amount in rows(world, Cause.DEFICIT)) == pytest.approx(lost)
    recognised = 1 - lost / 1.1e6
    assert values(world, "c") == pytest.approx((recognised, recognised, recognised))
    assert values(world, "d")[1] == pytest.approx((150_000 + 100_000 * recognised) / 250_000)


def test_market_is_redemption_less_discount():
    world = chain()
    claims = ClaimValues(world)
    assets, row = world.state.assets, world.state.assets.row("b")
    assets.discount[row] = 0.25
    assert claims.solve()
    assert values(world, "b") == pytest.approx((1.0, 1.0, np.exp(-0.25)))
    assert values(world, "c")[0] == 1.0  # net worth does not see the discount
    assert not claims.solve()


def test_claim_without_supply_keeps_its_value():
    world = build(protocols={"a": {"kind": "vault", "deposits": 1000.0}})
    claims = ClaimValues(world)
    assets, row = world.state.assets, world.state.assets.row("a")
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 100.0)
    claims.solve()
    held = np.flatnonzero(world.state.holdings.asset == row)
    verbs.redeem(world.bookkeeper, row, held, world.state.holdings.units[held])
    assert assets.supply[row] == 0.0
    claims.solve()
    audit(world)
    assert values(world, "a") == pytest.approx((0.9, 0.9, 0.9))


def cyclic(held=0.5, **extra):
    """Two vaults with 1,000 from outside each; x holds `held` of 1,000 in y, and y the same in x."""
    protocols = {
        name: {"kind": "vault", "deposits": 1000.0, "holds": {other: 1000.0 * held}}
        for name, other in (("x", "y"), ("y", "x"))
    }
    return build(protocols=protocols | extra)


def test_vaults_that_hold_each_other():
    """x: 1,000 of cash - 500 spent + 500 paid in by y; half a unit each way of 1,500. After a theft of 600 from x:
    x = (400 + 500 y) / 1,500, y = (1,000 + 500 x) / 1,500 -> x = 0.55, y = 0.85."""
    world = cyclic()
    claims = ClaimValues(world)
    assert claims.cycles is not None
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["x"], 600.0)
    claims.solve()
    audit(world)
    assert values(world, "x") == pytest.approx((0.55, 0.55, 0.55))
    assert values(world, "y") == pytest.approx((0.85, 0.85, 0.85))


def test_closed_cycle_is_an_error():
    world = cyclic()
    claims = ClaimValues(world)
    assets, holdings = world.state.assets, world.state.holdings
    # Everybody outside hands its units in: only the vaults hold each other.
    for name in ("x", "y"):
        row = assets.row(name)
        outside = np.flatnonzero((holdings.asset == row) & (holdings.owner == 0))[0]
        assets.supply[row] -= holdings.units[outside]
        holdings.units[outside] = 0.0
    with pytest.raises(ConvergenceError, match=r"x.*y"):
        claims.solve()
    with pytest.raises(InputError, match=r"x.*y"):
        ClaimValues(world)


def test_cycle_through_collateral_finds_the_greatest_solution():
    """Pool p takes the claim of vault v as collateral, v holds p's claim. A borrower owes 800 against 1,000 v.

    v: 900 own cash - 600 in p = 400 cash after 1,000 deposits and collateral, claims 600 of p; see the equations."""
    world = build(
        protocols={
            "v": {"kind": "vault", "deposits": 1000.0, "holds": {"p": 600.0}},
            "p": {"kind": "lending_pool", "supplied": 400.0,
                  "collateral": {"v": {"ltv": 0.9, "liquidation_threshold": 0.95}}},
        },
        traders=[{"archetype": "borrower", "venue": "p", "size": {"fixed": 1000.0}, "leverage": {"fixed": 5.0}}],
    )  # fmt: skip
    claims = ClaimValues(world)
    audit(world)
    assert claims.cycles is not None
    # v: 2,000 units, 1,400 cash, 600 p. p: 1,000 units, 200 cash, debt 800 against 1,000 v.
    verbs.theft(world.bookkeeper, world.agent_rows["v"], 1000.0)
    claims.solve()
    audit(world)
    # If the borrower were good: p = 1, v = (400 + 600) / 2,000 = 0.5, and 500 of collateral do not cover 800.
    # So p = (200 + 1,000 v) / 1,000 and v = (400 + 600 p) / 2,000: v = 0.2 + 0.3 (0.2 + v) -> v = 0.26 / 0.7.
    v = 0.26 / 0.7
    assert values(world, "v")[0] == pytest.approx(v)
    assert values(world, "p")[0] == pytest.approx(0.2 + v)
    assert values(world, "p")[1] == pytest.approx(1.0)
    assert values(world, "v")[1] == pytest.approx(0.5)


def test_vault_counts_its_account_at_the_exchange_it_backs():
    """The vault posts half of 1,000; when 200 of that are lost to another trader its claim is worth 0.8."""
    world = build(
        exchanges={"perp": {"waterfall": []}},
        protocols={"v": {"kind": "vault", "deposits": 1000.0, "backs": "perp", "backstop_share": 0.5}},
        traders=[{"archetype": "directional", "venue": "perp", "size": {"fixed": 100.0}, "leverage": {"fixed": 1.0}},
                 {"archetype": "market_maker", "venue": "perp", "capital": 1e5}],
    )  # fmt: skip
    claims = ClaimValues(world)
    audit(world)
    state = world.state
    account = int(state.agents.account_start[world.agent_rows["v"]])
    trader = int(state.agents.account_start[world.agent_rows["directional"]])
    world.bookkeeper.transfer_balance(Cause.EXECUTION, np.array([account]), trader, 200.0)
    claims.solve()
    audit(world)
    assert values(world, "v") == pytest.approx((0.8, 0.8, 0.8))
    # Below zero the account costs the vault nothing more: 500 of cash are left.
    world.bookkeeper.transfer_balance(Cause.EXECUTION, np.array([account]), trader, 900.0)
    claims.solve()
    audit(world)
    assert values(world, "v") == pytest.approx((0.5, 0.5, 0.5))


@settings(max_examples=40, deadline=None)
@given(
    stolen=st.floats(0.0, 1.2e6), discount=st.floats(0.0, 1.0), from_b=st.floats(0.0, 3e5),
)  # fmt: skip
def test_values_are_ordered_and_nothing_is_lost_on_the_way(stolen, discount, from_b):
    world = chain()
    claims = ClaimValues(world)
    audit(world)
    taken = verbs.theft(world.bookkeeper, world.agent_rows["a"], stolen)
    taken += verbs.theft(world.bookkeeper, world.agent_rows["b"], from_b)
    world.state.assets.discount[world.state.assets.row("b")] = discount
    claims.solve()
    worth = audit(world)
    for name in "abcd":
        fundamental, redemption, market = values(world, name)
        assert 0.0 <= fundamental <= redemption + 1e-12
        assert market <= redemption
    # Issuers are worth nothing to themselves; what outside gained is what all others lost.
    assert np.abs(worth[1:6]).max() < 1e-6
    assert worth.sum() == pytest.approx(world.state.agents.opening.sum(), rel=1e-9)
    assert taken <= stolen + from_b + 1e-6


def test_ordered_and_cyclic_solvers_agree():
    """The same chain through the general solver."""
    world = chain()
    claims = ClaimValues(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 800_000.0)
    general = ClaimCycles(world, claims.claims, claims.issuers, claims.own_start, claims.own_accounts,
                          claims.customer_start, claims.customers, claims.faces)  # fmt: skip
    fundamental, redemption = general.solve()
    claims.solve()
    assets = world.state.assets
    np.testing.assert_allclose(assets.fundamental[claims.claims], fundamental, rtol=1e-12)
    np.testing.assert_allclose(assets.redemption[claims.claims], redemption, rtol=1e-12)


def test_solving_is_quick():
    nothing = ClaimValues(build())
    some = ClaimValues(chain())
    some.solve()
    best = {}
    for label, claims in (("nothing", nothing), ("some", some)):
        best[label] = min(_seconds(claims) for _ in range(5))
    assert best["nothing"] < 5e-6  # the aim is 1 us; slack for a busy machine
    assert best["some"] < 100e-6  # the aim is 20 us


def _seconds(claims, calls=200):
    start = time.perf_counter()
    for _ in range(calls):
        claims.solve()
    return (time.perf_counter() - start) / calls
