"""Who is paid of what there is, by the terms of exit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contagion.protocols.exit_queue import ExitQueue
from contagion.scenario.issuers import Exit, Turnover


def queue(*requests: tuple[int, int, float], price: float = 1.0, **terms) -> ExitQueue:
    """Requests as (holder, step, units), all made at one value of a unit."""
    made = ExitQueue(Exit(**terms), 4)
    for holder, step, units in requests:
        made.add(np.array([holder]), np.array([units]), step, price)
    return made


def test_first_come_first_served_then_by_rank():
    line = queue((0, 2, 100.0), (1, 1, 60.0), (2, 2, 50.0))
    faster_last = (np.array([0.0, 0.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0]))
    # 60 to the earlier; of the two of step 2 the one that reacts faster has its 50, the other the last 20.
    assert line.payable(3, 1.0, 1000.0, 130.0, faster_last).tolist() == [20.0, 60.0, 50.0]


def test_pro_rata_gives_all_the_same_share_whenever_they_asked():
    line = queue((0, 2, 100.0), (1, 1, 60.0), order="pro_rata")
    assert line.payable(3, 1.0, 1000.0, 40.0).tolist() == [25.0, 15.0]


def test_notice_rate_and_gate():
    line = queue((0, 1, 100.0), (1, 3, 60.0), notice=3)
    assert line.payable(3, 1.0, 1000.0, 1e9).tolist() == [0.0, 0.0]
    assert line.payable(4, 1.0, 1000.0, 1e9).tolist() == [100.0, 0.0]
    assert line.due(6, 2.0, 1000.0) == 320.0
    slow = queue((0, 1, 100.0), (1, 1, 60.0), rate=50.0)
    assert slow.due(1, 0.5, 1000.0) == 50.0  # 100 units at 0.5
    assert slow.wait(1, 0.5, 1000.0) == pytest.approx(160 * 0.5 / 50)
    gated = queue((0, 1, 100.0), (1, 2, 60.0), gate=0.12)
    assert gated.payable(2, 0.5, 1000.0, 1e9).tolist() == [100.0, 20.0]


def test_closed_spans():
    line = queue((0, 1, 100.0), closed=[(2, 4), (5, 6)], opens=2)
    assert [line.opens_in(step) for step in range(1, 8)] == [6, 5, 4, 3, 2, 1, 0]
    assert [line.is_open(step) for step in (1, 2, 6, 7)] == [False, False, False, True]


def test_value_at_request_and_at_payment():
    for value, worth in (("request", 1.0), ("payment", 0.6)):
        assert queue((0, 1, 10.0), value=value).due(2, 0.6, 100.0) == pytest.approx(10 * worth)


def test_fees_grow_with_who_waits():
    line = queue((0, 1, 25.0), fee=0.01, swing=0.04)
    # A quarter of the supply waits: 1% + 0.25 * 4% = 2%.
    assert line.due(1, 1.0, 100.0) == pytest.approx(25 * 0.98)


def test_nobody_waits_for_more_than_it_has():
    line = queue((0, 1, 30.0), (0, 2, 10.0), (1, 1, 5.0))
    line.fit(np.array([20.0, 5.0, 0.0, 0.0]))
    assert line.units.tolist() == [15.0, 5.0, 5.0]
    line.take(np.array([15.0, 0.0, 5.0]))
    assert (line.holder.tolist(), line.step.tolist(), line.units.tolist()) == ([0], [2], [5.0])


@pytest.mark.parametrize(
    ("kind", "terms"),
    [(Exit, {"closed": [(5, 3)]}), (Exit, {"fee": 0.6, "swing": 0.5}), (Exit, {"gate": 0.0}),
     (Exit, {"rate": 0.0}), (Turnover, {"sells": 1.1})],
)  # fmt: skip
def test_terms_that_cannot_be(kind, terms):
    with pytest.raises(ValidationError):
        kind(**terms)


REQUESTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.floats(0.01, 1e6)), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(
    requests=REQUESTS, money=st.floats(0.0, 1e6), price=st.floats(0.01, 3.0), gate=st.floats(0.01, 1.0),
    rate=st.none() | st.floats(1.0, 1e6), order=st.sampled_from(["first_come", "pro_rata"]), fee=st.floats(0.0, 0.5),
    notice=st.integers(0, 3),
)  # fmt: skip
def test_never_more_than_there_is(requests, money, price, gate, rate, order, fee, notice):
    line = queue(*requests, gate=gate, rate=rate, order=order, fee=fee, notice=notice)
    supply = 2.0 * sum(units for _, _, units in requests)
    units = line.payable(5, price, supply, money)
    slack = 1 + 1e-9
    assert (units >= 0.0).all() and (units <= line.units * slack).all()
    paid = float(units @ line.worth(price, supply))
    assert paid <= min(money, np.inf if rate is None else rate) * slack + 1e-9
    assert units.sum() <= (np.inf if gate == 1.0 else gate * supply) * slack
    assert (units[line.step + notice > 5] == 0.0).all()
    # All that is due is paid, or something binds.
    due = line.due(5, price, supply)
    assert paid == pytest.approx(min(due, money), rel=1e-9, abs=1e-9)
