"""What venues show decides when a hole is seen, who leaves in time, and how far word of it travels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_worlds import ILLIQUID, build

from contagion.errors import InputError
from contagion.model import ContagionModel
from contagion.protocols.rumours import Rumours
from contagion.scenario.loader import load_scenario

# A desk owes what it was lent; at step 3 it is stolen; at step 6 somebody asks for money for reasons of its own.
SHOCKS = [{"at": 3, "kind": "theft", "target": "desk", "size": 1e9}]


def run(data: dict, steps: int = 8) -> tuple[ContagionModel, dict[str, float]]:
    """A day at constant prices."""
    given = {"name": "hidden", "steps": steps, "dt": "1h", "assets": {"ETH": {"price": 1000.0}}, "prices": "constant"}
    model = ContagionModel(load_scenario(given | data), rng=1)
    model.run()
    return model, model.result().outcomes


def exchange(shows: str, **terms) -> tuple[ContagionModel, dict[str, float]]:
    """Four customers with 500 each, 490 of it free, and a maker with 2,000; 3,000 of the 4,000 are lent to the desk."""
    return run({
        "shocks": [*SHOCKS, {"at": 6, "kind": "withdrawal", "target": "perp", "size": 1_500.0}],
        "exchanges": {"perp": {"reserve_ratio": 0.25, "lent_to": "desk", "disclosure": shows, "waterfall": [],
                               "mark": "index"} | terms},
        "protocols": {"desk": {"kind": "fund_share"}},
        "traders": [
            {"archetype": "passive", "count": 4, "venue": "perp", "size": {"fixed": 1e3}, "leverage": {"fixed": 2.0},
             "long_share": 1.0},
            {"archetype": "market_maker", "venue": "perp", "capital": 2e3},
        ],
    })  # fmt: skip


def paid_by_step(model: ContagionModel) -> dict[int, float]:
    steps = model.result().steps
    return {int(row.step): row.withdrawals_paid for row in steps.itertuples() if row.withdrawals_paid > 0.0}


# Half of what is free is asked for in an hour, from the step after the fright: 980 of the 1,000 that are liquid, then
# 490 and 20 are there. The hole, 3,000, opens at step 3; who leaves before moves nothing onto those who stay.
EXCHANGE = {
    "proof_of_solvency": (1, {2: 980, 3: 20}, 20 * 3000 / 3020),
    "positions": (3, {4: 980, 5: 20}, 980 * 0.75 + 20 * 3000 / 3020),
    "accounts": (6, {6: 1000}, 750),  # a loan stands at face
    "none": (6, {6: 1000}, 750),
}


@pytest.mark.parametrize("shows", EXCHANGE)
def test_customers_of_an_exchange_learn_of_its_lending(shows):
    began, paid, moved = EXCHANGE[shows]
    model, outcomes = exchange(shows)
    assert outcomes["run_began.perp"] == began
    assert paid_by_step(model) == pytest.approx(paid)
    assert outcomes["withdrawals_paid"] == outcomes["paid_at_par"] == pytest.approx(1_000.0)
    assert outcomes["left_at_par"] == pytest.approx(moved)
    assert model.world.state.agents.status[model.world.agent_rows["perp"]] & ILLIQUID


def bank(shows: str, **terms) -> tuple[ContagionModel, dict[str, float]]:
    """Two depositors with 1,000 each; 1,500 of it lent to the desk until after the end."""
    return run({
        "shocks": [*SHOCKS, {"at": 6, "kind": "withdrawal", "target": "bank", "size": 600.0}],
        "protocols": {"bank": {"kind": "bank", "disclosure": shows, "exit": {"pays": "face"}} | terms,
                      "desk": {"kind": "fund_share"}},
        "traders": [{"archetype": "depositor", "count": 2, "venue": "bank", "capital": 1e3}],
        "credit": {"loans": [{"lender": "bank", "borrower": "desk", "amount": 1_500.0, "due": 99}]},
    })  # fmt: skip


BANK = {
    "proof_of_solvency": (1, {1: 500}, 0),
    "positions": (3, {3: 500}, 0),
    "none": (7, {6: 500}, 0),  # the withdrawal of step 6 fails for 100: everybody asks
}


@pytest.mark.parametrize("shows", BANK)
def test_depositors_of_a_bank_learn_of_its_lending(shows):
    began, paid, _ = BANK[shows]
    model, outcomes = bank(shows)
    assert outcomes["run_began.bank"] == began
    assert paid_by_step(model) == pytest.approx(paid)
    assert outcomes["withdrawals_queued"] == pytest.approx(1_500.0)
    assert outcomes["paid_at_par"] == pytest.approx(500.0)


def test_accounts_show_a_loan_at_face():
    _, outcomes = bank("accounts")
    assert "run_began.bank" not in outcomes
    assert outcomes["withdrawals_queued"] == pytest.approx(100.0)


def test_terms_of_exit_of_an_exchange():
    """A gate of a tenth of what is owed, 400 and then 360; a rate of 100; a fee of a tenth; a halt of two steps."""
    model, _ = exchange("proof_of_solvency", exit={"gate": 0.1})
    assert paid_by_step(model) == pytest.approx({2: 400, 3: 360, 4: 240})
    model, _ = exchange("proof_of_solvency", exit={"rate": 100.0})
    assert paid_by_step(model) == pytest.approx(dict.fromkeys(range(2, 9), 100) | {6: 200})
    model, outcomes = exchange("proof_of_solvency", exit={"fee": 0.1})
    assert outcomes["exit_fees"] == pytest.approx(0.1 * outcomes["withdrawals_paid"])
    # Step 2 asks for 980 of 4,000, above a fifth: steps 2 and 3 pay nothing, step 4 pays, 490 of 3,020 is below it.
    model, outcomes = exchange("proof_of_solvency", exit={"halts_at": 0.2, "halt": 2})
    assert paid_by_step(model) == pytest.approx({4: 980, 5: 20})
    assert outcomes["withdrawal_halts"] == 1
    model, _ = exchange("proof_of_solvency", exit={"notice": 3})
    assert paid_by_step(model) == pytest.approx({5: 980, 6: 20})


def test_pro_rata_at_an_exchange_gives_all_the_same():
    model, _ = exchange("none", exit={"order": "pro_rata"})
    wallets = model.world.state.agents.cash[model.world.state.first_trader :][:4]
    assert wallets == pytest.approx([250.0] * 4)
    first_come, _ = exchange("none")
    wallets = first_come.world.state.agents.cash[first_come.world.state.first_trader :][:4]
    # 1,500 of 1,960 is 375 of each 490.
    assert sorted(wallets) == pytest.approx([0.0, 250.0, 375.0, 375.0])


def test_a_circuit_breaker_of_an_issuer():
    """2,000 of 2,000 wait at step 1: nothing for three steps, then 500 is paid, then nothing again."""
    model, outcomes = bank("proof_of_solvency", exit={"pays": "face", "halts_at": 0.5, "halt": 3})
    assert paid_by_step(model) == pytest.approx({4: 500})
    assert outcomes["withdrawal_halts"] == 2


def test_a_lending_pool_has_terms_of_exit_too():
    """A gate of a tenth of the supply: 1,000 of 10,000 are asked for and paid in one step, 2,000 in two."""
    pool = {"kind": "lending_pool", "supplied": 1e4, "collateral": {"ETH": {"ltv": 0.5, "liquidation_threshold": 0.6}},
            "exit": {"gate": 0.1}}  # fmt: skip
    model, _ = run({"shocks": [{"at": 2, "kind": "withdrawal", "target": "pool", "size": 2e3}],
                    "protocols": {"pool": pool}})  # fmt: skip
    assert paid_by_step(model) == pytest.approx({2: 1_000, 3: 900, 4: 100})


def test_a_curator_that_flees_waits_at_the_gate_like_the_others():
    """It wants 2,000 of 10,000 out at once; a tenth of the supply leaves a step: 1,000, 900 and the last 100."""
    pool = {"kind": "lending_pool", "supplied": 8e3, "collateral": {"ETH": {"ltv": 0.5, "liquidation_threshold": 0.6}},
            "exit": {"gate": 0.1}}  # fmt: skip
    vault = {"kind": "curated_vault", "deposits": 2e3, "caps": {"pool": 2e3}, "holds": {"pool": 2e3}, "flees_at": 0.001}
    model, _ = run({"shocks": [{"at": 2, "kind": "depeg", "asset": "pool", "size": -0.005}],
                    "protocols": {"pool": pool, "vault": vault}})  # fmt: skip
    held = model.world.state.holdings.units[model.world.bookkeeper.slot(model.world.agent_rows["vault"], 2)]
    assert held == 0.0
    assert paid_by_step(model) == pytest.approx({2: 1_000, 3: 900, 4: 100})


def links(decay: float = 0.5, delay: int = 1) -> tuple[Rumours, dict[str, int]]:
    """d has 40 of its 100 with c, c 50 of its 100 with b, b all of its 100 with a."""
    world = build(protocols={
        "a": {"kind": "vault", "deposits": 1e3}, "b": {"kind": "vault", "deposits": 50.0, "holds": {"a": 100.0}},
        "c": {"kind": "vault", "deposits": 60.0, "holds": {"b": 50.0}},
        "d": {"kind": "vault", "deposits": 100.0, "holds": {"c": 40.0}},
    }, rumours={"decay": decay, "delay": delay})  # fmt: skip
    rumours = Rumours(world, {world.venues[name].claim: 1.0 for name in "abcd"})
    return rumours, {name: world.agent_rows[name] for name in "abcd"}


@pytest.mark.parametrize("delay", [1, 2])
def test_rumours_travel_with_decay_and_delay(delay):
    """a loses 20%: heard in b at once, in c at half of it times a half one delay later, in d once more."""
    rumours, row = links(delay=delay)
    losses = np.zeros(rumours.spread(np.zeros(len(row) + 1)).shape)
    losses[row["a"]] = 0.2
    heard = [rumours.spread(losses) for _ in range(2 * delay + 1)]
    names = ("b", "c", "d")
    at = lambda step: [float(heard[step][row[name]]) for name in names]  # noqa: E731
    assert at(0) == pytest.approx([0.2, 0.0, 0.0])
    assert at(delay) == pytest.approx([0.2, 0.05, 0.0])
    assert at(2 * delay) == pytest.approx([0.2, 0.05, 0.01])
    assert at(delay - 1) == pytest.approx([0.2, 0.0, 0.0])


def test_without_word_of_mouth_only_the_first_hop_hears():
    rumours, row = links(decay=0.0)
    losses = np.zeros(len(rumours.spread(np.zeros(len(row) + 1))))
    losses[row["a"]] = 0.2
    for _ in range(4):
        heard = rumours.spread(losses)
    assert [float(heard[row[name]]) for name in "bcd"] == pytest.approx([0.2, 0.0, 0.0])


@pytest.mark.parametrize(("exit", "field"), [({"value": "request"}, "exit.value"), ({"pays": "face"}, "exit.pays")])
def test_an_exchange_owes_money_not_units(exit, field):
    with pytest.raises(InputError, match=field):
        exchange("none", exit=exit)


@settings(max_examples=12, deadline=None)
@given(lent=st.floats(0.05, 0.95), stolen=st.floats(0.05, 1.0), size=st.floats(0.0, 3e3), at=st.integers(1, 7))
def test_what_is_shown_is_never_seen_later(lent, stolen, size, at):
    """Positions before accounts, accounts before nothing; the books are audited in every run."""
    began = {}
    for shows in ("positions", "accounts", "none"):
        model, _ = exchange("none")
        data = model.scenario.model_dump(mode="json")
        data["exchanges"]["perp"] |= {"reserve_ratio": 1.0 - lent, "disclosure": shows}
        data["shocks"] = [{"at": 3, "kind": "theft", "target": "desk", "size": stolen * lent * 4e3},
                          {"at": at, "kind": "withdrawal", "target": "perp", "size": size}]  # fmt: skip
        model = ContagionModel(load_scenario(data), rng=1)
        model.run()
        outcomes = model.result().outcomes
        began[shows] = outcomes.get("run_began.perp", np.inf)
        assert outcomes.get("withdrawals_paid", 0.0) <= outcomes.get("withdrawals_asked", 0.0) * (1 + 1e-9)
    assert began["positions"] <= began["accounts"] <= began["none"]


@settings(max_examples=30, deadline=None)
@given(
    losses=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4), more=st.floats(0.0, 1.0),
    decay=st.floats(0.0, 1.0), delay=st.integers(1, 3),
)  # fmt: skip
def test_rumours_are_shares_and_grow_with_the_losses(losses, more, decay, delay):
    heard = []
    for scale in (more, 1.0):
        rumours, row = links(decay, delay)
        shown = np.zeros(len(rumours.spread(np.zeros(len(row) + 1))))
        shown[[row[name] for name in "abcd"]] = np.array(losses) * scale
        heard.append([rumours.spread(shown) for _ in range(5)])
    assert all((part >= 0.0).all() and (part <= 1.0).all() for part in heard[1])
    assert all((less <= all_ + 1e-15).all() for less, all_ in zip(*heard, strict=True))


def test_the_bundled_scenario_compares_what_venues_show():
    """Proofs frighten at once, positions when the desk loses at step 12, silence when a withdrawal fails at step 48."""
    model = ContagionModel("runs_and_disclosure", rng=3)
    model.run()
    outcomes = model.result().outcomes
    began = [outcomes[f"run_began.{name}"] for name in ("proven", "open_book", "opaque")]
    assert began == [1.0, 12.0, 48.0]
    for name in ("stakes_slashed", "premiums", "withdrawal_halts", "loans_rolled_over", "loans_called", "exit_fees"):
        assert outcomes[name] > 0.0, name
    assert 0.0 < outcomes["share_paid_at_par"] < 1.0
    assert outcomes["run_began.savings"] <= outcomes["run_began.earn"] <= outcomes["run_began.earn_plus"]
