"""Many rows of one call are kept by column: read, summed or dropped they are the same rows."""

from __future__ import annotations

import numpy as np
import pytest

from contagion.state import ledger as module
from contagion.state.codes import AgentKind, Cause, Phase
from contagion.state.ledger import Block, Ledger

KINDS = np.array([AgentKind.OUTSIDE, AgentKind.EXCHANGE, AgentKind.FUND, AgentKind.TRADER, AgentKind.TRADER], np.int8)


def booked(many: int, monkeypatch: pytest.MonkeyPatch, keep: bool = True) -> Ledger:
    """Two steps of single rows and calls of three, the latter by column where that is more than `many`."""
    monkeypatch.setattr(module, "MANY", many)
    ledger = Ledger(KINDS, ["first", "unallocated"], keep)
    for step in (1, 2):
        ledger.open_step(step)
        ledger.append_one(Phase.TRADE, Cause.EXECUTION, 3, 1, 0.5)
        payers, amounts = np.array([3, 4, 2]), np.array([1.0, 2.0, 4.0 * step])
        ledger.append(Phase.ALLOCATE, Cause.ALLOCATION, payers, 1, amounts, 0, 7)
        amounts[:] = payers[:] = 0  # the caller's arrays are its own
        ledger.round = 1
        ledger.append(Phase.ALLOCATE, Cause.ALLOCATION, 1, np.array([3, 4, 3]), np.full(3, 8.0), 1, np.arange(3))
        ledger.append_one(Phase.TRADE, Cause.EXECUTION, 4, 1, 16.0)
    return ledger


def test_blocks_read_as_rows_in_the_order_of_booking(monkeypatch):
    rows, blocks = booked(1000, monkeypatch), booked(2, monkeypatch)
    assert len(rows) == len(blocks) == blocks.listed == 16
    assert sum(isinstance(part, Block) for part in blocks.parts_of_step()) == 2
    assert rows.rows().tolist() == blocks.rows().tolist()
    assert rows.rows_of_step().tolist() == blocks.rows_of_step().tolist()
    assert blocks.rows()["payer"].tolist()[:5] == [3, 3, 4, 2, 1]
    assert rows.frame(str).equals(blocks.frame(str))


def test_parts_of_a_cause(monkeypatch):
    """Of step 2: 1 + 2 + 8 from payers 3, 4, 2 and three times 8 from 1."""
    for many in (1000, 2):
        parts = booked(many, monkeypatch).parts_of_step(Cause.ALLOCATION)
        assert np.concatenate([part["amount"] for part in parts]).tolist() == [1.0, 2.0, 8.0, 8.0, 8.0, 8.0]
        assert np.concatenate([part["payer"] for part in parts]).tolist() == [3, 4, 2, 1, 1, 1]
        assert np.concatenate([part["payee"] for part in parts]).tolist() == [1, 1, 1, 3, 4, 3]


@pytest.mark.parametrize("keep", [True, False])
def test_sums_do_not_depend_on_how_rows_are_kept(monkeypatch, keep):
    """First layer: 7 + 11; the rest: 24 twice; the fund (2) bore 4 + 8 and the exchange (1) 48."""
    monkeypatch.setattr(module, "BLOCK", 4)
    seen = []
    ledger = booked(2, monkeypatch, keep)
    ledger.listeners.append(lambda rows: seen.extend(rows["amount"].tolist()))
    ledger.fold()
    ledger.fold()
    assert ledger.absorbed.tolist() == [18.0, 48.0]
    assert ledger.borne.tolist() == [0.0, 48.0, 12.0]
    assert ledger.listed == 16
    assert len(ledger) == len(seen) == (16 if keep else 8)


def test_columns_that_are_left_to_the_ledger_are_not_copied(monkeypatch):
    monkeypatch.setattr(module, "MANY", 2)
    ledger, amounts = Ledger(KINDS, ["unallocated"]), np.ones(3)
    block = ledger.keep_columns(Phase.ALLOCATE, Cause.ALLOCATION, np.array([3, 4, 3], np.int32), 1, amounts)
    assert isinstance(block, Block)
    assert block.amount is amounts
