"""Names to rows: institutions, assets, margin books and instruments of a scenario, at its opening prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contagion.errors import InputError
from contagion.margin.option_book import open_options
from contagion.margin.rules import AddOn, Margin, Portfolio, Tiers, deductions
from contagion.scenario.automated_makers import AutomatedMaker
from contagion.scenario.issuers import Issuer
from contagion.scenario.lending import LendingPool
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Contract, Exchange
from contagion.state.codes import AgentKind, InstrumentKind
from contagion.state.tables import Assets, Books, Instruments

FUND_NAME, RESERVE_NAME = "insurance_fund", "reserve"


@dataclass(slots=True)
class Layout:
    """Where everything but the traders stands."""

    names: list[str]  # institutions by agent row
    kinds: list[AgentKind]
    agent_rows: dict[str, int]
    specs: dict[int, Exchange | LendingPool | Issuer]  # agent row -> what the scenario says
    fund: dict[int, int]  # venue row -> agent row of its fund
    asset_rows: dict[str, int]
    claim: dict[int, int]  # protocol row -> asset row
    assets: Assets
    books: Books
    instruments: Instruments
    books_of: dict[int, list[int]]  # venue row -> books
    instruments_of: dict[int, list[int]]  # book -> instruments
    instrument_rows: dict[tuple[int, str], int]  # (venue row, name) -> contract of an exchange, collateral of a pool
    debt_row: dict[int, int]  # pool row -> debt instrument
    collateral_rows: dict[tuple[int, str], int]  # (exchange row, asset) -> asset posted as margin

    def units_per_usd(self, instrument: int) -> float:
        """Units of an instrument that make one USD of notional. [1 / USD]"""
        settle = self.books.settle[self.instruments.book[instrument]]
        return 1.0 / float(self.instruments.mark[instrument] * self.assets.index[settle])


def lay_out(scenario: Scenario, opening: np.ndarray) -> Layout:
    """Rows of the institutions of a scenario.

    Parameters
    ----------
    opening : ndarray of shape (1 + n market assets,)
        Opening prices, USD first. [USD]
    """
    names, kinds, specs, fund = ["outside"], [AgentKind.OUTSIDE], {}, {}
    for venues, kind, suffix in (
        (scenario.exchanges, AgentKind.EXCHANGE, FUND_NAME),
        (scenario.protocols, AgentKind.PROTOCOL, RESERVE_NAME),
    ):
        first = len(names)
        names += list(venues)
        kinds += [kind] * len(venues)
        specs |= {first + order: spec for order, spec in enumerate(venues.values())}
        for row in range(first, first + len(venues)):
            if not isinstance(specs[row], Issuer):
                fund[row] = len(names)
                names.append(f"{names[row]}/{suffix}")
                kinds.append(AgentKind.FUND)
    agent_rows = {name: row for row, name in enumerate(names)}
    claim_rows = [agent_rows[name] for name in scenario.protocols]
    asset_names = ["USD", *scenario.assets, *scenario.protocols]
    if len(set(asset_names)) < len(asset_names) or len(agent_rows) < len(names):
        twice = next(name for name in asset_names + names if (asset_names + names[1:]).count(name) > 1)
        raise InputError("name", twice, "a name used once among assets and venues, and not USD or outside")
    asset_rows = {name: row for row, name in enumerate(asset_names)}
    claim = {row: len(opening) + order for order, row in enumerate(claim_rows)}
    builder = _Tables(asset_names, np.concatenate([opening, np.ones(len(claim))]))
    for row, spec in specs.items():
        if isinstance(spec, Exchange):
            builder.exchange(row, names[row], spec, list(scenario.assets), asset_rows)
        elif isinstance(spec, LendingPool):
            builder.pool(row, names[row], spec, asset_rows)
        elif isinstance(spec, AutomatedMaker) and spec.curve == "oracle":
            builder.oracle_prices(row, names[row], list(spec.holds), asset_rows)
    instruments = builder.instrument_table()
    if builder.options:
        open_options(instruments, opening, scenario, asset_names)
    return Layout(
        names, kinds, agent_rows, specs, fund, asset_rows, claim, _assets(scenario, builder.price, claim_rows),
        builder.book_table(), instruments, builder.books_of, builder.instruments_of,
        builder.instrument_rows, builder.debt_row, builder.collateral_rows,
    )  # fmt: skip


def _assets(scenario: Scenario, price: np.ndarray, issuers: list[int]) -> Assets:
    count, claims = len(price), len(issuers)
    market = count - claims
    volatility, par = np.zeros(count), np.full(count, np.inf)
    par[market:] = [getattr(spec, "par", np.inf) for spec in scenario.protocols.values()]
    volatility[1:market] = [asset.volatility for asset in scenario.assets.values()]
    return Assets(
        names=["USD", *scenario.assets, *scenario.protocols],
        index=price.copy(), fundamental=price.copy(), redemption=price.copy(), market=price.copy(),
        discount=np.zeros(count),
        issuer=np.array([-1] * market + issuers),
        supply=np.zeros(count), par=par, volatility=volatility, endogenous=np.zeros(count),
        audited=price.copy(),
    )  # fmt: skip


class _Tables:
    """Collects books and instruments row by row."""

    def __init__(self, asset_names: list[str], price: np.ndarray) -> None:
        self.asset_names, self.price = asset_names, price
        self.books: list[tuple[str, int, int, float]] = []  # name, venue, settle, warning
        self.rows: list[tuple[str, int, int, InstrumentKind, int, float, int]] = []
        self.add_ons: list[AddOn] = []
        self.margins: list[Margin] = []  # rule of each book
        self.tiers: list[list[tuple[float, float, float]]] = []  # floor, maintenance, initial
        self.books_of: dict[int, list[int]] = {}
        self.instruments_of: dict[int, list[int]] = {}
        self.instrument_rows: dict[tuple[int, str], int] = {}
        self.debt_row: dict[int, int] = {}
        self.collateral_rows: dict[tuple[int, str], int] = {}
        self.counted: dict[int, float] = {}  # instrument -> share of its price that counts as margin
        self.options: dict[int, tuple[float, int, float]] = {}  # instrument -> strike, expiry step, right

    def exchange(self, venue: int, name: str, spec: Exchange, market: list[str], asset_rows: dict[str, int]) -> None:
        contracts = spec.contracts or {asset: Contract() for asset in market}
        margin = spec.margin.build()
        by_settlement: dict[str, list[tuple[str, Contract]]] = {}
        for asset, contract in contracts.items():
            settle = asset if contract.kind == "inverse" else contract.settlement
            by_settlement.setdefault(settle, []).append((asset, contract))
        for settle, group in by_settlement.items():
            warning = spec.warning if margin.warning is None else margin.warning
            book = self._book(venue, f"{name}:{settle}", asset_rows[settle], warning, margin)
            for key, contract in group:
                asset = contract.asset or key
                price = float(self.price[asset_rows[asset]])
                mark = 1.0 / price if contract.kind == "inverse" else price
                kind = InstrumentKind[contract.kind.upper()]
                stated = [(tier.floor, tier.maintenance, tier.initial) for tier in contract.tiers]
                terms = margin.terms(asset, stated)
                row = self._instrument(venue, name, key, asset_rows[asset], kind, book, mark, 0, *terms)
                self.instrument_rows[venue, key] = row
                if contract.kind == "option":
                    self.options[row] = (contract.strike, contract.expiry, 1.0 if contract.right == "call" else -1.0)

            if asset_rows[settle] == 0:
                self._collateral(venue, name, spec, book, asset_rows)
        if spec.collateral and not any(place == venue for place, _ in self.collateral_rows):
            raise InputError(f"exchanges.{name}.collateral", list(spec.collateral), "a contract settled in USD")

    def _collateral(self, venue: int, name: str, spec: Exchange, book: int, asset_rows: dict[str, int]) -> None:
        for asset, terms in spec.collateral.items():
            price = float(self.price[asset_rows[asset]])
            row = self._instrument(
                venue, name, f"{asset} collateral", asset_rows[asset], InstrumentKind.SPOT, book, price, 1,
                [(0.0, 0.0, 0.0)],
            )  # fmt: skip
            self.collateral_rows[venue, asset] = row
            self.counted[row] = 1.0 - terms.haircut

    def pool(self, venue: int, name: str, spec: LendingPool, asset_rows: dict[str, int]) -> None:
        if spec.asset in spec.coins.values():
            raise InputError(f"protocols.{name}.collateral", spec.asset, "assets other than the one that is lent")
        book = self._book(venue, f"{name}:USD", 0, 1.0)
        for key, asset in spec.coins.items():
            terms = spec.collateral[key]
            tiers = [(0.0, 1.0 - terms.liquidation_threshold, 1.0 - terms.ltv)]
            row = asset_rows[asset]
            self.instrument_rows[venue, key] = self._instrument(
                venue, name, key, row, InstrumentKind.SPOT, book, float(self.price[row]), 1, tiers
            )
        row = asset_rows[spec.asset]
        self.debt_row[venue] = self._instrument(
            venue, name, spec.asset, row, InstrumentKind.DEBT, book, float(self.price[row]), 0, [(0.0, 0.0, 0.0)]
        )

    def oracle_prices(self, venue: int, name: str, coins: list[str], asset_rows: dict[str, int]) -> None:
        """Instruments nobody holds, in which a pool reads what its oracle publishes."""
        book = self._book(venue, f"{name}:USD", 0, 1.0)
        for coin in coins:
            row = asset_rows[coin]
            price = float(self.price[row])
            self._instrument(venue, name, coin, row, InstrumentKind.SPOT, book, price, 1, [(0.0, 0.0, 0.0)])

    def _book(self, venue: int, name: str, settle: int, warning: float, margin: Margin | None = None) -> int:
        self.books.append((name, venue, settle, warning))
        self.margins.append(margin or Tiers())
        row = len(self.books) - 1
        self.books_of.setdefault(venue, []).append(row)
        self.instruments_of[row] = []
        return row

    def _instrument(self, venue, name, asset, asset_row, kind, book, mark, long_only, tiers, add_on=AddOn()) -> int:  # noqa: B008
        self.rows.append((f"{name}:{asset}", venue, asset_row, kind, book, mark, long_only))
        self.tiers.append(tiers)
        self.add_ons.append(add_on)
        row = len(self.rows) - 1
        self.instruments_of[book].append(row)
        return row

    def book_table(self) -> Books:
        names, venue, settle, warning = zip(*self.books, strict=True) if self.books else ((), (), (), ())
        count = len(names)
        return Books(
            names=list(names), venue=np.array(venue, np.int64), settle=np.array(settle, np.int64),
            balance=np.zeros(count), owed=np.zeros(count), shortfall=np.zeros(count),
            warning=np.array(warning, float), isolated=np.zeros(count, np.int64),
            takeover=np.full(count, -1, np.int64), release=np.array([margin.release for margin in self.margins], float),
            scan=np.array([margin.scan for margin in self.margins], float).reshape(count, 4),
        )  # fmt: skip

    def instrument_table(self) -> Instruments:
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * 7
        names, venue, asset, kind, book, mark, long_only = columns
        count, mark = len(names), np.array(mark, float)
        kind = np.array(kind, np.int64)
        asset = np.array(asset, np.int64)
        scenarios = max((len(rule.scenarios) for rule in self.margins if isinstance(rule, Portfolio)), default=0)
        floor, rate, initial, deduction, start = [], [], [], [], [0]
        for tiers in self.tiers:
            floors, rates, initials = (list(column) for column in zip(*tiers, strict=True))
            floor += floors
            rate += rates
            initial += initials
            deduction += deductions(floors, rates)
            start.append(len(floor))
        strike, right = np.zeros((2, count))
        expiry = np.zeros(count, np.int64)
        counted = np.array([self.counted.get(row, 1.0) for row in range(count)], float)
        for row, option in self.options.items():
            strike[row], expiry[row], right[row] = option
        return Instruments(
            names=list(names), venue=np.array(venue, np.int64), asset=asset, kind=kind,
            book=np.array(book, np.int64), sign=np.where(kind == InstrumentKind.INVERSE, -1.0, 1.0), mark=mark,
            equity_price=mark * counted, value_price=mark.copy(), audited_price=mark.copy(), basis=np.zeros(count),
            temporary=np.zeros(count), cumulative_funding=np.zeros(count), debt_index=np.ones(count),
            oracle=self.price[asset], oracle_step=np.zeros(count, np.int64), depth=np.zeros(count),
            flow=np.zeros(count), customer_units=np.zeros(count), long_only=np.array(long_only, np.int64),
            tier_start=np.array(start, np.int64), tier_floor=np.array(floor), tier_rate=np.array(rate),
            tier_deduction=np.array(deduction), tier_initial=np.array(initial), haircut_value=counted,
            add_on=np.array(self.add_ons, float).reshape(count, 4), scan_loss=np.zeros((count, scenarios)),
            strike=strike, expiry=expiry, right=right,
        )  # fmt: skip
