"""Marks at a median: the book of the venue alone does not move them, its lasting gap and other books do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from contagion import ContagionModel
from contagion.scenario.schema import Scenario


def market(venues: tuple[str, ...] = ("perp",), **more) -> ContagionModel:
    return ContagionModel(Scenario.model_validate({
        "name": "median", "dt": "1min", "steps": 20, "prices": "constant", "feedback": "local",
        "assets": {"BTC": {"price": 100.0, "volatility": 0.5}},
        "exchanges": {name: {"mark": "median" if name == "perp" else "book", "arbitrage": {"speed": 0.0}, **more}
                      for name in venues},
        "traders": [{"archetype": "market_maker", "count": 2, "venue": name, "capital": 1e6} for name in venues],
    }), rng=1)  # fmt: skip


def marks(model: ContagionModel) -> list[float]:
    return model.world.state.instruments.mark.tolist()


def test_a_gap_of_the_book_is_in_the_mark_as_far_as_its_average():
    """Book at 90, index at 100: four samples of -10 after three of 0, each weighing exp(-60/150) of the next."""
    model = market()
    for _ in range(3):
        model.step()
    model.world.state.instruments.basis[0] = math.log(0.9)
    decay = math.exp(-60 / 150)
    model.pricing.reprice()
    assert marks(model)[0] == pytest.approx(100.0)  # at once: index and index, the book alone
    for _ in range(4):
        model.step()
    samples = [0.0] * 3 + [-10.0] * 4
    weights = [decay ** (len(samples) - 1 - i) for i in range(len(samples))]
    average = float(np.dot(samples, weights) / np.sum(weights))
    assert marks(model)[0] == pytest.approx(100.0 + average, rel=1e-12)


def test_the_middle_of_index_book_and_other_venues():
    """Own book at 90; others at 94 and 98, whose median is 96: of 100, 90 and 96 the mark is 96."""
    model = market(("perp", "second", "third"))
    model.step()
    names = model.world.state.instruments.names
    for row, name in enumerate(names):
        price = {"perp": 90.0, "second": 94.0, "third": 98.0}[name.split("/")[0].split(":")[0]]
        model.world.state.instruments.basis[row] = math.log(price / 100.0)
    model.pricing.reprice()
    assert marks(model)[0] == pytest.approx(96.0) and marks(model)[1:] == pytest.approx([94.0, 98.0])


def test_orders_meet_the_book():
    """Book at 90, mark at 100: a small order is filled at 90 in the terms of the mark."""
    model = market()
    model.step()
    model.world.state.instruments.basis[0] = math.log(0.9)
    model.pricing.reprice()
    model.market.open_round()
    _, price, _ = model.market.price(0, 1e-6)
    assert price == pytest.approx(90.0, rel=1e-6)
