"""Exposures, notionals and burdens in a result, beside the model's own graph and a hand calculation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contagion import ContagionModel
from contagion.outcomes import exposures as exposure_ends
from contagion.results import MANIFEST, load, save


def _sums(graph) -> dict[tuple[str, str, str], float]:
    sums: dict[tuple[str, str, str], float] = {}
    for creditor, debtor, data in graph.edges(data=True):
        if data["kind"] != "potential":
            key = (creditor, debtor, data["kind"])
            sums[key] = sums.get(key, 0.0) + data["amount"]
    return sums


def _rows(exposures, when: str) -> dict[tuple[str, str, str], float]:
    rows = exposures[exposures["when"] == when]
    return {(row.creditor, row.debtor, row.kind): row.amount for row in rows.itertuples()}


@pytest.fixture(scope="module")
def model_and_start():
    model = ContagionModel("quickstart", rng=7, steps=30)
    return model, _sums(model.exposure_graph()), model.run()


def test_both_ends_are_the_exposure_graph(model_and_start) -> None:
    model, start, result = model_and_start
    assert _rows(result.exposures, "start") == pytest.approx(start)
    assert _rows(result.exposures, "end") == pytest.approx(_sums(model.exposure_graph()))
    assert start != _sums(model.exposure_graph())


def test_many_traders_are_added_up_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure_ends, "SHOWN_ONE_BY_ONE", 10)
    model = ContagionModel("quickstart", rng=7)
    graph = _sums(model.exposure_graph("groups"))
    assert _rows(model.result().exposures, "start") == pytest.approx(graph)


def test_without_ledger_rows_there_are_no_exposures() -> None:
    assert ContagionModel("quickstart", rng=7, keep_ledger=False).result().exposures.empty


def test_burden_rows_add_up_to_what_agents_bore(model_and_start) -> None:
    _, _, result = model_and_start
    assert result.burden["amount"].sum() == pytest.approx(result.agents["burden"].sum())


def test_notional_at_the_opening_is_what_the_scenario_says(model_and_start) -> None:
    # quickstart: hedgers of 100,000 USD each; directional traders hold 8.0m USD together.
    agents = model_and_start[2].agents
    hedgers = agents.loc[agents["group"] == "hedger", "opening_notional"]
    assert hedgers.tolist() == pytest.approx([1e5] * 5, rel=1e-6)
    assert agents.loc[agents["group"] == "directional", "opening_notional"].sum() == pytest.approx(8e6, rel=1e-6)


def test_folders_of_earlier_versions_are_read(model_and_start, tmp_path: Path) -> None:
    folder = save(model_and_start[2], tmp_path / "run")
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in ("burden", "exposures"):
        del manifest["files"][f"{name}.parquet"]
        (folder / f"{name}.parquet").unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert load(folder).burden.empty
    assert list(load(folder).exposures) == ["when", "creditor", "debtor", "kind", "amount"]
