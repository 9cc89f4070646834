"""Layers that pass taken-over units on: auto-deleveraging of the other side, and tear-up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from contagion.allocation.candidates import Holders, account_columns
from contagion.allocation.haircuts import QUEUES, UNKNOWN_QUEUE, risk_weights
from contagion.allocation.layer import Case, Layer, Payment, Properties, Transfer
from contagion.allocation.lots import Lots
from contagion.allocation.rankings import RANDOM_START, WEIGHTS, ranking
from contagion.allocation.shares import fill_by_rank, pro_rata, walk, water_fill, whole_lots
from contagion.allocation.standing import settle_prices
from contagion.state.codes import Cause

_UNRANKED = (*WEIGHTS, RANDOM_START)
"""Rules of who gives that are no ranking."""


class AutoDeleverage(Layer):
    """Holders on the other side close against the units of bankrupt accounts whose deficit is still open.

    Parameters
    ----------
    ranking : str
        Who goes first: a queue of :mod:`contagion.allocation.rankings` or ``module:function``, where equals give the
        same share of their size; ``pro_rata`` (to size), ``by_profit`` or ``by_equity``; or ``random_start``.
    price : {"bankruptcy", "mark", "previous_mark", "bankruptcy_unless_far"}
        At the bankruptcy price (Binance, BitMEX) the other side bears the deficit, and what the fund has paid before
        goes back to it; at mark (OKX) it gives up only what the position might still have earned; the previous mark
        (Hyperliquid), that of the round before, may collect less than the deficit or more; Bybit uses the mark where
        bankruptcy is farther from it than `far`. Lots of one instrument and side are filled at their average price.
    far : float
        Distance of the bankruptcy price from the mark beyond which the mark is used. [relative]
    cap : float
        Greatest share of a position that is closed; the others then give more (capped pro rata).
    leverage_exponent : float
        Shares are proportional to this power of the account's leverage, pro rata rules only (risk-aware).
    lot : float
        Fills are multiples of it, but for those that end a position and one rest; 0: any size. [units]
    attempts : int, optional
        Most candidates that are looked at, from the random start only (dYdX v4: 500).
    """

    has: ClassVar[Properties] = Properties(True, True, True, True, True, False)

    ranking: str = "pnl_leverage"
    price: Literal["bankruptcy", "mark", "previous_mark", "bankruptcy_unless_far"] = "bankruptcy"
    far: Annotated[float, Field(gt=0)] = 0.05
    cap: Annotated[float, Field(gt=0, le=1)] = 1.0
    leverage_exponent: Annotated[float, Field(ge=0)] = 0.0
    lot: Annotated[float, Field(ge=0)] = 0.0
    attempts: Annotated[int, Field(ge=1)] | None = None

    @field_validator("ranking")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in _UNRANKED:
            ranking(name, _UNRANKED)
        return name

    @model_validator(mode="after")
    def _agree(self) -> AutoDeleverage:
        if self.attempts is not None and self.ranking != RANDOM_START:
            raise ValueError(f"attempts only with ranking {RANDOM_START}")
        if self.leverage_exponent and self.ranking != "pro_rata" and self.ranking not in WEIGHTS:
            raise ValueError(f"leverage_exponent only with ranking pro_rata, {', '.join(WEIGHTS)}")
        return self

    @property
    def properties(self) -> Properties:
        found = self.has._replace(**_ORDERS.get(self.ranking, UNKNOWN_QUEUE))
        if self.leverage_exponent:
            found = found._replace(monotone_in_profit=False, split_proof=False)
        if self.lot:
            found = found._replace(scale_invariant=False, split_proof=False, monotone_in_profit=False)
        return found._replace(**_PRICES[self.price])

    def bear(self, case: Case) -> Iterator[Transfer]:
        # An account is deleveraged in all it held: what one contract brings does not spare the holders of another.
        asked = case.roots[case.open > 0.0]
        for lots in case.lots:
            for side in (1, -1):
                chosen = np.flatnonzero((lots.units * side > 0.0) & np.isin(lots.deficit, asked))
                if len(chosen) == 0:
                    continue
                units = float(np.abs(lots.units[chosen]).sum())
                transfer = Transfer(lots, chosen, self.prices(case, lots, chosen), *_NOBODY)
                found = case.index.candidates(lots.instrument, -side, transfer.price)
                fills = self.fills(case, lots, found, units)
                transfer.positions, transfer.units = found.receivers(fills, side)
                transfer.available = self.available(found, fills)
                yield transfer

    def prices(self, case: Case, lots: Lots, chosen: np.ndarray) -> np.ndarray:
        """The rule's price of each chosen lot. [settlement asset per unit]"""
        mark = float(case.world.state.instruments.value_price[lots.instrument])
        if self.price == "mark":
            return np.full(len(chosen), mark)
        if self.price == "previous_mark":
            return np.full(len(chosen), float(case.previous_marks[lots.instrument]))
        price = lots.bankruptcy[chosen]
        if self.price == "bankruptcy":
            return price
        return np.where(np.abs(price - mark) > self.far * mark, mark, price)

    def fills(self, case: Case, lots: Lots, found: Holders, want: float) -> np.ndarray:
        """Units that each candidate gives, without sign."""
        sizes = found.units if self.cap == 1.0 else self.cap * found.units
        score = np.zeros(len(sizes)) if self.lot else None
        if self.ranking == RANDOM_START:
            fills, score = self._walk(case, lots, found, sizes, want)
        elif self.ranking in WEIGHTS or self.leverage_exponent:
            column = getattr(found, WEIGHTS.get(self.ranking, "units"))
            weights = risk_weights(np.maximum(0.0, column), found.leverage, self.leverage_exponent)
            fills, _ = water_fill(weights, sizes, want)
        elif self.ranking == "pro_rata":
            fills = pro_rata(sizes, want)
        else:
            score = found.score(*ranking(self.ranking))
            fills = fill_by_rank(score, sizes, want)
        if not self.lot:
            return fills
        return whole_lots(fills, sizes, score, case.world.state.accounts.key[found.accounts], self.lot)

    def available(self, found: Holders, fills: np.ndarray) -> float:
        """Units that candidates could have given in all."""
        if self.ranking == RANDOM_START and self.attempts is not None:
            return float(fills.sum())
        if self.ranking in WEIGHTS:
            return self.cap * float(found.units[getattr(found, WEIGHTS[self.ranking]) > 0.0].sum())
        return self.cap * float(found.units.sum())

    def _walk(self, case: Case, lots: Lots, found: Holders, sizes: np.ndarray, want: float):
        """Fills from a random place in the order of keys, and a score that falls along the way."""
        state, count = case.world.state, len(sizes)
        order = np.argsort(state.accounts.key[state.positions.account[found.position]], kind="stable")
        takeover = state.accounts.key[[lots.takeover]] ^ np.uint64(lots.instrument)
        draw = float(case.world.streams.uniforms("deleveraging start", takeover, case.world.step)[0])
        start = int(draw * count)
        steps = (np.arange(count) - start) % max(1, count)
        able = steps < (count if self.attempts is None else self.attempts)
        fills, score = np.zeros(count), np.zeros(count)
        fills[order] = walk(sizes[order], able, start, want)
        score[order] = -steps.astype(np.float64)
        return fills, score


_ORDERS = QUEUES | {
    "by_profit": {},
    "by_equity": {"split_proof": False},
    RANDOM_START: {"monotone_in_profit": False, "split_proof": False},
}
_PRICES: dict[str, dict[str, bool]] = {
    "bankruptcy": {},
    "mark": {
        "budget_balance": False, "monotone_in_profit": True, "scale_invariant": True, "split_proof": True,
        "principal_untouched": True,
    },
    "previous_mark": {"budget_balance": False, "no_over_collection": False},
    "bankruptcy_unless_far": {"budget_balance": False},
}  # fmt: skip


class TearUp(Layer):
    """Contracts of the instruments that bankrupt accounts left are closed at the last mark.

    Parameters
    ----------
    scope : {"partial", "full"}
        Holders on the other side close as much as was taken over, pro rata to size; or every holder closes everything,
        and what is missing is shared pro rata to what was won on the contracts torn up (ISDA 2013).
    """

    has: ClassVar[Properties] = Properties(False, True, True, True, True, True)

    scope: Literal["partial", "full"] = "partial"

    @property
    def properties(self) -> Properties:
        return self.has._replace(budget_balance=self.scope == "full")

    def bear(self, case: Case) -> Iterator[Payment | Transfer]:
        if self.scope == "full":
            yield from self._full(case)
            return
        for lots in case.lots:
            for side in (1, -1):
                chosen = np.flatnonzero(lots.units * side > 0.0)
                if len(chosen):
                    mark = float(case.world.state.instruments.value_price[lots.instrument])
                    found = case.index.candidates(lots.instrument, -side, mark)
                    fills = pro_rata(found.units, float(np.abs(lots.units[chosen]).sum()))
                    yield Transfer(
                        lots, chosen, np.full(len(chosen), mark), *found.receivers(fills, side),
                        float(found.units.sum()),
                    )  # fmt: skip

    def _full(self, case: Case) -> Iterator[Payment]:
        state = case.world.state
        instruments = [lots.instrument for lots in case.lots]
        if not instruments:
            return
        columns = account_columns(state, sorted({int(state.instruments.book[row]) for row in instruments}))
        rows = np.concatenate([case.index.rows(instrument) for instrument in instruments])
        rows = rows[state.positions.units[rows] != 0.0]
        price = state.instruments.value_price[state.positions.instrument[rows]]
        won = state.positions.units[rows] * (price - state.positions.entry[rows])
        won = np.bincount(state.positions.account[rows], won, minlength=len(state.accounts.owner))[columns.position]
        won = won * settle_prices(state)[state.accounts.book[columns.position]]
        limits = np.maximum(0.0, np.minimum(won, columns.equity))
        yield Payment(pro_rata(limits, case.need), limits, accounts=columns.position)
        case.world.bookkeeper.trade(Cause.RESOLUTION, rows, -state.positions.units[rows], price)
        for lots in case.lots:
            lots.give(np.arange(len(lots.units)), 1.0)
        case.world.count("torn_up", float(len(rows)))


_NOBODY = (np.zeros(0, dtype=np.int64), np.zeros(0))
