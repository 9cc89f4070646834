"""Same seed, same bytes; nothing outside a model enters it; a model is a Mesa model."""

from __future__ import annotations

import gc
import weakref

import mesa
import numpy as np
import pandas as pd
import pytest
from mesa_batches import batch
from worlds import crisis, scenario

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.results import RunResult, save
from contagion.state.bookkeeper import Bookkeeper

TABLES = ("steps", "rounds", "ledger", "agents", "facts")


def run(seed: int = 7, **options) -> RunResult:
    return ContagionModel(scenario(crisis()), rng=seed, **options).run()


def same(one: RunResult, other: RunResult) -> bool:
    tables = all(getattr(one, name).equals(getattr(other, name)) for name in TABLES)
    outcomes = pd.Series(one.outcomes).equals(pd.Series(other.outcomes))
    return tables and outcomes and one.manifest == other.manifest


def test_the_same_seed_gives_the_same_frames_and_the_same_bytes_on_disk(tmp_path) -> None:
    one, other = run(), run()
    assert same(one, other)
    first, second = save(one, tmp_path / "one"), save(other, tmp_path / "other")
    for name in (*TABLES, "outcomes"):
        assert (first / f"{name}.parquet").read_bytes() == (second / f"{name}.parquet").read_bytes(), name


def test_another_seed_gives_another_run() -> None:
    assert not same(run(7), run(8))


def test_global_random_state_is_neither_read_nor_moved() -> None:
    one = run()
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    assert same(one, run())
    assert np.array_equal(before, np.random.get_state()[1])


def test_two_live_models_do_not_mix() -> None:
    """Steps of two models in turns give what each gives alone."""
    one, other = (ContagionModel(scenario(crisis()), rng=seed) for seed in (7, 8))
    for _ in range(one.scenario.steps):
        one.step()
        other.step()
    assert same(one.result(), run(7)) and same(other.result(), run(8))


def test_a_run_in_two_parts_and_a_result_on_the_way_are_the_same_run() -> None:
    model = ContagionModel(scenario(crisis()), rng=7)
    model.step()
    assert len(model.result().steps) == 1
    assert not model.result().manifest["finished"]
    assert same(model.run(), run())


def test_a_run_that_keeps_no_rows_finds_the_same() -> None:
    kept, summed = run(), run(keep_ledger=False)
    assert kept.agents.equals(summed.agents) and kept.steps.equals(summed.steps)
    for name, value in kept.outcomes.items():
        assert summed.outcomes[name] == pytest.approx(value, rel=1e-12, abs=1e-9), name


def test_the_twentieth_run_does_as_much_as_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept between runs: same number of rows booked, and no model or object stays behind."""
    booked = []
    right = Bookkeeper.book

    def counted(self, *args, **kwargs):
        booked.append(1)
        return right(self, *args, **kwargs)

    monkeypatch.setattr(Bookkeeper, "book", counted)
    calls, objects, last = [], [], None
    for _ in range(20):
        booked.clear()
        model = ContagionModel(scenario(crisis()), rng=7)
        model.run()
        last = weakref.ref(model)
        del model
        gc.collect()
        assert last() is None
        calls.append(len(booked))
        objects.append(len(gc.get_objects()))
    assert calls[19] == calls[1]
    assert objects[19] <= objects[1] + 200


def test_mesa_collects_data_from_the_model_and_its_agents() -> None:
    model = ContagionModel(scenario(crisis()), rng=7)
    collector = mesa.DataCollector(
        model_reporters={"step": lambda found: found.step_number},
        agenttype_reporters={},
        agent_reporters={"net_worth": "net_worth", "cash": "cash"},
    )
    for _ in range(3):
        model.step()
        collector.collect(model)
    assert collector.get_model_vars_dataframe()["step"].tolist() == [1, 2, 3]
    table = collector.get_agent_vars_dataframe()
    rows = model.world.state.n_agents
    assert len(table) == 3 * rows
    cash = table.xs(3, level="Step")["cash"].to_numpy()
    assert np.array_equal(cash, model.world.state.agents.cash)
    assert same(model.run(), run())


def test_batch_run_gives_a_row_per_parameter_value_and_seed() -> None:
    """Models stop by themselves after their scenario's steps, long before the thousand Mesa allows."""
    found = batch(Watched, {"insurance_fund": [0.0, 1e6], "steps": 25}, [1, 2])
    funds = {(row["insurance_fund"], row["rng"]): row["fund"] for row in found}
    assert len(found) == len(funds) == 4
    for (fund, seed), end in funds.items():
        alone = ContagionModel("quickstart", rng=seed, insurance_fund=fund, steps=25).run()
        assert end == alone.outcomes["fund_end.perp"]
    assert funds[1e6, 1] > funds[0.0, 1]


def test_a_finished_model_says_so() -> None:
    model = ContagionModel(scenario(crisis()), rng=7)
    assert model.running
    model.run()
    assert not model.running
    with pytest.raises(InputError, match="at most 7"):
        model.step()


class Watched(ContagionModel):
    """The bundled quickstart with a DataCollector, as Mesa's batch runs want it."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.datacollector = mesa.DataCollector({"fund": lambda model: model.result().outcomes["fund_end.perp"]})

    def step(self) -> None:
        super().step()
        self.datacollector.collect(self)
