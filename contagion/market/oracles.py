"""What protocols believe prices are: their oracles read sources, late, and publish when a move or age asks for it."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from contagion.errors import InputError
from contagion.market.pools import Pools
from contagion.scenario.oracle import READINGS, Oracle
from contagion.state.codes import InstrumentKind
from contagion.state.world import Venue, World
from contagion.streams import content_key

_SPOT, _DEBT = int(InstrumentKind.SPOT), int(InstrumentKind.DEBT)
_FIXED = -1


class Oracles:
    """Publishes the prices of a world's protocols: one oracle per protocol and asset.

    An oracle takes the median of its feeds. Each feed reads one source, averaged over a window that ends `latency`
    steps ago, with noise of its own; an attacker controls the first. Behind a delay module prices take effect one
    interval after they were queued (Maker's OSM), so a price is one to two intervals old.

    Attributes
    ----------
    any : bool
        Whether some protocol reads an oracle.
    manipulated : ndarray of shape (n_instruments,)
        Log factor on the first feed.
    frozen_until : ndarray of shape (n_instruments,)
        Last step in which an oracle publishes nothing.

    Raises
    ------
    InputError
        A source is neither a reading nor an automated market maker in which the asset is traded.
    """

    def __init__(self, world: World, pools: Pools) -> None:
        self.world, self.pools = world, pools
        state = world.state
        rows, assets = len(state.instruments.names), len(state.assets.names)
        self.latency, self.window, self.heartbeat, self.interval = np.zeros((4, rows), np.int64)
        self.window[:] = 1
        self.geometric = np.zeros(rows, np.bool_)
        self.deviation, self.manipulated = np.zeros((2, rows))
        self.frozen_until = np.full(rows, -1, np.int64)
        self._sources = ["market", "redemption"]  # by place; then pools
        self._read: list[tuple[int, Venue, int]] = []  # pools that are read: place, agent row, asset
        feeds: list[list[int]] = [[] for _ in range(rows)]
        noise = np.zeros(rows)
        reading = [venue for venue in world.venues.values() if hasattr(venue.spec, "oracle") and venue.instruments]
        for venue in reading:
            for row in venue.instruments:
                oracle = self.terms(venue, row)
                self._set_times(row, oracle)
                noise[row] = oracle.noise
                feeds[row] = [self._place(venue, source, row) for source in oracle.source]
                if oracle.price is not None and state.instruments.kind[row] == _SPOT:
                    state.instruments.oracle[row] = oracle.price
        self.any = bool(reading)
        self.start = np.cumsum([0, *map(len, feeds)])
        self.source = np.array([place for places in feeds for place in places], np.int64)
        self.fixed = state.instruments.oracle.copy()  # what a fixed feed says [USD]
        self.noise_scale = np.repeat(noise, np.diff(self.start))
        self.has_noise = bool(self.noise_scale.any())
        self.noise = np.zeros(len(self.source))
        self._noise_keys = np.array(
            [content_key("oracle", name, *([str(order)] if order else ()))
             for name, places in zip(state.instruments.names, feeds, strict=True) for order in range(len(places))],
            np.uint64,
        )  # fmt: skip
        self.queued = state.instruments.oracle.copy()
        self.feed, self.feed_step = state.instruments.oracle.copy(), np.zeros(rows, np.int64)
        depth = int((self.latency + self.window).max(initial=1))
        self.history = np.empty((depth, len(self._sources), assets))
        self._remember(slice(None))

    def terms(self, venue: Venue, row: int) -> Oracle:
        """The oracle that a protocol reads for the asset of an instrument."""
        spec = venue.spec
        own = getattr(spec, "collateral", {}).get(self.world.state.instruments.key(row))
        return own.oracle if own is not None and own.oracle is not None else spec.oracle

    def _set_times(self, row: int, oracle: Oracle) -> None:
        seconds = self.world.scenario.dt.total_seconds()
        self.latency[row] = oracle.latency
        self.deviation[row] = oracle.deviation
        self.heartbeat[row] = max(1, math.ceil(oracle.heartbeat.total_seconds() / seconds))
        self.window[row] = max(1, math.ceil(oracle.window.total_seconds() / seconds))
        self.interval[row] = math.ceil(oracle.delay.total_seconds() / seconds)
        self.geometric[row] = oracle.average == "geometric"

    def _place(self, venue: Venue, source: str, row: int) -> int:
        """Place of a source in the history. Debt in an asset that a pool does not trade is read at the market."""
        instruments = self.world.state.instruments
        asset, debt = int(instruments.asset[row]), instruments.kind[row] == _DEBT
        if source == "fixed":
            return _FIXED
        if source in self._sources[:2]:
            return self._sources.index(source)
        pool = next((pool for pool in self.pools.all if pool.name == source and pool.row != venue.row), None)
        if pool is None or (asset not in pool.coins and not debt):
            traded = [pool.name for pool in self.pools.all if asset in pool.coins and pool.row != venue.row]
            accepted = "one of " + ", ".join([*READINGS, *traded])
            raise InputError(f"protocols.{venue.name}.oracle.source", source, accepted)
        if asset not in pool.coins:
            return 0
        if source not in self._sources:
            self._sources.append(source)
        place = self._sources.index(source)
        self._read.append((place, pool, asset))
        return place

    def _remember(self, at: int | slice) -> None:
        assets = self.world.state.assets
        self.history[at, 0], self.history[at, 1] = assets.market, assets.redemption
        for place, pool, asset in self._read:
            self.history[at, place, asset] = pool.price(asset)

    def publish(self, step: int) -> None:
        """Read the prices of now and publish what is due."""
        instruments = self.world.state.instruments
        if self.has_noise:
            from scipy.special import ndtri

            uniforms = self.world.streams.uniforms("oracle noise", self._noise_keys, step)
            self.noise = self.noise_scale * ndtri(uniforms)
        self._remember(step % len(self.history))
        _publish(
            step, self.history, instruments.asset, instruments.kind, instruments.oracle, instruments.oracle_step,
            self.start, self.source, self.fixed, self.latency, self.window, self.geometric, self.heartbeat,
            self.deviation, self.interval, self.queued, self.feed, self.feed_step, self.manipulated, self.noise,
            self.frozen_until,
        )  # fmt: skip


@nb.njit(cache=True)
def _publish(
    step, history, asset, kind, oracle, oracle_step, start, source, fixed, latency, window, geometric, heartbeat,
    deviation, interval, queued, feed, feed_step, manipulated, noise, frozen_until,
):  # fmt: skip
    for k in range(len(oracle)):
        if (kind[k] != _SPOT and kind[k] != _DEBT) or start[k] == start[k + 1] or step <= frozen_until[k]:
            continue
        if start[k + 1] - start[k] == 1 and source[start[k]] == _FIXED:
            continue
        read = np.empty(start[k + 1] - start[k])
        for f in range(start[k], start[k + 1]):
            price = fixed[k]
            if source[f] != _FIXED:
                price = _average(history, step - latency[k], window[k], source[f], asset[k], geometric[k])
            push = manipulated[k] if f == start[k] else 0.0
            read[f - start[k]] = price * math.exp(push + noise[f])
        price = read[0] if len(read) == 1 else np.median(read)
        if interval[k] == 0:
            feed[k], feed_step[k] = oracle[k], oracle_step[k]
        moved = abs(price / feed[k] - 1.0) >= deviation[k] if feed[k] > 0.0 else price != feed[k]
        if moved or step - feed_step[k] >= heartbeat[k]:
            feed[k], feed_step[k] = price, step
        if interval[k] == 0:
            oracle[k], oracle_step[k] = feed[k], feed_step[k]
        elif step % interval[k] == 0:
            oracle[k], oracle_step[k] = queued[k], step
            queued[k] = feed[k]


@nb.njit(cache=True)
def _average(history, last, window, source, asset, geometric):
    """Mean price over the `window` steps up to `last`; before the opening it was the opening's. [USD]"""
    depth = len(history)
    if window == 1:
        return history[max(last, 0) % depth, source, asset]
    total = 0.0
    for back in range(window):
        price = history[max(last - back, 0) % depth, source, asset]
        total += math.log(price) if geometric and price > 0.0 else price
    return math.exp(total / window) if geometric else total / window
