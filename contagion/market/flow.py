"""Order flow: makers take the other side pro rata to quoted depth, and what they take moves the price."""

from __future__ import annotations

import math

import numpy as np

from contagion.market.pricing import Pricing
from contagion.state.codes import Cause
from contagion.state.world import World


class Market:
    """Executes orders of one call together: one average price per instrument, equals rationed pro rata.

    Buys and sells of a call meet each other first; only their difference reaches the makers and moves the price. What
    makers cannot take, for want of quotes, of inventory room, or because the book ends, stays open on the heavier
    side.
    """

    def __init__(self, world: World, pricing: Pricing) -> None:
        self.world = world
        self.pricing = pricing
        self.feedback = world.scenario.feedback
        makers, rows = world.state.makers, len(world.state.instruments.names)
        self._quotes = [np.flatnonzero(makers.instrument == row) for row in range(rows)]
        self.flow_at_mark = np.zeros(rows)
        self.volume = np.zeros(rows)  # executed notional so far [USD]
        self.paid = np.full(rows, np.nan)  # price of the last execution [settlement asset per unit]

    def open_round(self) -> None:
        """Marks have been renewed: flow so far is in them."""
        self.flow_at_mark[:] = self.world.state.instruments.flow

    def usd_per_unit(self, instrument: int) -> float:
        """Signed economic exposure of one unit. [USD]"""
        state = self.world.state
        instruments = state.instruments
        settle = state.assets.fundamental[state.books.settle[instruments.book[instrument]]]
        return float(instruments.sign[instrument] * instruments.mark[instrument] * settle)

    def price(self, instrument: int, flow: float) -> tuple[float, float, float]:
        """What a net order would meet: fillable part [USD], average price [settlement per unit], log move of the price.

        `flow` is signed USD notional; the average price is in the terms of ``equity_price``.
        """
        state, impact = self.world.state, self.world.impact
        instruments = state.instruments
        mark = float(instruments.mark[instrument])
        depth = float(instruments.depth[instrument])
        equity_price = float(instruments.equity_price[instrument])
        if flow == 0.0 or depth <= 0.0:
            return 0.0, equity_price, 0.0
        factor = float(self.pricing.volatility_factor[instruments.asset[instrument]])
        # Depth may have shrunk since: flow beyond the end of the book as it is now stands at its end.
        before, marked = (
            float(impact.fillable(float(done), depth, factor)) if done else 0.0
            for done in (instruments.flow[instrument], self.flow_at_mark[instrument])
        )
        filled = impact.fillable(before + flow, depth, factor) - before
        if filled * flow <= 0.0:
            return 0.0, equity_price, 0.0
        after = before + filled
        base = 1.0 + (impact.impact(marked, depth, factor) if marked else 0.0)
        here = 1.0 + (impact.impact(before, depth, factor) if before else 0.0)
        there = 1.0 + (impact.impact(after, depth, factor) if after else 0.0)
        if abs(filled) > 1e-6 * abs(before):
            area = after * impact.average(after, depth, factor) if after else 0.0
            area -= before * impact.average(before, depth, factor) if before else 0.0
            paid = 1.0 + area / filled
        else:
            paid = 0.5 * (here + there)  # the difference of two areas would be rounding
        average = math.log(paid / base)
        if self.pricing.median is not None:  # orders meet the book, whatever the mark
            average += float(self.pricing.median.off_book[instrument])
        executed = mark * math.exp(float(instruments.sign[instrument]) * average)
        change = abs(float(instruments.delta[instrument])) * (executed - mark)
        if instruments.right[instrument]:
            change = max(change, -equity_price)  # nobody pays to give an option away
        return filled, equity_price + change, math.log(there / here)

    def execute(self, positions: np.ndarray, units: np.ndarray, cause: Cause) -> np.ndarray:
        """Execute orders against the makers.

        Parameters
        ----------
        positions : ndarray of shape (n,)
            Rows of Positions that change.
        units : ndarray of shape (n,)
            Signed change of units asked for.

        Returns
        -------
        ndarray of shape (n,)
            Signed change of units done.
        """
        state = self.world.state
        done = np.zeros(len(units))
        if not len(units):
            return done
        instrument = state.positions.instrument[positions]
        all_positions, all_units, all_prices = [], [], []
        for row in np.unique(instrument):
            here = np.flatnonzero((instrument == row) & (units != 0.0))
            if not len(here) or self._halted(int(row)):
                continue
            asked = units[here]
            filled, maker_positions, maker_units, price = self._cross(int(row), asked)
            done[here] = filled
            all_positions += [positions[here], maker_positions]
            all_units += [filled, maker_units]
            all_prices.append(np.full(len(here) + len(maker_positions), price))
        if all_positions:
            rows, change, price = (np.concatenate(part) for part in (all_positions, all_units, all_prices))
            some = change != 0.0
            if some.any():
                self.world.bookkeeper.trade(cause, rows[some], change[some], price[some])
        return done

    def _halted(self, row: int) -> bool:
        return self.world.halted.get(int(self.world.state.instruments.venue[row]), -1) >= self.world.step

    def _cross(self, row: int, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Orders of one instrument: filled units, makers' positions and units, and the price of all."""
        state = self.world.state
        per_unit = self.usd_per_unit(row)
        bought, sold = float(asked[asked > 0].sum()), -float(asked[asked < 0].sum())
        net = bought - sold
        taken, quotes = self.takeable(row, net * per_unit)
        taken, price, move = self.price(row, taken)
        if quotes is None or taken == 0.0:
            taken, makers = 0.0, np.empty(0, np.int64)
            maker_units = np.empty(0)
        else:
            shares = self._ration(row, taken, quotes)
            makers = state.makers.position[quotes]
            maker_units = -(taken / per_unit) * shares
        net_done = taken / per_unit
        heavy, light = (bought, sold) if net > 0 else (sold, bought)
        share = 1.0 if heavy == 0.0 else min(1.0, (light + abs(net_done)) / heavy)
        filled = np.where((asked > 0) == (net > 0), asked * share, asked)
        if taken != 0.0:
            self._move(row, taken, move)
        self.volume[row] += abs(per_unit) * float(np.abs(filled).sum())
        self.paid[row] = price
        return filled, makers, maker_units, price

    def _room(self, quotes: np.ndarray, direction: float, per_unit: float) -> np.ndarray:
        """Notional each maker may still take against flow of a direction (+1 buys) before its inventory limit. [USD]"""
        makers = self.world.state.makers
        inventory = self.world.state.positions.units[makers.position[quotes]] * per_unit
        return np.where(makers.depth[quotes] > 0.0, np.maximum(0.0, makers.limit[quotes] + direction * inventory), 0.0)

    def takeable(self, row: int, flow: float) -> tuple[float, np.ndarray | None]:
        """The part of a signed flow that makers have room for, and their quotes. [USD]"""
        quotes = self._quotes[row]
        if flow == 0.0 or not len(quotes):
            return 0.0, None
        room = self._room(quotes, math.copysign(1.0, flow), self.usd_per_unit(row)).sum()
        return math.copysign(min(abs(flow), float(room)), flow), quotes

    def _ration(self, row: int, taken: float, quotes: np.ndarray) -> np.ndarray:
        """Shares of a fill by maker: pro rata to depth, and no maker beyond its room. Shape (n_quotes,), adds to 1."""
        depth = self.world.state.makers.depth[quotes].copy()
        room = self._room(quotes, math.copysign(1.0, taken), self.usd_per_unit(row))
        shares, left, need = np.zeros(len(quotes)), room.copy(), abs(taken)
        while need > 1e-12 * abs(taken):
            weight = np.where(left > 0.0, depth, 0.0)
            if weight.sum() <= 0.0:
                break
            add = np.minimum(need * weight / weight.sum(), left)
            shares += add
            left -= add
            left[left <= 1e-12 * room] = 0.0
            need -= float(add.sum())
        return shares / shares.sum()

    def _move(self, row: int, taken: float, move: float) -> None:
        """Book an execution's move of the price: a permanent and a temporary part, where feedback lets them act."""
        state = self.world.state
        instruments = state.instruments
        instruments.flow[row] += taken
        if self.feedback == "none":
            return
        permanent = self.world.impact.permanent_share * move
        instruments.temporary[row] += move - permanent
        if self.feedback == "full":
            # Whoever took the other side of an option hedges its delta.
            state.assets.endogenous[instruments.asset[row]] += permanent * float(instruments.delta[row])
        else:
            instruments.basis[row] += permanent
