"""What must hold of the allocations of a step, recomputed from state and ledger rows and not from what a layer says.

Takeover accounts are checked after their venue's allocation, sums and order at the end of the step; payments and
transfers have been checked one by one (:mod:`contagion.allocation.payment_checks`). The first violation stops the run.
"""

from __future__ import annotations

import numpy as np

from contagion.allocation.evidence import RELATIVE, Evidence, Used, fail
from contagion.allocation.standing import equity_and_profit
from contagion.state.codes import Cause
from contagion.state.ledger import Part
from contagion.state.world import World


def check_allocation(world: World) -> None:
    """At the end of a step: every deficit is borne in full, once, by the first layers that could.

    Raises
    ------
    InvariantError
        Names phase, step, round, agent and amount.
    """
    roots, evidence = world.bookkeeper.deficits, world.waterfall.evidence
    rooted = len(roots) > 0 and roots.step[-1] == world.step
    if not rooted and evidence.step != world.step:
        return
    _check_rows(world, evidence)
    _check_order(world, evidence)


def _check_rows(world: World, evidence: Evidence) -> None:
    deficits = world.bookkeeper.deficits
    first = len(deficits)
    while first > 0 and deficits.step[first - 1] == world.step:
        first -= 1
    sums = np.zeros(len(deficits))
    for part in world.bookkeeper.ledger.parts_of_step(Cause.ALLOCATION):
        _check_parties(world, part)
        named = part["deficit"] >= 0
        sums += np.bincount(part["deficit"][named], weights=part["amount"][named], minlength=len(deficits))
    _check_carried(world, evidence, sums, first)
    rounding = 1e-13 * float(sums.sum())  # thousands of roots shared out together leave each that of their total
    seen = set()
    for root in range(first, len(deficits)):
        venue, account, amount = deficits.venue[root], deficits.account[root], deficits.amount[root]
        missing = float(sums[root]) + _carried(world, evidence, root, float(sums[root])) - amount
        if abs(missing) > RELATIVE * max(1.0, amount) + rounding:
            fail(world, venue, missing, f"deficit {root} of {amount:g} USD is not borne in full", root)
        gap = evidence.by_lots.get(root, amount) - amount
        if abs(gap) > RELATIVE * max(1.0, amount, evidence.gross):
            fail(world, venue, gap, f"deficit {root}: the bankruptcy prices of its lots do not give its amount", root)
        own = deficits.owner[root] == venue  # of its takeover account, or of collateral it sold from stock
        if account >= 0 and not own and (venue, account) in seen:
            fail(world, venue, amount, f"a second deficit of account {account} in one step", root)
        if not own:
            seen.add((venue, account))


def _check_parties(world: World, rows: Part) -> None:
    """Nobody outside takes part, and a row of a deficit pays that deficit's venue, any other row some venue."""
    payer, payee, named = rows["payer"], rows["payee"], rows["deficit"] >= 0
    venue_of = np.array([*world.bookkeeper.deficits.venue, -1], dtype=np.int64)
    is_venue = np.zeros(world.state.n_agents, np.bool_)
    is_venue[[venue.row for venue in world.venues.values()]] = True
    for wrong, agents, what in (
        ((payer == 0) | (payee == 0), np.minimum(payer, payee), "outside takes part in an allocation"),
        (
            named & (payee != venue_of[rows["deficit"]]), payee,
            "an allocation row pays another than the deficit's venue",
        ),
        (~named & ~is_venue[payee], payee, "an allocation row does not pay a venue"),
    ):
        for row in np.flatnonzero(wrong)[:1]:
            fail(world, int(agents[row]), float(rows["amount"][row]), what)


def _check_carried(world: World, evidence: Evidence, sums: np.ndarray, first: int) -> None:
    """Deficits of earlier steps: what was borne before, in this step, and what is still carried is their amount."""
    deficits = world.bookkeeper.deficits
    for root in np.flatnonzero(sums[:first]).tolist() if len(evidence.carried) else ():
        before = evidence.carried.pop(root, 0.0) + float(sums[root])
        missing = before + _carried(world, evidence, root, before) - deficits.amount[root]
        if abs(missing) > RELATIVE * max(1.0, deficits.amount[root]):
            fail(world, deficits.venue[root], missing, f"carried deficit {root} is not borne in full", root)
    closed = [root for root in evidence.carried if root < first and deficits.open[root] == 0.0]
    for root in closed:
        fail(world, deficits.venue[root], deficits.amount[root], f"carried deficit {root} was closed by nobody", root)


def _carried(world: World, evidence: Evidence, root: int, borne: float) -> float:
    """What is still open of a deficit, where its venue carries it. [USD]"""
    venue = world.bookkeeper.deficits.venue[root]
    if root not in world.waterfall.carried.get(venue, ()):
        return 0.0
    evidence.carried[root] = borne
    return world.bookkeeper.deficits.open[root]


def _check_order(world: World, evidence: Evidence) -> None:
    used = sorted(evidence.used, key=lambda item: (item.case, item.place))
    spare: dict[int, Used] = {}
    for item in used:
        earlier = spare.get(item.case)
        if earlier is not None and earlier.place < item.place and item.taken > RELATIVE * item.scale:
            what = f"layer {item.place} is used while layer {earlier.place} had capacity"
            fail(world, item.venue, earlier.spare, what)
        if item.spare > RELATIVE * item.scale and earlier is None:
            spare[item.case] = item


def check_takeover(world: World, account: int, evidence: Evidence, carried: float = 0.0) -> None:
    """After its venue's allocation a takeover account lacks nothing but deficits carried, and is empty if flat.

    Raises
    ------
    InvariantError
        Names phase, step, round, agent and amount.
    """
    state = world.state
    rows = slice(int(state.accounts.start[account]), int(state.accounts.start[account + 1]))
    equity = float(equity_and_profit(state, np.array([account]))[0][0])
    flat = not state.positions.units[rows].any()
    slack = RELATIVE * max(1.0, evidence.gross, float(np.abs(state.accounts.balance[account])))
    if equity < -carried - slack or (flat and carried == 0.0 and equity > slack):
        fail(world, int(state.accounts.owner[account]), equity, "a takeover account is left with equity")
