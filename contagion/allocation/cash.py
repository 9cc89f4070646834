"""Layers that absorb a deficit with money: funds, own capital, profits of winners, the defaulter, depositors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from contagion.allocation.candidates import account_columns, account_equity, fill_by_rank
from contagion.allocation.layer import Case, Layer, Payment, pro_rata
from contagion.allocation.rankings import ranking
from contagion.allocation.transfers import means_of
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.world import Venue, World

Cap = Annotated[float, Field(ge=0)] | None


class InsuranceFund(Layer):
    """The venue's fund pays until it is empty."""

    def bear(self, case: Case) -> Iterator[Payment]:
        if case.venue.fund >= 0:
            limits = np.array([max(0.0, means_of(case.world.state, case.venue, case.venue.fund))])
            yield Payment(pro_rata(limits, case.need), limits, agents=np.array([case.venue.fund]))


class Reserve(InsuranceFund):
    """A pool's reserve pays in cash, then burns its own claims on the pool."""


class VenueEquity(Layer):
    """The venue bears the loss with its own capital (skin in the game).

    Parameters
    ----------
    limit : float, optional
        The most this layer bears in a run, for a tranche. Default: all of the venue's capital. [USD]
    """

    limit: Cap = None

    def bear(self, case: Case) -> Iterator[Payment]:
        capital = own_capital(case.world, case.venue)
        custody = float(case.world.state.agents.cash[case.venue.row])
        capital = capital if capital > 1e-12 * custody else 0.0  # below that it is the rounding of a sum
        if self.limit is not None:
            capital = min(capital, max(0.0, self.limit - case.borne))
        limits = np.array([capital])
        yield Payment(pro_rata(limits, case.need), limits)


class ProfitHaircut(Layer):
    """Accounts in profit give up part of it; their principal is not touched.

    Parameters
    ----------
    base : {"unrealised", "window"}
        Profit that can be cut: unrealised now, or plus what closing trades realised in the current window.
    order : {"pro_rata"} or name of a ranking
        All at one rate ``min(1, need / sum of profits)`` (variation-margin gains haircut; BitMEX dynamic profit
        equalisation), or from the top of a ranking each up to the whole of its profit (the queue of Chitra,
        arXiv 2512.01112, section 2).
    severity : float
        Share of the need that is collected (theta of the same paper), the rest is left to later layers.

    Notes
    -----
    Nobody pays more than its equity, so an account with a profit on a position but no equity is not pushed below zero.
    """

    base: Literal["unrealised", "window"] = "unrealised"
    order: str = "pro_rata"
    severity: Annotated[float, Field(ge=0, le=1)] = 1.0

    @field_validator("order")
    @classmethod
    def _known(cls, name: str) -> str:
        ranking(name)
        return name

    def bear(self, case: Case) -> Iterator[Payment]:
        state = case.world.state
        columns = account_columns(state, case.venue.books)
        profit = columns.profit
        if self.base == "window":
            settle = state.assets.fundamental[state.books.settle[state.accounts.book[columns.position]]]
            profit = profit + settle * state.accounts.realised[columns.position]
        limits = np.maximum(0.0, np.minimum(profit, columns.equity))
        want = min(self.severity * case.need, float(limits.sum()))
        if self.order == "pro_rata":
            amounts = pro_rata(limits, want)
        else:
            score = np.where(limits > 0.0, columns.score(*ranking(self.order)), -np.inf)
            amounts = fill_by_rank(score, limits, want)
        some = limits > 0.0
        capacity = min(self.severity * case.need, float(limits.sum()))
        yield Payment(amounts[some], limits[some], accounts=columns.position[some], capacity=capacity)


class Recourse(Layer):
    """The owner of the bankrupt account pays with what else it has, each for its own deficits only.

    Parameters
    ----------
    reach : {"venue", "full"}
        Its other accounts at this venue, or these and then its wallet.
    """

    reach: Literal["venue", "full"] = "full"

    def bear(self, case: Case) -> Iterator[Payment]:
        yield from self._paid_by(case, self._accounts)
        if self.reach == "full":
            yield from self._paid_by(case, self._wallets)

    def _paid_by(self, case: Case, means) -> Iterator[Payment]:
        owner_of = np.array(case.world.bookkeeper.deficits.owner, dtype=np.int64)[case.roots]
        payers, limits, debts, kind = [], [], [], ""
        for owner in np.unique(owner_of[owner_of != case.venue.row]):
            kind, rows, reachable = means(case, int(owner))
            payers.append(rows)
            limits.append(reachable)
            debts.append(int(owner))
        if not payers or not np.concatenate(limits).sum() > 0.0:
            return
        pieces = [
            (payer, limit, amount, int(root))
            for rows, reachable, owner in zip(payers, limits, debts, strict=True)
            for payer, limit, amount, root in _for_own(case, rows, reachable, owner_of == owner)
        ]
        rows, most, amounts, roots = (np.array(column) for column in zip(*pieces, strict=True))
        capacity = sum(
            min(float(reachable.sum()), float(case.open[owner_of == owner].sum()))
            for reachable, owner in zip(limits, debts, strict=True)
        )
        yield Payment(amounts, most, capacity=capacity, deficits=roots, **{kind: rows})

    def _accounts(self, case: Case, owner: int) -> tuple[str, np.ndarray, np.ndarray]:
        state = case.world.state
        rows = np.arange(state.agents.account_start[owner], state.agents.account_start[owner + 1])
        here = np.isin(state.accounts.book[rows], case.venue.books)
        rows = rows[here & ((state.accounts.flags[rows] & AccountFlag.BANKRUPT) == 0)]
        return "accounts", rows, np.maximum(0.0, account_equity(state, rows))

    def _wallets(self, case: Case, owner: int) -> tuple[str, np.ndarray, np.ndarray]:
        return "agents", np.array([owner]), np.array([max(0.0, float(case.world.state.agents.cash[owner]))])


def _for_own(case: Case, rows: np.ndarray, limits: np.ndarray, own: np.ndarray):
    """(payer, limit, amount, deficit id) so that payers bear the same share of their means, deficits of their size."""
    debt = float(case.open[own].sum())
    amounts = pro_rata(limits, debt)
    for payer, limit, amount in zip(rows, limits, amounts, strict=True):
        for root, left in zip(case.roots[own], case.open[own], strict=True):
            yield int(payer), float(limit), float(amount * left / debt) if debt > 0.0 else 0.0, root


class DepositorWriteDown(Layer):
    """A pool's claims are worth less by the loss: its depositors bear it pro rata to what they hold.

    The row stays on the pool; the holders' loss is the revaluation of their claim in the propagation phase.
    """

    def bear(self, case: Case) -> Iterator[Payment]:
        claim, assets = case.venue.claim, case.world.state.assets
        if claim >= 0:
            limits = np.array([max(0.0, float(assets.supply[claim] * assets.fundamental[claim]))])
            yield Payment(pro_rata(limits, case.need), limits)


def own_capital(world: World, venue: Venue) -> float:
    """What a venue owns beyond what it owes, deficits not yet borne left aside. [USD]

    Cash, holdings, loans and accounts elsewhere, less the balances and units of all accounts in its books (the
    takeover account's too: what it lacks is the deficit) and less the claims it issued.
    """
    state, agent = world.state, venue.row
    assets, books = state.assets, state.books
    held = slice(int(state.agents.holding_start[agent]), int(state.agents.holding_start[agent + 1]))
    total = float(state.agents.cash[agent])
    total += float(state.holdings.units[held] @ assets.fundamental[state.holdings.asset[held]])
    total += float(state.loans.face[state.loans.lender == agent].sum())
    total -= float(state.loans.face[state.loans.borrower == agent].sum())
    accounts = np.arange(state.agents.account_start[agent], state.agents.account_start[agent + 1])
    elsewhere = accounts[books.venue[state.accounts.book[accounts]] != agent]
    total += float(np.maximum(0.0, account_equity(state, elsewhere)).sum())
    here = books.venue == agent
    total -= float(assets.fundamental[books.settle[here]] @ books.balance[here])
    kind, instruments = state.instruments.kind, state.instruments
    spot = (instruments.venue == agent) & ((kind == InstrumentKind.SPOT) | (kind == InstrumentKind.DEBT))
    if spot.any():
        settle = assets.fundamental[books.settle[instruments.book[spot]]]
        total -= float((settle * instruments.value_price[spot]) @ instruments.customer_units[spot])
    issued = assets.issuer == agent
    return total - float(assets.supply[issued] @ assets.fundamental[issued])
