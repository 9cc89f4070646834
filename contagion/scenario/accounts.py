"""Accounts and positions at the opening: sides, sizes, leverage, margin, and makers who absorb the imbalance."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.margin.initial import dearer_rates, initial_terms
from contagion.scenario.layout import Layout
from contagion.scenario.plans import Plan, distribution, sizes
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import Accounts, Agents, Books, Instruments, Makers, Positions
from contagion.streams import Streams

INITIAL_SLACK = 1.05
"""Nobody opens with less than this multiple of initial margin, or borrows more than 1 / this of the limit."""

BORROWER_LEVERAGE = {"lognormal": [1.65, 0.15]}
"""Collateral over equity where a group states none: wallets hold 1.4 to 1.9 (Heimbach and Huang, BIS WP 1171)."""

DEPTH_OF_CAPITAL = 0.05
"""Depth a maker quotes for a 1% move, all its contracts together, over its capital, where none is given (assumed)."""


def open_positions(
    plan: Plan, layout: Layout, accounts: Accounts, positions: Positions, agents: Agents, streams: Streams
) -> None:
    """Positions, balances and wallets of a group that trades contracts.

    Equity at the opening is notional / leverage; what entry prices away from the opening price make of it is profit
    that is already in that equity (net deposits are equity less profit).
    """
    per_member, n = len(plan.instruments), plan.count
    if not per_member:
        return
    notional, leverage = _notional_and_leverage(plan, streams)
    # A hedger is short contracts against spot in its own hands.
    long_share = 0.0 if plan.role == "hedger" else plan.spec.long_share
    side = np.where(plan.draw(streams, "side") < long_share, 1.0, -1.0)
    rows = np.array(plan.instruments)
    share = np.array(plan.weights)
    usd = notional[:, None] * share
    settle = layout.books.settle[layout.instruments.book[rows]]
    settle_price = layout.assets.index[settle]
    mark = layout.instruments.mark[rows]
    per_usd = layout.instruments.sign[rows] / (mark * settle_price)
    units = usd * per_usd * side[:, None]
    initial = usd * _initial_rates(layout.instruments, rows, usd / settle_price)
    starts = np.flatnonzero(np.diff(plan.account_of, prepend=-1))
    posted = posted_shares(plan, layout)
    counted = 1.0 - np.add.reduceat(posted * (1.0 - layout.instruments.haircut_value[rows]), starts)
    equity = np.maximum(
        np.add.reduceat(usd, starts, axis=1) / leverage[:, None],
        INITIAL_SLACK * np.add.reduceat(initial, starts, axis=1) / counted,
    )
    if posted.any():
        units = units + posted * equity[:, plan.account_of] / (mark * settle_price)
    account_settle = settle_price[starts]
    price = layout.instruments.value_price[rows]
    value = np.add.reduceat(units * price, starts, axis=1)
    accounts.balance[plan.accounts] = (equity / account_settle - value).ravel()
    entry = _entry_prices(plan, layout, rows, price, streams)
    profit = np.add.reduceat(units * (price - entry), starts, axis=1)
    accounts.deposits[plan.accounts] = (equity / account_settle - profit).ravel()
    accounts.value[plan.accounts] = equity.ravel()
    positions.units[plan.positions] = units.ravel()
    positions.entry[plan.positions] = np.broadcast_to(entry, (n, per_member)).ravel()
    agents.cash[plan.agents] += plan.spec.wallet * equity.sum(axis=1)


def posted_shares(plan: Plan, layout: Layout) -> np.ndarray:
    """Share of its account's margin that each position of a member is, zero for contracts. Shape (n_positions,)."""
    names = {row: asset for (_, asset), row in layout.collateral_rows.items()}
    return np.array([plan.spec.posts.get(names.get(row, ""), 0.0) for row in plan.instruments])


def _notional_and_leverage(plan: Plan, streams: Streams) -> tuple[np.ndarray, np.ndarray]:
    given = plan.spec.leverage or {"fixed": 1.0}
    leverage = distribution(f"{plan.where}.leverage", given, plan, streams, "leverage")
    if not (leverage > 0.0).all():
        raise InputError(f"{plan.where}.leverage", given, "numbers above 0")
    notional = sizes(plan, streams)
    if notional is None:
        if plan.spec.capital == 0.0:
            raise InputError(f"{plan.where}.size", {}, "a size, or a capital that is traded with the leverage")
        notional = plan.spec.capital * leverage
    return notional, leverage


def _initial_rates(instruments: Instruments, rows: np.ndarray, notional: np.ndarray) -> np.ndarray:
    """Initial margin rate of each notional [settlement asset] on its dearer side, shape of `notional`."""
    return dearer_rates(np.ascontiguousarray(notional), rows, initial_terms(instruments, np.zeros((0, 4))))


def _entry_prices(plan: Plan, layout: Layout, rows: np.ndarray, price: np.ndarray, streams: Streams) -> np.ndarray:
    """Entry prices in settlement asset per unit; lognormal about the opening price where `entry_spread` is given."""
    spread = getattr(plan.rule, "entry_spread", 0.0)
    if not spread:
        return price
    from scipy.special import ndtri

    away = np.exp(spread * ndtri(plan.draw(streams, "entry")))[:, None]
    return price * away ** layout.instruments.sign[rows]


def open_loans(
    plan: Plan, layout: Layout, accounts: Accounts, positions: Positions, agents: Agents, streams: Streams
) -> None:
    """Collateral and debt of a group of borrowers.

    Size is the value of the collateral; debt over it is `ltv`, or 1 - 1 / leverage.
    """
    values = sizes(plan, streams)
    if values is None:
        if plan.spec.capital == 0.0:
            raise InputError(f"{plan.where}.size", {}, "a size: the value of the collateral")
        values = np.full(plan.count, plan.spec.capital)
    if plan.rule.ltv is not None:
        ltv = np.full(plan.count, plan.rule.ltv)
    else:
        given = plan.spec.leverage or BORROWER_LEVERAGE
        leverage = distribution(f"{plan.where}.leverage", given, plan, streams, "leverage")
        ltv = np.maximum(0.0, 1.0 - 1.0 / np.maximum(leverage, 1.0))
    instruments, rows = layout.instruments, np.array(plan.instruments)
    collateral = values[:, None] * np.array(plan.weights)
    units = collateral / instruments.mark[rows]
    starts = np.flatnonzero(np.diff(plan.account_of, prepend=-1))
    own = np.add.reduceat(collateral, starts, axis=1)
    limit = np.add.reduceat(collateral * (1.0 - instruments.tier_initial[instruments.tier_start[rows]]), starts, axis=1)
    debt = np.minimum(ltv[:, None] * own, limit / INITIAL_SLACK)
    ends = np.append(starts[1:], len(rows)) - 1
    units[:, ends] = -debt / instruments.mark[rows[ends]]
    accounts.value[plan.accounts] = (own - debt).ravel()
    accounts.deposits[plan.accounts] = (own - debt).ravel()
    positions.units[plan.positions] = units.ravel()
    positions.entry[plan.positions] = np.tile(instruments.mark[rows], plan.count)
    agents.cash[plan.agents] += plan.spec.wallet * own.sum(axis=1)


def fund_makers(plan: Plan, layout: Layout, accounts: Accounts, agents: Agents) -> None:
    """Capital of market makers, spread evenly over their accounts; their positions come from the imbalance."""
    share = plan.spec.capital / max(len(plan.books), 1)
    settle = layout.assets.index[layout.books.settle[plan.books]]
    equity = np.full(len(plan.books), share)
    accounts.balance[plan.accounts] = np.tile(equity / settle, plan.count)
    accounts.deposits[plan.accounts] = accounts.balance[plan.accounts]
    accounts.value[plan.accounts] = np.tile(equity, plan.count)
    accounts.flags[plan.accounts] |= np.uint8(AccountFlag.MAKER)
    agents.cash[plan.agents] += plan.spec.wallet * plan.spec.capital


def quotes(plans: list[Plan]) -> Makers:
    """One quote per maker and contract; quoted depth and inventory limits by the archetype's parameters."""
    columns: list[list[np.ndarray]] = [[] for _ in range(6)]
    for plan in (plan for plan in plans if plan.role == "market_maker"):
        per_member = len(plan.instruments)
        shape = (plan.count, per_member)
        depth = plan.rule.depth
        if depth is None:
            depth = DEPTH_OF_CAPITAL * plan.spec.capital / max(per_member, 1)
        limit = plan.rule.inventory_limit * plan.spec.capital
        position = np.arange(plan.positions.start, plan.positions.stop)
        per_account = np.array(plan.account_of)
        account = plan.accounts.start + np.arange(plan.count)[:, None] * len(plan.books) + per_account
        for column, value in zip(
            columns,
            (position, np.broadcast_to(plan.instruments, shape), account, np.full(shape, float(depth)),
             np.full(shape, plan.spec.capital), np.full(shape, limit)),
            strict=True,
        ):  # fmt: skip
            column.append(np.asarray(value).ravel())
    position, instrument, account, depth, capital, limit = (
        np.concatenate(column) if column else np.zeros(0, dtype)
        for column, dtype in zip(columns, (int, int, int, float, float, float), strict=True)
    )
    return Makers(position, instrument, account, depth, depth.copy(), capital, limit, np.zeros(len(position)))


def absorb_imbalance(
    layout: Layout, makers: Makers, accounts: Accounts, positions: Positions
) -> list[str]:
    """Give each contract's imbalance to its makers, pro rata to capital, so that its units add up to zero.

    Returns
    -------
    list of str
        What a reader must know: makers that open above their inventory limit.

    Raises
    ------
    InputError
        A contract with traders has no maker, or its makers open below initial margin.
    """
    instruments, notes = layout.instruments, []
    gross = np.bincount(positions.instrument, weights=np.abs(positions.units), minlength=len(instruments.names))
    net = np.bincount(positions.instrument, weights=positions.units, minlength=len(instruments.names))
    for row in np.flatnonzero(contracts(instruments)):
        if gross[row] == 0.0:
            continue
        quote = np.flatnonzero(makers.instrument == row)
        if not len(quote) or makers.base_depth[quote].sum() <= 0.0 or makers.capital[quote].sum() <= 0.0:
            raise InputError(
                f"exchanges.{instruments.names[row].replace(':', '.contracts.')}", "zero initial depth",
                "a market_maker group at this venue with capital and depth, wherever somebody trades",
            )  # fmt: skip
        share = makers.capital[quote] / makers.capital[quote].sum()
        taken = -net[row] * share
        taken[-1] = -(net[row] + taken[:-1].sum())
        positions.units[makers.position[quote]] = taken
        positions.entry[makers.position[quote]] = instruments.equity_price[row]
        np.subtract.at(accounts.balance, makers.account[quote], taken * instruments.equity_price[row])
        usd = np.abs(taken) / layout.units_per_usd(row)
        if (usd > makers.limit[quote]).any():
            notes.append(f"makers of {instruments.names[row]} open above their inventory limit")
    if len(makers.position):
        _require_margin(layout, makers, accounts, positions)
    return notes


def _require_margin(layout: Layout, makers: Makers, accounts: Accounts, positions: Positions) -> None:
    per_usd = np.array([layout.units_per_usd(row) for row in range(len(layout.instruments.names))])
    held = positions.instrument[makers.position]
    usd = np.abs(positions.units[makers.position]) / per_usd[held]
    settle = layout.assets.index[layout.books.settle[layout.instruments.book[held]]]
    rows = np.arange(len(per_usd))
    initial = np.array([
        _initial_rates(layout.instruments, rows[row : row + 1], np.array([[amount]]))[0, 0]
        for row, amount in zip(held, usd / settle, strict=True)
    ])  # fmt: skip
    needed = np.bincount(makers.account, weights=usd * initial, minlength=len(accounts.value))
    short = np.flatnonzero(needed > accounts.value)
    if len(short):
        have, need = accounts.value[short[0]], needed[short[0]]
        raise InputError(
            "traders.capital (market_maker)", f"{have:.4g} USD in an account",
            f"at least {need:.4g} USD, the initial margin of the imbalance of sides the makers hold at the opening",
        )  # fmt: skip


def contracts(instruments: Instruments) -> np.ndarray:
    """Which instruments are promises between account holders."""
    return instruments.kind <= InstrumentKind.INVERSE


def close_books(books: Books, instruments: Instruments, accounts: Accounts, positions: Positions) -> None:
    """Sums the books keep: balances, what is owed to customers (takeover accounts are empty), customers' units."""
    count = len(books.names)
    books.balance[:] = np.bincount(accounts.book, weights=accounts.balance, minlength=count)
    books.owed[:] = np.bincount(accounts.book, weights=np.maximum(accounts.value, 0.0), minlength=count)
    units = np.bincount(positions.instrument, weights=positions.units, minlength=len(instruments.names))
    instruments.customer_units[:] = np.where(contracts(instruments), 0.0, units)
