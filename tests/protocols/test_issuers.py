"""Kinds of issuers in whole runs, with numbers worked out by hand. Impact is linear: 1% for each `depth` sold."""

from __future__ import annotations

import math
from typing import Any

import pytest

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.scenario.loader import load_scenario

CALM = {"turnover": {"nervous": 0.0}}


def start(protocols: dict[str, Any], *, traders=(), shocks=(), steps: int = 6, **parts: Any) -> ContagionModel:
    return ContagionModel({
        "name": "issuers", "steps": steps, "dt": "1h", "prices": "constant", "impact": "linear",
        "assets": {"ETH": {"price": 1000.0}, "LUNA": {"price": 10.0}}, "protocols": protocols,
        "traders": list(traders), "shocks": list(shocks), **parts,
    }, rng=1)  # fmt: skip


def saver(venue: str, capital: float, name: str = "saver", **parameters: Any) -> dict[str, Any]:
    terms = {"tolerance": 0.01, "rumour": 1.0, "delay": 0, "fraction": 1.0} | parameters
    return {"archetype": "depositor", "name": name, "venue": venue, "capital": capital, "parameters": terms}


def redeemer(venue: str, capital: float, **parameters: Any) -> dict[str, Any]:
    return {"archetype": "redeemer", "venue": venue, "capital": capital, "parameters": parameters}


def value(model: ContagionModel, name: str, column: str = "fundamental") -> float:
    assets = model.world.state.assets
    return float(getattr(assets, column)[assets.row(name)])


def cash(model: ContagionModel, name: str) -> float:
    return float(model.world.state.agents.cash[model.world.agent_rows[name]])


def held(model: ContagionModel, owner: str, asset: str) -> float:
    world = model.world
    row = world.bookkeeper.slot(world.agent_rows[owner], world.state.assets.row(asset))
    return float(world.state.holdings.units[row])


def go(model: ContagionModel, steps: int = 1) -> None:
    for _ in range(steps):
        model.step()


# -- reserves at a failing bank -------------------------------------------------------------------------------------


def fiat(shocks=(), money: float = 1000.0) -> ContagionModel:
    """1,100 units with 80 at a bank of 1,000 that loses 250 in step 1; redemption is closed in steps 1 to 3."""
    return start(
        {"bank": {"kind": "bank", "deposits": 920.0, **CALM},
         "usd": {"kind": "fiat_backed", "deposits": 1000.0, "holds": {"bank": 80.0},
                 "exit": {"closed": [[1, 3]], "pays": "face"},
                 "turnover": {"depth": 100.0, "sells": 0.5, "nervous": 0.0}}},
        traders=[saver("usd", 100.0), redeemer("usd", money)],
        shocks=[{"at": 1, "kind": "theft", "target": "bank", "size": 250.0}, *shocks],
    )  # fmt: skip


def test_a_stablecoin_trades_below_par_while_redemption_is_closed_and_comes_back_when_it_opens():
    model = fiat()
    go(model)
    # Rumour: 80 with a loss of 25% over 1,100 is 1.8%. The saver asks for 100, sells half: 0.5% down, 0.25% on average.
    assert value(model, "usd") == pytest.approx(1 - 20 / 1100)
    assert value(model, "usd", "redemption") == 1.0
    assert value(model, "usd", "market") == pytest.approx(0.995)
    assert cash(model, "saver") == pytest.approx(50 * 0.9975)
    go(model)
    # 25 more, worth 24.875 at 0.995. Redeemers would have to wait and trust the balance sheet, 0.9818: they don't buy.
    low = 0.995 * (1 - 0.24875 / 100)
    assert value(model, "usd", "market") == pytest.approx(low)
    assert cash(model, "redeemer") == 1000.0
    go(model)
    last = low * (1 - 12.5 * low / 100 / 100)
    assert value(model, "usd", "market") == pytest.approx(last)
    go(model)
    # Paid at once: they buy up to 1. The notional at the price before, q, solves last * (1 + q / 10,000) = 1.
    assert value(model, "usd", "market") == pytest.approx(1.0)
    bought = 1e4 * (1 / last - 1) / last
    gain = bought * (1 - (last + 1) / 2)
    assert cash(model, "redeemer") == pytest.approx(1000 + gain)
    assert held(model, "redeemer", "usd") == pytest.approx(0.0, abs=1e-9)
    # Both got par for what is worth less, at the expense of who stayed: 12.5 and what was bought, times the loss.
    assert model.world.counters["left_at_par"] == pytest.approx((12.5 + bought) * 20 / 1100)


def test_the_peg_is_back_before_redemption_opens_when_the_bank_is_made_whole():
    model = fiat([{"at": 3, "kind": "rescue", "target": "bank", "size": 250.0}])
    go(model, 3)
    # The saver, calm again, sells no more; redeemers wait one step for a sure dollar.
    assert value(model, "usd") == pytest.approx(1.0)
    assert value(model, "usd", "market") == pytest.approx(1.0)
    assert held(model, "redeemer", "usd") > 0.0
    go(model)
    assert held(model, "redeemer", "usd") == pytest.approx(0.0, abs=1e-9)


def test_redeemers_with_little_money_leave_the_gap_open():
    model = fiat(money=1.0)
    go(model, 4)
    assert 0.99 < value(model, "usd", "market") < 0.9999


def test_the_hurdle_of_redeemers_is_profit_fee_and_the_cost_of_waiting():
    """Notice of 10 hours at 8.76 a year is 1% of cost; 0.5% of fee; 0.2% of profit."""
    model = start(
        {"usd": {"kind": "fiat_backed", "deposits": 1000.0, "exit": {"notice": 10, "fee": 0.005},
                 "turnover": {"depth": 100.0, "nervous": 0.0}}},
        traders=[redeemer("usd", 1e6, minimum_profit=0.002, cost_of_capital=8.76)],
        shocks=[{"at": 1, "kind": "depeg", "asset": "usd", "size": -0.05}],
    )  # fmt: skip
    go(model)
    assert value(model, "usd", "market") == pytest.approx(0.995 / 1.002 * math.exp(-0.01))


def test_above_par_redeemers_have_it_issued_and_sell():
    model = start(
        {"usd": {"kind": "fiat_backed", "deposits": 1000.0, "turnover": {"depth": 100.0, "nervous": 0.0}}},
        traders=[redeemer("usd", 1e4)], shocks=[{"at": 1, "kind": "depeg", "asset": "usd", "size": 0.02}],
    )  # fmt: skip
    go(model)
    assert value(model, "usd", "market") == pytest.approx(1.0)
    # From 1.02 down to 1: notional of 100 * 100 * (1 - 1 / 1.02) at 1.02, got at 1.01 on average.
    units = 1e4 * (1 - 1 / 1.02) / 1.02
    assert value(model, "usd", "supply") == pytest.approx(1000 + units)
    assert cash(model, "redeemer") == pytest.approx(1e4 + units * 0.01)


# -- reflexive backing ----------------------------------------------------------------------------------------------


def reflexive(depth_share: float, capital: float = 50.0, steps: int = 6, **terms: Any) -> ContagionModel:
    """A token worth 10 a unit, 100 units, stands behind 100 dollars of claims, half of them nervous."""
    return start(
        {"ust": {"kind": "reflexive", "mints": "LUNA", "minted_supply": 100.0, "depth_share": depth_share,
                 "deposits": 100.0 - capital, **CALM} | terms},
        traders=[saver("ust", capital)], shocks=[{"at": 1, "kind": "depeg", "asset": "ust", "size": -0.02}],
        steps=steps,
    )  # fmt: skip


def test_minting_dilutes_and_moves_the_token():
    """1% for 5 dollars at a market value of 1,000: selling q moves the price by q / 500, brings q (1 - q / 1,000)."""
    model = reflexive(0.005)
    go(model)
    sold = (1 - math.sqrt(1 - 4 * 50 / 1000)) * 500
    assert sold * (1 - sold / 1000) == pytest.approx(50.0)
    assert cash(model, "saver") == pytest.approx(50.0)
    assert value(model, "LUNA", "index") == pytest.approx(10 * (1 - sold / 500))
    assert held(model, "ust", "LUNA") == pytest.approx(100 + sold / 10)
    assert model.world.counters["minted_value"] == pytest.approx(50.0)
    assert value(model, "ust") == 1.0


def test_a_market_value_that_shrinks_faster_than_the_claims_is_a_death_spiral():
    """At ten times the move the book ends at half the price, once a step: a twentieth of the market value is sold at
    three quarters, which leaves 1.05 / 2 of it. From 1,000 that pays 37.5, then 0.525 times as much, and so on."""
    calm, spiral = reflexive(0.01, 100.0, 12), reflexive(0.001, 100.0, 12)
    go(calm)
    assert value(calm, "LUNA", "index") * held(calm, "ust", "LUNA") == pytest.approx(1000.0, rel=0.02)
    assert cash(calm, "saver") == pytest.approx(100.0)
    go(spiral, 12)
    assert value(spiral, "LUNA", "index") == pytest.approx(10 * 0.5**12)
    assert cash(spiral, "saver") == pytest.approx(37.5 * (1 - 0.525**12) / 0.475)
    assert value(spiral, "ust", "redemption") < 0.05


# -- delta neutral --------------------------------------------------------------------------------------------------


def hedged(shocks, **terms: Any) -> ContagionModel:
    """1,000 of claims and 10 of equity: 800 in ether sold short at par, 210 of margin."""
    return start(
        {"usde": {"kind": "delta_neutral", "hedged_at": "perp", "deposits": 900.0, "equity": 10.0,
                  "holds": {"ETH": 800.0}, **CALM} | terms},
        exchanges={"perp": {"contracts": {"ETH": {}}, "funding": None}},
        traders=[{"archetype": "market_maker", "venue": "perp", "capital": 1e9, "parameters": {"depth": 1e12}},
                 saver("usde", 100.0)],
        shocks=shocks,
    )  # fmt: skip


def short(model: ContagionModel) -> float:
    state = model.world.state
    account = int(state.agents.account_start[model.world.agent_rows["usde"]])
    return -float(state.positions.units[state.accounts.start[account]])


def margin(model: ContagionModel) -> float:
    state = model.world.state
    return float(state.accounts.equity[state.agents.account_start[model.world.agent_rows["usde"]]])


@pytest.mark.parametrize("move", [-0.3, 0.1])
def test_a_hedged_issuer_does_not_feel_the_price(move):
    model = hedged([{"at": 1, "kind": "price_gap", "asset": "ETH", "size": move}])
    assert (short(model), margin(model)) == pytest.approx((0.8, 210.0))
    go(model)
    assert value(model, "usde") == 1.0
    assert model.world.state.agents.worth[model.world.agent_rows["usde"]] == pytest.approx(10.0)
    assert margin(model) == pytest.approx(210 - 800 * move)


def test_margin_that_has_halved_is_filled_up_with_spot_and_the_short_follows():
    """At +20% the short has lost 160 of 210; the opening ratio 210 / 800 asks for 252 on 960: 202 of spot is sold."""
    model = hedged([{"at": 1, "kind": "price_gap", "asset": "ETH", "size": 0.2}])
    go(model)
    assert held(model, "usde", "ETH") == pytest.approx(0.8 - 202 / 1200)
    assert margin(model) == pytest.approx(252.0)
    go(model)
    assert short(model) == pytest.approx(0.8 - 202 / 1200, rel=1e-6)
    assert value(model, "usde") == 1.0


def test_the_short_is_brought_back_by_a_share_of_the_gap_a_step():
    """A saver takes 100 out: spot is sold for it, and half of the short that is too much is bought back each step."""
    model = hedged([{"at": 1, "kind": "depeg", "asset": "usde", "size": -0.02}], rehedges=0.5)
    go(model)
    assert cash(model, "saver") == pytest.approx(100.0)
    assert held(model, "usde", "ETH") == pytest.approx(0.7)
    assert short(model) == pytest.approx(0.75)
    go(model)
    assert short(model) == pytest.approx(0.725)


# -- staking, funds, bridges ----------------------------------------------------------------------------------------


def test_stakers_queue_and_slashing_is_shared():
    """A tenth is slashed; 100 units are worth 90 and leave at 40 a step from step 3 on."""
    model = start(
        {"steth": {"kind": "liquid_staking", "stakes": "ETH", "deposits": 900.0, "exit": {"opens": 3, "rate": 40.0},
                   **CALM}},
        traders=[saver("steth", 100.0)], shocks=[{"at": 1, "kind": "slashing", "target": "steth", "size": 0.1}],
    )  # fmt: skip
    got = []
    for _ in range(5):
        go(model)
        got.append(cash(model, "saver"))
    assert value(model, "steth") == pytest.approx(0.9)
    assert got == pytest.approx([0.0, 0.0, 40.0, 80.0, 90.0])
    assert not model.world.state.agents.status[model.world.agent_rows["steth"]]


def test_a_gate_pays_a_share_of_the_supply():
    model = start(
        {"fund": {"kind": "fund_share", "deposits": 800.0, "exit": {"gate": 0.05}, **CALM}},
        traders=[saver("fund", 200.0)], shocks=[{"at": 1, "kind": "theft", "target": "fund", "size": 100.0}],
    )  # fmt: skip
    go(model, 2)
    # 5% of 1,000 units, then of 950, at 0.9.
    assert cash(model, "saver") == pytest.approx(0.9 * (50 + 47.5))


def test_an_issuer_waits_in_the_queue_of_what_it_holds():
    """A fund has nothing but staked units; 90 dollars of them leave at 20 a step, from the step after it asked."""
    model = start(
        {"steth": {"kind": "liquid_staking", "stakes": "ETH", "deposits": 900.0, "exit": {"rate": 20.0}, **CALM},
         "fund": {"kind": "fund_share", "holds": {"steth": 100.0}, **CALM}},
        traders=[saver("fund", 100.0)], shocks=[{"at": 1, "kind": "slashing", "target": "steth", "size": 0.1}],
    )  # fmt: skip
    got = []
    for _ in range(6):
        go(model)
        got.append(cash(model, "saver"))
        illiquid = bool(model.world.state.agents.status[model.world.agent_rows["fund"]] & 4)
        assert illiquid == (got[-1] < 90.0 - 1e-9)
    assert got == pytest.approx([0.0, 20.0, 40.0, 60.0, 80.0, 90.0])


@pytest.mark.parametrize(("value_at", "paid"), [("request", 90.0), ("payment", 81.0)])
def test_who_asked_before_a_loss_may_have_its_value_of_then(value_at, paid):
    """Asked at 0.9 in step 1, paid in step 3; another tenth is slashed between."""
    model = start(
        {"steth": {"kind": "liquid_staking", "stakes": "ETH", "deposits": 900.0,
                   "exit": {"notice": 2, "value": value_at}, **CALM}},
        traders=[saver("steth", 100.0)],
        shocks=[{"at": at, "kind": "slashing", "target": "steth", "size": 0.1} for at in (1, 2)],
    )  # fmt: skip
    go(model, 3)
    assert cash(model, "saver") == pytest.approx(paid)
    # 1,000 units at 0.81 less what was paid, over 900.
    assert value(model, "steth") == pytest.approx((810 - paid) / 900)


def wrapped(pays: str, traders=(), **deposits: float) -> ContagionModel:
    given = {"coin": 600.0, "west": 300.0, "east": 100.0, "far": 50.0} | deposits
    size = 0.5 * (given["west"] + given["far"] + sum(group["capital"] for group in traders))
    return start(
        {"coin": {"kind": "vault", "deposits": given["coin"], **CALM},
         "west": {"kind": "bridge", "locks": "coin", "deposits": given["west"], "exit": {"pays": pays}, **CALM},
         "east": {"kind": "bridge", "locks": "coin", "deposits": given["east"], **CALM},
         "far": {"kind": "bridge", "locks": "west", "deposits": given["far"], **CALM}},
        traders=traders, shocks=[{"at": 1, "kind": "theft", "target": "west", "size": size}],
    )  # fmt: skip


def test_one_backing_under_several_claims():
    """Half of what is locked in the west is stolen: the wrapped claim halves, and what is wrapped again with it."""
    model = wrapped("face")
    assert value(model, "west", "supply") == 350.0
    assert value(model, "coin", "supply") == 600 + 350 + 100
    go(model)
    assert [value(model, name) for name in ("coin", "west", "east", "far")] == pytest.approx([1.0, 0.5, 1.0, 0.5])
    assert [value(model, name, "redemption") for name in ("coin", "west", "east", "far")] == pytest.approx([1.0] * 4)


@pytest.mark.parametrize(("pays", "shares"), [("face", (100.0, 0.0)), ("balance_sheet", (50.0, 50.0))])
def test_a_theft_is_borne_by_who_comes_last_or_by_all_alike(pays, shares):
    savers = [saver("west", 100.0, "fast", tolerance=0.01), saver("west", 100.0, "slow", tolerance=0.01, delay=1)]
    model = wrapped(pays, savers, west=0.0, far=0.0)
    world = model.world
    world.state.assets.discount[world.state.assets.row("west")] = 0.02  # a little fear, where face shows no loss
    go(model, 3)
    assert (cash(model, "fast"), cash(model, "slow")) == pytest.approx(shares)
    assert world.counters.get("left_at_par", 0.0) == pytest.approx(50.0 if pays == "face" else 0.0, abs=1e-9)


def test_bridges_that_lock_each_other_have_nothing_behind_them():
    with pytest.raises(InputError, match="do not lock each other"):
        start({"a": {"kind": "bridge", "locks": "b"}, "b": {"kind": "bridge", "locks": "a", "deposits": 5.0}})


def test_a_cycle_in_which_one_side_pays_at_face():
    """x and y hold 500 of each other's 1,500; 600 are stolen from y, which still pays what it stood for."""
    model = start(
        {"x": {"kind": "vault", "deposits": 1000.0, "holds": {"y": 500.0}, **CALM},
         "y": {"kind": "vault", "deposits": 1000.0, "holds": {"x": 500.0}, "exit": {"pays": "face"}, **CALM}},
        shocks=[{"at": 1, "kind": "theft", "target": "y", "size": 600.0}],
    )  # fmt: skip
    go(model)
    # Fundamental: y = (400 + 500 x) / 1,500, x = (1,000 + 500 y) / 1,500. At face y = 2/3 + x / 3, so both are 1.
    assert (value(model, "x"), value(model, "y")) == pytest.approx((0.85, 0.55))
    assert (value(model, "x", "redemption"), value(model, "y", "redemption")) == pytest.approx((1.0, 1.0))


def chain(without: str | None = None) -> ContagionModel:
    """bank -> stablecoin -> bridge -> fund -> vault, each holding part of the one before; all hold 1,000."""
    holds = {"usd": {"bank": 500.0}, "fund": {"far_usd": 500.0, "other": 200.0}, "top": {"fund": 400.0}}
    if without:
        holder, _, claim = without.partition(">")
        del holds[holder][claim]
    outside = {"bank": 1000.0, "usd": 1000.0, "far_usd": 1000.0, "fund": 1000.0, "top": 1000.0, "other": 1000.0}
    inside = {"bank": holds["usd"].get("bank", 0.0), "usd": 1000.0, "far_usd": holds["fund"].get("far_usd", 0.0),
              "fund": holds["top"].get("fund", 0.0), "other": holds["fund"].get("other", 0.0)}  # fmt: skip
    kinds = {"bank": "bank", "usd": "fiat_backed", "far_usd": "bridge", "fund": "fund_share"}
    protocols = {
        name: {"kind": kinds.get(name, "vault"), "deposits": total - inside.get(name, 0.0),
               "holds": holds.get(name, {}),
               **CALM} | ({"locks": "usd"} if name == "far_usd" else {})
        for name, total in outside.items()
    }  # fmt: skip
    return start(protocols, shocks=[{"at": 1, "kind": "theft", "target": "bank", "size": 400.0}])


def test_a_loss_four_claims_away():
    """bank 0.6; half of the stablecoin: 0.8; all of the bridge: 0.8; half of the fund: 0.9; 40% of the vault: 0.96."""
    model = chain()
    go(model)
    names = ("bank", "usd", "far_usd", "fund", "top", "other")
    assert [value(model, name) for name in names] == pytest.approx([0.6, 0.8, 0.8, 0.9, 0.96, 1.0])


@pytest.mark.parametrize(
    ("edge", "expected"),
    [("fund>far_usd", [0.6, 0.8, 0.8, 1.0, 1.0, 1.0]), ("top>fund", [0.6, 0.8, 0.8, 0.9, 1.0, 1.0]),
     ("fund>other", [0.6, 0.8, 0.8, 0.9, 0.96, 1.0]), ("usd>bank", [0.6, 1.0, 1.0, 1.0, 1.0, 1.0])],
)  # fmt: skip
def test_removing_one_claim_changes_what_depends_on_it_and_nothing_else(edge, expected):
    model = chain(without=edge)
    go(model)
    names = ("bank", "usd", "far_usd", "fund", "top", "other")
    assert [value(model, name) for name in names] == pytest.approx(expected)


def test_a_graph_of_issuers_makes_the_same_issuers():
    model = chain()
    again = ContagionModel.from_graph(model.exposure_graph(), model.scenario, rng=1)
    go(again)
    names = ("bank", "usd", "far_usd", "fund", "top", "other")
    assert [value(again, name) for name in names] == pytest.approx([0.6, 0.8, 0.8, 0.9, 0.96, 1.0])


# -- the bundled scenario -------------------------------------------------------------------------------------------


def test_the_bundled_scenario_reaches_every_kind():
    kinds = {protocol.kind for protocol in load_scenario("stablecoins").protocols.values()}
    assert kinds >= {
        "bank", "fiat_backed", "reflexive", "delta_neutral", "liquid_staking", "fund_share", "bridge", "lending_pool",
    }  # fmt: skip
    model = ContagionModel("stablecoins", rng=1)
    counted = model.run().outcomes
    for name in ("arbitrage_bought", "claims_sold", "minted_value", "rehedged_notional", "slashed", "rescued",
                 "exit_fees", "left_at_par"):  # fmt: skip
        assert counted[name] > 0.0, name
    # 1,500 in deposits and 200 of its own less 700 stolen: 1,000 for 1,500.
    assert counted["claim_low.bank"] == pytest.approx(2 / 3)
    # A fifth of the bridge is stolen, and the fund and the dollar itself are whole in the end.
    assert counted["claim_value.fiat_usd"] == pytest.approx(1.0)
    assert counted["claim_value.algo_usd"] < 0.01


@pytest.mark.parametrize(
    ("spec", "message"),
    [({"kind": "reflexive", "mints": "DOGE", "minted_supply": 1.0}, r"p.mints: got 'DOGE'.*ETH, LUNA"),
     ({"kind": "bridge", "locks": "nothing"}, r"p.locks: got 'nothing'"),
     ({"kind": "liquid_staking", "stakes": "ETH", "holds": {"ETH": 1.0}}, r"p.holds.*all it has is ETH"),
     ({"kind": "delta_neutral", "hedged_at": "nowhere"}, r"p.hedged_at: got 'nowhere'"),
     ({"kind": "fiat_backed", "exit": {"closed": [[4, 2]]}}, "a first and a last step"),
     ({"kind": "stable"}, "kind")],
)  # fmt: skip
def test_what_does_not_fit_is_said(spec, message):
    with pytest.raises(InputError, match=message):
        start({"p": spec})


def test_terms_of_exit_leave_alone_what_they_do_not_name():
    bridge = {"kind": "bridge", "locks": "ETH", "deposits": 1e3, "exit": {"rate": 10.0}}
    assert start({"wrapped": bridge}).world.scenario.protocols["wrapped"].exit.pays == "face"
    bridge["exit"] = {"pays": "balance_sheet"}
    assert start({"wrapped": bridge}).world.scenario.protocols["wrapped"].exit.pays == "balance_sheet"


def test_holders_sell_where_a_pool_prices_their_claim_without_a_depth():
    """A fifth of the reserves is stolen; one who waits sells half at once, for what the pool of coins gives."""
    usd = {"kind": "fiat_backed", "deposits": 1e6, "exit": {"rate": 1.0}, "turnover": {"sells": 0.5, "nervous": 0.0}}
    maker = {"kind": "amm", "curve": "stable_swap", "fee": 0.0, "deposits": 2e5, "holds": {"usd": 1e5}}
    maker["prices"] = ["usd"]
    shocks = [{"at": 2, "kind": "theft", "target": "usd", "size": 2e5}]
    model = start({"usd": usd, "curve": maker}, traders=[saver("usd", 1e4)], shocks=shocks, steps=3)
    coins = model.pricing.pools.all[0]
    before = coins.reserves()
    model.run()
    sold = model.world.counters["claims_sold"]
    assert before[0] - coins.reserves()[0] == pytest.approx(sold)
    assert 0.0 < sold < 1e4


def test_who_sells_a_claim_needs_a_market():
    usd = {"kind": "fiat_backed", "deposits": 1e6, "turnover": {"sells": 0.5}}
    with pytest.raises(InputError, match=r"protocols\.usd\.turnover\.sells.*a depth of the market"):
        start({"usd": usd})
