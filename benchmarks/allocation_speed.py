"""One deficit shared over a million claimants, ledger rows and checks included."""

from __future__ import annotations

import statistics
from copy import deepcopy

import numpy as np

from benchmarks.measure import Measurement, medians, seconds
from contagion.scenario.assemble import assemble
from contagion.scenario.rules import RuleSpec
from contagion.scenario.schema import Scenario
from contagion.state.ledger import Ledger

PRO_RATA = {
    "profit_haircut": {},
    "balance_haircut": {},
}
RANKED = {
    "profit_haircut, queue": {"layer": "profit_haircut", "order": "pnl_leverage"},
    "profit_haircut, capped": {"layer": "profit_haircut", "cap": 0.5},
    "auto_deleverage, ranked": {"layer": "auto_deleverage", "ranking": "pnl_leverage"},
    "auto_deleverage, pro rata": {"layer": "auto_deleverage", "ranking": "pro_rata"},
}


def allocation_speed(quick: bool) -> list[Measurement]:
    """Every claimant is a short in profit; the other side is a market maker that cannot pay."""
    claimants, repetitions = (100_000, 3) if quick else (1_000_000, 7)
    values = np.random.default_rng(1).random(claimants)
    copies = np.empty((10, claimants))

    def copy_ten() -> None:
        for row in copies:
            row[:] = values

    copying, sorting = medians(repetitions, copy_ten, lambda: np.argsort(values))
    found = [
        Measurement(f"ten array copies, {claimants:,} numbers", copying * 1e3, "ms"),
        Measurement(f"one argsort, {claimants:,} numbers", sorting * 1e3, "ms"),
    ]
    crash = Crash(claimants)
    for name, parameters in PRO_RATA.items():
        spent = crash.allocate({"layer": name} | parameters, repetitions)
        found.append(Measurement(f"  {name}", spent * 1e3, "ms"))
        found.append(Measurement(f"  {name} / ten copies", spent / copying, "x", "<= 1"))
    for name, layer in RANKED.items():
        spent = crash.allocate(layer, repetitions)
        found.append(Measurement(f"  {name}", spent * 1e3, "ms"))
        found.append(Measurement(f"  {name} / argsort", spent / sorting, "x", "<= 2"))
    return found


class Crash:
    """A market whose price fell, again and again allocated from the same state."""

    def __init__(self, claimants: int) -> None:
        self.world, self.index = assemble(_scenario(claimants), 1), None
        state = self.world.state
        for column in ("mark", "equity_price", "value_price"):
            getattr(state.instruments, column)[:] *= 0.9
        venue = self.world.venues["perp"]
        maker = int(state.makers.account[0])
        units = float(state.positions.units[state.makers.position[0]])
        missing = 0.01 * abs(units) * float(state.instruments.mark[0])
        equity = float(state.accounts.balance[maker]) + units * float(state.instruments.value_price[0])
        state.accounts.balance[maker] -= equity + missing
        state.books.balance[venue.books[0]] -= equity + missing
        self.maker, self.kept = maker, deepcopy((state.accounts, state.positions, state.books, state.agents))

    def allocate(self, layer: dict, repetitions: int) -> float:
        """Median time of allocating the maker's deficit by one layer, in memory that an earlier one took. [s]"""
        return statistics.median(self._once(layer) for _ in range(repetitions + 1))

    def _once(self, layer: dict) -> float:
        from contagion.allocation.waterfall import Waterfall
        from contagion.liquidation.closing import bankruptcy_lots

        world, state = self.world, self.world.state
        for table, kept in zip((state.accounts, state.positions, state.books, state.agents), self.kept, strict=True):
            for column in table.__slots__:
                value = getattr(table, column)
                if isinstance(value, np.ndarray):
                    value[:] = getattr(kept, column)
        spec = RuleSpec(kind="layer", name=layer["layer"], parameters={k: v for k, v in layer.items() if k != "layer"})
        venue = world.venues["perp"]
        venue.layers = [spec.build()]
        object.__setattr__(venue.spec, "waterfall", (spec,))
        ledger = world.bookkeeper.ledger = Ledger(state.agents.kind, [spec.name, "unallocated"])
        waterfall = Waterfall(world)
        self.index = waterfall.index = self.index or waterfall.index  # its memory stays in a run, like that of the rest
        waterfall._seen = len(world.bookkeeper.deficits)
        instrument, units, price = bankruptcy_lots(state, self.maker)
        (root,) = world.bookkeeper.hand_over(np.array([self.maker]))
        waterfall.add_lots(venue.row, self.maker, instrument, units, price, int(root))
        spent = seconds(waterfall.allocate)
        if not len(ledger):
            raise RuntimeError(f"{layer}: only {len(ledger)} rows")
        return spent


def _scenario(claimants: int) -> Scenario:
    notional = 10_000.0 * claimants
    return Scenario(
        name="claimants", dt="1min", steps=1,
        assets={"BTC": {"price": 100_000, "volatility": 0.6}},
        exchanges={"perp": {"equity": 1e6}},
        traders=[
            {
                "archetype": "passive", "count": claimants, "size": {"lognormal": [10_000, 1.0]}, "long_share": 0.0,
                "leverage": {"lognormal": [3.0, 0.5]}, "parameters": {"entry_spread": 0.02},
            },
            {"archetype": "market_maker", "count": 2, "capital": notional, "parameters": {"depth": notional}},
        ],
    )  # fmt: skip
