"""The hand-checkable crash: expected payers of every rule, and the page of the docs that shows them."""

from __future__ import annotations

import pytest
from hand_market import DOCS, PAYERS, borne, crash, document, rows

from contagion.rules_table import RULES

# long, small, middle, safe, bull, vault, venue, outside. Equity at 90: 30, 80, 440, 450; profit of the shorts: 20, 40,
# 40; leverage 6, 4.5, 0.818. Deleveraging is at 95, 5 per unit, for 5 units: 25, of which the fund gets its 10 back.
BY_HAND = {
    "venue equity": (0, 0, 0, 0, 0, 0, 15, 0),
    "skin in the game": (0, 0, 0, 0, 0, 0, 15, 0),
    "backstop vault": (0, 0, 0, 0, 0, 15, 0, 0),
    "default fund": (0, 1.5, 3, 4.5, 6, 0, 0, 0),  # 15 of the survivors' 100
    "assessments": (0, 1, 14 * 2 / 9, 14 * 3 / 9, 14 * 4 / 9, 0, 0, 0),  # all that small has, the rest as 2 : 3 : 4
    "recourse": (9, 0, 0, 0, 0, 0, 6, 0),
    "depositor write-down": (0, 1.5, 3, 7.5, 3, 0, 0, 0),  # 15 of 100
    "safety pool": (0, 0, 0, 0, 0, 15, 0, 0),
    "safety pool, cap per window": (0, 0, 0, 0, 0, 6, 9, 0),
    "token dilution": (0, 1.5, 3, 0, 3, 0, 0, 7.5),  # each token falls by 15 in a million
    "profit haircut (DPE)": (0, 3, 6, 6, 0, 0, 0, 0),  # 15 of 100
    "profit haircut, capped": (0, 2, 4, 4, 0, 0, 5, 0),  # a tenth of 20, 40 and 40
    "profit haircut, risk-aware": (0, 6.9374, 7.8046, 0.2580, 0, 0, 0, 0),  # 720 : 810 : 26.78
    "profit haircut, queue": (0, 15, 0, 0, 0, 0, 0, 0),  # small has the highest leverage and 20 of profit
    "variation-margin haircut (VMGH)": (0, 3, 6, 6, 0, 0, 0, 0),
    "period clawback": (0, 3, 6, 6, 0, 0, 0, 0),
    "optimal, loss over equity": (0, 9 / 11, 24 / 11, 12, 0, 0, 0, 0),  # 15 over 550 of equity
    "optimal, greatest loss": (0, 5, 5, 5, 0, 0, 0, 0),
    "optimal, greatest survivor": (0, 0, 7.5, 7.5, 0, 0, 0, 0),  # 40 and 40 down to 32.5
    "balance haircut": (0, 0.45, 1.2, 6.6, 6.75, 0, 0, 0),  # 1.5% of 1,000
    "open-interest levy": (0, 2, 4, 4, 5, 0, 0, 0),  # 1 per unit of 10 short and 5 long
    "withdrawal haircut": (0, 0.45, 1.2, 6.6, 6.75, 0, 0, 0),
    "ADL Binance": (0, 10, 15, 0, 0, 0, 0, 0),
    "ADL BitMEX": (0, 10, 15, 0, 0, 0, 0, 0),
    "ADL Bybit": (0, 0, 0, 0, 0, 0, 15, 0),  # 95 is 5.6% from 90: at mark
    "ADL OKX": (0, 0, 0, 0, 0, 0, 15, 0),
    "ADL Hyperliquid": (0, 14, 21, 0, 0, 0, 0, 0),  # 7 per unit
    "ADL pro rata to size": (0, 5, 10, 10, 0, 0, 0, 0),
    "ADL pro rata to profit": (0, 5, 10, 10, 0, 0, 0, 0),
    "ADL pro rata to equity": (0, 15 / 11, 40 / 11, 20, 0, 0, 0, 0),
    "ADL pro rata, capped": (0, 4, 8, 8, 0, 0, 0, 0),  # 0.8, 1.6 and 1.6 units; 5 of the 20 go back to the fund
    "ADL pro rata, risk-aware": (0, 10, 14.5200, 0.4800, 0, 0, 0, 0),  # 72 : 81 : 2.678, small full at 2
    # 1, 2, 2 down to 0, 1.5, 1.5; of the 2 left a lot to the first key, the rest, less than one, to the second
    "ADL pro rata, whole lots": (0, 0, 15, 10, 0, 0, 0, 0),
    "tear-up, partial": (0, 0, 0, 0, 0, 0, 15, 0),
    "tear-up, full": (0, 3, 6, 6, 0, 0, 0, 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_expected_payers(name: str) -> None:
    (rule,) = (rule for rule in RULES if rule.name == name)
    market = crash(rule)
    assert tuple(borne(market).values()) == pytest.approx(BY_HAND[name], abs=6e-5)
    deficits = market.world.bookkeeper.deficits
    attributed = sum(amount for (_, _, root), amount in market.paid().items() if root >= 0)
    assert attributed == pytest.approx(25.0) and sum(deficits.amount) == pytest.approx(25.0)
    assert not any(deficits.open)
    market.audit.run()


def test_every_rule_is_in_the_table_and_the_random_start_pays_in_full() -> None:
    found = dict(rows())
    assert set(found) - {"ADL dYdX v4"} == set(BY_HAND)
    walked = [found["ADL dYdX v4"][name] for name in PAYERS]
    assert sum(walked) == pytest.approx(25.0) and walked[0] == sum(walked[4:]) == 0.0
    assert sum(part in (0.0, 10.0, 20.0) for part in walked[1:4]) >= 2  # whole positions but for the last


def test_the_page_of_the_docs_is_current() -> None:
    assert DOCS.read_text() == document()
