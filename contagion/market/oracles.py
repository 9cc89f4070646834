"""What protocols believe prices are: their oracles read sources, late, and publish when a move or age asks for it."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from contagion.scenario.lending import LendingPool, Oracle
from contagion.state.codes import InstrumentKind
from contagion.state.world import World
from contagion.streams import content_key

_SPOT, _DEBT = int(InstrumentKind.SPOT), int(InstrumentKind.DEBT)
_SOURCES = ("market", "redemption", "fixed")


class Oracles:
    """Publishes the prices of a world's protocols: one oracle per protocol and asset.

    Attributes
    ----------
    any : bool
        Whether some protocol reads an oracle.
    manipulated : ndarray of shape (n_instruments,)
        Log factor on what an oracle publishes.
    frozen_until : ndarray of shape (n_instruments,)
        Last step in which it publishes nothing.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        rows, assets = len(state.instruments.names), len(state.assets.names)
        seconds = world.scenario.dt.total_seconds()
        self.latency = np.zeros(rows, np.int64)
        self.heartbeat = np.zeros(rows, np.int64)
        self.deviation = np.zeros(rows)
        self.noise_scale = np.zeros(rows)
        self.source = np.zeros(rows, np.int64)  # place in _SOURCES
        self.manipulated = np.zeros(rows)
        self.frozen_until = np.full(rows, -1, np.int64)
        pools = [venue for venue in world.venues.values() if isinstance(venue.spec, LendingPool)]
        for venue in pools:
            for row in venue.instruments:
                oracle = self.terms(venue.spec, row)
                self.latency[row] = oracle.latency
                self.heartbeat[row] = max(1, math.ceil(oracle.heartbeat.total_seconds() / seconds))
                self.deviation[row] = oracle.deviation
                self.noise_scale[row] = oracle.noise
                self.source[row] = _SOURCES.index(oracle.source)
        self.any = bool(pools)
        self.has_noise = bool(self.noise_scale.any())
        self.noise = np.zeros(rows)
        self._noise_keys = np.array([content_key("oracle", name) for name in state.instruments.names], np.uint64)
        self.history = np.empty((int(self.latency.max(initial=0)) + 1, 2, assets))
        self.history[:, 0], self.history[:, 1] = state.assets.market, state.assets.redemption

    def terms(self, spec: LendingPool, row: int) -> Oracle:
        """The oracle that a pool reads for the asset of an instrument."""
        state = self.world.state
        asset = spec.collateral.get(state.assets.names[state.instruments.asset[row]])
        return asset.oracle if asset is not None and asset.oracle is not None else spec.oracle

    def publish(self, step: int) -> None:
        """Read the prices of now and publish what is due."""
        assets, instruments = self.world.state.assets, self.world.state.instruments
        if self.has_noise:
            from scipy.special import ndtri

            uniforms = self.world.streams.uniforms("oracle noise", self._noise_keys, step)
            self.noise = self.noise_scale * ndtri(uniforms)
        self.history[step % len(self.history), 0] = assets.market
        self.history[step % len(self.history), 1] = assets.redemption
        _publish(
            step, self.history, instruments.asset, instruments.kind, instruments.oracle, instruments.oracle_step,
            self.latency, self.heartbeat, self.deviation, self.source, self.manipulated, self.noise,
            self.frozen_until,
        )  # fmt: skip


@nb.njit(cache=True)
def _publish(
    step, history, asset, kind, oracle, oracle_step, latency, heartbeat, deviation, source, manipulated, noise,
    frozen_until,
):  # fmt: skip
    depth = len(history)
    for k in range(len(oracle)):
        if kind[k] != _SPOT and kind[k] != _DEBT:
            continue
        if source[k] == 2 or step <= frozen_until[k]:
            continue
        seen = max(step - latency[k], 0)
        price = history[seen % depth, 1 if source[k] == 1 else 0, asset[k]] * math.exp(manipulated[k] + noise[k])
        moved = abs(price / oracle[k] - 1.0) >= deviation[k] if oracle[k] > 0.0 else price != oracle[k]
        if moved or step - oracle_step[k] >= heartbeat[k]:
            oracle[k] = price
            oracle_step[k] = step
