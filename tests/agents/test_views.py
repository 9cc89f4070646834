from __future__ import annotations

import gc
import weakref

import mesa
import pytest
from agent_worlds import MAKER, Model, group, mark
from mesa.datacollection import DataCollector

from contagion.agents import Exchange, Protocol, Trader
from contagion.agents.institutions import Fund, Outside
from contagion.errors import ContagionError, InputError

FIRST = 3  # outside, perp, its fund; then traders

TERMS = {"ltv": 0.7, "liquidation_threshold": 0.8}
POOL = {"pool": {"kind": "lending_pool", "supplied": 1e6, "collateral": {"BTC": TERMS}}}
BORROWER = {
    "archetype": "borrower", "count": 2, "venue": "pool", "size": {"fixed": 1e5},
    "parameters": {"ltv": 0.5},
}  # fmt: skip


def test_a_headless_run_builds_no_agents():
    model = Model()
    for _ in range(3):
        model.step()
    assert model.n_views == 0
    assert len(model.agents) == model.world.state.n_agents == FIRST + 5
    assert model.n_views == FIRST + 5


def test_agents_by_type_and_ids_do_not_depend_on_the_order_of_touching():
    model = Model()
    late = model.view(6)
    assert (model.n_views, late.unique_id, late.name) == (1, 7, "market_maker:0")
    assert [agent.unique_id for agent in model.agents] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {kind.__name__: len(found) for kind, found in model.agents_by_type.items()} == {
        "Outside": 1, "Exchange": 1, "Fund": 1, "Trader": 5,
    }  # fmt: skip
    assert set(model.agent_types) == {Outside, Exchange, Fund, Trader}
    assert model.view(6) is late
    with pytest.raises(InputError, match="one view per agent"):
        Trader(model, 6)
    with pytest.raises(InputError, match="row"):
        Trader(model, 99)


def test_agents_of_the_users_own_live_beside_views():
    model = Model()
    own = mesa.Agent(model)
    other = mesa.Agent(model)
    assert (own.unique_id, other.unique_id) == (9, 10)
    assert [agent.unique_id for agent in model.agents] == [*range(1, 9), 9, 10]
    own.remove()
    assert own not in model.agents


def test_agent_set_methods_work():
    model = Model()
    traders = model.agents_by_type[Trader]
    rich = traders.select(lambda agent: agent.cash > 0)
    assert len(rich) == 3
    assert rich.get("cash") == [20_000.0] * 3  # wallet 1.0 x posted margin 1e5 / 5
    assert rich.agg("cash", sum) == 60_000.0
    assert set(rich.get("leverage")) == {5.0}
    rich.set("cash", 1_000.0)
    assert rich.agg("cash", sum) == 3_000.0
    seen = []
    rich.shuffle_do(lambda agent: seen.append(agent.unique_id))
    assert sorted(seen) == [4, 5, 6]
    rich.do(lambda agent: setattr(agent, "cash", agent.cash + 1.0))
    assert rich.get("cash") == [1_001.0] * 3


def test_data_collector_reads_views():
    model = Model()
    collector = DataCollector(
        model_reporters={"marks": lambda m: m.view(1).mark_prices["perp:BTC"]},
        agent_reporters={"cash": "cash", "net_worth": lambda agent: agent.net_worth},
    )
    collector.collect(model)
    frame = collector.get_agent_vars_dataframe()
    assert len(frame) == 8
    assert frame["cash"].loc[model.steps, 4] == 20_000.0
    assert collector.get_model_vars_dataframe()["marks"].tolist() == [100_000.0]


def test_trader_attributes_read_the_arrays():
    model = Model([group("directional", 2, wallet=0.5, long_share=1.0), MAKER])
    trader = model.view(FIRST)
    assert (trader.name, trader.group, trader.archetype, trader.status) == (
        "directional:0", "directional", "directional", "active",
    )  # fmt: skip
    assert trader.key == int(model.world.state.agents.key[FIRST])
    # 1e5 USD of BTC at 1e5: one unit; equity 2e4, wallet half of it
    assert trader.positions == {"perp:BTC": 1.0}
    assert (trader.equity, trader.cash, trader.net_worth, trader.leverage) == (20_000.0, 10_000.0, 30_000.0, 5.0)
    (account,) = trader.accounts
    assert (account.name, account.venue, account.balance) == ("perp:USD", "perp", -80_000.0)
    model.world.state.agents.cash[FIRST] = 3.0
    model.world.state.agents.status[FIRST] = 9
    assert (trader.cash, trader.status) == (3.0, "default+failed")


def test_two_live_models_do_not_mix():
    one, two = Model(), Model()
    one.view(FIRST).cash = 5.0
    assert two.view(FIRST).cash == 20_000.0
    assert one.view(FIRST).model is one


def test_net_worth_is_what_the_audit_expects_of_every_agent():
    model = Model(
        [group("directional", 4), MAKER, BORROWER], protocols=POOL,
        exchanges={"perp": {"equity": 1e6, "insurance_fund": {"size": 2e5}, "waterfall": ["insurance_fund"]}},
    )  # fmt: skip
    mark(model.world)
    worth = model.world.state.agents.worth
    for agent in model.agents:
        if agent.row > 0:
            assert agent.net_worth == pytest.approx(worth[agent.row], rel=1e-12, abs=1e-6), agent
    assert model.view(1).net_worth == pytest.approx(1e6)  # the exchange's own equity


def test_exchange_attributes():
    model = Model(
        [group("directional", 4, long_share=1.0), MAKER],
        exchanges={"perp": {"insurance_fund": {"size": 2e5}, "waterfall": ["insurance_fund", "venue_equity"]}},
    )  # fmt: skip
    exchange = model.view(1)
    assert isinstance(exchange, Exchange)
    assert exchange.insurance_fund == 2e5
    assert exchange.open_interest == {"perp:BTC": 4e5}  # four longs of 1e5 against the makers
    assert exchange.mark_prices == {"perp:BTC": 1e5}
    assert exchange.waterfall == ("insurance_fund", "venue_equity")
    assert (exchange.deficits, exchange.deficit) == ((), 0.0)
    assert sorted(exchange.customers.get("name")) == [
        "directional:0", "directional:1", "directional:2", "directional:3", "market_maker:0", "market_maker:1",
    ]  # fmt: skip


def test_protocol_attributes():
    model = Model([group("directional"), MAKER, BORROWER], protocols=POOL)
    mark(model.world)
    (pool,) = model.agents_by_type[Protocol]
    assert pool.debt == pytest.approx(1e5)  # two loans of half of 1e5
    assert pool.utilisation == pytest.approx(1e5 / 1e6)
    assert pool.deposits == pytest.approx(1e6)
    assert pool.fundamental == pool.redemption == pool.market == 1.0
    # collateral 1e5 at a threshold of 0.8 over debt 5e4
    assert pool.health_factors == pytest.approx({"borrower:0": 1.6, "borrower:1": 1.6})


@pytest.mark.parametrize("value", [5e5, 1.0])
def test_a_written_value_comes_from_outside_and_the_books_still_balance(value):
    model = Model()
    mark(model.world)
    model.view(FIRST).cash = value
    (row,) = model.world.bookkeeper.ledger.rows()
    change = value - 20_000.0
    assert row["amount"] == abs(change)
    assert (row["payer"], row["payee"]) == ((0, FIRST) if change > 0 else (FIRST, 0))
    frame = model.world.bookkeeper.ledger.frame(model.world.state.agent_name)
    assert frame["cause"].tolist() == ["intervention"]
    mark(model.world)


def test_writing_a_balance_and_a_fund_is_an_intervention_too():
    model = Model()
    mark(model.world)
    account = model.view(FIRST).accounts[0]
    account.balance += 1_000.0
    model.view(1).insurance_fund = 77.0
    mark(model.world)
    assert account.equity == 21_000.0
    assert model.view(2).cash == 77.0
    assert model.world.bookkeeper.ledger.rows()["amount"].tolist() == [1_000.0, 77.0]


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "much"])
def test_impossible_cash_is_refused(value):
    trader = Model().view(FIRST)
    with pytest.raises(InputError, match=r"directional:0\.cash"):
        trader.cash = value
    assert trader.cash == 20_000.0


def test_what_is_not_an_intervention_cannot_be_written():
    trader = Model().view(FIRST)
    with pytest.raises(AttributeError):
        trader.positions = {}
    with pytest.raises(AttributeError):
        trader.net_worth = 1.0


def test_nothing_is_written_while_agents_decide():
    model = Model()
    model.deciding = True
    with pytest.raises(ContagionError, match="intents"):
        model.view(FIRST).cash = 1.0


def test_an_agent_with_positions_cannot_be_removed():
    model = Model()
    with pytest.raises(InputError, match="perp:BTC"):
        model.view(FIRST).remove()
    with pytest.raises(InputError, match="institution"):
        model.view(2).remove()
    with pytest.raises(InputError):
        model.remove_all_agents()
    assert len(model.agents) == 8


def test_an_agent_without_positions_leaves_with_its_cash():
    model = Model([group("directional"), MAKER, {"archetype": "passive", "venue": "perp", "size": {"fixed": 1e-9}}])
    mark(model.world)
    leaver = model.view(8)
    state = model.world.state
    with pytest.raises(InputError):
        leaver.remove()
    rows = slice(state.accounts.start[-2], None)
    state.positions.units[rows] = 0.0
    state.accounts.balance[-1] = 0.0
    leaver.cash = 10.0
    leaver.remove()
    assert state.agents.cash[8] == 0.0
    assert len(model.agents) == 8
    with pytest.raises(InputError, match="removed"):
        model.view(8)


@pytest.mark.parametrize("touched", [False, True])
def test_a_finished_model_is_collected(touched):
    model = Model()
    if touched:
        assert len(model.agents) == 8
        mesa.Agent(model)
    model.step()
    watcher = weakref.ref(model)
    del model
    gc.collect()
    assert watcher() is None
