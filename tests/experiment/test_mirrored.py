"""Antithetic draws."""

from __future__ import annotations

import numpy as np
from worlds import crisis, scenario

from contagion.model import ContagionModel
from contagion.streams import Streams


def test_mirrored_draws_add_up() -> None:
    one, other = Streams(3), Streams(3, mirrored=True)
    keys = np.arange(100, dtype=np.uint64)
    assert np.allclose(one.uniforms("size", keys) + other.uniforms("size", keys), 1.0)
    normals = [streams.generator("prices", "BTC").standard_normal(50) for streams in (one, other)]
    assert np.array_equal(normals[0], -normals[1])
    uniforms = [streams.generator("count").random(50) for streams in (one, other)]
    assert np.allclose(uniforms[0] + uniforms[1], 1.0) and (uniforms[1] >= 0).all() and (uniforms[1] < 1).all()


def test_log_prices_of_a_mirrored_run_are_mirrored() -> None:
    """Log returns of the pair add up to twice the drift, -volatility^2 dt: 0.36 a year for BTC here."""
    returns = [
        np.diff(np.log(ContagionModel(scenario(crisis()), rng=5, mirrored=mirrored).world.path[:, 1]))
        for mirrored in (False, True)
    ]
    assert np.allclose(returns[0] + returns[1], -0.36 / (365 * 1440), atol=1e-14)
    assert ContagionModel(scenario(crisis()), rng=5, mirrored=True).run().manifest["mirrored"] is True
