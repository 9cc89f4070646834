"""What an oracle publishes and when, against hand calculations; and what a stale price is worth to others."""

from __future__ import annotations

import pytest

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

AMM = {"kind": "amm", "deposits": 2e6, "holds": {"ETH": 1e6}, "fee": 0.0}


def model(oracle, shocks=(), protocols=None, steps=12, **pool):
    lender = {"kind": "lending_pool", "supplied": 1e5, "rate": {"slope1": 0.0, "slope2": 0.0},
              "collateral": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.85}},
              "oracle": {"deviation": 0.0} | oracle} | pool  # fmt: skip
    protocols = {**(protocols or {}), "aave": lender}
    parts = {"name": "oracles", "steps": steps, "assets": {"ETH": {"price": 1000.0}}, "prices": "constant",
             "impact": "linear", "shocks": list(shocks), "protocols": protocols}  # fmt: skip
    return ContagionModel(load_scenario(parts), rng=3)


def published(run, steps):
    """Price of ETH that the lending pool goes by after each of the next steps."""
    row = run.world.state.instruments.names.index("aave:ETH")
    found = []
    for _ in range(steps):
        run.step()
        found.append(float(run.world.state.instruments.oracle[row]))
    return found


def gap(size, at=2):
    return {"at": at, "kind": "price_gap", "asset": "ETH", "size": size}


def test_a_delay_module_takes_the_queued_price_an_interval_later():
    """Every third step: the price of step 2 is queued in step 3 and taken in step 6, that of step 7 in step 12."""
    run = model({"delay": "3min"}, [gap(-0.5), gap(0.2, at=7)])
    assert published(run, 12) == pytest.approx([1000] * 5 + [500] * 6 + [600])


@pytest.mark.parametrize(("average", "expected"), [
    ("arithmetic", [1000, 875, 750, 625, 500]),
    ("geometric", [1000, 1000 * 0.5**0.25, 1000 * 0.5**0.5, 1000 * 0.5**0.75, 500]),
])  # fmt: skip
def test_a_time_weighted_average_of_a_pool_follows_over_its_window(average, expected):
    run = model({"source": "uni", "window": "4min", "average": average}, [gap(-0.5)], {"uni": AMM})
    assert published(run, 5) == pytest.approx(expected)


def test_latency_moves_the_window_back():
    run = model({"window": "2min", "latency": 1}, [gap(-0.5)])
    assert published(run, 5) == pytest.approx([1000, 1000, 750, 500, 500])


def test_the_median_of_three_feeds_is_not_moved_by_one():
    shock = {"at": 2, "kind": "oracle_manipulation", "target": "aave", "asset": "ETH", "size": 1.0}
    assert published(model({}, [shock]), 3) == pytest.approx([1000, 2000, 2000])
    three = {"source": ["market", "market", "market"]}
    assert published(model(three, [shock]), 3) == pytest.approx([1000, 1000, 1000])
    assert published(model({"source": ["market", "market"]}, [shock]), 2)[1] == pytest.approx(1500)


def test_feeds_have_noise_of_their_own():
    one = published(model({"noise": 0.05}), 10)
    many = published(model({"noise": 0.05, "source": ["market"] * 9}), 10)
    assert max(abs(price / 1000.0 - 1.0) for price in many) < max(abs(price / 1000.0 - 1.0) for price in one)
    assert len(set(many)) == 10


def test_a_hard_coded_price_stands_whatever_happens():
    run = model({"source": "fixed", "price": 1270.0}, [gap(-0.9)])
    assert published(run, 4) == [1270.0] * 4


def test_a_push_that_is_held_moves_an_average_by_its_share_of_the_window():
    """Two of ten steps at 1.5 times: the average is 1.1 times, and the push costs two holdings of the pool's price."""
    push = {"at": 3, "kind": "pool_push", "target": "uni", "asset": "ETH", "size": 0.5, "lasts": 2}
    run = model({"source": "uni", "window": "10min"}, [push], {"uni": AMM})
    assert published(run, 5) == pytest.approx([1000, 1000, 1050, 1100, 1100])
    root = 1.5**0.5
    assert run.world.counters["manipulation_cost"] == pytest.approx(2 * 1e6 * (root + 1 / root - 2))


def test_a_stale_price_is_worth_what_a_loan_that_is_never_repaid_gains():
    """ETH at 500 and 1,000 at the oracle: 100,000 USD cost 125,000 / 1,000 ETH, which are worth 62,500."""
    outcomes = model({"source": "fixed"}, [gap(-0.5)]).run().outcomes
    assert outcomes["stale_value.aave"] == pytest.approx(100_000 - 62_500)
    assert outcomes["oracle_gap.aave"] == pytest.approx(0.5)  # 500 of 1,000
    assert model({"source": "fixed"}, [gap(-0.2)]).run().outcomes["stale_value.aave"] == pytest.approx(0.0, abs=1e-9)


def test_the_gap_of_collateral_that_is_almost_worthless_is_bounded():
    """ETH from 1,000 to 1 with an oracle at 1,000: 999 / 1,000; over the market's price it would be 999."""
    assert model({"source": "fixed"}, [gap(-0.999)]).run().outcomes["oracle_gap.aave"] == pytest.approx(0.999)


@pytest.mark.parametrize("latency", [0, 1, 3])
def test_a_pool_on_stale_oracle_prices_pays_for_every_step_of_latency(latency):
    """ETH rises by a tenth: at the old price all 1,000 ETH cost 1,000,000 USD; up to 50,000 USD a step are traded."""
    slow = AMM | {"curve": "oracle", "oracle": {"latency": latency, "deviation": 0.0},
                  "arbitrage": {"capacity": 5e4}}  # fmt: skip
    outcomes = model({}, [gap(0.1)], {"glp": slow}).run().outcomes
    assert outcomes.get("arbitrage_gain.glp", 0.0) == pytest.approx(latency * 5_000, abs=1e-6)
    assert outcomes["stale_value.glp"] == pytest.approx(100_000 if latency else 0.0, abs=1e-6)


def test_a_source_has_to_exist():
    with pytest.raises(InputError, match="market, redemption, fixed, uni"):
        model({"source": "unisvap"}, (), {"uni": AMM})
    with pytest.raises(InputError, match="source: fixed"):
        model({"price": 1.0})
