"""Every verb keeps every net worth explained, also when prices have moved since the last audit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import audit, build, chain, debt_of, positions_of, rows, set_price, simple_pool

from contagion.protocols import verbs
from contagion.protocols.claims import ClaimValues
from contagion.state.codes import Cause


def depositor_world():
    return build(
        protocols={"a": {"kind": "vault", "deposits": 1000.0, "holds": {"ETH": 500.0}}},
        traders=[{"archetype": "depositor", "venue": "a", "capital": 200.0, "wallet": 1.0}],
    )


def holding(world, owner, name):
    return world.bookkeeper.slot(world.agent_rows[owner], world.state.assets.row(name))


def test_issue_and_redeem_at_redemption_value():
    """1,200 units on 700 cash and 0.5 ETH. ETH doubles: 1.41667 a unit; 100 buy 70.588 units."""
    world = depositor_world()
    claims = ClaimValues(world)
    audit(world)
    set_price(world, "ETH", 2000.0)
    claims.solve()
    asset, depositor = world.state.assets.row("a"), world.agent_rows["depositor"]
    value = 1700 / 1200
    units = verbs.issue(world.bookkeeper, asset, depositor, 100.0)
    assert units == pytest.approx(100 / value)
    audit(world)
    row = holding(world, "depositor", "a")
    paid = verbs.redeem(world.bookkeeper, asset, np.array([row]), np.array([100.0]))
    assert paid == pytest.approx(100 * value)
    assert world.state.assets.supply[asset] == pytest.approx(1100 + 100 / value)
    claims.solve()
    audit(world)
    assert world.state.assets.fundamental[asset] == pytest.approx(value)
    assert rows(world, Cause.WITHDRAWAL) == [("a", "depositor:0", pytest.approx(100 * value))]


def test_leaving_at_par_takes_from_those_who_stay():
    """Redemption still shows 1 while 0.9 is there: each unit redeemed gives the leaver 0.1 of the others' money."""
    world = chain()
    claims = ClaimValues(world)
    audit(world)
    verbs.theft(world.bookkeeper, world.agent_rows["a"], 1_000_000.0)
    claims.solve()
    before = audit(world)
    asset = world.state.assets.row("c")
    fundamental = float(world.state.assets.fundamental[asset])
    row = holding(world, "d", "c")
    verbs.redeem(world.bookkeeper, asset, np.array([row]), np.array([100_000.0]))
    after_redeeming = world.state.agents.worth[world.agent_rows["c"]]
    assert after_redeeming == pytest.approx(-100_000 * (1 - fundamental))
    claims.solve()
    after = audit(world)
    assert after[world.agent_rows["c"]] == pytest.approx(0.0, abs=1e-6)
    # Outside holds c (1,000,000) and d (250,000): what d's holders gain the others of c lose.
    assert after[0] == pytest.approx(before[0])


def test_borrow_repay_and_collateral():
    world = simple_pool([0.5])
    books, state = world.bookkeeper, world.state
    borrower = world.agent_rows["borrower_0"]
    collateral, debt = positions_of(world, "borrower_0")
    set_price(world, "ETH", 1300.0)
    verbs.borrow(books, debt, 500.0)
    assert debt_of(world, "borrower_0")[1] == pytest.approx(5_500)
    verbs.post_collateral(books, collateral, -2.0)
    assert state.holdings.units[books.slot(borrower, state.assets.row("ETH"))] == pytest.approx(2.0)
    set_price(world, "ETH", 900.0)
    verbs.post_collateral(books, collateral, 1.0)
    verbs.repay(books, debt, 500.0)
    assert state.positions.units[collateral] == pytest.approx(9.0)
    audit(world)
    withdrawn = [amount for payer, _, amount in rows(world, Cause.WITHDRAWAL) if payer == "pool"]
    assert withdrawn[-2:] == pytest.approx([500.0, 2_600.0])


def test_write_off_reverses_limited_liability_and_opens_one_root():
    """The collateral falls to 3,000 against 8,000: limited liability, then a deficit of 8,000 - 3,000 / 1.05."""
    world = simple_pool([0.8])
    set_price(world, "ETH", 300.0)
    audit(world)
    collateral, debt = positions_of(world, "borrower_0")
    keeper = world.agent_rows["keeper"]
    verbs.cover(world.bookkeeper, debt, keeper, 3_000 / 1.05)
    verbs.seize_and_sell(world.bookkeeper, collateral, keeper, 10.0, 300.0)
    audit(world)
    account = int(world.state.positions.account[debt])
    root = verbs.write_off(world.bookkeeper, account)
    audit(world)
    assert world.bookkeeper.deficits.amount[root] == pytest.approx(8_000 - 3_000 / 1.05)
    carried = sum(
        amount if payer == "pool" else -amount for payer, _, amount in rows(world, Cause.LIMITED_LIABILITY)
    )  # fmt: skip
    assert carried == pytest.approx(0.0, abs=1e-6)
    assert len(rows(world, Cause.DEFICIT)) == 1
    debt_row = world.state.instruments.names.index("pool:USD")
    assert world.state.instruments.customer_units[debt_row] == 0.0


def test_theft_leaves_customers_collateral():
    """The pool has 996,000 of cash of its own beside 20 ETH in custody: no more can be stolen than that."""
    world = simple_pool([0.2, 0.2])
    row = world.agent_rows["pool"]
    assert verbs.theft(world.bookkeeper, row, 5e6) == pytest.approx(1e6 - 4_000)
    ClaimValues(world).solve()
    audit(world)
    assert world.state.assets.fundamental[world.state.assets.row("pool")] == pytest.approx(4_000 / 1e6)
    world = depositor_world()
    assert verbs.theft(world.bookkeeper, world.agent_rows["a"], 900.0) == pytest.approx(900.0)
    ClaimValues(world).solve()
    audit(world)
    eth = world.state.holdings.units[holding(world, "a", "ETH")]
    assert eth == pytest.approx(0.5 - 0.2)  # 700 of cash, then 200 of ETH


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["borrow", "repay", "collateral", "seize", "issue", "redeem", "theft", "price", "solve"]),
        st.floats(0.01, 0.99),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(operations=OPERATIONS)
def test_any_sequence_of_verbs_is_explained_by_its_rows(operations):
    depositor = {"archetype": "depositor", "venue": "pool", "capital": 1000.0, "wallet": 1.0}
    world = simple_pool([0.5, 0.7], traders=[depositor])
    books, state = world.bookkeeper, world.state
    claims, asset = ClaimValues(world), state.assets.row("pool")
    collateral, debt = positions_of(world, "borrower_0")
    borrower, pool = world.agent_rows["borrower_0"], world.agent_rows["pool"]
    row = holding(world, "depositor", "pool")
    for name, share in operations:
        owed = debt_of(world, "borrower_0")[1]
        if name == "borrow":
            verbs.borrow(books, debt, share * 100)
        elif name == "repay":
            verbs.repay(books, debt, share * min(owed, state.agents.cash[borrower]))
        elif name == "collateral":
            verbs.post_collateral(books, collateral, -share * state.positions.units[collateral])
        elif name == "seize":
            keeper, units = world.agent_rows["keeper"], share * float(state.positions.units[collateral])
            verbs.cover(books, debt, keeper, share * owed)
            verbs.seize_and_sell(books, collateral, keeper, units, 900.0)
        elif name == "issue":
            verbs.issue(books, asset, world.agent_rows["depositor"], share * 10)
        elif name == "redeem":
            verbs.redeem(books, asset, np.array([row]), share * state.holdings.units[[row]])
        elif name == "theft":
            verbs.theft(books, pool, share * 1000)
        elif name == "price":
            set_price(world, "ETH", 500 + 1000 * share)
        else:
            claims.solve()
    audit(world)
