"""The only code that moves cash, balances and units. Every verb books the rows that say who paid whom.

Between two audits ``agents.worth`` holds what each agent's net worth must be *at the prices of the last audit*:
a transaction adds its rows (valued at the marks of the round) and the revaluation of what changed hands between the
two sets of prices. The audit recomputes net worth from balances, units and cash and compares.
"""

from __future__ import annotations

import numpy as np

from contagion.state.closing_out import ClosingOut, Deficits
from contagion.state.codes import Cause, InstrumentKind, Phase
from contagion.state.ledger import Ledger, Part
from contagion.state.posting import collect_from_accounts, post_rows
from contagion.state.tables import State
from contagion.state.trades import apply_trades as _apply_trades


class Bookkeeper(ClosingOut):
    """Verbs on a :class:`State`; see the module for what they keep true."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self.state = state
        self.ledger = ledger
        self.phase = Phase.SETUP
        self.deficits = Deficits()
        self.posted = 0  # rows whose amounts are in `worth`
        self.traded = True  # units moved since the last audit: zero sums are checked again
        self.audited_settle = state.assets.fundamental.copy()  # P_s at the last audit

    # -- rows ---------------------------------------------------------------------------------------------------

    def book(self, cause: Cause, payer, payee, amount, layer: int = -1, deficit=-1) -> None:
        """Book rows; a negative amount is booked the other way round, a zero not at all. Arrays broadcast. [USD]"""
        if isinstance(amount, float):
            self._book_one(cause, payer, payee, amount, layer, deficit)
            return
        amount = np.atleast_1d(np.asarray(amount, dtype=np.float64))
        payer, payee, deficit = (np.broadcast_to(item, amount.shape) for item in (payer, payee, deficit))
        if not np.all(amount > 0):
            reverse = amount < 0
            payer, payee = np.where(reverse, payee, payer), np.where(reverse, payer, payee)
            some = amount != 0
            payer, payee, deficit, amount = payer[some], payee[some], deficit[some], np.abs(amount[some])
        if len(amount):
            self._post(self.ledger.append(self.phase, cause, payer, payee, amount, layer, deficit))

    def _book_one(self, cause: Cause, payer: int, payee: int, amount: float, layer: int, deficit: int) -> None:
        if amount < 0.0:
            payer, payee, amount = payee, payer, -amount
        if amount:
            self.ledger.append_one(self.phase, cause, payer, payee, amount, layer, deficit)
            self.posted += 1
            worth = self.state.agents.worth
            worth[payer] -= amount
            worth[payee] += amount

    def _post(self, rows: Part) -> None:
        worth = self.state.agents.worth
        self.posted += len(rows)
        post_rows(rows["payer"], rows["payee"], rows["amount"], worth)

    # -- cash ---------------------------------------------------------------------------------------------------

    def pay(self, cause: Cause, payer: int, payee: int, amount: float, layer: int = -1, deficit: int = -1) -> None:
        """Cash from one agent to another. [USD]"""
        self.state.agents.cash[payer] -= amount
        self.state.agents.cash[payee] += amount
        self.book(cause, payer, payee, amount, layer, deficit)

    def _move_settlement(self, payer, payee, asset: int, units) -> None:
        """Units of a settlement asset between agents: cash for USD, holdings otherwise (no row)."""
        if asset == 0:
            np.subtract.at(self.state.agents.cash, payer, units)
            np.add.at(self.state.agents.cash, payee, units)
            return
        payer, payee, units = np.broadcast_arrays(payer, payee, np.asarray(units, dtype=np.float64))
        for source, target, amount in zip(payer.ravel(), payee.ravel(), units.ravel(), strict=True):
            self.move_units(int(source), int(target), asset, float(amount))

    def slot(self, agent: int, asset: int) -> int:
        """Row of Holdings for an agent's units of an asset; every agent that may hold it has one.

        Raises
        ------
        KeyError
            The agent was not built to hold this asset.
        """
        holdings, agents = self.state.holdings, self.state.agents
        for row in range(agents.holding_start[agent], agents.holding_start[agent + 1]):
            if holdings.asset[row] == asset:
                return row
        raise KeyError(f"{self.state.agent_name(agent)} cannot hold {self.state.assets.names[asset]}")

    def move_units(self, payer: int, payee: int, asset: int, units: float) -> None:
        """Units of an asset from one agent's hands to another's, without a row (the verb that uses it books one)."""
        assets, worth, held = self.state.assets, self.state.agents.worth, self.state.holdings.units
        held[self.slot(payer, asset)] -= units
        held[self.slot(payee, asset)] += units
        drift = units * (assets.audited[asset] - assets.fundamental[asset])
        worth[payer] -= drift
        worth[payee] += drift

    # -- accounts and their venue -------------------------------------------------------------------------------

    def _settle_price(self, book) -> np.ndarray:
        return self.state.assets.fundamental[self.state.books.settle[book]]

    def _change_balance(self, accounts: np.ndarray, change: np.ndarray) -> None:
        """Add to balances [settlement asset]; the revaluation since the audit is taken out of `worth`."""
        state = self.state
        book = state.accounts.book[accounts]
        np.add.at(state.accounts.balance, accounts, change)
        np.add.at(state.books.balance, book, change)
        settle = state.books.settle[book]
        if settle.any():
            drift = change * (self.audited_settle[settle] - state.assets.fundamental[settle])
            np.add.at(state.agents.worth, state.accounts.owner[accounts], drift)
            np.subtract.at(state.agents.worth, state.books.venue[book], drift)

    def deposit(self, accounts: np.ndarray, amount: np.ndarray) -> None:
        """Owners move cash from wallet to account. [settlement asset], one book per call."""
        self._between_wallet_and_account(accounts, np.asarray(amount), Cause.TOP_UP, Cause.MARGIN_CREDIT)

    def withdraw(self, accounts: np.ndarray, amount: np.ndarray) -> None:
        """Owners move money from account to wallet. [settlement asset], one book per call."""
        self._between_wallet_and_account(accounts, -np.asarray(amount), Cause.WITHDRAWAL, Cause.MARGIN_DEBIT)

    def _between_wallet_and_account(self, accounts, inflow, cash_cause: Cause, claim_cause: Cause) -> None:
        state = self.state
        book = int(state.accounts.book[accounts[0]])
        owner, venue = state.accounts.owner[accounts], int(state.books.venue[book])
        self._move_settlement(owner, np.full(len(accounts), venue), int(state.books.settle[book]), inflow)
        self._change_balance(accounts, inflow)
        np.add.at(state.accounts.deposits, accounts, inflow)
        usd = inflow * self._settle_price(book)
        self.book(cash_cause, owner, venue, usd)
        self.book(claim_cause, venue, owner, usd)

    def charge(self, cause: Cause, accounts, payee: int, amount, layer: int = -1, deficit=-1) -> None:
        """Take from account balances for an agent: fees, haircuts. Negative amounts are paid in. [USD]

        Where the payee is the venue itself its debt to the account falls and no cash moves; so too where the venue
        has not the cash to pass on (its custody was stolen, say): then the venue is the payee.
        """
        state = self.state
        accounts = np.atleast_1d(accounts)
        amount = np.broadcast_to(np.asarray(amount, dtype=np.float64), accounts.shape)
        deficit = np.broadcast_to(deficit, accounts.shape)
        book = state.accounts.book[accounts]
        for row in np.unique(book):
            here = book == row
            venue, settle = int(state.books.venue[row]), int(state.books.settle[row])
            units = amount[here] / state.assets.fundamental[settle]
            self._change_balance(accounts[here], -units)
            receiver = payee if payee == venue or units.sum() <= self._in_hand(venue, settle) else venue
            if receiver != venue:
                self._move_settlement(venue, receiver, settle, units.sum())
            self.book(cause, state.accounts.owner[accounts[here]], receiver, amount[here], layer, deficit[here])

    def _in_hand(self, agent: int, asset: int) -> float:
        """Units of a settlement asset in an agent's hands, cash for USD."""
        state = self.state
        return float(state.agents.cash[agent] if asset == 0 else state.holdings.units[self.slot(agent, asset)])

    def collect(
        self, cause: Cause, accounts: np.ndarray, venue: int, amounts: np.ndarray, layer: int, deficit: int
    ) -> float:
        """Take amounts from many accounts of one venue for the venue itself; one row per payer. Returns the sum. [USD]

        The same as :meth:`charge` for one deficit, in one pass; amounts that are not positive are left out.
        """
        state, ledger = self.state, self.ledger
        settle = state.books.settle
        payers, paid = np.empty(len(accounts), np.int32), np.empty(len(accounts))
        count, total = collect_from_accounts(
            accounts, amounts, venue, state.accounts.owner, state.accounts.book, state.accounts.balance,
            state.books.balance, state.assets.fundamental[settle], self.audited_settle[settle], state.agents.worth,
            payers, paid,
        )  # fmt: skip
        keep = ledger.append if 2 * count < len(paid) else ledger.keep_columns  # no room of those who pay nothing
        keep(self.phase, cause, payers[:count], venue, paid[:count], layer, deficit)
        self.posted += count
        return total

    def transfer_balance(self, cause: Cause, accounts, target: int, amount, layer: int = -1, deficit=-1) -> None:
        """Balance from accounts to another account of the same venue; no cash leaves the venue. [USD]"""
        state = self.state
        accounts = np.atleast_1d(accounts)
        amount = np.broadcast_to(np.asarray(amount, dtype=np.float64), accounts.shape)
        self._change_balance(accounts, -amount / self._settle_price(state.accounts.book[accounts]))
        received = amount.sum() / self._settle_price(state.accounts.book[target])
        self._change_balance(np.array([target]), np.array([received]))
        self.book(cause, state.accounts.owner[accounts], int(state.accounts.owner[target]), amount, layer, deficit)

    # -- contracts ----------------------------------------------------------------------------------------------

    def trade(
        self, cause: Cause, positions: np.ndarray, units: np.ndarray, price: np.ndarray, layer: int = -1, deficit=-1
    ) -> np.ndarray:
        """Change positions at a price; the venue stands between the sides, so units of one call must add to zero.

        Parameters
        ----------
        positions : ndarray of shape (n,)
            Rows of Positions; a row may occur more than once.
        units : ndarray of shape (n,)
            Signed change of units.
        price : ndarray of shape (n,)
            Price in the settlement asset per unit.

        Returns
        -------
        ndarray of shape (n,)
            What each owner paid against the mark; negative: received. [USD]
        """
        state = self.state
        self.traded = True
        account = state.positions.account[positions]
        book = state.accounts.book[account]
        instrument = state.positions.instrument[positions]
        owner, venue = state.accounts.owner[account], state.books.venue[book]
        price = np.broadcast_to(np.asarray(price, dtype=np.float64), units.shape)
        _apply_trades(
            positions, units, price, state.positions.account, state.positions.units, state.positions.entry,
            state.accounts.balance, state.accounts.realised,
        )  # fmt: skip
        np.subtract.at(state.books.balance, book, units * price)
        settle = state.books.settle[book]
        now = self._settle_price(book) * units * (state.instruments.value_price[instrument] - price)
        then = self.audited_settle[settle] * units * (state.instruments.audited_price[instrument] - price)
        np.add.at(state.agents.worth, owner, then - now)
        self.book(cause, owner, venue, -now, layer, deficit)
        return -now

    def is_contract(self, instrument) -> np.ndarray:
        """Whether instruments are promises between account holders (zero-sum), not units of an asset."""
        kind = self.state.instruments.kind[instrument]
        return kind <= InstrumentKind.INVERSE
