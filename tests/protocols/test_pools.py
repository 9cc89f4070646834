"""Automated market makers in a run: reserves are conserved, arbitrage, impermanent loss, depegs, and pushed prices."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.protocols import verbs
from contagion.scenario.loader import load_scenario

ETH = {"price": 1000.0}


def model(protocols, *, shocks=(), steps=6, traders=(), rng=1, **given):
    """A run at constant prices but for its shocks. Every step audits every agent, the pools among them."""
    parts = {"name": "pools", "steps": steps, "assets": {"ETH": ETH}, "prices": "constant", "impact": "linear",
             "protocols": protocols, "shocks": list(shocks), "traders": list(traders)}  # fmt: skip
    return ContagionModel(load_scenario(parts | given), rng=rng)


def pool(**terms):
    """1,000 ETH and 1,000,000 USD without a fee."""
    return {"kind": "amm", "deposits": 2e6, "holds": {"ETH": 1e6}, "fee": 0.0} | terms


def gap(size, at=2):
    return {"at": at, "kind": "price_gap", "asset": "ETH", "size": size}


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0, 4.0])
def test_impermanent_loss_is_the_closed_form(ratio):
    """Against holding 1,000,000 USD and 1,000 ETH: 2 sqrt(r) / (1 + r) - 1 of it, and arbitrage has it all."""
    run = model({"uni": pool()}, shocks=[gap(ratio - 1.0)] if ratio != 1.0 else ())
    outcomes = run.run().outcomes
    held = 1e6 * (1.0 + ratio)
    loss = held * (1.0 - 2.0 * math.sqrt(ratio) / (1.0 + ratio))
    assert outcomes["loss_against_holding.uni"] == pytest.approx(loss, abs=1e-3)
    assert outcomes.get("arbitrage_gain.uni", 0.0) == pytest.approx(loss, abs=1e-3)
    # Two million shares: the value of each is what the reserves are worth.
    assert outcomes["claim_value.uni"] == pytest.approx((held - loss) / 2e6)


def test_a_provider_bears_its_share_of_the_loss_and_outside_the_rest():
    """A trader holds a fifth of the pool: of a pool worth 1,414,213.56 after ETH halves."""
    provider = {"archetype": "passive", "name": "provider", "holds": {"uni": 4e5}}
    run = model({"uni": pool(deposits=1.6e6, holds={"ETH": 1e6})}, shocks=[gap(-0.5)], traders=[provider])
    assert run.pricing.pools.all[0].reserves() == pytest.approx([1e6, 1e3])
    run.run()
    agents = run.world.state.agents
    assert agents.worth[run.world.agent_rows["provider"]] == pytest.approx(2e6 * math.sqrt(0.5) / 5.0)
    assert agents.worth[run.world.agent_rows["uni"]] == pytest.approx(0.0, abs=1e-6)


def test_the_fee_leaves_a_band_and_stays_in_the_pool():
    """ETH at 1,100: buyers pay 1 / 0.97 of the pool's price, so they stop at 1,067."""
    run = model({"uni": pool(fee=0.03)}, shocks=[gap(0.1)])
    outcomes = run.run().outcomes
    made = run.pricing.pools.all[0]
    # In all a / x of the USD came in, 0.97 of it at work: marginal cost (y + 0.97 a)^2 / (0.97 x y) = 1,100.
    y, x = 1e6, 1e3
    amount = (math.sqrt(1100.0 * 0.97 * x * y) - y) / 0.97
    assert made.reserves() == pytest.approx([y + amount, x * y / (y + 0.97 * amount)])
    assert outcomes["swapped.uni"] == pytest.approx(amount)
    assert outcomes["swap_fees.uni"] == pytest.approx(0.03 * amount)


def test_a_move_inside_the_band_is_not_traded():
    assert "swapped.uni" not in model({"uni": pool(fee=0.03)}, shocks=[gap(0.03)]).run().outcomes


def test_arbitrage_has_a_speed_and_a_capacity():
    run = model({"uni": pool(arbitrage={"speed": 1.0, "capacity": 1e4})}, shocks=[gap(0.5)], steps=3)
    assert run.run().outcomes["swapped.uni"] == pytest.approx(2e4)  # two steps of 10,000 USD
    run = model({"uni": pool(arbitrage={"speed": 0.0})}, shocks=[gap(0.5)])
    assert "swapped.uni" not in run.run().outcomes


def health(run):
    """Collateral value over debt at the price that the oracle reads next."""
    state, price = run.world.state, run.pricing.pools.all[0].price(1)
    account = int(state.agents.account_start[run.world.agent_rows["borrower"]])
    first, last = state.accounts.start[account], state.accounts.start[account + 1]
    collateral, debt = state.positions.units[first:last]
    return float(collateral * price / -debt)


@pytest.mark.parametrize("over_depth", [0.01, 0.1])
def test_sold_into_a_pool_that_the_oracle_reads_the_frontier_is_lower(over_depth):
    """A small liquidation lowers health exactly above a loan-to-value of 1 / (1.05 (1 + 2 c / y)): 0.7937 at 0.1.

    The pool's sides are worth c / over_depth. Nobody arbitrages; the oracle publishes every step.
    """
    frontier = 1.0 / (1.05 * (1.0 + 2.0 * over_depth))
    side = 1e4 / over_depth
    for ltv in (frontier - 0.004, frontier + 0.004):
        amm = pool(deposits=2.0 * side, holds={"ETH": side}, arbitrage={"speed": 0.0})
        run = unsafe_at(ltv, amm)
        before = health(run)
        run.step()
        assert run.world.counters["loan_liquidations"] == 1.0
        after, price = health(run), run.pricing.pools.all[0].price(1)
        assert (after < before) == (ltv > frontier)
        run.step()
        assert run.world.state.instruments.oracle[0] == pytest.approx(price)


def unsafe_at(ltv, amm):
    """A run whose borrower, with 10 ETH worth 10,000 USD, owes just more than its liquidation threshold allows."""
    lender = {
        "kind": "lending_pool", "supplied": 1e6, "reserve": {"size": 0.0}, "waterfall": [],
        "rate": {"slope1": 0.0, "slope2": 0.0}, "oracle": {"source": "uni", "deviation": 0.0},
        "liquidation": {"design": "close_factor", "close_factor": 0.001, "full_close_health": 0.0},
        "collateral": {"ETH": {"ltv": ltv - 1e-6, "liquidation_threshold": ltv - 1e-6, "bonus": 0.05}},
    }  # fmt: skip
    traders = [
        {"archetype": "borrower", "name": "borrower", "venue": "aave", "size": {"fixed": 1e4},
         "parameters": {"ltv": 0.5 * ltv, "comfort": 0.01}},
        {"archetype": "keeper", "venue": "aave", "capital": 1e6, "parameters": {"gas": 0.0, "per_step": 1}},
    ]  # fmt: skip
    run = model({"uni": amm, "aave": lender}, traders=traders, steps=4)
    state = run.world.state
    account = int(state.agents.account_start[run.world.agent_rows["borrower"]])
    debt = int(state.accounts.start[account + 1]) - 1
    verbs.borrow(run.world.bookkeeper, debt, 1e4 * ltv + float(state.positions.units[debt]))
    return run


def test_a_pushed_price_costs_what_holding_it_against_arbitrage_costs():
    """To hold the price 44% up costs y (sqrt(m) + 1 / sqrt(m) - 2) a step: arbitrage takes it back every time."""
    push = {"at": 2, "kind": "pool_push", "target": "uni", "asset": "ETH", "size": 0.44, "lasts": 3}
    run = model({"uni": pool()}, shocks=[push], steps=6)
    for _ in range(4):
        run.step()
    assert run.pricing.pools.all[0].price(1) == pytest.approx(1440.0)
    run.run()
    each = 1e6 * (1.2 + 1.0 / 1.2 - 2.0)
    assert run.world.counters["manipulation_cost"] == pytest.approx(3 * each)
    assert run.pricing.pools.all[0].price(1) == pytest.approx(1000.0)


def stable(**terms):
    """Half USD, half a claim on a vault."""
    return {"kind": "amm", "curve": "stable_swap", "deposits": 2e6, "holds": {"usdx": 1e6}, "fee": 0.0004,
            "prices": ["usdx"], "amplification": 100.0} | terms  # fmt: skip


def test_a_claim_that_a_pool_prices_is_worth_on_the_market_what_the_pool_gives():
    """Sales into a stable swap drain its good coin: 900,000 of the claim leave a price far below par."""
    run = model({"usdx": {"kind": "vault", "deposits": 1e7}, "curve": stable()})
    run.step()
    assets = run.world.state.assets
    claim = assets.row("usdx")
    assert assets.market[claim] == pytest.approx(1.0)
    made = run.pricing.pools.all[0]
    made.swap(0, claim, 0, 9e5)
    run.step()
    reserves = made.reserves()
    # -dx/dy of A n S + D = A n D + D^3 / (4 x y), with D = 2,000,000 and A n = 200.
    cubic = 2e6**3 / (4.0 * reserves[0] * reserves[1])
    price = (200.0 + cubic / reserves[1]) / (200.0 + cubic / reserves[0])
    assert reserves[1] == pytest.approx(1.9e6)
    assert reserves[0] < 1.4e5
    assert assets.market[claim] == pytest.approx(price, rel=2e-4)
    assert assets.redemption[claim] == pytest.approx(1.0)


@settings(max_examples=10)
@given(st.lists(st.floats(-0.4, 0.6), min_size=3, max_size=3), st.floats(0.0, 0.05),
       st.sampled_from(["constant_product", "stable_swap", "oracle"]))  # fmt: skip
def test_value_is_conserved_whatever_the_prices(moves, fee, curve):
    """What the pool and outside have together does not change by swaps; the run audits every agent besides."""
    terms = {"oracle": {"latency": 1, "deviation": 0.0}} if curve == "oracle" else {}
    run = model({"uni": pool(fee=fee, curve=curve, **terms)}, shocks=[gap(m, at + 1) for at, m in enumerate(moves)])
    state = run.world.state
    eth, row = state.assets.row("ETH"), run.world.agent_rows["uni"]

    def totals():
        units = sum(state.holdings.units[run.world.bookkeeper.slot(agent, eth)] for agent in (0, row))
        return units, state.agents.cash[0] + state.agents.cash[row]

    before = totals()
    run.run()
    assert totals() == pytest.approx(before)
    assert (run.pricing.pools.all[0].reserves() >= 0.0).all()


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match="two coins"):
        model({"uni": pool(deposits=1e6)})
    with pytest.raises(InputError, match="in which prices are quoted"):
        model({"uni": pool(prices=["USD"])})
    vault = {"kind": "vault", "deposits": 1e7}
    with pytest.raises(InputError, match="no other pool prices"):
        model({"usdx": vault, "one": stable(), "two": stable()})
    with pytest.raises(InputError, match="uni"):
        model({"uni": pool()}, shocks=[{"at": 1, "kind": "pool_push", "target": "usdx", "asset": "ETH"}])


def test_what_a_trade_needs_is_the_inverse_of_what_it_gives():
    made = model({"usdx": {"kind": "vault", "deposits": 1e7}, "curve": stable()}).pricing.pools.all[0]
    claim = made.coins[1]
    assert made.quote(0, claim, made.amount_for(0, claim, 3e5)) == pytest.approx(3e5)
    assert made.amount_for(0, claim, 1.1e6) == math.inf
    units = made.room(claim, 0.95)
    assert units < 0.0
    made.swap(0, claim, 0, -units)
    # The fee of 0.0004 that stays in the pool moves its price by less than that.
    assert made.price(claim) * (1.0 - 0.0004) == pytest.approx(0.95, rel=4e-4)


def test_frightened_holders_drain_the_good_coin_of_the_pool_that_prices_their_claim():
    """A tenth is stolen, the exit pays 1,000 USD a step: who waits sells into the pool, whose price falls below par."""
    issuer = {"kind": "fiat_backed", "deposits": 1e7, "exit": {"rate": 1e3}, "turnover": {"depth": 1e6, "sells": 0.1}}
    theft = {"at": 2, "kind": "theft", "target": "usdx", "size": 1e6}
    run = model({"usdx": issuer, "curve": stable()}, shocks=[theft], steps=60)
    run.run()
    good, bad = run.pricing.pools.all[0].reserves()
    assert good < 1e6 < bad
    assets = run.world.state.assets
    claim = assets.row("usdx")
    assert assets.market[claim] == pytest.approx(run.pricing.pools.all[0].price(claim))
    assert run.world.counters["claims_sold"] == pytest.approx(1e6 - good, rel=1e-9)


@pytest.mark.parametrize("curve", ["constant_product", "stable_swap"])
def test_a_pool_that_lost_a_coin_trades_no_more(curve):
    """Its dollars are stolen: the ether stays, and what reads its price reads the market's."""
    shocks = [{"at": 2, "kind": "theft", "target": "uni", "size": 1e6}, gap(-0.1, at=3)]
    run = model({"uni": pool(curve=curve)}, shocks=shocks)
    run.run()
    maker = run.pricing.pools.all[0]
    assert maker.reserves() == pytest.approx([0.0, 1_000.0])
    assert maker.price(1) == pytest.approx(900.0)
    assert maker.quote(1, 0, 5.0) == 0.0
