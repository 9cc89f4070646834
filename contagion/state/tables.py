"""The arrays that own the state of a run, each column declared once with its meaning and unit.

Sign conventions: a holding is long positive, short or debt negative. Prices are USD per unit unless said otherwise.
An account's equity is ``P_s * (balance + sum of units * price in s)``, s being its settlement asset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Floats = np.ndarray
Ints = np.ndarray


@dataclass(slots=True)
class Assets:
    """Things with a price: USD (row 0), market assets, and claims issued by agents. Shape (n_assets,)."""

    names: list[str]
    index: Floats  # index price of a market asset, 1 for USD; for claims equal to `market` [USD]
    fundamental: Floats  # what counts in net worth: index, or the issuer's balance sheet per unit [USD]
    redemption: Floats  # what a withdrawal gets; moves when a loss is recognised [USD]
    market: Floats  # what a sale gets [USD]
    discount: Floats  # log discount of `market` below `redemption`, claims only [1]
    issuer: Ints  # agent row of the issuer, -1 for market assets
    supply: Floats  # claim units outstanding, 0 for market assets [units]
    par: Floats  # greatest value of a debt-like claim, inf for an equity-like one [USD]
    volatility: Floats  # annualised, used by impact, quotes and stress moves [1]
    endogenous: Floats  # log shift of the index by the model's own flow [1]
    audited: Floats  # `fundamental` at the last audit [USD]

    def row(self, name: str) -> int:
        return self.names.index(name)


@dataclass(slots=True)
class Instruments:
    """What accounts hold, one row per (venue, contract or asset). Shape (n_instruments,).

    ``mark``, ``equity_price`` and ``value_price`` are in the settlement asset: P for linear and spot, 1/P for inverse,
    whose units are minus the USD contracts. Funding and interest are folded into a price (mark less cumulative
    funding, debt times its index), so they accrue to every account exactly and without a pass over accounts.
    """

    names: list[str]  # venue:asset
    venue: Ints  # agent row
    asset: Ints  # underlying asset row
    kind: Ints  # InstrumentKind
    book: Ints  # margin book row
    sign: Floats  # +1, or -1 for inverse: direction of economic exposure per unit
    mark: Floats  # price for notionals and requirements [settlement asset per unit]
    equity_price: Floats  # price for margin equity: mark less cumulative funding, or the oracle price
    value_price: Floats  # price for net worth: equals equity_price for contracts, fundamental for spot
    audited_price: Floats  # value_price at the last audit
    basis: Floats  # log gap of the venue's own price to the index [1]
    temporary: Floats  # log temporary impact, decays [1]
    cumulative_funding: Floats  # paid by longs per unit since the start [settlement asset]
    debt_index: Floats  # growth of one unit of debt, 1 at the start [1]
    oracle: Floats  # last published price of the underlying, protocols only [USD]
    oracle_step: Ints  # step of that publication
    depth: Floats  # quoted depth now [USD]
    flow: Floats  # signed executed flow of this step [USD]
    customer_units: Floats  # sum of units over customers (spot and debt), kept by transactions
    long_only: Ints  # 1: only positive units need margin (collateral with a liquidation threshold)
    tier_start: Ints  # shape (n_instruments + 1,): rows of the tier columns
    tier_floor: Floats  # lower notional of a tier [settlement asset]
    tier_rate: Floats  # maintenance rate inside the tier [1]
    tier_deduction: Floats  # c_k of MM(N) = N r_k - c_k [settlement asset]
    tier_initial: Floats  # initial margin rate inside the tier [1]
    haircut_value: Floats  # share of a positive unit that counts as margin equity [1]
    open_interest: Floats = None  # sum of positive units, refreshed by the audit after trades [units]
    add_on: Floats = None  # shape (n, 4): maintenance and initial rate per unit of size, rate added to longs, shorts
    delta: Floats = None  # change of a unit's value per unit of its underlying's price, options; 1 for others [1]
    strike: Floats = None  # of an option [USD]
    expiry: Ints = None  # step at which it is settled
    right: Floats = None  # +1 call, -1 put, 0 for other instruments
    scan_loss: Floats = None  # shape (n, scenarios): weighted loss of a unit, portfolio margin [settlement asset]

    def __post_init__(self) -> None:
        count = len(self.names)
        if self.open_interest is None:
            self.open_interest = np.zeros(count)
        if self.add_on is None:
            self.add_on = np.zeros((count, 4))
        if self.delta is None:
            self.delta = np.ones(count)
        if self.strike is None:
            self.strike, self.right = np.zeros((2, count))
            self.expiry = np.zeros(count, np.int64)
        if self.scan_loss is None:
            self.scan_loss = np.zeros((count, 0))

    def key(self, row: int) -> str:
        """What its venue lists an instrument under: as a rule its asset."""
        return self.names[row].partition(":")[2]


@dataclass(slots=True)
class Books:
    """A book is the set of accounts of one venue in one settlement asset. Shape (n_books,)."""

    names: list[str]
    venue: Ints  # agent row
    settle: Ints  # asset row of the settlement asset
    balance: Floats  # sum of account balances, kept by transactions [settlement asset]
    owed: Floats  # sum of max(0, value equity) over customers at the last audit [USD]
    shortfall: Floats  # sum of max(0, -value equity) over customers at the last audit [USD]
    warning: Floats  # a margin call is sent when equity < warning * requirement [1]
    isolated: Ints  # 1: one account per position
    takeover: Ints  # account row of the takeover account, -1 if none
    release: Floats = None  # multiple of initial margin that a withdrawal must leave [1]
    # Portfolio margin, shape (n, 4): rates of net and hedged delta, fee, maintenance over initial; zeros: none
    scan: Floats = None

    def __post_init__(self) -> None:
        if self.release is None:
            self.release = np.ones(len(self.names))
        if self.scan is None:
            self.scan = np.zeros((len(self.names), 4))


@dataclass(slots=True)
class Accounts:
    """The unit of margining: one owner at one book. Shape (n_accounts,), sorted by owner."""

    owner: Ints  # agent row (int32)
    book: Ints  # book row (int16)
    start: Ints  # shape (n_accounts + 1,): rows of Positions (int32)
    balance: Floats  # [settlement asset]
    equity: Floats  # margin equity at the last audit [USD]
    requirement: Floats  # maintenance requirement at the last audit [USD]
    value: Floats  # value equity at the opening; from then on kept only while it is negative (flag UNDER) [USD]
    deposits: Floats  # net deposits since the start [settlement asset]
    realised: Floats  # profit realised by closing trades in the current window [settlement asset]
    breached_at: Ints  # step of the open breach, -1 if none (int32)
    due: Ints  # step at which the answer to an open call is due, or a cooldown ends (int32)
    flags: Ints  # AccountFlag bits (uint8)
    key: Ints  # content key (uint64)


@dataclass(slots=True)
class Positions:
    """Units per account and instrument. Shape (n_positions,); rows of one account are contiguous."""

    instrument: Ints  # int16
    account: Ints  # int32
    units: Floats  # signed
    entry: Floats  # average entry price in settlement asset per unit


@dataclass(slots=True)
class Agents:
    """Nodes: outside (row 0), then institutions, then traders. Shape (n_agents,)."""

    names: list[str]  # of the institutions only; traders are named by group and ordinal
    kind: Ints  # AgentKind (int8)
    group: Ints  # row of the trader group, -1 for institutions (int16)
    cash: Floats  # USD in own hands (wallet, treasury, pool liquidity, custody)
    worth: Floats  # expected net worth: last audited plus revaluation, receipts and payments since [USD]
    opening: Floats  # net worth at the start of the run [USD]
    account_start: Ints  # shape (n_agents + 1,)
    holding_start: Ints  # shape (n_agents + 1,)
    key: Ints  # content key (uint64)
    status: Ints  # bits: 1 default, 2 insolvent, 4 illiquid (withdrawals halted), 8 failed (resolved) (uint8)


@dataclass(slots=True)
class Holdings:
    """Spot and claim units in own hands, rows of one agent contiguous. Shape (n_holdings,)."""

    owner: Ints  # int32
    asset: Ints  # int16
    units: Floats  # never negative but for outside


@dataclass(slots=True)
class Loans:
    """Uncollateralised credit between any two agents. Shape (n_loans,)."""

    lender: Ints
    borrower: Ints
    face: Floats  # outstanding [USD]
    due: Ints  # step
    recovery_cash: Floats  # alpha of Rogers-Veraart for the borrower's own means [1]
    recovery_claims: Floats  # beta of Rogers-Veraart for what it receives [1]


@dataclass(slots=True)
class Makers:
    """Quotes of market makers, one row per (maker account position). Shape (n_quotes,)."""

    position: Ints  # row of Positions
    instrument: Ints
    account: Ints
    base_depth: Floats  # depth quoted in calm with full capital [USD]
    depth: Floats  # depth quoted now [USD]
    capital: Floats  # opening equity over all venues [USD]
    limit: Floats  # inventory limit [USD notional]
    withdrawn: Floats  # share of depth withdrawn by shocks or broken hedges, 0..1


@dataclass(slots=True)
class State:
    """Everything a run knows."""

    assets: Assets
    instruments: Instruments
    books: Books
    accounts: Accounts
    positions: Positions
    agents: Agents
    holdings: Holdings
    loans: Loans
    makers: Makers
    first_trader: int
    group_names: list[str]
    group_start: Ints  # agent row of the first member of each trader group, shape (n_groups + 1,)

    @property
    def n_agents(self) -> int:
        return len(self.agents.cash)

    def agent_name(self, row: int) -> str:
        """Name of an agent: institutions by name, traders as ``group:ordinal``."""
        if row < self.first_trader:
            return self.agents.names[row]
        group = int(self.agents.group[row])
        return f"{self.group_names[group]}:{row - int(self.group_start[group])}"

    def nbytes(self) -> int:
        """Bytes of all arrays."""
        tables = (self.assets, self.instruments, self.books, self.accounts, self.positions, self.agents,
                  self.holdings, self.loans, self.makers)
        return sum(
            value.nbytes for table in tables for name in table.__slots__
            if isinstance(value := getattr(table, name), np.ndarray)
        )
