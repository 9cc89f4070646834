"""What must hold of every allocation, recomputed from state and ledger rows and not from what a layer says.

Payments and transfers are checked before they are carried out, takeover accounts after their venue's allocation, sums
and order at the end of the step. The first violation stops the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from contagion.allocation.funds import VenueEquity
from contagion.allocation.haircuts import OptimalHaircut, ProfitHaircut, VariationMarginHaircut, gains, uncut
from contagion.allocation.layer import Case, Layer, Payment, Transfer
from contagion.allocation.positions import AutoDeleverage, TearUp
from contagion.allocation.standing import (
    NEVER,
    ascending,
    equity_and_profit,
    first_above,
    first_no_candidate,
    first_unreachable,
    settle_price,
    settle_prices,
)
from contagion.allocation.transfers import contributions_of, means_of
from contagion.errors import InvariantError
from contagion.state.codes import Cause
from contagion.state.tables import State
from contagion.state.world import Venue, World

RELATIVE = 1e-9


@dataclass(slots=True)
class Used:
    """One use of a layer. USD for money, units for positions."""

    case: int  # allocations of one venue in one pass share a number
    venue: int
    round: int
    place: int  # of the layer in the waterfall
    taken: float
    spare: float  # what it could have taken more, of what was asked
    scale: float


@dataclass(slots=True)
class Evidence:
    """What the checks at the end of a step need; emptied when a step opens."""

    step: int = -1
    case: int = 0
    used: list[Used] = field(default_factory=list)
    by_lots: dict[int, float] = field(default_factory=dict)  # deficit id -> loss of its lots at bankruptcy price [USD]
    carried: dict[int, float] = field(default_factory=dict)  # deficit id -> borne in earlier steps [USD]
    gross: float = 0.0  # value that passed through the waterfalls in this step [USD]

    def open_step(self, step: int) -> None:
        if step != self.step:
            self.step, self.case, self.gross = step, 0, 0.0
            self.used.clear()
            self.by_lots.clear()

    def lots(self, world: World, instruments, units, prices, deficits) -> None:
        """Note many lots; those of no deficit are left out. Arrays of shape (n,)."""
        self.open_step(world.step)
        state, table = world.state, world.state.instruments
        settle = state.assets.fundamental[state.books.settle[table.book[instruments]]]
        loss = settle * units * (prices - table.value_price[instruments])
        some = deficits >= 0
        for deficit, amount in zip(deficits[some].tolist(), loss[some].tolist(), strict=True):
            self.by_lots[deficit] = self.by_lots.get(deficit, 0.0) + amount

    def lot(self, world: World, instrument: int, units: float, price: float, deficit: int) -> None:
        """Note a lot of a deficit at its bankruptcy price. [settlement asset per unit]"""
        self.open_step(world.step)
        gap = price - float(world.state.instruments.value_price[instrument])
        self.by_lots[deficit] = self.by_lots.get(deficit, 0.0) + settle_price(world.state, instrument) * units * gap


def check_payment(case: Case, place: int, layer: Layer, payment: Payment, evidence: Evidence) -> None:
    """Not above the need, the capacity, what each payer's rule allows and what it has.

    Raises
    ------
    InvariantError
        Names phase, step, round, agent and amount.
    """
    state, need, total = case.world.state, case.need, float(np.sum(payment.amounts))
    slack = RELATIVE * max(1.0, need)
    if not total <= need + slack:
        fail(case.world, case.venue.row, total - need, f"layer {place} collects more than the deficit left")
    if total > payment.capacity + slack:
        fail(case.world, case.venue.row, total - payment.capacity, f"layer {place} takes more than its capacity")
    if np.any(payment.amounts < 0.0) or not np.isfinite(total):
        fail(case.world, case.venue.row, float(np.min(payment.amounts)), f"layer {place} pays out")
    rows = payment.accounts if payment.accounts is not None else payment.agents
    if rows is not None and len(rows):
        payers, paid, allowed = _by_payer(np.asarray(rows), payment)
        owner_of = state.accounts.owner if payment.accounts is not None else None
        what = f"layer {place} takes more than the rule allows from a payer"
        _at_most(case.world, owner_of, payers, paid, allowed, what)
        if payment.accounts is not None:
            _check_accounts(case, place, layer, payers, paid)
        elif not payment.diluted:
            means = _means(state, case.venue, payers, payment.contributions)
            _at_most(case.world, None, payers, paid, means, f"layer {place} takes more than an agent has")
    if isinstance(layer, VenueEquity) and layer.limit is not None and case.borne + total > layer.limit + slack:
        fail(case.world, case.venue.row, case.borne + total - layer.limit, f"layer {place} goes beyond its tranche")
    spare = min(need, payment.capacity) - total
    evidence.gross += need
    evidence.used.append(
        Used(evidence.case, case.venue.row, case.world.bookkeeper.ledger.round, place, total, spare, max(1.0, need))
    )


def _check_accounts(case: Case, place: int, layer: Layer, accounts: np.ndarray, paid: np.ndarray) -> None:
    state, world = case.world.state, case.world
    owner, accounts_table = state.accounts.owner, state.accounts
    wrong = first_unreachable(
        accounts, paid, accounts_table.flags, NEVER, accounts_table.book, state.books.venue, case.venue.row
    )
    if wrong >= 0:
        who = int(owner[accounts[wrong]])
        fail(world, who, float(paid[wrong]), f"layer {place} charges an account it may not reach")
    equity, profit = equity_and_profit(state, accounts, case.index.workspace)
    _at_most(world, owner, accounts, paid, equity, f"layer {place} takes more than an account's equity")
    if isinstance(layer, ProfitHaircut) and layer.base == "window":
        profit += settle_prices(state)[accounts_table.book[accounts]] * accounts_table.realised[accounts]
    if isinstance(layer, ProfitHaircut | OptimalHaircut):
        profit = uncut(world, accounts, profit)
    if isinstance(layer, VariationMarginHaircut):
        profit = gains(world, case.memory, accounts)
    if isinstance(layer, ProfitHaircut | VariationMarginHaircut | OptimalHaircut):
        _at_most(world, owner, accounts, paid, profit, f"layer {place} cuts principal")


def check_transfer(case: Case, place: int, layer: Layer, item: Transfer, evidence: Evidence) -> None:
    """Not more units than the lots have; deleveraged accounts on the other side, solvent at the rule's price.

    Raises
    ------
    InvariantError
        Names phase, step, round, agent and amount.
    """
    world, state, lots = case.world, case.world.state, item.lots
    asked = float(np.abs(lots.units[item.chosen]).sum())
    filled = float(np.abs(item.units).sum())
    side = float(np.sign(lots.units[item.chosen][0]))
    if filled > asked * (1.0 + RELATIVE) or np.any(lots.units[item.chosen] * side <= 0.0):
        fail(world, case.venue.row, filled - asked, f"layer {place} passes on units that were not taken over")
    if isinstance(layer, AutoDeleverage | TearUp):
        account = state.positions.account[item.positions]
        equity, _ = equity_and_profit(state, account, case.index.workspace)
        row = first_no_candidate(
            item.positions, item.units, side, item.price, settle_price(state, lots.instrument), RELATIVE,
            state.positions.account, state.positions.units, state.accounts.flags, NEVER, lots.instrument,
            float(state.instruments.value_price[lots.instrument]), equity,
        )  # fmt: skip
        if row >= 0:
            who = int(state.accounts.owner[account[row]])
            fail(world, who, float(item.units[row]), f"layer {place} deleverages who is no candidate")
        _check_price(case, place, layer, item)
    spare = min(asked, item.available) - filled
    price = settle_price(state, lots.instrument) * float(state.instruments.value_price[lots.instrument])
    evidence.gross += price * filled
    evidence.used.append(
        Used(evidence.case, case.venue.row, world.bookkeeper.ledger.round, place, filled, spare, max(1.0, asked))
    )


def _check_price(case: Case, place: int, layer: AutoDeleverage | TearUp, item: Transfer) -> None:
    state, instrument = case.world.state, item.lots.instrument
    mark, size = float(state.instruments.value_price[instrument]), np.abs(item.lots.units[item.chosen])
    bankruptcy = item.lots.bankruptcy[item.chosen]
    if isinstance(layer, TearUp) or layer.price == "mark":
        expected = mark
    elif layer.price == "previous_mark":
        expected = float(case.previous_marks[instrument])
    else:
        far = np.abs(bankruptcy - mark) > layer.far * mark if layer.price == "bankruptcy_unless_far" else False
        expected = float(size @ np.where(far, mark, bankruptcy)) / float(size.sum())
    if abs(item.price - expected) > RELATIVE * abs(expected):
        fail(case.world, case.venue.row, item.price, f"layer {place} does not fill at the rule's price {expected:g}")


def check_losses(case: Case, place: int, item: Transfer, losses: float, expected: float) -> None:
    """Holders lost in a transfer what its price says. [USD]"""
    state, instrument = case.world.state, item.lots.instrument
    # Funding is in the price, which it can take below zero.
    gross = float(np.abs(item.units).sum()) * (abs(item.price) + abs(float(state.instruments.value_price[instrument])))
    if abs(losses - expected) > RELATIVE * max(1.0, settle_price(state, instrument) * gross):
        gap = losses - expected
        fail(case.world, case.venue.row, gap, f"layer {place} moves units at another price than the rule's")


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
    deficits, rows = world.bookkeeper.deficits, world.bookkeeper.ledger.rows_of_step()
    first = len(deficits)
    while first > 0 and deficits.step[first - 1] == world.step:
        first -= 1
    rows = rows[rows["cause"] == Cause.ALLOCATION]
    for outside in rows[(rows["payer"] == 0) | (rows["payee"] == 0)][:1]:
        fail(world, 0, float(outside["amount"]), "outside takes part in an allocation")
    venues = np.array([venue.row for venue in world.venues.values()])
    named = rows["deficit"] >= 0
    expected = np.array([*deficits.venue, 0], dtype=np.int64)[rows["deficit"][named]]
    for row in rows[named][rows["payee"][named] != expected][:1]:
        fail(world, int(row["payee"]), float(row["amount"]), "an allocation row pays another than the deficit's venue")
    for row in rows[~named][~np.isin(rows["payee"][~named], venues)][:1]:
        fail(world, int(row["payee"]), float(row["amount"]), "an allocation row does not pay a venue")
    sums = np.bincount(rows["deficit"][named], weights=rows["amount"][named], minlength=len(deficits))
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


def _means(state: State, venue: Venue, agents: np.ndarray, contributions: bool) -> np.ndarray:
    """What agents have in hand, or in the default fund. [USD]"""
    if contributions:
        left = dict(zip(*(column.tolist() for column in contributions_of(state, venue)), strict=True))
        return np.array([left.get(int(agent), 0.0) for agent in agents])
    return np.array([means_of(state, venue, int(agent)) for agent in agents])


def _by_payer(rows: np.ndarray, payment: Payment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each payer once, with what it pays in all and the most that the rule lets it pay."""
    if ascending(rows):
        return rows, payment.amounts, payment.limits
    payers, place_of = np.unique(rows, return_inverse=True)
    allowed = np.zeros(len(payers))
    np.maximum.at(allowed, place_of, payment.limits)
    return payers, np.bincount(place_of, weights=payment.amounts), allowed


def _at_most(world: World, owner_of, rows: np.ndarray, paid: np.ndarray, allowed: np.ndarray, what: str) -> None:
    """Payers are accounts where `owner_of` says whose they are, otherwise agents."""
    order = first_above(paid, allowed, RELATIVE)
    if order >= 0:
        agent = int(rows[order] if owner_of is None else owner_of[rows[order]])
        fail(world, agent, float(paid[order] - allowed[order]), what)


def fail(world: World, agent: int, amount: float, what: str, root: int = -1) -> NoReturn:
    deficits, ledger = world.bookkeeper.deficits, world.bookkeeper.ledger
    rounds = deficits.round[root] if root >= 0 else ledger.round
    name = world.state.agent_name(agent)
    raise InvariantError(f"phase allocate, step {ledger.step}, round {rounds}, agent {name}: {what} ({amount:g} USD)")
