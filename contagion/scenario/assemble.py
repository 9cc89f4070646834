"""From what a scenario says to the arrays of a run."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.market.paths import PricePath
from contagion.market.prices import PricedAsset
from contagion.scenario.accounts import absorb_imbalance, close_books, fund_makers, open_loans, open_positions, quotes
from contagion.scenario.balance_sheets import BalanceSheets, lay_out_holdings, net_worth
from contagion.scenario.check import check_references
from contagion.scenario.default_funds import fund_clearing_houses
from contagion.scenario.isolation import check_isolation
from contagion.scenario.issuer_accounts import accounts_of, open_hedges
from contagion.scenario.issuers import DeltaNeutral, Issuer
from contagion.scenario.layout import Layout, lay_out
from contagion.scenario.opening_loans import lend
from contagion.scenario.plans import Plan, account_keys, plan_groups
from contagion.scenario.policy import apply_limits, cut_loans, with_collateral_weights
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Exchange
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import AccountFlag, AgentKind, InstrumentKind
from contagion.state.ledger import Ledger
from contagion.state.tables import Accounts, Agents, Positions, State
from contagion.state.world import Group, Venue, World
from contagion.streams import Streams, content_key

SECONDS_PER_YEAR = 365.0 * 86_400.0


def assemble(
    scenario: Scenario, seed: int, *, mirrored: bool = False, keep_ledger: bool = True, path: np.ndarray | None = None
) -> World:
    """Build the opening state of a run.

    Agents stand in the order outside, exchanges, their funds, protocols, their reserves, traders by group. Opening
    net worth follows from the balance sheets; no ledger rows are needed for it.

    Parameters
    ----------
    seed : int
        Seed of the run.
    mirrored : bool
        Take the antithetic draws of the seed.
    keep_ledger : bool
        Keep every ledger row, or only sums.
    path : ndarray of shape (steps + 1, 1 + n market assets), optional
        Exogenous prices to use in place of the scenario's process, USD first. [USD]

    Raises
    ------
    InputError
        The scenario's parts do not fit together.
    """
    check_references(scenario)
    streams = Streams(seed, mirrored=mirrored)
    dt_years = scenario.dt.total_seconds() / SECONDS_PER_YEAR
    path, recording = _prices(scenario, dt_years, streams) if path is None else (_checked(path, scenario), None)
    layout = lay_out(with_collateral_weights(scenario), path[0])
    plans = plan_groups(scenario, layout)
    house = _house_accounts(layout)
    agents = _agents(layout, plans, house)
    accounts, positions = _empty_accounts(layout, plans, house, agents)
    for plan in plans:
        if plan.role in ("market_maker", "liquidator"):
            fund_makers(plan, layout, accounts, agents)
        elif plan.role == "borrower":
            open_loans(plan, layout, accounts, positions, agents, streams)
        else:
            open_positions(plan, layout, accounts, positions, agents, streams)
    open_hedges(layout, house, accounts, positions)
    check_isolation(layout, accounts, positions)
    notes = apply_limits(scenario, layout, plans, accounts, positions)
    makers = quotes(plans)
    notes += absorb_imbalance(layout, makers, accounts, positions)
    close_books(layout.books, layout.instruments, accounts, positions)
    holdings, agents.holding_start = lay_out_holdings(layout, plans, len(agents.cash))
    sheets = BalanceSheets(scenario, layout, plans, agents, holdings, accounts, positions)
    sheets.issue_claims()
    sheets.post_backstops()
    close_books(layout.books, layout.instruments, accounts, positions)
    sheets.fund_exchanges(layout.books)
    sheets.fund_pools()
    loans = lend(scenario, layout, plans, agents.cash, layout.books)
    if scenario.credit.risk_weights.ratio > 0.0:
        before = net_worth(agents, accounts, layout.books, holdings, loans, layout.assets)
        notes += cut_loans(scenario, layout, plans, loans, before, agents.cash)
    loans, contributions = fund_clearing_houses(
        layout.specs, agents, accounts, positions, layout.books, layout.instruments,
        layout.assets.index[layout.books.settle], loans, scenario.steps + 1,
    )  # fmt: skip
    layout.instruments.depth[:] = np.bincount(makers.instrument, makers.depth, len(layout.instruments.names))
    accounts.equity[:] = accounts.value
    agents.worth[:] = net_worth(agents, accounts, layout.books, holdings, loans, layout.assets)
    agents.opening[:] = agents.worth
    state = State(
        layout.assets, layout.instruments, layout.books, accounts, positions, agents, holdings, loans, makers,
        first_trader=len(layout.names), group_names=[plan.name for plan in plans],
        group_start=np.array([plan.agents.start for plan in plans] + [len(agents.cash)]),
    )  # fmt: skip
    venues = _venues(layout)
    for venue in venues.values():
        if venue.row in contributions:
            venue.contributions = contributions[venue.row]
            venue.contributed = loans.face[venue.contributions].copy()
    layers = [spec.name for venue in venues.values() for spec in getattr(venue.spec, "waterfall", ())]
    ledger = Ledger(agents.kind, [*dict.fromkeys(layers), "unallocated"], keep_ledger)
    agent_rows = layout.agent_rows | {plan.name: plan.agents.start for plan in plans if plan.count == 1}
    return World(
        scenario, state, Bookkeeper(state, ledger), streams, venues,
        [Group(plan.name, plan.spec, plan.rule, plan.agents, np.arange(plan.accounts.start, plan.accounts.stop))
         for plan in plans],
        scenario.impact.build(), path, agent_rows, dt_years,
        notes=[*(recording.warnings() if recording else ()), *notes],
        price_files=recording.sha256 if recording else {},
    )  # fmt: skip


def _prices(scenario: Scenario, dt_years: float, streams: Streams) -> tuple[np.ndarray, PricePath | None]:
    """Prices, USD first, and what was read from files for them."""
    assets = [PricedAsset(name, asset.price, asset.volatility) for name, asset in scenario.assets.items()]
    process = scenario.prices.build()
    path = np.ones((scenario.steps + 1, 1 + len(assets)))
    path[:, 1:] = process.sample(assets, dt_years, scenario.steps, streams)
    return path, getattr(process, "recording", None)


def _checked(path: np.ndarray, scenario: Scenario) -> np.ndarray:
    path = np.array(path, float)
    shape = (scenario.steps + 1, 1 + len(scenario.assets))
    if path.shape != shape:
        raise InputError("path", path.shape, f"shape {shape}: a row per step and one for the opening, USD first")
    if not (np.isfinite(path).all() and (path > 0.0).all() and (path[:, 0] == 1.0).all()):
        raise InputError("path", "a price", "finite prices above 0, and 1 for USD")
    return path


def _house_accounts(layout: Layout) -> list[tuple[int, int, int]]:
    """Accounts of institutions (owner, book, flags), sorted by owner: takeover accounts, then issuers'."""
    house = [
        (row, book, int(AccountFlag.HOUSE))
        for row, spec in layout.specs.items() if isinstance(spec, Exchange) for book in layout.books_of.get(row, [])
    ]  # fmt: skip
    for row, spec in layout.specs.items():
        if isinstance(spec, Issuer) and spec.account_at is not None:
            if not isinstance(layout.specs.get(layout.agent_rows.get(spec.account_at)), Exchange):
                names = [layout.names[other] for other, found in layout.specs.items() if isinstance(found, Exchange)]
                field = "hedged_at" if isinstance(spec, DeltaNeutral) else "backs"
                where = f"protocols.{layout.names[row]}.{field}"
                raise InputError(where, spec.account_at, "one of " + ", ".join(names))
            house += [(row, book, 0) for book in accounts_of(spec, layout)]
    return house


def _agents(layout: Layout, plans: list[Plan], house: list[tuple[int, int, int]]) -> Agents:
    first = len(layout.names)
    n = first + sum(plan.count for plan in plans)
    kind, group = np.full(n, AgentKind.TRADER, np.int8), np.full(n, -1, np.int16)
    kind[:first] = layout.kinds
    keys = np.empty(n, np.uint64)
    keys[:first] = [content_key("institution", name) for name in layout.names]
    n_accounts = np.zeros(n, np.int32)
    for owner, _, _ in house:
        n_accounts[owner] += 1
    row = first
    for order, plan in enumerate(plans):
        plan.agents = slice(row, row + plan.count)
        group[plan.agents] = order
        keys[plan.agents] = plan.keys
        n_accounts[plan.agents] = len(plan.books)
        row += plan.count
    start = np.zeros(n + 1, np.int32)
    np.cumsum(n_accounts, out=start[1:])
    return Agents(
        names=layout.names, kind=kind, group=group, cash=np.zeros(n), worth=np.zeros(n), opening=np.zeros(n),
        account_start=start, holding_start=np.zeros(n + 1, np.int32), key=keys, status=np.zeros(n, np.uint8),
    )  # fmt: skip


def _empty_accounts(
    layout: Layout, plans: list[Plan], house: list[tuple[int, int, int]], agents: Agents
) -> tuple[Accounts, Positions]:
    """Accounts and positions with zero balances and units, in the order of their owners."""
    rows = [layout.instruments_of[book] for _, book, _ in house]
    sizes = [len(instruments) for instruments in rows]
    n_accounts = int(agents.account_start[-1])
    n_positions = sum(sizes) + sum(plan.count * len(plan.instruments) for plan in plans)
    book, width = np.empty(n_accounts, np.int16), np.empty(n_accounts, np.int32)
    key, flags = np.empty(n_accounts, np.uint64), np.zeros(n_accounts, np.uint8)
    instrument = np.empty(n_positions, np.int16)
    book[: len(house)] = [item[1] for item in house]
    flags[: len(house)] = [item[2] for item in house]
    width[: len(house)] = sizes
    key[: len(house)] = [content_key("account", layout.names[item[0]], layout.books.names[item[1]]) for item in house]
    instrument[: sum(sizes)] = [row for group in rows for row in group]
    for account, (owner, house_book, _) in enumerate(house):
        if layout.books.venue[house_book] == owner:
            layout.books.takeover[house_book] = account
    first, position = len(house), sum(sizes)
    for plan in plans:
        plan.accounts = slice(first, first + plan.count * len(plan.books))
        plan.positions = slice(position, position + plan.count * len(plan.instruments))
        if plan.books:
            member_width = np.bincount(plan.account_of, minlength=len(plan.books)).astype(np.int32)
            book[plan.accounts] = np.tile(np.array(plan.books, np.int16), plan.count)
            width[plan.accounts] = np.tile(member_width, plan.count)
            key[plan.accounts] = account_keys(plan)
            instrument[plan.positions] = np.tile(np.array(plan.instruments, np.int16), plan.count)
            if plan.spec.margin == "isolated":
                layout.books.isolated[plan.books] = 1
        first, position = plan.accounts.stop, plan.positions.stop
    start = np.zeros(n_accounts + 1, np.int32)
    np.cumsum(width, out=start[1:])
    owner = np.repeat(np.arange(len(agents.cash), dtype=np.int32), np.diff(agents.account_start))
    accounts = Accounts(
        owner=owner, book=book, start=start, balance=np.zeros(n_accounts), equity=np.zeros(n_accounts),
        requirement=np.zeros(n_accounts), value=np.zeros(n_accounts), deposits=np.zeros(n_accounts),
        realised=np.zeros(n_accounts), breached_at=np.full(n_accounts, -1, np.int32),
        due=np.full(n_accounts, -1, np.int32), flags=flags, key=key,
    )  # fmt: skip
    account = np.repeat(np.arange(n_accounts, dtype=np.int32), width)
    return accounts, Positions(instrument, account, np.zeros(n_positions), np.zeros(n_positions))


def _venues(layout: Layout) -> dict[str, Venue]:
    venues = {}
    for row, spec in layout.specs.items():
        books = layout.books_of.get(row, [])
        rows = [item for book in books for item in layout.instruments_of[book]]
        venues[layout.names[row]] = Venue(
            layout.names[row], row, spec, books, rows,
            debts=[item for item in rows if layout.instruments.kind[item] == InstrumentKind.DEBT],
            fund=layout.fund.get(row, -1), claim=layout.claim.get(row, -1),
            engine=spec.liquidation.engine.build() if isinstance(spec, Exchange) else None,
            layers=[] if isinstance(spec, Issuer) else [layer.build() for layer in spec.waterfall],
        )  # fmt: skip
    return venues
