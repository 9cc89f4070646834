"""A levy on open interest, which both sides pay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from contagion.allocation.layer import Case, Layer, Payment, Properties
from contagion.allocation.shares import per_unit, water_fill
from contagion.allocation.standing import NEVER, equity_and_profit, settle_price


class OpenInterestLevy(Layer):
    """Every unit of open interest pays the same, on both sides (Drift: through cumulative funding).

    The levy falls on the markets a deficit came from; where these are not known, on all of the venue. Nobody pays more
    than its equity; what it cannot pay the others do.
    """

    has: ClassVar[Properties] = Properties(True, True, True, True, False, False)
    by_market: ClassVar[bool] = True

    def bear(self, case: Case) -> Iterator[Payment]:
        state, places = case.world.state, case.index
        for instruments, roots in self._by_market(case).items():
            need = float(case.open_of(np.array(roots)).sum())
            size = np.zeros(len(state.accounts.owner))
            for instrument in instruments:
                rows = places.rows(instrument)
                rows = rows[state.positions.units[rows] != 0.0]
                usd = float(state.instruments.mark[instrument]) * settle_price(state, instrument)
                size += np.bincount(
                    state.positions.account[rows], np.abs(state.positions.units[rows]) * usd, minlength=len(size)
                )
            accounts = np.flatnonzero((size > 0.0) & ((state.accounts.flags & NEVER) == 0))
            equity, _ = equity_and_profit(state, accounts)
            limits, weights = np.maximum(0.0, equity), size[accounts]
            amounts = weights * per_unit(need, float(weights.sum()), 0.0)
            if (amounts > limits).any():
                amounts, _ = water_fill(weights, limits, need)
            only = None if len(roots) == len(case.roots) else np.array(roots)
            capacity = min(need, float(limits.sum()))
            if only is None:
                yield Payment(amounts, limits, accounts=accounts, capacity=capacity)
            elif need > 0.0:
                shares = case.open_of(only) / need
                yield Payment(
                    np.outer(shares, amounts).ravel(), np.tile(limits, len(only)), capacity=capacity,
                    accounts=np.tile(accounts, len(only)), deficits=np.repeat(only, len(accounts)),
                )  # fmt: skip

    def _by_market(self, case: Case) -> dict[tuple[int, ...], list[int]]:
        """Deficits by the instruments they came from."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for root in case.roots.tolist():
            markets = tuple(sorted(case.markets.get(root, {}))) or tuple(case.venue.instruments)
            groups.setdefault(markets, []).append(root)
        return groups
