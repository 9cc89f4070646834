"""Who paid, against markets small enough to work out by hand and against sums taken straight from the ledger."""

from __future__ import annotations

import doctest
import re
from fnmatch import translate
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from worlds import crisis, scenario

from contagion import ContagionModel, bundled_scenarios
from contagion.errors import InputError
from contagion.outcomes import amplification, burden_by, cascades, loss_table
from contagion.outcomes.incidence import _pass_on

WORLDS = ("crisis", *bundled_scenarios())


@cache
def ran(name: str, keep_ledger: bool = True) -> ContagionModel:
    model = ContagionModel(scenario(crisis()) if name == "crisis" else name, rng=11, keep_ledger=keep_ledger)
    model.run()
    return model


def result(name: str, keep_ledger: bool = True):
    return ran(name, keep_ledger).result()


# -- one long, one short, no market: every number by hand ---------------------------------------------------------


def duel(waterfall: list[dict], **exchange) -> ContagionModel:
    """A long of 100,000 USD at ten times leverage against a short of four times; bitcoin halves in step 2.

    The long's margin is 10,000, its loss 50,000: a deficit of 40,000. The short's margin is 25,000, its gain 50,000.
    The maker of this market has withdrawn: nothing trades.
    """
    side = {"archetype": "directional", "venue": "perp", "count": 1, "size": {"fixed": 1e5}}
    data = {
        "name": "duel",
        "dt": "30min",
        "steps": 3,
        "assets": {"BTC": {"price": 100_000, "volatility": 1e-9}},
        "shocks": [
            {"at": 1, "kind": "depth_withdrawal", "asset": "BTC", "size": 1.0},
            {"at": 2, "kind": "price_gap", "asset": "BTC", "size": -0.5},
        ],
        "exchanges": {
            "perp": {
                "contracts": {"BTC": {"tiers": [{"floor": 0, "maintenance": 0.01, "initial": 0.02}]}},
                "equity": 1e6,
                "waterfall": waterfall,
                **exchange,
            }
        },
        "traders": [
            {**side, "name": "bull", "long_share": 1.0, "leverage": {"fixed": 10}},
            {**side, "name": "bear", "long_share": 0.0, "leverage": {"fixed": 4}},
            {"archetype": "market_maker", "venue": "perp", "count": 1, "capital": 1e6, "parameters": {"depth": 1.0}},
        ],
    }
    model = ContagionModel(scenario(data), rng=1)
    model.run()
    return model


def near(expected: float):
    return pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_winner_pays_from_its_profit():
    model = duel([{"layer": "profit_haircut"}, {"layer": "venue_equity"}])
    found = model.result().outcomes
    assert found["deficit"] == near(40_000)
    assert found["burden"] == found["burden.traders"] == found["burden.group.bear"] == near(40_000)
    assert found["burden.group.bull"] == found["burden.exchanges"] == 0.0
    assert found["burden_payers"] == 1 and found["burden_hhi"] == 1.0 and found["burden_top1"] == 1.0
    assert found["burden_gini"] == pytest.approx(2 / 3)  # one of three bears all: (n - 1) / n
    assert found["haircut_max"] == found["haircut_mean"] == near(40_000 / 75_000)
    assert found["wiped_out"] == 0
    assert found["time_to_first_deficit"] == pytest.approx(1.0)  # step 2 of half an hour
    assert found["traded_notional"] == 0.0 and np.isnan(found["hidden_cost_bps"])
    # The long loses its margin and not more. The short still gains 10,000, the exchange nothing.
    assert found["system_loss"] == found["system_loss.price"] == near(10_000)
    assert found["system_loss.socialised"] == near(0)


def test_exchange_pays_with_its_own_equity():
    found = duel([{"layer": "venue_equity"}]).result().outcomes
    assert found["burden"] == found["burden.exchanges"] == near(40_000)
    assert found["burden.traders"] == found["burden_payers"] == found["burden_gini"] == found["hidden_cost_bps"] == 0.0
    assert found["system_loss"] == near(50_000)
    assert found["system_loss.price"] == near(10_000) and found["system_loss.socialised"] == near(40_000)


def test_what_nobody_takes_is_no_burden_but_a_loss_of_the_exchange():
    model = duel([{"layer": "insurance_fund"}], insurance_fund={"size": 15_000})
    found = model.result().outcomes
    assert found["burden"] == found["burden.funds"] == near(15_000)
    assert found["unallocated"] == near(25_000)
    assert found["system_loss"] == near(50_000) and found["system_loss.socialised"] == near(40_000)
    table = loss_table(model.world)
    assert table.loc["perp"].to_dict() == {"perp/insurance_fund": near(15_000), "unallocated": near(25_000)}


def test_tables_by_opening_side_size_and_leverage():
    world = duel([{"layer": "profit_haircut"}]).world
    for by, payer, other in (("side", "short", "long"), ("leverage", "2 to 5", "10 to 20"), ("group", "bear", "bull")):
        table = burden_by(world, by)
        assert {payer, other} <= set(table.index)
        assert table.loc[payer, "burden"] == near(40_000) and table.loc[other, "burden"] == 0.0
        assert table.loc[payer, "share"] == 1.0 and table.loc[payer, "payers"] == 1
        assert table.loc[payer, "opening_net_worth"] == near(25_000)
        assert table.loc[payer, "per_net_worth"] == near(1.6)
    assert burden_by(world, "size").loc["100000 to 1e+06", "agents"] == 2
    assert burden_by(world, "type").loc["trader", "burden"] == near(40_000)
    with pytest.raises(InputError, match="leverage"):
        burden_by(world, "colour")


# -- burdens that pass on ------------------------------------------------------------------------------------------


def test_issuers_pass_on_what_they_did_not_lose_themselves():
    # Bearers: 0 venue, 1 and 2 issuers, 3 and 4 groups. Issuer 1 bears 100 from origin 0 and 20 from origin 1, keeps 20
    # of it, and passes 100 on: a quarter to issuer 2, the rest to group 3. Issuer 2 passes all of that to group 4.
    direct = np.array([[5.0, 100.0, 0.0, 0.0, 0.0], [0.0, 20.0, 0.0, 0.0, 0.0], np.zeros(5)])
    shares = np.zeros((5, 5))
    shares[1, 2], shares[1, 3], shares[2, 4] = 0.25, 0.75, 1.0
    for order in ([1, 2], [2, 1]):
        table, passed = _pass_on(direct, shares, order, np.array([0.0, 20.0, 0.0]))
        mix = np.array([100.0, 20.0]) / 120.0
        np.testing.assert_allclose(table[:2, 1], 20.0 * mix)
        np.testing.assert_allclose(table[:2, 3], 75.0 * mix)
        np.testing.assert_allclose(table[:2, 4], 25.0 * mix)
        np.testing.assert_allclose(passed, [0.0, 100.0, 25.0, 0.0, 0.0])


def test_issuers_that_hold_each_other():
    # Each passes half to the other: 100 comes to rest as 100 (1/2 + 1/8 + ...) = 66.67 and 33.33.
    shares = np.zeros((4, 4))
    shares[0, 1], shares[0, 2], shares[1, 0], shares[1, 3] = 0.5, 0.5, 0.5, 0.5
    table, _ = _pass_on(np.array([[100.0, 0.0, 0.0, 0.0]]), shares, [0, 1], np.zeros(2))
    np.testing.assert_allclose(table[0], [0.0, 0.0, 200 / 3, 100 / 3], atol=1e-6)


def test_an_issuer_keeps_its_own_loss_once():
    # Issuer 0 lost 20 itself. It bears 30, and 50 more that reach it later through issuer 1: 60 go on to group 2.
    shares = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], np.zeros(3)])
    for order in ([0, 1], [1, 0]):
        table, _ = _pass_on(np.array([[30.0, 50.0, 0.0]]), shares, order, np.array([20.0, 0.0]))
        np.testing.assert_allclose(table[0], [20.0, 0.0, 60.0])


def test_collateral_in_custody_is_the_borrowers():
    """The pool of quickstart keeps vault shares that its borrowers pledged, and owns none."""
    world = ran("quickstart").world
    pool, vault = world.agent_rows["pool"], world.state.assets.row("backstop")
    custody = [(holder, loss) for asset, holder, loss in world.incidence.claim_losses() if asset == vault]
    holder, loss = custody[0]
    assert loss.sum() > 1.0 and pool in holder
    assert loss[holder == pool].sum() <= 1e-6  # what was left of loans it wrote off became its own, a gain
    assert loss_table(world).loc["perp", "borrower"] > 1.0


def test_depositors_lose_what_their_claims_lost():
    """Depositors own cash and claims only: losses on claims and at withdrawal are all that they lose."""
    for name in ("crisis", "quickstart"):
        world = ran(name).world
        agents, seen = world.state.agents, world.incidence
        group = world.state.group_names.index("depositor")
        rows = np.flatnonzero(agents.group == group)
        lost = seen.paid[:, agents.group == group].sum(axis=0)
        for _, holder, loss in seen.claim_losses():
            lost += np.array([loss[holder == row].sum() for row in rows])
        assert agents.opening[rows].sum() - agents.worth[rows].sum() > 1.0
        np.testing.assert_allclose(lost, agents.opening[rows] - agents.worth[rows], rtol=1e-9, atol=1e-6)


def test_write_down_falls_on_holders_in_proportion_when_nobody_leaves_before():
    data = crisis()
    data["traders"] = [group for group in data["traders"] if group["archetype"] in ("borrower", "keeper", "depositor")]
    data["exchanges"], data["credit"] = {}, {}
    data["protocols"] = {"pool": data["protocols"]["pool"]}
    data["traders"][-1] |= {"venue": "pool", "parameters": {"tolerance": 1e9, "utilisation": 1.0, "delay": 99}}
    model = ContagionModel(scenario(data), rng=11)
    model.run()
    found = model.result().outcomes
    written_down = found["absorbed.depositor_write_down"]
    assert written_down > 1.0
    held = np.array([6 * 2e4, 1e6])  # depositors, and outside, which takes a twentieth back after the write-down
    expected = written_down * held / held.sum()
    np.testing.assert_allclose([found["burden.group.depositor"], found["burden.outside"]], expected, rtol=0.01)
    assert found["burden.funds"] == pytest.approx(found["absorbed.reserve"])


# -- identities in every bundled world -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORLDS)
def test_channels_add_up_to_the_system_loss(name):
    found = result(name).outcomes
    channels = [value for key, value in found.items() if key.startswith("system_loss.")]
    change = result(name).agents["change"].to_numpy()[1:]
    assert len(channels) == 8
    assert sum(channels) == pytest.approx(-change[change < 0].sum(), rel=1e-12)
    assert found["system_loss"] == pytest.approx(-change[change < 0].sum(), rel=1e-12)


@pytest.mark.parametrize("name", WORLDS)
def test_burden_is_what_the_ledger_says_was_allocated(name):
    model, found = ran(name), result(name).outcomes
    rows = result(name).ledger
    institutions = model.world.state.agents.names
    wound_up = (rows["cause"] == "resolution") & (rows["payer"] != rows["payee"]) & rows["payee"].isin(institutions)
    rows = rows[(rows["cause"] == "allocation") | wound_up]
    exchanges = set(model.scenario.exchanges)
    nobody = (rows["layer"] == "unallocated") & rows["payer"].isin(exchanges)
    assert found["burden"] == pytest.approx(rows["amount"][~nobody].sum(), rel=1e-9, abs=1e-6)
    parts = ("traders", "exchanges", "funds", "protocols", "outside")
    assert found["burden"] == pytest.approx(sum(found[f"burden.{part}"] for part in parts), rel=1e-9, abs=1e-6)
    groups = [value for key, value in found.items() if key.startswith("burden.group.")]
    assert found["burden.traders"] == pytest.approx(sum(groups), rel=1e-9, abs=1e-6)
    by_agent = result(name).agents.set_index("agent")["burden"]
    assert by_agent.sum() == pytest.approx(found["burden"], rel=1e-9, abs=1e-6)
    # Groups that hold no claims bear just what they paid themselves.
    direct = rows[~nobody].groupby(rows["payer"].str.split(":").str[0])["amount"].sum()
    for group in model.scenario.traders:
        label = group.name or group.archetype
        if group.archetype in ("directional", "hedger", "market_maker") and f"burden.group.{label}" in found:
            assert found[f"burden.group.{label}"] == pytest.approx(direct.get(label, 0.0), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_tables_agree_with_outcomes(name):
    world, found = ran(name).world, result(name).outcomes
    for by in ("group", "side", "size", "leverage"):
        table = burden_by(world, by)
        assert table["burden"].sum() == pytest.approx(found["burden.traders"], rel=1e-9, abs=1e-6)
        assert table["agents"].sum() == world.state.n_agents - world.state.first_trader
    origins = loss_table(world).drop(columns="unallocated", errors="ignore")
    assert origins.to_numpy().sum() == pytest.approx(found["burden"], rel=1e-9, abs=1e-6)


def test_hidden_cost_is_what_exchanges_socialised_per_traded_notional():
    found, rows = result("crisis").outcomes, result("crisis").ledger
    paid = rows[(rows["cause"] == "allocation") & rows["payer"].str.contains(":")]
    paid = paid[paid["payee"].isin(["perp", "dex", "coin"])]["amount"].sum()
    assert paid > 0.0
    assert found["hidden_cost_bps"] == pytest.approx(1e4 * paid / ran("crisis").market.volume.sum())
    groups = [value for key, value in found.items() if key.startswith("hidden_cost_bps.")]
    assert found["hidden_cost_bps"] == pytest.approx(sum(groups))


@pytest.mark.parametrize("name", ("crisis", "october_2025"))
def test_nothing_is_lost_where_rows_are_not_kept(name):
    kept, lean = result(name).outcomes, result(name, keep_ledger=False).outcomes
    assert kept.keys() == lean.keys()
    for key, value in kept.items():
        assert lean[key] == pytest.approx(value, rel=1e-12, nan_ok=True), key


def test_asking_for_a_result_on_the_way_changes_nothing():
    model = ContagionModel(scenario(crisis()), rng=11)
    for _ in range(3):
        model.step()
        model.result()
    model.run()
    for key, value in result("crisis").outcomes.items():
        assert model.result().outcomes[key] == pytest.approx(value, rel=1e-12, nan_ok=True), key


# -- cascades, amplification, dictionary ---------------------------------------------------------------------------


def test_examples_in_docstrings():
    found = doctest.testmod(cascades)
    assert found.attempted == 2 and found.failed == 0


def test_cascades_of_a_run_are_those_of_its_rounds():
    found, rounds = result("october_2025").outcomes, result("october_2025").rounds
    closed = (rounds["liquidations"] + rounds["takeovers"]).groupby(rounds["step"])
    sizes = closed.sum()[closed.sum() > 0]
    assert found["cascades"] == len(sizes) and found["cascade_largest"] == sizes.max()
    assert found["cascade_mean"] == pytest.approx(sizes.mean())
    assert found["liquidations"] + found["takeovers"] == sizes.sum()
    assert 0.0 < found["branching_ratio"] < 1.0
    assert cascades.cascade_outcomes(np.zeros(0), np.zeros(0))["branching_ratio"] == 0.0


def test_amplification_is_the_difference_of_the_pair():
    found = amplification("quickstart", 11)
    alone = ContagionModel("quickstart", rng=11, feedback="none").run().outcomes["system_loss"]
    assert found.system_loss == result("quickstart").outcomes["system_loss"]
    assert found.without_feedback == alone != found.system_loss
    assert found.amplification == found.system_loss - alone
    assert amplification(scenario(crisis(), feedback="none"), 3).amplification == 0.0


def patterns() -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "outcomes.md").read_text(encoding="utf-8")
    before = text.split("## Beyond the row")[0]
    return re.findall(r"^\| `([^`]+)` \|", before, flags=re.MULTILINE)


def test_every_outcome_is_described_once():
    described = patterns()
    assert len(described) == len(set(described)) > 50
    expressions = [re.compile(translate(re.sub(r"<\w+>", "*", pattern))) for pattern in described]
    for name in WORLDS:
        for key in result(name).outcomes:
            exact = key in described
            matches = [pattern for pattern, test in zip(described, expressions, strict=True) if test.match(key)]
            assert exact or len(matches) == 1, f"{key} is described by {matches or 'nothing'}"
