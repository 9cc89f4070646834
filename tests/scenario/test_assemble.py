"""Opening balance sheets against hand calculations and identities."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from scenario_worlds import exchange_world, pool_world

from contagion.errors import InputError
from contagion.scenario.assemble import assemble
from contagion.scenario.loader import load_scenario
from contagion.scenario.schema import Scenario
from contagion.state.codes import AccountFlag, AgentKind, InstrumentKind
from contagion.state.world import World


def build(data: dict, seed: int = 1, **options) -> World:
    return assemble(Scenario(**data), seed, **options)


def two_sided(count: int = 200, **changes) -> dict:
    trader = {
        "archetype": "directional", "count": count, "size": {"pareto": 1.1, "truncate": 0.05, "total": 1e6},
        "leverage": {"lognormal": [8, 0.8]},
    }  # fmt: skip
    maker = {"archetype": "market_maker", "count": 3, "capital": 1e7, "parameters": {"depth": 1e4}}
    return {
        "name": "two", "steps": 2, "prices": "constant",
        "assets": {"BTC": {"price": 50_000.0}, "ETH": {"price": 2_000.0}},
        "exchanges": {"linear": {}, "coin": {"contracts": {"BTC": {"kind": "inverse"}}}},
        "traders": [
            trader | {"name": "usd_margined", "venue": "linear"},
            trader | {"name": "coin_margined", "venue": "coin", "parameters": {"entry_spread": 0.2}},
            maker | {"venue": ["linear", "coin"]},
        ],
    } | changes  # fmt: skip


def test_agents_accounts_and_balances_of_a_world_worked_out_by_hand():
    world = build(exchange_world())
    state = world.state
    assert state.agents.names == ["outside", "perp", "perp/insurance_fund"]
    assert [state.agent_name(row) for row in range(3, 7)] == ["long:0", "long:1", "market_maker:0", "market_maker:1"]
    assert state.agents.kind.tolist() == [0, 1, 3, 4, 4, 4, 4]
    # Owners: the takeover account of the venue, then one account each. Long of 1,000 USD at 100: 10 units, margin
    # 1,000 / 5 = 200, so balance 200 - 10 * 100 = -800; the makers hold -20 units, -10 each: 5,000 + 1,000.
    assert state.accounts.owner.tolist() == [1, 3, 4, 5, 6]
    assert state.positions.units.tolist() == [0.0, 10.0, 10.0, -10.0, -10.0]
    assert state.accounts.balance.tolist() == [0.0, -800.0, -800.0, 6000.0, 6000.0]
    assert state.accounts.value.tolist() == [0.0, 200.0, 200.0, 5000.0, 5000.0]
    # Custody 2 * 200 + 2 * 5,000 = 10,400 plus 50 of equity; wallets half of the margin.
    assert state.agents.cash.tolist() == [0.0, 10_450.0, 20.0, 100.0, 100.0, 0.0, 0.0]
    assert state.agents.worth.tolist() == [0.0, 50.0, 20.0, 300.0, 300.0, 5000.0, 5000.0]
    assert state.agents.opening.tolist() == state.agents.worth.tolist()
    assert state.books.takeover.tolist() == [0]
    assert state.books.owed.tolist() == [10_400.0]
    assert state.accounts.flags.tolist() == [AccountFlag.HOUSE, 0, 0, AccountFlag.MAKER, AccountFlag.MAKER]
    assert world.venues["perp"].fund == 2
    assert world.bookkeeper.ledger.layers == ["insurance_fund", "venue_equity", "unallocated"]
    assert len(world.bookkeeper.ledger) == 0


def test_pool_balance_sheet_worked_out_by_hand():
    state = build(pool_world()).state
    # Three borrowers: 30 ETH and 150 USD of debt each. Liquidity 10,500 - 450; custody 90 ETH; claims 10,500.
    pool = state.agents.names.index("pool")
    debt = state.instruments.kind == InstrumentKind.DEBT
    assert state.instruments.names == ["pool:ETH", "pool:USD"]
    assert state.instruments.customer_units.tolist() == [90.0, -450.0]
    assert state.agents.cash[pool] == 10_050.0
    assert state.holdings.units[state.holdings.owner == pool].tolist() == [90.0]
    assert state.assets.supply.tolist() == [0.0, 0.0, 10_500.0]
    assert state.accounts.value.tolist() == [150.0] * 3
    assert state.agents.worth.tolist() == [10_000.0, 0.0, 7.0, 150.0, 150.0, 150.0, 500.0, 40.0]
    assert state.instruments.long_only[~debt].all()
    np.testing.assert_allclose(state.instruments.tier_rate, [0.15, 0.0], rtol=1e-15)
    np.testing.assert_allclose(state.instruments.tier_initial, [0.2, 0.0], rtol=1e-14)


def test_vault_that_backs_a_venue_posts_its_cash_there():
    spec = {"kind": "vault", "backs": "perp", "deposits": 900.0, "backstop_share": 0.4}
    world = build(exchange_world(protocols={"vault": spec}))
    state = world.state
    vault = world.agent_rows["vault"]
    account = int(state.agents.account_start[vault])
    assert state.accounts.owner[account] == vault
    assert state.accounts.balance[account] == 360.0
    assert state.agents.cash[vault] == 540.0
    assert state.agents.worth[vault] == 0.0
    assert state.agents.cash[world.agent_rows["perp"]] == 10_810.0
    assert world.venues["vault"].fund == -1


def test_maintenance_deduction_of_the_published_binance_table():
    tiers = load_scenario(exchange_world(exchanges={"perp": {"preset": "binance"}})).exchanges["perp"].contracts["BTC"]
    state = build(exchange_world(exchanges={"perp": {"contracts": {"BTC": tiers.model_dump()}}})).state
    published = [0, 50, 950, 11_450, 131_450, 481_450, 2_981_450, 14_481_450, 26_481_450, 41_481_450, 121_481_450,
                 421_481_450]  # fmt: skip
    np.testing.assert_allclose(state.instruments.tier_deduction, published, rtol=1e-12)


def test_inverse_long_gains_what_the_contract_pays():
    """A long of Q = 1,000 contracts from E = 100: equity margin + Q / E - Q / P in coin, 2 + 10 - 1000 / 125 = 4."""
    data = exchange_world(exchanges={"perp": {"contracts": {"BTC": {"kind": "inverse"}}}})
    state = build(data).state
    account = int(state.agents.account_start[3])
    position = int(state.accounts.start[account])
    assert state.positions.units[position] == -1000.0
    assert state.instruments.sign[0] == -1.0
    assert state.accounts.balance[account] + state.positions.units[position] / 125.0 == pytest.approx(4.0)
    custody = state.holdings.units[state.holdings.owner == 1]
    assert custody.tolist() == [pytest.approx(104.0)]  # 2 * 2 + 2 * 50 coins


def test_entry_spread_leaves_equity_and_makes_profit():
    plain, spread = (build(two_sided(traders=_with_spread(value))).state for value in (0.0, 0.3))
    np.testing.assert_array_equal(plain.accounts.value, spread.accounts.value)
    np.testing.assert_array_equal(plain.positions.units, spread.positions.units)
    first = slice(int(spread.accounts.start[2]), None)
    mark = spread.instruments.mark[spread.positions.instrument]
    profit = np.bincount(
        spread.positions.account, spread.positions.units * (mark - spread.positions.entry), len(spread.accounts.value)
    )
    assert np.abs(profit[2:202]).min() > 0.0
    settle = spread.assets.index[spread.books.settle[spread.accounts.book]]
    traders = slice(2, 402)
    np.testing.assert_allclose(
        (spread.accounts.value / settle - spread.accounts.deposits)[traders], profit[traders], rtol=1e-8, atol=1e-8
    )
    assert (plain.positions.entry[first] == mark[first]).all()


def _with_spread(value: float) -> list[dict]:
    first, second, maker = two_sided()["traders"]
    return [entry | {"parameters": {"entry_spread": value}} for entry in (first, second)] + [maker]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), long_share=st.floats(0.2, 0.8), isolated=st.booleans())
def test_identities_at_the_opening(seed: int, long_share: float, isolated: bool):
    data = two_sided()
    margin = "isolated" if isolated else "cross"
    data["traders"] = [
        entry | ({} if entry["archetype"] == "market_maker" else {"long_share": long_share, "margin": margin})
        for entry in data["traders"]
    ]
    data["protocols"] = {"vault": {"kind": "vault", "backs": "coin", "deposits": 1000.0}}
    state = build(data, seed).state
    units, rows = state.positions.units, len(state.instruments.names)
    net = np.bincount(state.positions.instrument, units, rows)
    gross = np.bincount(state.positions.instrument, np.abs(units), rows)
    assert (np.abs(net) <= 1e-12 * gross).all()
    # What the venue holds is what it owes: its own worth is its equity, here none.
    exchanges = state.agents.kind == AgentKind.EXCHANGE
    assert np.abs(state.agents.worth[exchanges]).max() < 1e-9 * 3e7
    assert (state.agents.cash >= 0.0).all()
    assert (np.diff(state.accounts.owner) >= 0).all()
    # Nobody opens below initial margin.
    account, instrument = state.positions.account, state.positions.instrument
    settle = state.assets.index[state.books.settle[state.instruments.book[instrument]]]
    initial = state.instruments.tier_initial[state.instruments.tier_start[instrument]]
    needed = np.bincount(account, np.abs(units) * state.instruments.mark[instrument] * settle * initial)
    assert (state.accounts.value >= needed * (1 - 1e-12)).all()
    # Equity from balances and units is the value that was recorded.
    held = np.bincount(account, units * state.instruments.value_price[instrument], len(state.accounts.value))
    equity = (state.accounts.balance + held) * state.assets.index[state.books.settle[state.accounts.book]]
    np.testing.assert_allclose(equity, state.accounts.value, rtol=1e-9, atol=1e-6)


def test_another_group_shifts_nobodys_draws():
    data = two_sided()
    extra = {"archetype": "passive", "name": "extra", "count": 7, "venue": "linear", "size": {"fixed": 10.0}}
    before = build(data).state
    after = build(data | {"traders": [extra, *data["traders"]]}).state
    row = after.first_trader + 7
    old = before.positions.units[before.positions.account == before.agents.account_start[before.first_trader]]
    new = after.positions.units[after.positions.account == after.agents.account_start[row]]
    np.testing.assert_array_equal(old, new)
    assert after.agents.key[row] == before.agents.key[before.first_trader]
    accounts_before = slice(before.agents.account_start[before.first_trader], None)
    np.testing.assert_array_equal(before.accounts.key[accounts_before], after.accounts.key[-len(
        before.accounts.key[accounts_before]):])  # fmt: skip
    assert len(set(after.accounts.key.tolist())) == len(after.accounts.key)


def test_unnamed_groups_of_one_archetype_are_numbered_from_the_second():
    world = build(exchange_world(traders=[*exchange_world()["traders"], *exchange_world()["traders"][1:]]))
    assert world.state.group_names == ["long", "market_maker", "market_maker_2"]


def test_recorded_path_sets_opening_prices():
    path = np.array([[1.0, 200.0], [1.0, 150.0], [1.0, 100.0], [1.0, 90.0]])
    world = build(exchange_world(), path=path)
    assert world.state.assets.index.tolist() == [1.0, 200.0]
    assert world.state.positions.units[1] == 5.0
    with pytest.raises(InputError, match="shape \\(4, 2\\)"):
        build(exchange_world(), path=path[:3])
    with pytest.raises(InputError, match="finite prices above 0"):
        build(exchange_world(), path=-path)


def test_loans_and_lent_reserves():
    data = exchange_world()
    data["exchanges"] = {"perp": {"equity": 50.0, "reserve_ratio": 0.75, "lent_to": "long:1"}}
    data["credit"] = {"loans": [{"lender": "market_maker:0", "borrower": "long:0", "amount": 30.0, "due": 2}]}
    state = build(data).state
    # A quarter of 10,400 is lent: cash moves and a claim takes its place; the other loan was spent before.
    assert state.loans.face.tolist() == [30.0, 2600.0]
    assert state.loans.due.tolist() == [2, 4]
    assert state.agents.cash[1] == 10_450.0 - 2600.0
    assert state.agents.worth[1] == 50.0
    assert state.agents.worth[3:].tolist() == [270.0, 300.0, 5030.0, 5000.0]


def test_hedgers_hold_spot_against_their_shorts():
    hedger = {"archetype": "hedger", "size": {"fixed": 400.0}, "leverage": {"fixed": 2}}
    state = build(exchange_world(traders=[hedger, exchange_world()["traders"][1]])).state
    trader = state.first_trader
    assert state.positions.units[int(state.accounts.start[1])] == -4.0
    assert state.holdings.units[state.holdings.owner == trader].tolist() == [4.0]
    assert state.agents.worth[trader] == 600.0  # 400 of spot and 200 of margin


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"traders": exchange_world()["traders"][:1]}, "zero initial depth"),
        ({"traders": [exchange_world()["traders"][0], {"archetype": "market_maker", "capital": 1.0}]}, "market_maker"),
        ({"exchanges": {"perp": {"reserve_ratio": 0.5}}}, "exchanges.perp.lent_to"),
        ({"protocols": {"BTC": {"kind": "vault"}}}, "name"),
        ({"protocols": {"v": {"kind": "vault", "deposits": 5.0, "holds": {"BTC": 6.0}}}}, "protocols.v.holds"),
        (
            {"protocols": {
                "a": {"kind": "vault", "holds": {"b": 5.0}}, "b": {"kind": "vault", "holds": {"a": 5.0}},
            }},
            "protocols.holds",
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit(changes: dict, field: str):
    with pytest.raises(InputError, match=field):
        build(exchange_world(**changes))


def test_borrowers_beyond_what_was_supplied():
    data = pool_world()
    data["protocols"]["pool"]["supplied"] = 0.0
    data["traders"] = data["traders"][:1]
    with pytest.raises(InputError, match=r"protocols.pool.supplied: got 0.0; accepted: at least 450"):
        build(data)


def test_a_million_traders_fit_in_memory_and_time():
    """165 bytes an account, of 250 allowed; time is measured in the benchmarks, here only its order."""
    state = build(two_sided(50_000)).state
    assert state.nbytes() / len(state.accounts.value) < 250
