"""Small markets written straight into the tables: one venue, one trader per account, prices that can be moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from contagion.allocation.waterfall import Waterfall
from contagion.liquidation.closing import bankruptcy_lots
from contagion.margin.audit import Audit
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import AccountFlag, AgentKind, Cause, InstrumentKind, Phase
from contagion.state.ledger import Ledger
from contagion.state.tables import (
    Accounts,
    Agents,
    Assets,
    Books,
    Holdings,
    Instruments,
    Loans,
    Makers,
    Positions,
    State,
)
from contagion.state.world import Venue, World
from contagion.streams import Streams, content_key

VENUE, FUND, VAULT = 1, 2, 3
FIRST_TRADER = 4
TOKEN, CLAIM = 2, 3


@dataclass
class Trader:
    """One account: balance and, per instrument, units and entry price. [settlement asset]"""

    name: str
    balance: float
    units: list[float]
    entry: list[float]
    wallet: float = 0.0
    paid_in: float = 0.0  # to the venue's default fund [USD]
    claims: float = 0.0  # units of the venue's claim, worth 1 USD each
    tokens: float = 0.0  # units of a token that is nobody's claim


@dataclass
class Market:
    """A world of one venue, with the helpers tests read it by."""

    world: World
    waterfall: Waterfall
    audit: Audit
    names: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.world.state

    def account(self, name: str) -> int:
        return self.names.index(name)

    def move(self, *prices: float) -> None:
        """New marks for every instrument."""
        for column in ("mark", "equity_price", "value_price"):
            getattr(self.state.instruments, column)[:] = prices

    def take_over(self, *names: str) -> np.ndarray:
        """Hand accounts over as the liquidation phase does."""
        accounts = np.array([self.account(name) for name in names])
        lots = [bankruptcy_lots(self.state, account) for account in accounts]
        ids = self.world.bookkeeper.hand_over(accounts)
        for account, (instrument, units, price), root in zip(accounts, lots, ids, strict=True):
            self.waterfall.add_lots(VENUE, int(account), instrument, units, price, int(root))
        return ids

    def trade(self, buyer: str, seller: str, units: float, price: float) -> None:
        """A trade in the first instrument at a price."""
        rows = self.state.accounts.start[[self.account(buyer), self.account(seller)]].astype(np.int64)
        self.world.bookkeeper.trade(Cause.EXECUTION, rows, np.array([units, -units]), np.full(2, price))

    def open_step(self) -> None:
        """The next step."""
        self.world.step += 1
        self.world.bookkeeper.ledger.open_step(self.world.step)

    def balance(self, name: str) -> float:
        return float(self.state.accounts.balance[self.account(name)])

    def units(self, name: str, instrument: int = 0) -> float:
        return float(self.state.positions.units[self.state.accounts.start[self.account(name)] + instrument])

    def equity(self, name: str) -> float:
        account = self.account(name)
        rows = slice(self.state.accounts.start[account], self.state.accounts.start[account + 1])
        prices = self.state.instruments.value_price[self.state.positions.instrument[rows]]
        return float(self.state.accounts.balance[account] + self.state.positions.units[rows] @ prices)

    def paid(self, cause: Cause = Cause.ALLOCATION) -> dict[tuple[str, str, int], float]:
        """Rows of a cause summed by (payer, layer, deficit id). [USD]"""
        ledger, sums = self.world.bookkeeper.ledger, {}
        for row in ledger.rows():
            if row["cause"] == cause:
                layer = ledger.layers[row["layer"]] if row["layer"] >= 0 else ""
                key = (self.state.agent_name(int(row["payer"])), layer, int(row["deficit"]))
                sums[key] = sums.get(key, 0.0) + float(row["amount"])
        return sums

    def write_down(self) -> dict[str, float]:
        """What holders of the venue's claim lose by the value of a unit that the write-down left. [USD]"""
        state, lost = self.state, 1.0 - self.world.counters.get("unit_value.perp", 1.0)
        held = (state.holdings.asset == CLAIM) & (state.holdings.units > 0.0)
        owners, units = state.holdings.owner[held], state.holdings.units[held]
        return {state.agent_name(int(owner)): lost * float(size) for owner, size in zip(owners, units, strict=True)}

    def check(self) -> None:
        """The checks of the end of a step, and that net worth is what opening units and rows say."""
        from contagion.allocation.checks import check_allocation

        check_allocation(self.world)
        self.world.bookkeeper.phase = Phase.RECORD
        self.audit.run()


def build(
    traders: list[Trader], layers: list[tuple[str, object]], prices: list[float], *, fund: float = 0.0,
    equity: float = 0.0, vault: float | None = None, inverse: bool = False, token_price: float = 1.0,
    stakes: float = 0.0,
) -> Market:  # fmt: skip
    """A venue with a book of contracts on as many instruments as there are prices, at the prices of the opening.

    The last trader is given the units that make contracts add to zero (its own entry is the price). Inverse: settled
    in coin (asset 1), whose USD price the tests set.
    """
    n_instruments = len(prices)
    net = np.sum([trader.units for trader in traders], axis=0)
    rest = Trader("rest", 1e-9 + 0.0, list(-net), list(prices))
    rest.balance = float(-np.dot(rest.units, rest.entry)) + 10.0 * float(np.abs(rest.units) @ np.array(prices)) + 1.0
    everybody = [
        Trader("takeover", 0.0, [0.0] * n_instruments, [0.0] * n_instruments),
        Trader("vault", vault or 0.0, [0.0] * n_instruments, [0.0] * n_instruments),
        *traders,
        rest,
    ]
    n = len(everybody)
    claims = np.array([trader.claims for trader in everybody])
    assets = _assets(token_price, float(claims.sum()))
    settle = 1 if inverse else 0
    instruments = _instruments(prices, inverse)
    balance = np.array([trader.balance for trader in everybody])
    books = Books(
        names=["perp:USD"], venue=np.array([VENUE]), settle=np.array([settle]), balance=np.array([balance.sum()]),
        owed=np.zeros(1), shortfall=np.zeros(1), warning=np.ones(1), isolated=np.zeros(1, np.int8),
        takeover=np.array([0]),
    )  # fmt: skip
    n_agents = FIRST_TRADER + n - 2
    owner = np.concatenate([[VENUE, VAULT], np.arange(FIRST_TRADER, n_agents)]).astype(np.int32)
    units = np.array([trader.units for trader in everybody])
    accounts = Accounts(
        owner=owner, book=np.zeros(n, np.int16),
        start=np.arange(0, n_instruments * n + 1, n_instruments, dtype=np.int32), balance=balance,
        equity=np.zeros(n), requirement=np.zeros(n), value=np.zeros(n), deposits=np.zeros(n),
        realised=np.zeros(n), breached_at=np.full(n, -1, np.int32), due=np.zeros(n, np.int32),
        flags=np.zeros(n, np.uint8),
        key=np.array([content_key("account", trader.name) for trader in everybody], dtype=np.uint64),
    )  # fmt: skip
    accounts.flags[0] = AccountFlag.HOUSE
    positions = Positions(
        instrument=np.tile(np.arange(n_instruments, dtype=np.int16), n),
        account=np.repeat(np.arange(n, dtype=np.int32), n_instruments), units=units.ravel(),
        entry=np.array([trader.entry for trader in everybody], dtype=float).ravel(),
    )  # fmt: skip
    cash = np.zeros(n_agents)
    cash[FIRST_TRADER:] = [trader.wallet for trader in everybody[2:]]
    cash[FUND], cash[VENUE], cash[VAULT] = fund, equity, stakes
    cash[VENUE] += claims.sum() + sum(trader.paid_in for trader in everybody)
    if not inverse:
        cash[VENUE] += balance.sum()
    agents = Agents(
        names=["outside", "perp", "perp/insurance_fund", "hlp", *[trader.name for trader in everybody[2:]]],
        kind=np.array([AgentKind.OUTSIDE, AgentKind.EXCHANGE, AgentKind.FUND, AgentKind.PROTOCOL]
                      + [AgentKind.TRADER] * (n - 2), dtype=np.int8),
        group=np.full(n_agents, -1, np.int16), cash=cash, worth=np.zeros(n_agents), opening=np.zeros(n_agents),
        account_start=np.concatenate([[0, 0, 1, 1], np.arange(2, n + 1)]).astype(np.int32),
        holding_start=np.concatenate([[0, 1, 2, 3], np.arange(3, 2 * (n - 2) + 4, 2)]).astype(np.int32),
        key=np.array([content_key("agent", row) for row in range(n_agents)], dtype=np.uint64),
        status=np.zeros(n_agents, np.uint8),
    )  # fmt: skip
    holders = np.arange(FIRST_TRADER, n_agents)
    holdings = Holdings(
        np.concatenate([[0, 1, 2], np.repeat(holders, 2)]).astype(np.int32),
        np.concatenate([[1, 1, 1], np.tile([TOKEN, CLAIM], n - 2)]).astype(np.int16),
        np.concatenate([[0.0, balance.sum() if inverse else 0.0, 0.0]]
                       + [[trader.tokens, trader.claims] for trader in everybody[2:]]),
    )  # fmt: skip
    paid_in = np.array([trader.paid_in for trader in everybody[2:]])
    members = holders[paid_in > 0.0]
    paid_in, one = paid_in[paid_in > 0.0], np.ones(len(members))
    loans = Loans(members, np.full(len(members), VENUE), paid_in.copy(), np.full(len(members), 99), one, one)
    empty, rows = np.zeros(0), np.zeros(0, np.int64)
    state = State(
        assets, instruments, books, accounts, positions, agents, holdings, loans,
        Makers(rows, rows, rows, empty, empty, empty, empty, empty),
        first_trader=n_agents, group_names=[], group_start=np.zeros(1, np.int64),
    )  # fmt: skip
    price = assets.fundamental[settle]
    values = price * (balance + units @ np.array(prices))
    agents.worth[:] = cash
    np.add.at(agents.worth, holdings.owner, holdings.units * assets.fundamental[holdings.asset])
    np.add.at(agents.worth, owner[1:], np.maximum(0.0, values[1:]))
    agents.worth[VENUE] -= np.maximum(0.0, values[1:]).sum() + paid_in.sum() + claims.sum()
    agents.worth[members] += paid_in
    names = list(dict.fromkeys(name for name, _ in layers))
    ledger = Ledger(agents.kind, [*names, "unallocated"])
    spec = SimpleNamespace(waterfall=[SimpleNamespace(name=name) for name, _ in layers])
    rules = [layer for _, layer in layers]
    venue = Venue("perp", VENUE, spec, [0], list(range(n_instruments)), FUND, CLAIM, layers=rules)
    if len(members):
        venue.contributions, venue.contributed = np.arange(len(members)), paid_in
    world = World(
        None, state, Bookkeeper(state, ledger), Streams(1), {"perp": venue}, [], None, np.zeros((1, 1)),
        {"perp": VENUE, "hlp": VAULT}, 1.0,
    )  # fmt: skip
    market = Market(world, Waterfall(world), Audit(world), [trader.name for trader in everybody])
    market.audit.run()
    world.step = 1
    ledger.open_step(1)
    market.waterfall.allocate()
    return market


def _assets(token_price: float, claims: float) -> Assets:
    price = np.array([1.0, 100.0, token_price, 1.0])
    issuer, supply = np.array([-1, -1, -1, VENUE]), np.array([0.0, 0.0, 0.0, claims])
    return Assets(
        ["USD", "BTC", "TKN", "CLAIM"], price.copy(), price.copy(), price.copy(), price.copy(), np.zeros(4), issuer,
        supply, np.full(4, np.inf), np.zeros(4), np.zeros(4), price.copy(),
    )  # fmt: skip


def _instruments(prices: list[float], inverse: bool) -> Instruments:
    n = len(prices)
    zero = np.zeros(n)
    price = np.array(prices, dtype=float)
    return Instruments(
        names=[f"perp:{order}" for order in range(n)], venue=np.full(n, VENUE), asset=np.ones(n, np.int64),
        kind=np.full(n, InstrumentKind.INVERSE if inverse else InstrumentKind.LINEAR), book=np.zeros(n, np.int64),
        sign=np.full(n, -1.0 if inverse else 1.0), mark=price.copy(), equity_price=price.copy(),
        value_price=price.copy(), audited_price=price.copy(), basis=zero.copy(), temporary=zero.copy(),
        cumulative_funding=zero.copy(), debt_index=np.ones(n), oracle=zero.copy(), oracle_step=np.zeros(n, np.int64),
        depth=zero.copy(), flow=zero.copy(), customer_units=zero.copy(), long_only=np.zeros(n, np.int64),
        tier_start=np.arange(n + 1), tier_floor=zero.copy(), tier_rate=np.full(n, 0.05), tier_deduction=zero.copy(),
        tier_initial=np.full(n, 0.1), haircut_value=np.ones(n), open_interest=zero.copy(),
    )  # fmt: skip


def position(name: str, margin: float, units: float, entry: float, wallet: float = 0.0) -> Trader:
    """One account with one position opened at `entry` on `margin` of its own: balance = margin - units * entry."""
    return Trader(name, margin - units * entry, [units], [entry], wallet)
