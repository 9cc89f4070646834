"""Withdrawals: who takes fright, in which order they are paid, how vaults raise cash, and when venues stop paying."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import ILLIQUID, audit, build, chain, positions_of, rows, simple_pool

from contagion.protocols import verbs
from contagion.protocols.claims import ClaimValues
from contagion.protocols.runs import Runs
from contagion.state.codes import Cause


def held(world, owner, name):
    row = world.bookkeeper.slot(world.agent_rows[owner], world.state.assets.row(name))
    return float(world.state.holdings.units[row])


def pay_step(world, runs, claims, step):
    world.step = step
    world.step_counters.clear()
    paid = runs.run()
    claims.solve()
    audit(world)
    return paid


def vault(depositors, deposits=0.0, **spec):
    traders = [
        {"archetype": "depositor", "name": f"d{order}", "venue": "a", "capital": 100.0,
         "parameters": {"tolerance": 0.05, "fraction": 1.0, "delay": 0} | extra}
        for order, extra in enumerate(depositors)
    ]  # fmt: skip
    return build(protocols={"a": {"kind": "vault", "deposits": deposits} | spec}, traders=traders)


def test_calm_depositors_stay():
    world = vault([{"tolerance": 0.25}, {"tolerance": 0.25}])
    claims, runs = ClaimValues(world), Runs(world)
    assert not pay_step(world, runs, claims, 1)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 50.0)  # a loss of exactly the tolerance
    claims.solve()
    assert not pay_step(world, runs, claims, 2)
    assert rows(world, Cause.WITHDRAWAL) == []


def test_a_loss_beyond_tolerance_empties_the_vault():
    world = vault([{}, {}])
    claims, runs = ClaimValues(world), Runs(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 11.0)
    claims.solve()
    assert pay_step(world, runs, claims, 1)
    assert sum(amount for _, _, amount in rows(world, Cause.WITHDRAWAL)) == pytest.approx(189.0)
    assert held(world, "d0", "a") == held(world, "d1", "a") == 0.0
    assert world.counters["withdrawals_asked"] == pytest.approx(189.0)
    assert world.counters["withdrawals_paid"] == pytest.approx(189.0)
    assert world.state.agents.cash[world.agent_rows["a"]] == pytest.approx(0.0)


def test_delay_and_fraction():
    world = vault([{"delay": 2, "fraction": 0.5}])
    claims, runs = ClaimValues(world), Runs(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 20.0)
    claims.solve()
    for step, left in ((1, 100.0), (2, 100.0), (3, 50.0), (4, 25.0)):
        pay_step(world, runs, claims, step)
        assert held(world, "d0", "a") == pytest.approx(left)


def illiquid_pool(depositors, liquid):
    """A pool with cash of `liquid` after 900 were borrowed; holders fear utilisation above 90%."""
    traders = [
        {"archetype": "depositor", "name": f"d{order}", "venue": "pool", "capital": 1000.0,
         "parameters": {"utilisation": 0.9, "fraction": 1.0, "delay": 0} | extra}
        for order, extra in enumerate(depositors)
    ]  # fmt: skip
    lent = 1000.0 * len(depositors) - liquid
    world = simple_pool([lent / 10_000.0], traders=traders, pool={"supplied": 0.0})
    # The supply outside the model, none, plus the depositors'.
    assert world.state.agents.cash[world.agent_rows["pool"]] == pytest.approx(liquid)
    return world


def test_first_come_first_served_until_the_cash_is_gone():
    """Faster depositors are paid first, the marginal one in part, the rest waits; the pool is illiquid."""
    world = illiquid_pool([{"delay": 1}, {"delay": 0}], 180.0)
    claims, runs = ClaimValues(world), Runs(world)
    audit(world)
    assert pay_step(world, runs, claims, 1)
    assert held(world, "d1", "pool") == pytest.approx(820.0)
    assert held(world, "d0", "pool") == pytest.approx(1000.0)
    assert not pay_step(world, runs, claims, 2)
    assert world.counters["withdrawals_queued"] == pytest.approx(1_820.0)
    assert world.state.agents.status[world.agent_rows["pool"]] & ILLIQUID
    # The borrower repays 1,000: the earlier request is paid in full before the later one gets what is left.
    verbs.repay(world.bookkeeper, positions_of(world, "borrower_0")[1], 1_000.0)
    assert pay_step(world, runs, claims, 3)
    assert held(world, "d1", "pool") == 0.0
    assert held(world, "d0", "pool") == pytest.approx(820.0)
    assert world.counters["withdrawals_asked"] == pytest.approx(2_000.0)


def test_of_those_who_ask_in_one_step_the_faster_is_paid():
    """d0 takes fright first but reacts a step later than d1; 100 are left when both ask."""
    for seed in range(4):  # whatever the hash says
        terms = {"utilisation": 1.0, "fraction": 1.0}
        traders = [
            {"archetype": "depositor", "name": name, "venue": "pool", "capital": 1000.0, "parameters": terms | extra}
            for name, extra in (("d0", {"tolerance": 0.1, "delay": 1}), ("d1", {"tolerance": 0.18, "delay": 0}))
        ]
        world = simple_pool([0.15], traders=traders, pool={"supplied": 0.0}, seed=seed)
        claims, runs = ClaimValues(world), Runs(world)
        audit(world)
        for step, stolen in ((1, 300.0), (2, 100.0)):
            verbs.theft(world.bookkeeper, world.agent_rows["pool"], stolen)
            claims.solve()
            pay_step(world, runs, claims, step)
        assert world.state.agents.cash[world.agent_rows["d0"]] == 0.0
        assert world.state.agents.cash[world.agent_rows["d1"]] == pytest.approx(100.0)


def test_equals_are_ordered_by_hash_not_by_row():
    """The same depositors in another order: the same names are paid."""
    first = {}
    for order in ([0, 1, 2], [2, 0, 1]):
        traders = [
            {"archetype": "depositor", "name": f"d{name}", "venue": "pool", "capital": 1000.0,
             "parameters": {"utilisation": 0.9, "fraction": 1.0}} for name in order
        ]  # fmt: skip
        world = simple_pool([0.28], traders=traders, pool={"supplied": 0.0})
        claims, runs = ClaimValues(world), Runs(world)
        audit(world)
        pay_step(world, runs, claims, 1)
        first[tuple(order)] = {f"d{name}": round(held(world, f"d{name}", "pool"), 6) for name in order}
    assert first[0, 1, 2] == first[2, 0, 1]
    assert sorted(first[0, 1, 2].values()) == [800.0, 1000.0, 1000.0]


def test_leaving_at_par_is_counted():
    """c shows 1.0 while its collateral is short by 35,000: 10,000 redeemed take 10,000 x 3.18% from those who stay."""
    world = chain(traders=[{"archetype": "depositor", "venue": "c", "capital": 10_000.0,
                            "parameters": {"rumour": 1.0, "tolerance": 0.04, "fraction": 1.0}}])  # fmt: skip
    claims, runs = ClaimValues(world), Runs(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 1_000_000.0)
    claims.solve()
    # Rumour: c has 100,000 of b, which lost 60%, over liabilities of 1,110,000: 5.4%, although c itself lost nothing.
    assert pay_step(world, runs, claims, 1)
    assert held(world, "depositor", "c") == 0.0
    assert world.counters["left_at_par"] == pytest.approx(10_000 * 35_000 / 1_110_000)


def test_deaf_depositors_do_not_hear_rumours():
    world = chain(traders=[{"archetype": "depositor", "venue": "c", "capital": 10_000.0,
                            "parameters": {"rumour": 0.0, "tolerance": 0.04, "fraction": 1.0}}])  # fmt: skip
    claims, runs = ClaimValues(world), Runs(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 1_000_000.0)
    claims.solve()
    pay_step(world, runs, claims, 1)
    assert held(world, "depositor", "c") == 10_000.0


def test_vault_redeems_what_it_holds_and_sells_assets_to_pay():
    """b: 100 from a depositor and nothing else, 60 of it in a, 30 in ETH; a is stolen 6% of."""
    world = build(
        protocols={
            "a": {"kind": "vault", "deposits": 940.0},
            "b": {"kind": "vault", "deposits": 0.0, "holds": {"a": 60.0, "ETH": 30.0}},
        },
        traders=[{"archetype": "depositor", "venue": "b", "capital": 100.0,
                  "parameters": {"tolerance": 0.03, "fraction": 1.0}}],
    )  # fmt: skip
    claims, runs = ClaimValues(world), Runs(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 60.0)
    claims.solve()  # a 0.94, b 0.964
    assert pay_step(world, runs, claims, 1)
    assert held(world, "depositor", "b") == 0.0
    assert world.state.agents.cash[world.agent_rows["depositor"]] == pytest.approx(96.4)
    assert held(world, "b", "a") == pytest.approx(0.0)
    assert held(world, "b", "ETH") == pytest.approx(0.0)
    assert rows(world, Cause.SPOT_SALE) == [("outside", "b", pytest.approx(30.0))]


def test_vault_withdraws_free_margin_from_the_exchange_it_backs():
    world = build(
        exchanges={"perp": {"waterfall": []}},
        protocols={"v": {"kind": "vault", "deposits": 900.0, "backs": "perp", "backstop_share": 0.8}},
        traders=[{"archetype": "market_maker", "venue": "perp", "capital": 1e5}],
        dt="1h",
    )
    claims, runs = ClaimValues(world), Runs(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["v"], 90.0)  # 90 of cash left, 720 at the exchange
    claims.solve()
    pay_step(world, runs, claims, 1)  # outside takes fright
    assert pay_step(world, runs, claims, 2)  # and asks half of 810 back
    assert world.state.assets.supply[world.state.assets.row("v")] == pytest.approx(450.0)
    account = int(world.state.agents.account_start[world.agent_rows["v"]])
    assert world.state.accounts.balance[account] == pytest.approx(720 - (405 - 90))


def test_halted_vault_pays_nobody():
    world = vault([{}], redemption="halted")
    claims, runs = ClaimValues(world), Runs(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 50.0)
    claims.solve()
    assert not pay_step(world, runs, claims, 1)
    assert world.state.agents.status[world.agent_rows["a"]] & ILLIQUID
    assert world.counters["withdrawals_queued"] == pytest.approx(50.0)


@settings(max_examples=30, deadline=None)
@given(
    stolen=st.floats(0.0, 1e6), fractions=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4),
    tolerance=st.floats(0.0, 0.2), liquid=st.floats(0.0, 1.0),
)  # fmt: skip
def test_runs_conserve_and_nobody_is_paid_from_nothing(stolen, fractions, tolerance, liquid):
    traders = [
        {"archetype": "depositor", "name": f"d{order}", "venue": ["a", "c", "d"], "capital": 30_000.0,
         "parameters": {"tolerance": tolerance, "fraction": fraction, "delay": order % 2}}
        for order, fraction in enumerate(fractions)
    ]  # fmt: skip
    world = chain(traders=traders)
    claims, runs = ClaimValues(world), Runs(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], stolen)
    verbs.theft(world.bookkeeper, world.agent_rows["c"], liquid * 1e6)
    claims.solve()
    for step in range(1, 6):
        pay_step(world, runs, claims, step)
        assert (world.state.agents.cash[1:] >= -1e-6).all()
        assert (world.state.holdings.units >= -1e-9).all()
    paid, asked = (world.counters.get(f"withdrawals_{what}", 0.0) for what in ("paid", "asked"))
    assert paid <= asked * (1 + 1e-9) + 1e-6


def test_quiet_runs_are_quick():
    nothing, calm = Runs(build()), Runs(chain())
    best = {}
    for label, runs in (("nothing", nothing), ("calm", calm)):
        best[label] = min(_seconds(runs) for _ in range(5))
    assert best["nothing"] < 5e-6
    assert best["calm"] < 200e-6


def _seconds(runs, calls=100):
    start = time.perf_counter()
    for step in range(calls):
        runs.world.step = step
        runs.run()
    return (time.perf_counter() - start) / calls
