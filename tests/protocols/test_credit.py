"""Due credit: clearing vectors by hand, booked once, and what defaults cost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import audit, build, rows

from contagion.protocols.credit import Credit
from contagion.state.codes import Cause


def firms(cash, loans, **credit):
    """Agents n0, n1, ... with cash; loans (lender, borrower, amount, due)."""
    traders = [
        {"archetype": "passive", "name": f"n{order}", "venue": "v", "capital": 1.0} for order in range(len(cash))
    ]
    listed = [{"lender": f"n{a}", "borrower": f"n{b}", "amount": x, "due": t} for a, b, x, t in loans]
    world = build(protocols={"v": {"kind": "vault", "deposits": 1.0}}, traders=traders,
                  credit={"loans": listed} | credit)  # fmt: skip
    for order, amount in enumerate(cash):
        row = world.agent_rows[f"n{order}"]
        world.state.agents.worth[row] += amount - world.state.agents.cash[row]
        world.state.agents.cash[row] = amount
    audit(world)
    return world


def cash_of(world, count):
    return [float(world.state.agents.cash[world.agent_rows[f"n{order}"]]) for order in range(count)]


def test_mutual_loans_clear_together():
    """n0 owes n1 8, n1 owes n0 6, one of cash each: n1 pays 6 and n0, with 1 + 6, pays 7 of 8 (Eisenberg-Noe)."""
    world = firms([1.0, 1.0], [(1, 0, 8.0, 3), (0, 1, 6.0, 3)])
    credit = Credit(world)
    assert not credit.settle(final=True)
    world.step = 3
    assert not credit.settle(final=False)
    assert credit.clearing.payments == pytest.approx([7.0, 6.0])
    assert world.state.loans.face.tolist() == [8.0, 6.0]
    assert credit.settle(final=True)
    audit(world)
    assert cash_of(world, 2) == pytest.approx([0.0, 2.0])
    assert rows(world, Cause.FORGIVEN_DEBT) == [("n1:0", "n0:0", pytest.approx(1.0))]
    assert rows(world, Cause.DEFAULT_COST) == []
    status = world.state.agents.status
    assert (status[world.agent_rows["n0"]] & 1, status[world.agent_rows["n1"]] & 1) == (1, 0)
    assert not credit.settle(final=True)
    assert not world.state.loans.face.any()


def test_default_costs_leave_the_system():
    """Rogers-Veraart, alpha = beta = 0.5: n0 has 4 and owes n1 10, so pays 2; n1 gets 2, has 1, owes 4: pays 1.5."""
    world = firms([4.0, 1.0, 0.0], [(1, 0, 10.0, 2), (2, 1, 4.0, 2)], recovery_cash=0.5, recovery_claims=0.5)
    world.step = 2
    assert Credit(world).settle(final=True)
    audit(world)
    assert cash_of(world, 3) == pytest.approx([0.0, 0.0, 1.5])
    costs = {payer: amount for payer, _, amount in rows(world, Cause.DEFAULT_COST)}
    assert costs == pytest.approx({"n0:0": 2.0, "n1:0": 1.5})
    assert sum(amount for _, _, amount in rows(world, Cause.FORGIVEN_DEBT)) == pytest.approx(8.0 + 2.5)


def test_exchange_does_not_pay_its_debts_from_custody():
    """The exchange holds 1,000 of customers and 50 of its own; of 200 that are due it pays 50."""
    world = build(
        exchanges={"perp": {"waterfall": [], "equity": 50.0, "insurance_fund": {"size": 0.0}}},
        traders=[{"archetype": "market_maker", "name": "lender", "venue": "perp", "capital": 1000.0}],
        credit={"loans": [{"lender": "lender", "borrower": "perp", "amount": 200.0, "due": 1}]},
    )
    audit(world)
    world.step = 1
    assert Credit(world).settle(final=True)
    audit(world)
    assert world.state.agents.cash[world.agent_rows["perp"]] == pytest.approx(1000.0)
    assert world.counters["loans_unpaid"] == pytest.approx(150.0)


@pytest.mark.parametrize(
    ("cash", "face", "kept"),
    [(1e7, [2e7, 2e7, 2e7], 0.7), (7.0, [28.0, 9.31, 9.31, 9.38], 0.9), (13.0, [52.0, 17.29, 17.29, 17.42], 0.7)],
)
def test_the_rounding_of_payments_leaves_no_cash_below_zero(cash, face, kept):
    """What leaves in a default is what the payments left, to the last bit: their sum differs from it by rounding."""
    loans = [(order, 0, amount, 1) for order, amount in enumerate(face, start=1)]
    world = firms([cash] + [0.0] * len(face), loans, recovery_cash=kept, recovery_claims=kept)
    world.step = 1
    assert Credit(world).settle(final=True)
    audit(world)
    assert cash_of(world, 1) == [0.0]
    ((_, _, cost),) = rows(world, Cause.DEFAULT_COST)
    assert cost == pytest.approx((1 - kept) * cash)


@settings(max_examples=40, deadline=None)
@given(
    cash=st.lists(st.floats(0.0, 10.0), min_size=2, max_size=5),
    seed=st.integers(0, 2**32 - 1), alpha=st.floats(0.0, 1.0), beta=st.floats(0.0, 1.0),
)  # fmt: skip
def test_clearing_conserves_and_respects_limits(cash, seed, alpha, beta):
    rng = np.random.default_rng(seed)
    n = len(cash)
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b and rng.random() < 0.6]
    loans = [(a, b, float(rng.uniform(0.1, 10.0)), 1) for a, b in pairs]
    world = firms(cash, loans, recovery_cash=alpha, recovery_claims=beta)
    world.step = 1
    Credit(world).settle(final=True)
    audit(world)
    after = cash_of(world, n)
    assert min(after) >= -1e-9
    costs = sum(amount for _, _, amount in rows(world, Cause.DEFAULT_COST))
    assert sum(after) + costs == pytest.approx(sum(cash), abs=1e-9)
    # Who forgave nothing was paid in full; who was forgiven has nothing left.
    for _, borrower, amount in rows(world, Cause.FORGIVEN_DEBT):
        if amount > 1e-9:
            assert after[int(borrower[1])] == pytest.approx(0.0, abs=1e-9)


def test_no_credit_costs_nothing():
    credit = Credit(build())
    best = min(_seconds(credit) for _ in range(5))
    assert best < 2e-6  # the aim is 0.3 us; slack for a busy machine


def _seconds(credit, calls=1000):
    start = time.perf_counter()
    for _ in range(calls):
        credit.settle(False)
    return (time.perf_counter() - start) / calls
