"""Every rule that is broken stops the run and says where."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from allocation_market import VENUE, build, position

from contagion.allocation.candidates import fill_by_rank
from contagion.allocation.cash import InsuranceFund, ProfitHaircut, VenueEquity
from contagion.allocation.layer import Case, Layer, Payment
from contagion.allocation.payment_checks import check_losses
from contagion.allocation.positions import AutoDeleverage
from contagion.errors import InvariantError
from contagion.state.codes import Cause


class Bent(Layer):
    """Pays what the test says."""

    pay: Callable[[Case], Payment]

    def bear(self, case):
        yield self.pay(case)


def allocate(layers, opposite_sides, **means):
    market = build(opposite_sides, layers, [100.0], **means)
    market.move(90.0)
    market.take_over("long")
    market.waterfall.allocate()
    return market


def winner(case: Case, amount: float, account: int = 4) -> Payment:
    return Payment(np.array([amount]), np.array([amount]), accounts=np.array([account]))


@pytest.mark.parametrize(
    ("pay", "message"),
    [
        (lambda case: winner(case, case.need + 1.0), "agent perp: layer 0 collects more than the deficit left (1 USD)"),
        (lambda case: winner(case, -1.0), "layer 0 pays out (-1 USD)"),
        (
            lambda case: Payment(np.array([9.0]), np.array([5.0]), accounts=np.array([4])),
            "agent perp: layer 0 takes more than its capacity (4 USD)",
        ),
        (
            lambda case: Payment(np.array([9.0]), np.array([5.0]), accounts=np.array([4]), capacity=9.0),
            "agent middle: layer 0 takes more than the rule allows from a payer (4 USD)",
        ),
        (lambda case: winner(case, 35.0, account=3), "small: layer 0 takes more than an account's equity (5 USD)"),
        (lambda case: winner(case, 5.0, account=0), "agent perp: layer 0 charges an account it may not reach"),
        (lambda case: winner(case, 5.0, account=2), "agent long: layer 0 charges an account it may not reach"),
        (
            lambda case: Payment(np.array([9.0]), np.array([9.0]), agents=np.array([2])),
            "agent perp/insurance_fund: layer 0 takes more than an agent has (2 USD)",
        ),
    ],
)
def test_bad_payments(pay, message, opposite_sides):
    with pytest.raises(InvariantError) as error:
        allocate([("bent", Bent(pay=pay))], opposite_sides, fund=7.0)
    assert str(error.value).startswith("phase allocate, step 1, round 0, agent ")
    assert message in str(error.value)


class Principal(ProfitHaircut):
    def bear(self, case):
        yield winner(case, 35.0, account=5)


class Timid(Layer):
    def bear(self, case):
        yield Payment(np.array([1.0]), np.array([7.0]), agents=np.array([case.venue.fund]))


class Spendthrift(VenueEquity):
    def bear(self, case):
        yield Payment(np.array([9.0]), np.array([9.0]))


class Mute(InsuranceFund):
    def bear(self, case):
        return iter(())


def test_principal_is_not_cut(opposite_sides):
    """`safe` has 40 of profit on 4 units at 90; at 95 only 20."""
    market = build(opposite_sides, [("cut", Principal())], [100.0])
    market.move(94.0)
    market.take_over("long")
    with pytest.raises(InvariantError, match="layer 0 collects more than the deficit left"):
        market.waterfall.allocate()
    market = build([*opposite_sides, position("other", 1.0, 1.0, 100.0)], [("cut", Principal())], [100.0])
    market.move(92.0)
    market.take_over("long", "other")
    with pytest.raises(InvariantError, match=r"agent safe: layer 0 cuts principal \(3 USD\)"):
        market.waterfall.allocate()


def test_a_layer_that_holds_back_is_found_at_the_end_of_the_step(opposite_sides):
    market = allocate([("timid", Timid()), ("venue_equity", VenueEquity())], opposite_sides, fund=7.0, equity=90.0)
    with pytest.raises(InvariantError, match=r"agent perp: layer 1 is used while layer 0 had capacity \(6 USD\)"):
        market.check()


def test_a_tranche_is_not_exceeded(opposite_sides):
    with pytest.raises(InvariantError, match=r"layer 0 goes beyond its tranche \(4 USD\)"):
        allocate([("venue_equity", Spendthrift(limit=5.0))], opposite_sides, equity=90.0)


def test_a_fund_with_money_does_not_pass_a_deficit_on(opposite_sides):
    with pytest.raises(InvariantError, match="layer 0 leaves a deficit open while it has money"):
        allocate([("mute", Mute())], opposite_sides, fund=7.0)


class WrongSide(AutoDeleverage):
    def bear(self, case):
        for item in super().bear(case):
            found = case.index.candidates(item.lots.instrument, 1, item.price)
            item.positions, item.units = found.position[:1], np.array([1.0])
            yield item


class OwnPrice(AutoDeleverage):
    def prices(self, case, lots, chosen):
        return lots.bankruptcy[chosen] * 0.99


class TooMuch(AutoDeleverage):
    def bear(self, case):
        for item in super().bear(case):
            item.units = item.units * 2.0
            yield item


class Reluctant(AutoDeleverage):
    def bear(self, case):
        for item in super().bear(case):
            item.units = item.units * 0.5
            yield item


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (WrongSide(), "deleverages who is no candidate"),
        (OwnPrice(), "does not fill at the rule's price 95"),
        (TooMuch(), "passes on units that were not taken over"),
    ],
)
def test_bad_transfers(layer, message, opposite_sides):
    sides = [*opposite_sides, position("bull", 100.0, 1.0, 100.0)]
    with pytest.raises(InvariantError, match=message):
        allocate([("adl", layer)], sides)


def test_candidates_left_over_are_spare_capacity(opposite_sides):
    market = allocate([("adl", Reluctant()), ("venue_equity", VenueEquity())], opposite_sides, equity=90.0)
    with pytest.raises(InvariantError, match="layer 1 is used while layer 0 had capacity"):
        market.check()


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda rows, roots: rows["amount"].__imul__(1.5), "deficit 0 of 50 USD is not borne in full (25 USD)"),
        (lambda rows, roots: rows["payee"].__setitem__(slice(None), 2), "pays another than the deficit's venue"),
        (lambda rows, roots: rows["payer"].__setitem__(slice(None), 0), "outside takes part in an allocation"),
        (lambda rows, roots: roots.amount.__setitem__(0, 60.0), "is not borne in full (-10 USD)"),
    ],
)
def test_tampered_rows(tamper, message, opposite_sides):
    market = allocate([("fund", InsuranceFund())], opposite_sides, fund=50.0)
    rows = market.world.bookkeeper.ledger.rows_of_step()
    chosen = np.flatnonzero(rows["cause"] == Cause.ALLOCATION)
    part = rows[chosen]
    tamper(part, market.world.bookkeeper.deficits)
    rows[chosen] = part
    with pytest.raises(InvariantError) as error:
        market.check()
    assert message in str(error.value)


def test_a_second_root_of_an_account_in_one_step(opposite_sides):
    market = allocate([("fund", InsuranceFund())], opposite_sides, fund=80.0)
    book = market.world.bookkeeper
    book.open_deficit(VENUE, market.account("long"), 4, 5.0)
    market.waterfall.allocate()
    with pytest.raises(InvariantError, match="a second deficit of account 2 in one step"):
        market.check()


def test_fill_by_rank_of_nobody():
    assert fill_by_rank(np.zeros(0), np.zeros(0), 5.0).tolist() == []


@pytest.mark.parametrize("price", [4.0, -4.0])
def test_rounding_of_a_transfer_is_measured_by_its_notional_whatever_the_sign_of_the_price(price):
    """Units of 1e6 at 4: the notional before and after is 8e6, so 1e-3 is rounding and 1e-2 is not."""
    market = build([position("long", 100.0, 10.0, 100.0)], [("fund", InsuranceFund())], [100.0])
    market.move(price)
    case = SimpleNamespace(world=market.world, venue=market.world.venues["perp"])
    item = SimpleNamespace(lots=SimpleNamespace(instrument=0), units=np.array([1e6]), price=price)
    check_losses(case, 0, item, 1e-3, 0.0)
    with pytest.raises(InvariantError, match="at another price"):
        check_losses(case, 0, item, 1e-2, 0.0)
