"""No layer leaves a deficit to the next while it can bear more: capacity recomputed after a layer was asked."""

from __future__ import annotations

import numpy as np

from contagion.allocation.evidence import RELATIVE, fail
from contagion.allocation.funds import InsuranceFund, VenueEquity, own_capital
from contagion.allocation.haircuts import ProfitHaircut, uncut
from contagion.allocation.layer import Case, Layer
from contagion.allocation.positions import AutoDeleverage
from contagion.allocation.rankings import WEIGHTS
from contagion.allocation.standing import equity_and_profit, settle_price
from contagion.allocation.transfers import means_of
from contagion.state.codes import AccountFlag


def check_exhausted(case: Case, place: int, layer: Layer, used: bool, before: float) -> None:
    """A fund or capital that leaves a deficit open has nothing left, and no other layer idles while it can bear.

    `before` is what was open when the layer was asked. [USD]

    Raises
    ------
    InvariantError
        Names phase, step, round, agent and amount.
    """
    left, agent, slack = 0.0, case.venue.row, RELATIVE * max(1.0, before)
    if case.need <= slack:
        return
    if isinstance(layer, InsuranceFund) and not layer.gated and case.venue.fund >= 0:
        agent = case.venue.fund
        left = means_of(case.world.state, case.venue, agent)
    elif isinstance(layer, VenueEquity):
        left = own_capital(case.world, case.venue)
        slack += RELATIVE * float(case.world.state.agents.cash[agent])  # custody is in the sum that gives capital
        if layer.limit is not None:
            left = min(left, layer.limit - case.borne)
    elif isinstance(layer, ProfitHaircut) and not used and layer.severity > 0.0:
        left = _idle_profit(case, layer)
    elif isinstance(layer, AutoDeleverage) and layer.ranking not in WEIGHTS and not used:
        left = _idle_candidates(case, layer)
    if left > slack:
        fail(case.world, agent, left, f"layer {place} leaves a deficit open while it has money or takers")


def _idle_profit(case: Case, layer: ProfitHaircut) -> float:
    """Profits within equity that could have been cut. [USD]"""
    state = case.world.state
    accounts = np.flatnonzero(np.isin(state.accounts.book, case.venue.books))
    accounts = accounts[(state.accounts.flags[accounts] & (AccountFlag.HOUSE | AccountFlag.BANKRUPT)) == 0]
    equity, profit = equity_and_profit(state, accounts)
    if layer.base == "window":
        settle = state.assets.fundamental[state.books.settle[state.accounts.book[accounts]]]
        profit = profit + settle * state.accounts.realised[accounts]
    return float(np.maximum(0.0, np.minimum(uncut(case.world, accounts, profit), equity)).sum())


def _idle_candidates(case: Case, layer: AutoDeleverage) -> float:
    """Notional of those who could have taken over units of open deficits. [USD]"""
    state, notional = case.world.state, 0.0
    for lots in case.lots:
        for side in (1, -1):
            chosen = np.flatnonzero((lots.units * side > 0.0) & (case.open_of(lots.deficit) > 0.0))
            if len(chosen):
                price = float(np.average(layer.prices(case, lots, chosen), weights=np.abs(lots.units[chosen])))
                units = float(case.index.candidates(lots.instrument, -side, price).units.sum())
                notional += units * price * settle_price(state, lots.instrument)
    return notional
