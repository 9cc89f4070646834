"""What must hold of a payment or a transfer before it is carried out, recomputed from state and not from what is said.

The first violation stops the run.
"""

from __future__ import annotations

import numpy as np

from contagion.allocation.evidence import RELATIVE, Evidence, Used, fail
from contagion.allocation.funds import VenueEquity
from contagion.allocation.haircuts import OptimalHaircut, ProfitHaircut, VariationMarginHaircut, gains
from contagion.allocation.layer import Case, Layer, Payment, Transfer
from contagion.allocation.positions import AutoDeleverage, TearUp
from contagion.allocation.standing import (
    BEYOND_EQUITY,
    BEYOND_RULE,
    NEVER,
    OUT_OF_ORDER,
    PRINCIPAL,
    UNREACHABLE,
    first_above,
    first_fault,
    first_no_candidate,
    settle_price,
    settle_prices,
)
from contagion.allocation.transfers import contributions_of, means_of
from contagion.state.tables import State
from contagion.state.world import Venue, World


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
    if payment.accounts is not None and len(payment.accounts):
        _check_accounts(case, place, layer, payment)
    elif payment.agents is not None and len(payment.agents):
        agents, paid, allowed = _by_payer(np.asarray(payment.agents), payment)
        what = f"layer {place} takes more than the rule allows from a payer"
        _at_most(case.world, agents, paid, allowed, what)
        if not payment.diluted:
            means = _means(state, case.venue, agents, payment.contributions)
            _at_most(case.world, agents, paid, means, f"layer {place} takes more than an agent has")
    if isinstance(layer, VenueEquity) and layer.limit is not None and case.borne + total > layer.limit + slack:
        fail(case.world, case.venue.row, case.borne + total - layer.limit, f"layer {place} goes beyond its tranche")
    spare = min(need, payment.capacity) - total
    evidence.gross += need
    evidence.used.append(
        Used(evidence.case, case.venue.row, case.world.bookkeeper.ledger.round, place, total, spare, max(1.0, need))
    )


_WRONG = {
    BEYOND_RULE: "takes more than the rule allows from a payer",
    UNREACHABLE: "charges an account it may not reach",
    BEYOND_EQUITY: "takes more than an account's equity",
    PRINCIPAL: "cuts principal",
}


def _check_accounts(case: Case, place: int, layer: Layer, payment: Payment) -> None:
    accounts, paid, allowed = np.asarray(payment.accounts), payment.amounts, payment.limits
    wrong, row, most = _first_fault(case, layer, accounts, paid, allowed)
    if wrong == OUT_OF_ORDER:
        accounts, paid, allowed = _by_payer(accounts, payment)
        wrong, row, most = _first_fault(case, layer, accounts, paid, allowed)
    if wrong:
        owner = int(case.world.state.accounts.owner[accounts[row]])
        fail(case.world, owner, float(paid[row] - most), f"layer {place} {_WRONG[wrong]}")


def _first_fault(
    case: Case, layer: Layer, accounts: np.ndarray, paid: np.ndarray, allowed: np.ndarray
) -> tuple[int, int, float]:  # fmt: skip
    """What is wrong with the first payer with which something is, its place, and the most it may pay. [USD]"""
    state, world = case.world.state, case.world
    table, positions, instruments = state.accounts, state.positions, state.instruments
    window = isinstance(layer, ProfitHaircut) and layer.base == "window"
    of_interval = isinstance(layer, VariationMarginHaircut)
    of_profit = isinstance(layer, ProfitHaircut | OptimalHaircut)
    cut = world.waterfall.cut_profit
    return first_fault(
        accounts, paid, allowed, of_profit or of_interval,
        gains(world, case.memory, accounts) if of_interval else _NONE, table.realised if window else _NONE,
        cut if of_profit and cut is not None else _NONE, RELATIVE, table.flags, NEVER, table.book, state.books.venue,
        case.venue.row, table.start, table.balance, positions.instrument, positions.units, positions.entry,
        instruments.value_price, instruments.kind, settle_prices(state),
    )  # fmt: skip


_NONE = np.zeros(0)


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
        accounts, positions = state.accounts, state.positions
        row = first_no_candidate(
            item.positions, item.units, side, item.price, settle_price(state, lots.instrument), RELATIVE,
            positions.account, positions.units, accounts.flags, NEVER, accounts.start, accounts.balance,
            positions.instrument, state.instruments.value_price, lots.instrument,
        )  # fmt: skip
        if row >= 0:
            who = int(accounts.owner[positions.account[item.positions[row]]])
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


def _means(state: State, venue: Venue, agents: np.ndarray, contributions: bool) -> np.ndarray:
    """What agents have in hand, or in the default fund. [USD]"""
    if contributions:
        left = dict(zip(*(column.tolist() for column in contributions_of(state, venue)), strict=True))
        return np.array([left.get(int(agent), 0.0) for agent in agents])
    return np.array([means_of(state, venue, int(agent)) for agent in agents])


def _by_payer(rows: np.ndarray, payment: Payment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each payer once, with what it pays in all and the most that the rule lets it pay."""
    payers, place_of = np.unique(rows, return_inverse=True)
    allowed = np.zeros(len(payers))
    np.maximum.at(allowed, place_of, payment.limits)
    return payers, np.bincount(place_of, weights=payment.amounts), allowed


def _at_most(world: World, agents: np.ndarray, paid: np.ndarray, allowed: np.ndarray, what: str) -> None:
    order = first_above(paid, allowed, RELATIVE)
    if order >= 0:
        fail(world, int(agents[order]), float(paid[order] - allowed[order]), what)
