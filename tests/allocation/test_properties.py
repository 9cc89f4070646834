"""What must hold of any waterfall on any market: searched for counterexamples."""

from __future__ import annotations

import numpy as np
import pytest
from allocation_market import FUND, Trader, build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contagion.allocation.backstop import BackstopVault
from contagion.allocation.cash import InsuranceFund, ProfitHaircut, Recourse, VenueEquity
from contagion.allocation.positions import AutoDeleverage
from contagion.state.codes import Cause

LAYERS = {
    "insurance_fund": InsuranceFund(),
    "venue_equity": VenueEquity(limit=200.0),
    "haircut": ProfitHaircut(),
    "queue": ProfitHaircut(order="pnl_leverage", severity=0.7),
    "recourse": Recourse(),
    "bankruptcy": AutoDeleverage(),
    "mark": AutoDeleverage(price="mark", ranking="hyperliquid"),
    "previous": AutoDeleverage(price="previous_mark", ranking="pro_rata"),
    "vault": BackstopVault(vault="hlp"),
}
waterfalls = st.lists(st.sampled_from(sorted(LAYERS)), unique=True, max_size=5)
seeds = st.integers(0, 10_000)
SEARCH = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def crash(names: list[str], seed: int, order: np.ndarray | None = None):
    """Fourteen traders in two contracts, solvent at 100 and 50; a fall that takes some of them over; allocated."""
    rng = np.random.default_rng(seed)
    traders = []
    for ordinal in range(14):
        units = rng.normal(0.0, 5.0, 2) * (rng.random(2) < 0.8)
        margin = float(rng.uniform(0.03, 0.5) * (np.abs(units) @ [100.0, 50.0])) + 0.5
        balance = margin - float(units @ [100.0, 50.0])
        traders.append(Trader(f"t{ordinal}", balance, list(units), [100.0, 50.0], float(rng.uniform(0.0, 20.0))))
    fund, equity, vault = rng.uniform(0.0, 150.0, 3)
    if order is not None:
        traders = [traders[row] for row in order]
    layers = [(name, LAYERS[name]) for name in names]
    market = build(traders, layers, [100.0, 50.0], fund=float(fund), equity=float(equity), vault=float(vault) + 20.0)
    market.move(*(np.array([100.0, 50.0]) * rng.uniform(0.85, 1.1, 2)))
    market.waterfall.allocate()
    market.move(*(np.array([100.0, 50.0]) * rng.uniform(0.7, 1.3, 2)))
    market.bankrupt = [name for name in market.names[2:-1] if market.equity(name) < 0.0]
    market.before = {name: (market.equity(name), profit(market, name)) for name in market.names}
    market.take_over(*market.bankrupt)
    market.waterfall.allocate()
    return market


def profit(market, name: str) -> float:
    account, prices = market.account(name), market.state.instruments.value_price
    rows = slice(2 * account, 2 * account + 2)
    return float(market.state.positions.units[rows] @ (prices - market.state.positions.entry[rows]))


@SEARCH
@given(waterfalls, seeds)
def test_every_deficit_is_borne_in_full_and_nothing_is_created(names, seed):
    """Sums per root (own shortfalls too), no negative fund, flat or solvent takeover account, conserved net worth."""
    market = crash(names, seed)
    roots = market.world.bookkeeper.deficits
    borne = np.zeros(len(roots))
    for (_, _, root), amount in market.paid().items():
        if root >= 0:
            borne[root] += amount
    assert borne == pytest.approx(np.array(roots.amount), rel=1e-9, abs=1e-9)
    assert not any(roots.open)
    assert roots.amount[: len(market.bankrupt)] == pytest.approx([-market.before[name][0] for name in market.bankrupt])
    assert market.state.agents.cash[FUND] >= -1e-9
    held = [market.units("takeover", instrument) for instrument in (0, 1)]
    assert market.equity("takeover") >= -1e-7 and (any(held) or market.balance("takeover") == 0.0)
    market.check()
    # outside, lending and claims are not part of these markets: what agents own together does not change
    value = market.state.agents.cash.sum()
    assert market.state.agents.worth.sum() == pytest.approx(value, abs=1e-6)


@SEARCH
@given(seeds, st.sampled_from(["haircut", "queue"]))
def test_principal_is_untouched_by_a_profit_haircut(seed, rule):
    market = crash([rule], seed)
    for (payer, layer, _), _ in market.paid().items():
        if layer == rule:
            equity, gain = market.before[payer]
            paid = sum(amount for (name, where, _), amount in market.paid().items() if (name, where) == (payer, rule))
            assert paid <= min(equity, gain) + 1e-9


@SEARCH
@given(seeds, st.sampled_from(sorted(LAYERS)))
def test_no_more_is_attributed_than_the_deficit_and_a_surplus_is_the_funds(seed, rule):
    """What a price collects beyond deficits is not attributed to one, and ends in the fund or on open units."""
    market = crash([rule], seed)
    total = sum(market.world.bookkeeper.deficits.amount)
    attributed = sum(amount for (_, _, root), amount in market.paid().items() if root >= 0)
    assert attributed == pytest.approx(total, abs=1e-7)
    surplus = sum(market.paid(Cause.SURPLUS).values())
    beyond = sum(amount for (_, _, root), amount in market.paid().items() if root == -1)
    assert surplus <= beyond + 1e-7


@SEARCH
@given(waterfalls, seeds)
def test_storage_order_does_not_matter(names, seed):
    order = np.random.default_rng(seed + 1).permutation(14)
    first, second = crash(names, seed), crash(names, seed, order)
    by_name = [sums_by_payer(market) for market in (first, second)]
    assert by_name[0].keys() == by_name[1].keys()
    scale = max(1.0, sum(by_name[0].values()))
    for key, amount in by_name[0].items():
        assert by_name[1][key] == pytest.approx(amount, rel=1e-12, abs=1e-12 * scale)
    for name in first.names[1:-1]:
        assert second.equity(name) == pytest.approx(first.equity(name), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_storage_order_does_not_matter_to_any_layer(name):
    for seed in range(12):
        order = np.random.default_rng(seed + 1).permutation(14)
        first, second = (sums_by_payer(crash([name], seed, rows)) for rows in (None, order))
        assert first == pytest.approx(second, rel=1e-12, abs=1e-12 * max(1.0, sum(first.values())))


def sums_by_payer(market) -> dict[tuple[str, str, str], float]:
    """Amounts by payer, layer and bankrupt account; those below a billionth of all are rounding."""
    roots, sums = market.world.bookkeeper.deficits, {}
    for (payer, layer, root), amount in market.paid().items():
        key = (payer, layer, market.names[roots.account[root]] if root >= 0 else "")
        sums[key] = sums.get(key, 0.0) + amount
    total = sum(sums.values())
    return {key: amount for key, amount in sums.items() if amount > 1e-9 * total}


def test_the_search_meets_what_it_is_for():
    """Over the first seeds: bankrupts on most, every layer pays somewhere, some deficits stay unallocated."""
    paid: set[str] = set()
    bankrupt = 0
    for seed in range(30):
        for name in LAYERS:
            market = crash([name], seed)
            bankrupt += bool(market.bankrupt)
            paid |= {layer for (_, layer, root) in market.paid() if root >= 0}
    assert bankrupt > 100
    assert paid == {*LAYERS, "unallocated"} - {"mark"}
