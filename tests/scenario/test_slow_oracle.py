"""The bundled scenario of slow oracles: what it is to show, it shows."""

from __future__ import annotations

from contagion.model import ContagionModel


def outcomes(**changes):
    return ContagionModel("slow_oracle", rng=7, **changes).run().outcomes


def test_the_slower_the_oracle_the_more_is_taken_from_the_pool_that_trusts_it():
    runs = [outcomes(**{"protocols.desk.oracle.latency": latency}) for latency in (0, 1, 5, 15)]
    taken = [run.get("arbitrage_gain.desk", 0.0) for run in runs]
    assert taken == sorted(taken) and taken[0] == 0.0 < taken[1]
    # Nothing else in the scenario reads that oracle.
    assert len({run["keeper_profit"] for run in runs}) == 1


def test_every_mechanism_is_at_work():
    run = outcomes()
    positive = ["arbitrage_gain.desk", "arbitrage_gain.pair", "manipulation_cost", "swap_fees.pair", "swap_fees.stable",
                "stale_value.delayed", "stale_value.averaged", "loan_liquidations", "claims_sold"]  # fmt: skip
    assert {name: run[name] for name in positive if not run[name] > 0.0} == {}
    assert run["oracle_gap.median"] < run["oracle_gap.averaged"] < run["oracle_gap.delayed"]


def test_one_poor_keeper_liquidates_less_and_leaves_more_bad_debt():
    many, few = outcomes(), outcomes(**{"traders.keeper.count": 1, "traders.keeper.capital": 2e5})
    assert few["loan_liquidations"] < many["loan_liquidations"] and few["deficit"] > many["deficit"]
