"""What accounts must hold now, under every venue's rule, and what of the terms moves from step to step."""

from __future__ import annotations

import numpy as np

from contagion.margin.dynamic import RealisedRisk
from contagion.margin.initial import initial_margins, initial_terms
from contagion.margin.kernels import margins
from contagion.margin.portfolio import ScanScenario, loss_table, option_losses, scan_accounts, scan_margin
from contagion.margin.rules import Dynamic, OpenInterestScaled, Portfolio, VolumeAtRisk, funding_add_on
from contagion.margin.rules import open_interest_initial as scaled
from contagion.state.codes import InstrumentKind
from contagion.state.world import World


class Requirements:
    """Keeps the columns that requirements are computed from up to date, and answers for single accounts.

    Attributes
    ----------
    moves : bool
        Whether any venue's terms move; where none do, :meth:`refresh` need not be called.
    scan : ndarray or None
        ``Books.scan`` where a book has portfolio margin.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        instruments, positions = state.instruments, state.positions
        rules = [
            (rule, np.array(venue.instruments)) for venue in world.venues.values()
            if (spec := getattr(venue.spec, "margin", None)) is not None and len(venue.instruments)
            for rule in [spec.build()]
        ]  # fmt: skip
        self._scaled = [(rule, rows) for rule, rows in rules if isinstance(rule, OpenInterestScaled)]
        self._funded = [(rule, rows) for rule, rows in rules if isinstance(rule, VolumeAtRisk) and rule.funding_factor]
        self._scans = [(rule, rows) for rule, rows in rules if isinstance(rule, Portfolio)]
        self._following = [
            RealisedRisk(world, venue, rule) for venue in world.venues.values()
            if (spec := getattr(venue.spec, "margin", None)) is not None
            for rule in [spec.build()] if isinstance(rule, Dynamic)
        ]  # fmt: skip
        self._initial = instruments.tier_initial.copy()
        self._add_on = instruments.add_on.copy()
        self.scan = state.books.scan if self._scans else None
        self._scanned = np.flatnonzero(state.books.scan[state.accounts.book, 3] > 0.0) if self._scans else None
        self.moves = bool(self._scaled or self._funded or self._scans or self._following)
        self._step = -1
        self._columns = (
            state.accounts.start, state.accounts.balance, positions.instrument, positions.units, instruments.mark,
            instruments.equity_price, instruments.long_only, instruments.tier_start, instruments.tier_floor,
            instruments.tier_rate, instruments.tier_deduction, instruments.add_on,
        )  # fmt: skip

    # -- single accounts ----------------------------------------------------------------------------------------

    def of(self, accounts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Equity, maintenance and gross notional of accounts at the marks of the round. [settlement asset]"""
        equity, requirement, notional = np.empty((3, len(accounts)))
        margins(accounts, *self._columns, equity, requirement, notional)
        if self.scan is not None and len(accounts):
            ratio = self.scan[self.world.state.accounts.book[accounts], 3]
            some = np.flatnonzero(ratio > 0.0)
            if len(some):
                requirement[some] = ratio[some] * self.scanned(accounts[some])
        return equity, requirement, notional

    def scanned(self, accounts: np.ndarray) -> np.ndarray:
        """Initial margin of accounts under portfolio margin, shape (n,). [settlement asset]"""
        state, out = self.world.state, np.empty((len(accounts), 3))
        table = state.instruments
        scan_accounts(
            accounts, state.accounts.start, state.accounts.book, state.positions.instrument, state.positions.units,
            table.scan_loss, table.delta, table.mark, table.asset, table.kind, len(state.assets.names),
            state.books.scan, out,
        )  # fmt: skip
        return scan_margin(out[:, 0], out[:, 1], out[:, 2])

    def initial(self, accounts: np.ndarray) -> np.ndarray:
        """Initial margin of accounts as they stand, shape (n,). [settlement asset]"""
        state = self.world.state
        return initial_margins(
            accounts, state.accounts.start, state.accounts.book, state.positions.instrument, state.positions.units,
            initial_terms(state.instruments, state.books.scan),
        )  # fmt: skip

    # -- terms that move ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring terms up to the marks of the round: once a step what follows time, every time what follows marks."""
        if self._step != self.world.step:
            self._step = self.world.step
            for risk in self._following:
                risk.follow()
            for rule, rows in self._funded:
                self._expect_funding(rule, rows)
        for rule, rows in self._scaled:
            self._scale(rule, rows)
        for rule, rows in self._scans:
            self._revalue(rule, rows)
        if self._scanned is not None:
            state = self.world.state
            ratio = state.books.scan[state.accounts.book[self._scanned], 3]
            state.accounts.requirement[self._scanned] = ratio * self.scanned(self._scanned)

    def count_calls(self, accounts: np.ndarray) -> None:
        """Tell rules that follow realised risk who stands below the warning level or in breach."""
        for risk in self._following:
            risk.count_calls(accounts)

    def _scale(self, rule: OpenInterestScaled, rows: np.ndarray) -> None:
        """Initial rates by open interest."""
        state, table = self.world.state, self.world.state.instruments
        for k in rows:
            settle = state.assets.fundamental[state.books.settle[table.book[k]]]
            lower, upper = rule.caps(state.assets.names[table.asset[k]])
            open_interest = float(table.open_interest[k] * table.mark[k] * settle)
            for tier in range(table.tier_start[k], table.tier_start[k + 1]):
                table.tier_initial[tier] = scaled(float(self._initial[tier]), lower, upper, open_interest)

    def _expect_funding(self, rule: VolumeAtRisk, rows: np.ndarray) -> None:
        """Add-ons of the sides by the funding each would pay at the rate of now."""
        table, pricing = self.world.state.instruments, self.world.pricing
        for k in rows:
            rate = float(table.sign[k]) * pricing.funding_rate(int(k))  # per notional, paid by positive units
            for column, side in ((2, 1.0), (3, -1.0)):
                table.add_on[k, column] = funding_add_on(
                    float(self._add_on[k, column]), rule.funding_factor, side, rate
                )

    def _revalue(self, rule: Portfolio, rows: np.ndarray) -> None:
        """Loss of a unit of each instrument in each scenario at the marks of the round."""
        state, table = self.world.state, self.world.state.instruments
        scenarios = tuple(ScanScenario(*item) for item in rule.scenarios)
        contract = table.kind[rows] <= InstrumentKind.INVERSE
        plain = rows[contract & (table.kind[rows] != InstrumentKind.OPTION)]
        table.scan_loss[plain, : len(scenarios)] = loss_table(table.mark[plain], table.sign[plain], scenarios)
        posted = rows[table.kind[rows] == InstrumentKind.SPOT]  # coins lose what of them counts as margin
        counted = table.equity_price[posted]
        table.scan_loss[posted, : len(scenarios)] = loss_table(counted, np.ones(len(posted)), scenarios)
        options = self.world.pricing.options
        if options is None:
            return
        own = np.isin(options.rows, rows)
        chained = options.rows[own]
        strike, years, volatility, right = (column[own] for column in options.terms())
        table.scan_loss[chained, : len(scenarios)] = option_losses(
            state.assets.index[table.asset[chained]], strike, years, volatility, right, scenarios, rule.exponents
        )
