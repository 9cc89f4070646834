"""Experiment files: what they say, and how what is wrong with them is explained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from small_experiments import small
from typer.testing import CliRunner

from contagion.cli import app
from contagion.errors import InputError
from contagion.experiment import experiment_schema, load_experiment
from contagion.experiment.plan import make_plan


def plan(**changes):
    return make_plan(load_experiment(small(**changes)))


def test_a_file_reads_as_the_same_experiment_as_its_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "funds.yaml"
    path.write_text(
        "scenario: quickstart\nuncertainties: {shocks.*.size: {uniform: [-0.3, -0.1]}}\n"
        "levers:\n  none: {exchanges.perp.insurance_fund.size: 0}\n  exchanges.perp.equity: [1e4, 2.0e5]\n"
        "design: {method: sobol, worlds: 8}\nreplications: 2\n"
    )
    found = load_experiment(path)
    assert found.name == "funds" and found.seeding == "by_world"
    assert found.policies == {
        "none, exchanges.perp.equity=10000": {"exchanges.perp.insurance_fund.size": 0, "exchanges.perp.equity": 1e4},
        "none, exchanges.perp.equity=200000": {"exchanges.perp.insurance_fund.size": 0, "exchanges.perp.equity": 2e5},
    }
    assert found.swept == ("shocks.*.size", "exchanges.perp.equity")
    assert load_experiment(json.loads(found.model_dump_json(by_alias=True))) == found


def test_a_scenario_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("assets: {BTC: {price: 1, volatility: 0.1}}\n")
    (tmp_path / "sweep.yaml").write_text("scenario: mine.yaml\n")
    assert load_experiment(tmp_path / "sweep.yaml").scenario == str(tmp_path / "mine.yaml")


BAD_FILES = {
    "scenario: quickstart\ndesing: grid\n": "desing: got 'grid'; accepted: keys .*nearest: design",
    "uncertainties: {}\n": "scenario: got None; accepted: a value: this key is required",
    "scenario: [1\n": "line 2, column 1",
    "scenario: a\nscenario: b\n": "line 2: got 'scenario'; accepted: a key given once",
    "- a\n": "a YAML mapping with keys name, question",
    "scenario: quickstart\nuncertainties: {a: {uniform: [2, 1]}}\n": r"a.uniform: got \[2, 1\]; accepted: \[low",
    "scenario: quickstart\nuncertainties: {a: {unifrom: [1, 2]}}\n": "got {'unifrom': .*a list of values, or one of",
    "scenario: quickstart\nuncertainties: {a: []}\n": r"a.values: got \[\]; accepted: a list of one or more",
    "scenario: quickstart\ndesign: sobol\n": "design.sobol.worlds: got None",
    "scenario: quickstart\ndesign: soboll\n": "design.method: got 'soboll'; accepted: one of grid, random",
    "scenario: quickstart\ndesign: morris\n": r"uncertainties: got \[\]; accepted: two or more for morris",
    "scenario: quickstart\nreplications: 0\n": "replications: got 0; accepted: greater than or equal to 1",
    "scenario: quickstart\nreplications: 3\nantithetic: true\n": "replications: got 3; accepted: an even number",
    "scenario: quickstart\nlevers: {a: []}\n": r"a: got \[\]; accepted: a policy .* or a list of one or more values",
    "scenario: quickstart\nlevers: {a: 5}\n": "levers.a: got 5; accepted: a policy",
    "scenario: quickstart\nname: ../a\n": r"name: got '\.\./a'; accepted: a name that its folder",
    "scenario: quickstart\nstopping: {precision: {}, budget: 9}\n": r"precision: got {}; accepted: .*at least 1",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_file_is_explained(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load_experiment(path)
    assert str(path) in str(raised.value)
    assert re.search(BAD_FILES[text], str(raised.value)), str(raised.value)


def test_a_file_that_is_not_there_is_explained() -> None:
    with pytest.raises(InputError, match=r"experiment: got 'nowhere\.yaml'; accepted: the path of a YAML file"):
        load_experiment("nowhere.yaml")


BAD_PATHS = [
    ({"uncertainties": {"exchanges.perp.insurance_fnd.size": [1, 2]}}, "insurance_fnd.*nearest: insurance_fund"),
    ({"uncertainties": {"exchanges.prep.equity": [1, 2]}}, "got 'prep'; accepted: one of perp.*nearest: perp"),
    ({"levers": {"none": {"exchanges.perp.eqity": 1}}}, "levers.none: exchanges.perp.eqity: .*nearest: .*equity"),
    ({"levers": {"exchanges.perp.eqity": [1, 2]}}, "nearest: .*equity"),
    ({"uncertainties": {"exchanges.perp.equity": [1, -2]}, "levers": {}}, "uncertainties.*equity: .*got -2"),
    ({"levers": {"odd": {"exchanges.perp.waterfall": [{"layer": "nobody"}]}}}, "levers.odd: .*got 'nobody'"),
    ({"uncertainties": {"exchanges.perp.equity": [1, 2]}}, "a field that uncertainties.exchanges.perp.equity"),
    ({"uncertainties": {"exchanges.*.equity": [1, 2]}}, r"a field that uncertainties.exchanges.\*.equity does not set"),
    ({"design": {"method": "table", "rows": [{"stepz": 3}]}}, "design.stepz"),
    ({"outcomes": ["deficitt"]}, "outcomes: got 'deficitt'; accepted: an outcome of docs.*nearest: deficit"),
    ({"stopping": {"precision": {"systm_loss": 1}, "budget": 9}}, "stopping.precision: got 'systm_loss'.*system_loss"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_PATHS)
def test_unknown_paths_and_values_are_found_before_anything_runs(changes, message: str) -> None:
    with pytest.raises(InputError) as raised:
        plan(**changes)
    assert re.search(message, str(raised.value)), str(raised.value)


def test_the_schema_is_printed_and_lists_every_key() -> None:
    printed = CliRunner().invoke(app, ["schema", "--experiment"])
    assert printed.exit_code == 0 and json.loads(printed.output) == experiment_schema()
    assert {"scenario", "uncertainties", "levers", "outcomes", "design", "replications", "seed"} <= set(
        experiment_schema()["properties"]
    )


def test_a_wildcard_sets_every_venue() -> None:
    """`exchanges.*.equity` is a field of each exchange."""
    from contagion.experiment.plan import load_run

    found = plan(uncertainties={"exchanges.*.equity": [7.0]}, levers={})
    (run,) = found.runs(range(1))
    loaded = load_run(found.scenario, found.experiment.scenario, {}, run.overrides)
    assert [venue.equity for venue in loaded.exchanges.values()] == [7.0] * len(found.scenario.exchanges)


def test_seeds_are_shared_as_the_file_says() -> None:
    def seeds(**changes):
        return {(run.policy, run.world, run.replication): run.seed for run in plan(**changes).runs(range(2))}

    common = seeds()
    assert len(set(common.values())) == 2  # one a replication
    by_world = seeds(random_numbers="by_world")
    assert len(set(by_world.values())) == 4
    assert all(seed == by_world["as written", *place] for (_, *place), seed in by_world.items())
    assert len(set(seeds(random_numbers="independent").values())) == 8
    assert len(set(common.values()) & set(seeds(seed=1).values())) == 0


def test_antithetic_replications_are_pairs_of_one_seed() -> None:
    runs = list(plan(antithetic=True, levers={}, uncertainties={}).runs(range(4)))
    assert [run.mirrored for run in runs] == [False, True, False, True]
    assert runs[0].seed == runs[1].seed != runs[2].seed == runs[3].seed
    assert len({run.key for run in runs}) == 4


def test_a_key_changes_with_what_changes_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys(**changes):
        return [run.key for run in plan(**changes).runs(range(4))]

    assert keys() == keys() == keys(name="other", question="?", finding="!", outcomes=["deficit"])
    assert set(keys(replications=9)) == set(keys())
    for changes in ({"seed": 1}, {"overrides": {"steps": 6}}, {"random_numbers": "independent"}):
        assert not set(keys()) & set(keys(**changes))
    turned = small()["scenario"]
    turned["exchanges"] = dict(reversed(turned["exchanges"].items()))  # sums are taken in this order
    assert not set(keys()) & set(keys(scenario=turned))
    before = keys()
    assert set(keys(levers={})) < set(before)  # the policy that sets nothing is the scenario as it is
    monkeypatch.setattr("contagion.experiment.plan.RESULTS_VERSION", -1)
    assert not set(before) & set(keys())


def test_a_key_follows_the_code_of_a_rule_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "own_prices_for_keys.py"
    code = "from contagion.market.prices import Constant\nclass Mine(Constant):\n    pass\n"
    module.write_text(code)
    levers = {"own": {"prices": "own_prices_for_keys:Mine"}, "as written": {}}
    own, written = (run.key for run in plan(uncertainties={}, levers=levers).runs(range(1)))
    module.write_text(code + "# another comment\n")
    assert [own, written] != [run.key for run in plan(uncertainties={}, levers=levers).runs(range(1))]
    assert written == list(plan(uncertainties={}, levers=levers).runs(range(1)))[1].key
