"""Opening balance sheets: custody, claims and who holds them, loans, and the net worth that follows."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.scenario.issuer_accounts import accounts_of, assets_of
from contagion.scenario.issuers import DeltaNeutral, Issuer, Reflexive
from contagion.scenario.layout import Layout
from contagion.scenario.lending import LendingPool
from contagion.scenario.plans import Plan
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Exchange
from contagion.state.codes import InstrumentKind
from contagion.state.tables import Accounts, Agents, Assets, Books, Holdings, Loans, Positions


def lay_out_holdings(layout: Layout, plans: list[Plan], n_agents: int) -> tuple[Holdings, np.ndarray]:
    """Empty slots for what every agent may hold, and their CSR starts, shape (n_agents + 1,)."""
    slots = _institution_slots(layout)
    counts = np.zeros(n_agents, np.int32)
    counts[: len(slots)] = [len(slot) for slot in slots]
    for plan in plans:
        counts[plan.agents] = len(plan.slots)
    start = np.zeros(n_agents + 1, np.int32)
    np.cumsum(counts, out=start[1:])
    asset = np.empty(start[-1], np.int16)
    asset[: start[len(slots)]] = [row for slot in slots for row in slot]
    for plan in plans:
        asset[start[plan.agents.start] : start[plan.agents.stop]] = np.tile(np.array(plan.slots, np.int16), plan.count)
    owner = np.repeat(np.arange(n_agents, dtype=np.int32), counts)
    return Holdings(owner, asset, np.zeros(len(asset))), start


def _institution_slots(layout: Layout) -> list[list[int]]:
    slots: list[set[int]] = [set() for _ in layout.names]
    slots[0] = set(range(len(layout.assets.names)))
    for row, spec in layout.specs.items():
        coins = {int(layout.books.settle[book]) for book in layout.books_of.get(row, [])}
        coins |= {layout.asset_rows[asset] for venue, asset in layout.collateral_rows if venue == row}
        if isinstance(spec, LendingPool):
            coins |= {layout.asset_rows[name] for name in (*spec.coins.values(), spec.asset)}
        elif isinstance(spec, Issuer):
            coins |= {layout.asset_rows[name] for name in assets_of(spec)}
            coins |= {int(layout.books.settle[book]) for book in accounts_of(spec, layout)}
        slots[row] |= coins
        if row in layout.fund:
            slots[layout.fund[row]] |= coins | ({layout.claim[row]} if row in layout.claim else set())
    return [sorted(slot - {0}) for slot in slots]


class BalanceSheets:
    """Fills cash and holdings of institutions, and of traders what they deposited."""

    def __init__(
        self, scenario: Scenario, layout: Layout, plans: list[Plan], agents: Agents, holdings: Holdings,
        accounts: Accounts, positions: Positions,
    ) -> None:  # fmt: skip
        self.scenario, self.layout, self.plans = scenario, layout, plans
        self.agents, self.holdings, self.accounts, self.positions = agents, holdings, accounts, positions
        self._invested: dict[int, float] = {}  # of those who put all into one asset [USD]

    def hold(self, agent: int, asset: int, units: float) -> None:
        """Add units in an agent's own hands; USD is cash."""
        if asset == 0:
            self.agents.cash[agent] += units
            return
        first, last = self.agents.holding_start[agent], self.agents.holding_start[agent + 1]
        row = first + int(np.flatnonzero(self.holdings.asset[first:last] == asset)[0])
        self.holdings.units[row] += units

    def issue_claims(self) -> None:
        """Claims at 1 USD: outside's, the vaults' and the traders'; supply is their sum, and so is the cash paid in."""
        layout, assets = self.layout, self.layout.assets
        for row, claim in layout.claim.items():
            spec = layout.specs[row]
            self.hold(0, claim, spec.supplied if isinstance(spec, LendingPool) else spec.deposits)
            if isinstance(spec, CollateralisedDebt):
                self.hold(layout.fund[row], claim, spec.reserve.size)
        for row, spec in layout.specs.items():
            if isinstance(spec, Issuer):
                for name, usd in spec.holds.items():
                    asset = layout.asset_rows[name]
                    self.hold(row, asset, usd / assets.index[asset])
            if isinstance(spec, Reflexive):
                self.hold(row, layout.asset_rows[spec.mints], spec.minted_supply)
        for plan in self.plans:
            for name, usd in plan.spec.holds.items():
                first = self.agents.holding_start[plan.agents.start] + plan.slots.index(layout.asset_rows[name])
                last = self.agents.holding_start[plan.agents.stop]
                self.holdings.units[first : last : len(plan.slots)] += usd
            if plan.role in ("borrower", "market_maker", "liquidator"):
                continue
            self.agents.cash[plan.agents] += 0.0 if plan.claims else plan.spec.capital
            for claim in plan.claims:
                first = self.agents.holding_start[plan.agents.start] + plan.slots.index(claim)
                last = self.agents.holding_start[plan.agents.stop]
                self.holdings.units[first : last : len(plan.slots)] += plan.spec.capital / len(plan.claims)
            if plan.role == "hedger":
                self._hold_spot(plan)
            if plan.role == "depositor":
                self.agents.cash[plan.agents] += plan.spec.wallet * plan.spec.capital
        self._mint()
        self._invest_in_one_asset()
        assets.supply[:] = np.where(assets.issuer >= 0, self._units_held(), 0.0)
        for row, claim in layout.claim.items():
            self.agents.cash[row] += self._paid_in(layout.specs[row], float(assets.supply[claim]))
            self.agents.cash[row] -= self._net_lending(row)
        self._require_solution()

    def _mint(self) -> None:
        """What borrowers of a stablecoin owe is its supply: outside holds what nobody in the model does."""
        for row, claim in self.layout.claim.items():
            spec = self.layout.specs[row]
            if not isinstance(spec, CollateralisedDebt):
                continue
            owed, held = self._owed(row), float(self._units_held()[claim])
            if held > owed * (1.0 + 1e-12):
                where, reserve = f"protocols.{self.layout.names[row]}", spec.reserve.size
                held_by = f"{held:g} USD of its claim, {reserve:g} of them in reserve.size"
                raise InputError(where, held_by, f"at most {owed:g} USD, what borrowers owe: they mint what there is")
            self.hold(0, claim, max(0.0, owed - held))

    def _owed(self, row: int) -> float:
        """What borrowers of a pool owe it. [USD]"""
        instruments, debt = self.layout.instruments, self.layout.debt_row[row]
        return float(abs(instruments.customer_units[debt]) * instruments.mark[debt])

    def _units_held(self) -> np.ndarray:
        """Units of every asset in anybody's hands or accounts, shape (n_assets,)."""
        instruments, count = self.layout.instruments, len(self.layout.assets.names)
        held = np.bincount(self.holdings.asset, weights=self.holdings.units, minlength=count)
        in_accounts = instruments.customer_units * (instruments.long_only == 1)
        return held + np.bincount(instruments.asset, weights=in_accounts, minlength=count)

    def _invest_in_one_asset(self) -> None:
        """Bridges and staking: all that was paid in; what is locked may be a claim whose supply grows by it."""
        layout = self.layout
        waiting = {row: spec.only for row, spec in layout.specs.items() if getattr(spec, "only", None)}
        while waiting:
            row = next((row for row in waiting if layout.names[row] not in waiting.values()), None)
            if row is None:
                names = [layout.names[row] for row in waiting]
                raise InputError("protocols.locks", " and ".join(names), "claims that do not lock each other")
            asset = layout.asset_rows[waiting.pop(row)]
            supply = float(self._units_held()[layout.claim[row]])
            usd = max(0.0, self._paid_in(layout.specs[row], supply) - self._net_lending(row))
            self.hold(row, asset, usd / layout.assets.index[asset])
            self._invested[row] = usd

    def _paid_in(self, spec, supply: float) -> float:
        """Money an issuer opens with, before it buys anything: what deposits and its own equity left of it. [USD]"""
        if isinstance(spec, Reflexive):
            return sum(spec.holds.values()) + spec.equity
        return supply + (spec.equity if isinstance(spec, Issuer) else 0.0)

    def _net_lending(self, row: int) -> float:
        """What a protocol has lent out less what it has borrowed: out of its deposits, as its claims open at 1 USD."""
        name, loans = self.layout.names[row], self.scenario.credit.loans
        lent = sum(loan.amount for loan in loans if loan.lender == name)
        return lent - sum(loan.amount for loan in loans if loan.borrower == name)

    def _hold_spot(self, plan: Plan) -> None:
        """Spot of hedgers, equal in value to their short contracts."""
        instruments = self.layout.instruments
        units = self.positions.units[plan.positions].reshape(plan.count, -1)
        first, last = self.agents.holding_start[plan.agents.start], self.agents.holding_start[plan.agents.stop]
        held = self.holdings.units[first:last].reshape(plan.count, len(plan.slots))
        for column, row in enumerate(plan.instruments):
            if instruments.kind[row] > InstrumentKind.INVERSE:
                continue
            asset = int(instruments.asset[row])
            usd = np.abs(units[:, column]) / self.layout.units_per_usd(row)
            held[:, plan.slots.index(asset)] += usd / self.layout.assets.index[asset]

    def _require_solution(self) -> None:
        """Vaults that hold each other's claims have a value only if somebody else holds some of them."""
        layout, assets = self.layout, self.layout.assets
        order = {row: place for place, row in enumerate(layout.claim)}
        shares = np.zeros((len(order), len(order)))
        for row, spec in layout.specs.items():
            for name, usd in spec.holds.items() if isinstance(spec, Issuer) else ():
                target = layout.agent_rows.get(name)
                if target in order and usd > 0.0:
                    shares[order[row], order[target]] = usd / assets.supply[layout.claim[target]]
        if shares.any() and np.abs(np.linalg.eigvals(shares)).max() > 1.0 - 1e-9:
            cycle = [layout.names[row] for row in order if shares[order[row]].any()]
            raise InputError("protocols.holds", " and ".join(cycle), "vaults with depositors besides each other")

    def post_backstops(self) -> None:
        """Vaults pay for what they hold and post their share of the rest at the exchange they back."""
        for row, spec in self.layout.specs.items():
            if not isinstance(spec, Issuer):
                continue
            held = sum(spec.holds.values()) + self._invested.get(row, 0.0)
            cash = self.agents.cash[row] - held
            paid_in = float(self.layout.assets.supply[self.layout.claim[row]]) + spec.equity
            if cash < -1e-12 * paid_in:
                where = f"protocols.{self.layout.names[row]}.holds"
                raise InputError(where, held, f"at most the deposits that are not lent, {self.agents.cash[row]:g}")
            cash = max(0.0, cash)
            books = accounts_of(spec, self.layout)
            share = spec.posted if isinstance(spec, DeltaNeutral) else getattr(spec, "backstop_share", 0.0)
            posted = share * cash if books else 0.0
            self.agents.cash[row] = cash - posted
            for book in books:
                account = self._account(row, book)
                usd = posted / len(books)
                self.accounts.value[account] = usd
                units = usd / self.layout.assets.index[self.layout.books.settle[book]]
                self.accounts.balance[account] += units
                self.accounts.deposits[account] = units

    def _account(self, owner: int, book: int) -> int:
        first, last = self.agents.account_start[owner], self.agents.account_start[owner + 1]
        return first + int(np.flatnonzero(self.accounts.book[first:last] == book)[0])

    def fund_exchanges(self, books: Books) -> None:
        """Custody of what customers deposited, own equity, and the money of funds and reserves."""
        for row, spec in self.layout.specs.items():
            if isinstance(spec, Exchange):
                self.agents.cash[row] += spec.equity
                self.agents.cash[self.layout.fund[row]] += spec.insurance_fund.size
                for book in self.layout.books_of.get(row, []):
                    self.hold(row, int(books.settle[book]), float(books.balance[book]))
            elif isinstance(spec, LendingPool) and not isinstance(spec, CollateralisedDebt):
                self.agents.cash[self.layout.fund[row]] += spec.reserve.size
        for (row, asset), posted in self.layout.collateral_rows.items():
            self.hold(row, self.layout.asset_rows[asset], float(self.layout.instruments.customer_units[posted]))

    def fund_pools(self) -> None:
        """Pools have collateral in custody, and lent out part of what was supplied."""
        layout, instruments = self.layout, self.layout.instruments
        for row, spec in layout.specs.items():
            if not isinstance(spec, LendingPool):
                continue
            debt, lent = layout.debt_row[row], self._owed(row)
            liquid = 0.0 if isinstance(spec, CollateralisedDebt) else self.agents.cash[row] - lent
            if liquid < 0.0:
                name, supplied = layout.names[row], float(self.agents.cash[row])
                raise InputError(f"protocols.{name}.supplied", supplied, f"at least {lent:.6g}, what borrowers owe")
            self.agents.cash[row] = 0.0
            lent_asset = int(instruments.asset[debt])
            self.hold(row, lent_asset, liquid / layout.assets.index[lent_asset])
            for name in spec.collateral:
                held = layout.instrument_rows[row, name]
                self.hold(row, int(instruments.asset[held]), float(instruments.customer_units[held]))


def net_worth(
    agents: Agents, accounts: Accounts, books: Books, holdings: Holdings, loans: Loans, assets: Assets
) -> np.ndarray:
    """Net worth of every agent at fundamental values, shape (n_agents,). [USD]

    Cash, holdings, positive equity of accounts at other venues and loans granted, less positive equity of customers'
    accounts, claims issued and loans owed.
    """
    n = len(agents.cash)
    worth = agents.cash + np.bincount(holdings.owner, holdings.units * assets.fundamental[holdings.asset], n)
    venue = books.venue[accounts.book] if len(books.venue) else np.zeros(0, np.int64)
    value = np.where(venue == accounts.owner, 0.0, np.maximum(accounts.value, 0.0))
    worth += np.bincount(accounts.owner, value, n)
    worth -= np.bincount(venue, value, n)
    worth += np.bincount(loans.lender, loans.face, n) - np.bincount(loans.borrower, loans.face, n)
    issued = assets.issuer >= 0
    np.subtract.at(worth, assets.issuer[issued], (assets.supply * assets.fundamental)[issued])
    return worth
