"""Money set aside: the insurance fund with its gates and caps, a pool's reserve, the venue's own capital."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from contagion.allocation.candidates import account_equity
from contagion.allocation.layer import Case, Layer, Memory, Payment, Properties, steps_of
from contagion.allocation.shares import pro_rata
from contagion.allocation.standing import settle_price
from contagion.allocation.transfers import means_of
from contagion.scenario.fields import Duration
from contagion.state.codes import InstrumentKind
from contagion.state.world import Venue, World

Cap = Annotated[float, Field(ge=0)] | None
Share = Annotated[float, Field(ge=0, le=1)]

NOBODY_TRADING = Properties(True, True, None, True, None, True)
"""Properties of layers whose payers are not traders."""


class InsuranceFund(Layer):
    """The venue's fund pays until it is empty, or until a gate or a cap stops it.

    Parameters
    ----------
    drawdown : float, optional
        It stops where it has fallen by this share from its peak in `window`: what is missing goes to the next layers
        (OKX and Bybit deleverage at 30% in 8 hours).
    cap_per_window : float, optional
        The most it pays in `window` (dYdX v4 caps insurance lost per block). [USD]
    window : duration
        For both.
    share_of_deficit : float
        The most it pays of any one deficit.
    net_notional : float, optional
        Most net notional of taken-over units that it stands behind, as a multiple of its balance (Binance: 1). It pays
        deficits whose units fit, in the order of their accounts' keys, and nothing for others.
    market_caps : dict of asset to float
        The most it pays for deficits of a market in a run (Drift: 100m, 1m, 100k, 0 by contract tier); markets that
        are not named have no cap. [USD]
    scope : {"shared", "per_market"}
        One fund for all markets, or an equal part of it for each, which pays for that market only.

    Notes
    -----
    A deficit belongs to the markets its account held, in proportion to notional.
    """

    has: ClassVar[Properties] = NOBODY_TRADING

    drawdown: Annotated[float, Field(gt=0, le=1)] | None = None
    cap_per_window: Cap = None
    window: Duration = Field(default="8h", validate_default=True)
    share_of_deficit: Share = 1.0
    net_notional: Annotated[float, Field(gt=0)] | None = None
    market_caps: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    scope: Literal["shared", "per_market"] = "shared"

    @property
    def gated(self) -> bool:
        """Whether it may stop while it has money."""
        return self.drawdown is not None or self.cap_per_window is not None or self.by_root

    @property
    def by_root(self) -> bool:
        """Whether deficits are not all alike to it."""
        return self.share_of_deficit < 1.0 or self.net_notional is not None or self.by_market

    @property
    def by_market(self) -> bool:
        return bool(self.market_caps) or self.scope == "per_market"

    @property
    def watches(self) -> bool:
        return self.drawdown is not None

    @property
    def properties(self) -> Properties:
        return self.has._replace(
            budget_balance=not self.gated, scale_invariant=self.cap_per_window is None and not self.market_caps
        )

    def watch(self, world: World, venue: Venue, memory: Memory) -> None:
        if venue.fund >= 0:
            has, since = means_of(world.state, venue, venue.fund), world.step - steps_of(world, self.window)
            while memory.peaks and (memory.peaks[-1][1] <= has):
                memory.peaks.pop()
            memory.peaks.append((world.step, has))
            while memory.peaks[0][0] <= since:
                memory.peaks.popleft()

    def bear(self, case: Case) -> Iterator[Payment]:
        if case.venue.fund < 0 or not len(case.roots):
            return
        room = self.room(case)
        if not self.by_root:
            limits = np.array([room])
            payment = Payment(pro_rata(limits, case.need), limits, agents=np.array([case.venue.fund]))
        else:
            amounts = self._by_root(case)
            amounts = pro_rata(amounts, min(room, float(amounts.sum())))
            payment = Payment(
                amounts, np.full(len(amounts), float(amounts.sum())), agents=np.full(len(amounts), case.venue.fund),
                deficits=case.roots, capacity=float(amounts.sum()),
            )  # fmt: skip
        roots, paid = case.roots, float(payment.amounts.sum())
        yield payment
        case.memory.recent.append((case.world.step, paid))
        if self.by_root:
            for root, amount in zip(roots.tolist(), payment.amounts.tolist(), strict=True):
                case.memory.by_root[root] = case.memory.by_root.get(root, 0.0) + amount
                for market, share in case.markets.get(root, {}).items():
                    case.memory.by_market[market] = case.memory.by_market.get(market, 0.0) + share * amount

    def room(self, case: Case) -> float:
        """The most it pays now for all deficits together. [USD]"""
        has = max(0.0, means_of(case.world.state, case.venue, case.venue.fund))
        room = has
        if self.drawdown is not None and case.memory.peaks:
            room = min(room, max(0.0, has - (1.0 - self.drawdown) * case.memory.peaks[0][1]))
        if self.cap_per_window is not None:
            paid = case.memory.paid_within(case.world.step, case.steps(self.window))
            room = min(room, max(0.0, self.cap_per_window - paid))
        return room

    def _by_root(self, case: Case) -> np.ndarray:
        """What it would pay for each deficit if its balance were no limit. [USD]"""
        amount = np.array(case.world.bookkeeper.deficits.amount)[case.roots]
        before = np.array([case.memory.by_root.get(int(root), 0.0) for root in case.roots])
        want = np.minimum(case.open, np.maximum(0.0, self.share_of_deficit * amount - before))
        if self.net_notional is not None:
            has = means_of(case.world.state, case.venue, case.venue.fund)
            want = np.where(units_fit(case, self.net_notional * max(0.0, has)), want, 0.0)
        left = self._market_room(case)
        if not left:
            return want
        shares = np.array([[case.markets.get(int(root), {}).get(m, 0.0) for m in left] for root in case.roots])
        asked = want[:, None] * shares
        room = np.array([max(0.0, value) for value in left.values()])
        total = asked.sum(axis=0)
        rate = np.minimum(1.0, np.divide(room, total, out=np.ones_like(room), where=total > 0.0))
        return want * (1.0 - shares.sum(axis=1)) + (asked * rate).sum(axis=1)

    def _market_room(self, case: Case) -> dict[int, float]:
        """What is left for each market that has a limit of its own, by instrument. [USD]"""
        state, paid = case.world.state, case.memory.by_market
        room: dict[int, float] = {}
        for instrument in case.venue.instruments:
            if self.scope == "per_market":
                has = means_of(state, case.venue, case.venue.fund) + sum(paid.values())
                room[instrument] = has / len(case.venue.instruments) - paid.get(instrument, 0.0)
            cap = self.market_caps.get(state.assets.names[state.instruments.asset[instrument]])
            if cap is not None:
                room[instrument] = min(room.get(instrument, np.inf), cap - paid.get(instrument, 0.0))
        return room


def units_fit(case: Case, most: float) -> np.ndarray:
    """Which deficits' units can be kept with no more net notional than `most`, shape (n_roots,). [USD]

    Net notional is the sum over contracts of what longs and shorts leave, at mark. From the last deficit on, those that
    raise it are left out until the rest fits; then, from the first on, those that fit are taken back. Units of no open
    deficit are kept already.
    """
    kept: dict[int, float] = {}
    brought: list[list[tuple[int, float]]] = [[] for _ in case.roots]
    for lots in case.lots:
        price = settle_price(case.world.state, lots.instrument)
        price *= float(case.world.state.instruments.mark[lots.instrument])
        for root, units in zip(case.rows_of(lots.deficit).tolist(), lots.units.tolist(), strict=True):
            kept[lots.instrument] = kept.get(lots.instrument, 0.0) + units * price
            if root >= 0:
                brought[root].append((lots.instrument, units * price))

    def change(row: int, sign: float) -> float:
        """What the net notional changes by when units of a deficit come or go. [USD]"""
        return sum(abs(kept[k] + sign * value) - abs(kept[k]) for k, value in brought[row])

    def move(row: int, sign: float) -> None:
        for k, value in brought[row]:
            kept[k] += sign * value

    fits, rows = np.ones(len(case.roots), np.bool_), range(len(case.roots))
    net = sum(map(abs, kept.values()))
    for row in reversed(rows):
        if net <= most:
            break
        if (less := change(row, -1.0)) < 0.0:
            move(row, -1.0)
            net, fits[row] = net + less, False
    for row in rows:
        if not fits[row] and net + (more := change(row, 1.0)) <= most:
            move(row, 1.0)
            net, fits[row] = net + more, True
    return fits


class Reserve(InsuranceFund):
    """A pool's reserve pays in cash, then burns its own claims on the pool."""


class VenueEquity(Layer):
    """The venue bears the loss with its own capital.

    Parameters
    ----------
    limit : float, optional
        The most this layer bears in a run, for a tranche. Default: all of the venue's capital. [USD]
    """

    has: ClassVar[Properties] = NOBODY_TRADING

    limit: Cap = None

    @property
    def properties(self) -> Properties:
        return self.has._replace(budget_balance=self.limit is None, scale_invariant=self.limit is None)

    def bear(self, case: Case) -> Iterator[Payment]:
        capital = max(0.0, own_capital(case.world, case.venue))
        if self.limit is not None:
            capital = min(capital, max(0.0, self.limit - case.borne))
        limits = np.array([capital])
        yield Payment(pro_rata(limits, case.need), limits)


class SkinInTheGame(VenueEquity):
    """A tranche of the venue's own capital at its place in a waterfall (EMIR art. 45(4); a second one: CCPRR art. 9).

    Parameters
    ----------
    limit : float
        Size of the tranche. [USD]
    """

    limit: Annotated[float, Field(ge=0)]


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
