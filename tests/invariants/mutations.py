"""Ways to get the accounting wrong: each function breaks one thing, each must stop a run.

A mutation takes pytest's ``monkeypatch`` and puts a fault into the class or module that does the work.
"""

from __future__ import annotations

import numpy as np

from contagion.agents.decisions import Decisions
from contagion.allocation import settlement, waterfall
from contagion.allocation.cash import InsuranceFund, ProfitHaircut, VenueEquity, pro_rata
from contagion.allocation.layer import Payment
from contagion.allocation.positions import AutoDeleverage
from contagion.margin.audit import Audit
from contagion.market.pricing import Pricing
from contagion.protocols import credit, verbs
from contagion.state.bookkeeper import Bookkeeper
from contagion.state.codes import Cause
from contagion.state.ledger import Ledger

MUTATIONS = []


def mutation(function):
    """Register a mutation; its docstring says what is wrong."""
    MUTATIONS.append(function)
    return function


def after(monkeypatch, owner, name, action) -> None:
    """Do `action(result, *args)` after every call of a function."""
    right = getattr(owner, name)

    def wrong(*args, **kwargs):
        result = right(*args, **kwargs)
        action(result, *args)
        return result

    monkeypatch.setattr(owner, name, wrong)


def once(monkeypatch, owner, name, action) -> None:
    """The same, but only after the first call of a run for which `action` returns True."""
    done = []

    def first(result, *args):
        if not done and action(result, *args):
            done.append(True)

    after(monkeypatch, owner, name, first)


# -- rows -----------------------------------------------------------------------------------------------------------


def _book_again(cause):
    def mutate(monkeypatch):
        right = Bookkeeper.book

        def twice(self, found, *args, **kwargs):
            right(self, found, *args, **kwargs)
            if found == cause:
                right(self, found, *args, **kwargs)

        monkeypatch.setattr(Bookkeeper, "book", twice)

    return mutate


def _drop(cause):
    def mutate(monkeypatch):
        right = Bookkeeper.book
        monkeypatch.setattr(
            Bookkeeper, "book", lambda self, found, *a, **k: None if found == cause else right(self, found, *a, **k)
        )

    return mutate


def _list_twice(cause):
    def mutate(monkeypatch):
        def twice(right):
            def wrong(self, phase, found, *args, **kwargs):
                if found == cause:
                    right(self, phase, found, *args, **kwargs)
                return right(self, phase, found, *args, **kwargs)

            return wrong

        for name in ("append", "append_one"):
            monkeypatch.setattr(Ledger, name, twice(getattr(Ledger, name)))

    return mutate


def _unlist(cause):
    def mutate(monkeypatch):
        def shorten(rows, self, phase, found, *_):
            if found == cause:
                self._size -= 1

        for name in ("append", "append_one"):
            after(monkeypatch, Ledger, name, shorten)

    return mutate


for _name, _make, _what in (
    ("booked_twice", _book_again, "Every {} row is booked a second time."),
    ("dropped", _drop, "No {} row is booked."),
    ("listed_twice", _list_twice, "Every {} row stands in the ledger twice but is posted once."),
    ("unlisted", _unlist, "Every {} row is posted but does not stay in the ledger."),
):
    for _cause in (
        Cause.ALLOCATION, Cause.DEFICIT, Cause.LIMITED_LIABILITY, Cause.LIQUIDATION, Cause.LIQUIDATION_FEE,
        Cause.REPAYMENT, Cause.SEIZURE, Cause.WITHDRAWAL, Cause.LOAN_PAYMENT,
    ):  # fmt: skip
        _mutate = _make(_cause)
        _mutate.__name__ = f"{_cause.name.lower()}_{_name}"
        _mutate.__doc__ = _what.format(_cause.name.lower())
        mutation(_mutate)


@mutation
def wrong_payee(monkeypatch):
    """What a layer pays is booked to the next agent instead of the deficit's venue."""
    right = Bookkeeper.book

    def wrong(self, cause, payer, payee, *args, **kwargs):
        right(self, cause, payer, payee + (cause == Cause.ALLOCATION), *args, **kwargs)

    monkeypatch.setattr(Bookkeeper, "book", wrong)


@mutation
def wrong_payer(monkeypatch):
    """The fund's payment is booked as the venue's."""
    right = Bookkeeper.book

    def wrong(self, cause, payer, payee, *args, **kwargs):
        fund = np.broadcast_to(payer, np.shape(payer) or (1,)) == self.state.agents.names.index("perp/insurance_fund")
        right(self, cause, payee if cause == Cause.ALLOCATION and fund.all() else payer, payee, *args, **kwargs)

    monkeypatch.setattr(Bookkeeper, "book", wrong)


@mutation
def payers_swapped(monkeypatch):
    """Money is taken from the right accounts, and booked as if their neighbours had paid."""
    right = Bookkeeper.collect

    def wrong(self, cause, accounts, venue, amounts, *rest):
        units = amounts / self._settle_price(self.state.accounts.book[accounts])
        self.state.accounts.balance[accounts] += units - np.roll(units, 1)
        return right(self, cause, accounts, venue, amounts, *rest)

    monkeypatch.setattr(Bookkeeper, "collect", wrong)


# -- layers ---------------------------------------------------------------------------------------------------------


@mutation
def fund_skipped(monkeypatch):
    """The insurance fund is passed over although it has money."""
    monkeypatch.setattr(InsuranceFund, "bear", lambda self, case: iter(()))


@mutation
def fund_half_used(monkeypatch):
    """The insurance fund gives half of what it has, and says it has no more."""
    right = InsuranceFund.bear

    def half(self, case):
        for item in right(self, case):
            yield Payment(0.5 * item.amounts, 0.5 * item.amounts, agents=item.agents)

    monkeypatch.setattr(InsuranceFund, "bear", half)


@mutation
def haircut_skipped(monkeypatch):
    """Profits are not cut although there are some."""
    monkeypatch.setattr(ProfitHaircut, "bear", lambda self, case: iter(()))


@mutation
def equity_skipped(monkeypatch):
    """The venue's own capital is passed over although there is some."""
    monkeypatch.setattr(VenueEquity, "bear", lambda self, case: iter(()))


@mutation
def deleveraging_skipped(monkeypatch):
    """Nobody is deleveraged although there are candidates."""
    monkeypatch.setattr(AutoDeleverage, "bear", lambda self, case: iter(()))


@mutation
def deleveraging_cut_short(monkeypatch):
    """Half of the units that candidates could take are passed on."""
    right = AutoDeleverage.bear

    def half(self, case):
        for item in right(self, case):
            item.units = 0.5 * item.units
            yield item

    monkeypatch.setattr(AutoDeleverage, "bear", half)


@mutation
def fund_over_capacity(monkeypatch):
    """The insurance fund pays the whole need, whatever it has."""

    def generous(self, case):
        need = np.array([case.need])
        yield Payment(need, need, agents=np.array([case.venue.fund]))

    monkeypatch.setattr(InsuranceFund, "bear", generous)


@mutation
def tranche_exceeded(monkeypatch):
    """The venue's equity layer bears the whole need, beyond its tranche."""

    def generous(self, case):
        need = np.array([case.need])
        yield Payment(need, need)

    monkeypatch.setattr(VenueEquity, "bear", generous)


@mutation
def principal_cut(monkeypatch):
    """The profit haircut takes its share of everybody's equity, losers' too."""
    from contagion.allocation.candidates import account_columns

    def wrong(self, case):
        columns = account_columns(case.world.state, case.venue.books)
        limits = np.maximum(columns.equity, 0.0)
        want = self.severity * case.need
        yield Payment(pro_rata(limits, want), limits, accounts=columns.position, capacity=want)

    monkeypatch.setattr(ProfitHaircut, "bear", wrong)


@mutation
def deleveraged_at_mark(monkeypatch):
    """Deleveraging fills at mark where the rule says bankruptcy price."""
    monkeypatch.setattr(
        AutoDeleverage, "prices",
        lambda self, case, lots, chosen: np.full(
            len(chosen), float(case.world.state.instruments.value_price[lots.instrument])
        ),
    )  # fmt: skip


@mutation
def deleveraged_off_price(monkeypatch):
    """The units change hands 1% off the price that was announced and checked."""
    right = settlement.move_positions
    monkeypatch.setattr(
        settlement, "move_positions",
        lambda books, rows, units, into, price: right(books, rows, units, into, 1.01 * price),
    )  # fmt: skip


@mutation
def deleveraged_on_same_side(monkeypatch):
    """Those on the side of the bankrupt are deleveraged, and grow."""
    from contagion.allocation.candidates import PositionIndex

    right = PositionIndex.candidates
    monkeypatch.setattr(
        PositionIndex, "candidates", lambda self, instrument, side, price: right(self, instrument, -side, price)
    )


@mutation
def fund_pays_twice(monkeypatch):
    """The fund's money is taken a second time for the same payment."""

    def twice(_, books, venue, agent, amount, claims_first):
        books.state.agents.cash[agent] -= amount
        books.state.agents.cash[venue.row] += amount

    after(monkeypatch, settlement, "surrender", twice)


# -- deficits -------------------------------------------------------------------------------------------------------


@mutation
def residual_sent_outside(monkeypatch):
    """What no layer takes is paid by outside."""

    def wrong(self, case):
        left = case.open.copy()
        self._credit(case, left)
        for root, amount in zip(case.roots[left > 0.0], left[left > 0.0], strict=True):
            self.world.bookkeeper.pay(Cause.ALLOCATION, 0, case.venue.row, float(amount), self._unallocated, int(root))
        self._reduce(case, left)

    monkeypatch.setattr(settlement.Settlement, "_leave_unallocated", wrong)


@mutation
def deficit_counted_twice(monkeypatch):
    """Every bankruptcy registers two roots."""
    right = Bookkeeper.open_deficit

    def twice(self, *args):
        right(self, *args)
        return right(self, *args)

    monkeypatch.setattr(Bookkeeper, "open_deficit", twice)


@mutation
def deficit_halved(monkeypatch):
    """A root is registered with half of what is missing."""
    right = Bookkeeper.open_deficit
    monkeypatch.setattr(
        Bookkeeper, "open_deficit",
        lambda self, venue, account, owner, amount: right(self, venue, account, owner, 0.5 * amount),
    )  # fmt: skip


@mutation
def deficit_forgotten(monkeypatch):
    """A bankruptcy registers its root as borne already."""

    def forget(root, self, *_):
        self.deficits.open[root] = 0.0

    after(monkeypatch, Bookkeeper, "open_deficit", forget)


@mutation
def residual_left_open(monkeypatch):
    """What no layer takes is booked nowhere."""
    monkeypatch.setattr(settlement.Settlement, "_leave_unallocated", lambda self, case: None)


@mutation
def surplus_kept(monkeypatch):
    """A flat takeover account keeps what is left on it."""
    monkeypatch.setattr(waterfall, "pass_on_surplus", lambda *args: None)


@mutation
def own_shortfall_ignored(monkeypatch):
    """What the takeover account loses on units it holds becomes no deficit."""
    monkeypatch.setattr(waterfall, "open_own_shortfall", lambda *args: -1)


@mutation
def shortfall_not_booked(monkeypatch):
    """Accounts below zero cost their owners nothing, and nobody else either."""
    monkeypatch.setattr(Audit, "_book_limited_liability", lambda self, count: None)


@mutation
def bankruptcy_price_wrong(monkeypatch):
    """Bankruptcy prices are 1% off."""
    from contagion.liquidation import closing

    right = closing.bankruptcy_lots

    def wrong(state, account):
        instrument, units, price = right(state, account)
        return instrument, units, 1.01 * price

    monkeypatch.setattr(closing, "bankruptcy_lots", wrong)


# -- units, balances, cash ------------------------------------------------------------------------------------------


@mutation
def units_created(monkeypatch):
    """A trade gives the first side a thousandth more units than the other side gave."""

    def create(_, self, cause, positions, *rest):
        self.state.positions.units[positions[0]] *= 1.001

    after(monkeypatch, Bookkeeper, "trade", create)


@mutation
def counterparty_missing(monkeypatch):
    """A trade is applied to one side only."""
    right = Bookkeeper.trade
    monkeypatch.setattr(
        Bookkeeper, "trade", lambda self, cause, rows, units, price: right(self, cause, rows[:1], units[:1], price[:1])
    )


@mutation
def lots_left_on_the_bankrupt(monkeypatch):
    """Taken-over units stay on the bankrupt account as well."""

    def keep(_, self, accounts):
        state = self.state
        state.positions.units[state.accounts.start[accounts[0]]] = 0.01

    after(monkeypatch, Bookkeeper, "hand_over", keep)


@mutation
def fee_not_credited(monkeypatch):
    """The liquidation fee leaves the account and never reaches the fund's cash."""

    def lose(_, self, cause, accounts, payee, amount, *rest):
        if cause == Cause.LIQUIDATION_FEE:
            self.state.agents.cash[payee] -= float(np.sum(amount))

    after(monkeypatch, Bookkeeper, "charge", lose)


@mutation
def units_minted(monkeypatch):
    """A depositor finds ten more claim units than were issued."""

    def mint(_, self):
        state = self.world.state
        held = state.holdings
        claim = np.flatnonzero(state.assets.issuer >= 0)[-1]
        held.units[np.flatnonzero((held.asset == claim) & (held.owner >= state.first_trader))[0]] += 10.0
        return True

    once(monkeypatch, Decisions, "run", lambda result, self, *_: mint(result, self))


@mutation
def units_minted_and_counted(monkeypatch):
    """The same, and supply says so, but nobody paid."""

    def mint(_, self, *rest):
        state = self.world.state
        held = state.holdings
        claim = np.flatnonzero(state.assets.issuer >= 0)[-1]
        held.units[np.flatnonzero((held.asset == claim) & (held.owner >= state.first_trader))[0]] += 10.0
        state.assets.supply[claim] += 10.0
        return True

    once(monkeypatch, Decisions, "run", mint)


@mutation
def supply_wrong(monkeypatch):
    """Redeemed claim units stay in supply."""
    right = verbs.redeem

    def wrong(books, asset, holdings, units, price=None):
        before = float(books.state.assets.supply[asset])
        paid = right(books, asset, holdings, units, price)
        books.state.assets.supply[asset] = before
        return paid

    monkeypatch.setattr(verbs, "redeem", wrong)


@mutation
def collateral_seized_twice(monkeypatch):
    """What a keeper seizes leaves the pool's custody twice."""

    def again(_, books, collateral, keeper, seized, price, **rest):
        state = books.state
        asset = int(state.instruments.asset[state.positions.instrument[collateral]])
        pool = int(state.books.venue[state.accounts.book[state.positions.account[collateral]]])
        books.move_units(pool, 0, asset, seized)

    after(monkeypatch, verbs, "seize_and_sell", again)


@mutation
def collateral_kept_by_borrower(monkeypatch):
    """What a keeper seizes leaves custody, but the borrower is still credited with it."""

    def keep(_, books, collateral, keeper, seized, price, **rest):
        books.state.positions.units[collateral] += seized

    after(monkeypatch, verbs, "seize_and_sell", keep)


@mutation
def keeper_pays_nothing(monkeypatch):
    """A debt is repaid without the keeper's cash."""

    def refund(_, books, debt, keeper, repaid):
        books.state.agents.cash[keeper] += repaid

    after(monkeypatch, verbs, "cover", refund)


@mutation
def funding_one_sided(monkeypatch):
    """Funding is taken from longs' balances and credited to nobody."""

    def take(_, self, step):
        state = self.world.state
        longs = np.flatnonzero(state.positions.units[: len(state.positions.units)] > 0.0)
        longs = longs[state.instruments.kind[state.positions.instrument[longs]] == 0]
        state.accounts.balance[state.positions.account[longs[0]]] -= 1.0

    after(monkeypatch, Pricing, "advance", take)


@mutation
def cash_created(monkeypatch):
    """A trader finds one dollar."""

    def find(_, self, *rest):
        self.world.state.agents.cash[-1] += 1.0

    after(monkeypatch, Decisions, "run", find)


@mutation
def cash_passed_without_a_row(monkeypatch):
    """A dollar passes between two traders and no row says so."""

    def slip(_, self, *rest):
        self.world.state.agents.cash[-1] += 1.0
        self.world.state.agents.cash[-2] -= 1.0

    after(monkeypatch, Decisions, "run", slip)


@mutation
def wallet_overdrawn(monkeypatch):
    """A trader pays an exchange more than it has, with a row."""

    def overdraw(_, self, *rest):
        cash = float(self.world.state.agents.cash[-1])
        self.world.bookkeeper.pay(Cause.EXECUTION, self.world.state.n_agents - 1, 1, cash + 1.0)
        return True

    once(monkeypatch, Decisions, "run", overdraw)


@mutation
def balance_moved_without_cash(monkeypatch):
    """A top-up raises the account's balance and the wallet is not charged."""

    def refund(_, self, accounts, amount):
        self.state.agents.cash[self.state.accounts.owner[accounts[0]]] += float(np.asarray(amount)[0])

    after(monkeypatch, Bookkeeper, "deposit", refund)


@mutation
def balance_slipped(monkeypatch):
    """A dollar passes between two accounts of one venue and no row says so."""

    def slip(_, self, *rest):
        balance, owner = self.world.state.accounts.balance, self.world.state.accounts.owner
        first = int(np.flatnonzero(owner >= self.world.state.first_trader)[0])
        balance[first] += 1.0
        balance[first + 1] -= 1.0

    after(monkeypatch, Decisions, "run", slip)


@mutation
def debt_forgiven_silently(monkeypatch):
    """A due loan is struck off without a payment or a row."""

    def strike(books, loan, paid):
        books.state.loans.face[loan] = 0.0

    monkeypatch.setattr(credit, "settle_loan", strike)


# -- prices ---------------------------------------------------------------------------------------------------------


def _mark(value):
    def spoil(_, self):
        if self.world.step == 1:
            self.world.state.instruments.mark[0] = value

    return lambda monkeypatch: after(monkeypatch, Pricing, "reprice", spoil)


for _name, _value in (("nan", np.nan), ("negative", -1.0), ("infinite", np.inf)):
    _mutate = _mark(_value)
    _mutate.__name__, _mutate.__doc__ = f"{_name}_mark", f"A mark is {_name}."
    mutation(_mutate)


@mutation
def nan_index(monkeypatch):
    """An index price is not a number."""
    right = Pricing.__init__

    def spoil(self, world):
        right(self, world)
        world.path = world.path.copy()
        world.path[1, 1] = np.nan

    monkeypatch.setattr(Pricing, "__init__", spoil)


@mutation
def negative_depth(monkeypatch):
    """A depth is negative."""

    def spoil(_, self):
        if self.world.step:
            self.world.state.instruments.depth[0] = -1.0

    after(monkeypatch, Decisions, "update_quotes", spoil)


@mutation
def nan_cash(monkeypatch):
    """A wallet is not a number."""

    def spoil(_, self, *rest):
        self.world.state.agents.cash[-1] = np.nan

    after(monkeypatch, Decisions, "run", spoil)
