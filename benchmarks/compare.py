"""Both implementations of the exchange-only scenario side by side: the same outcomes, or where they part."""

from __future__ import annotations

import numpy as np

from benchmarks.mesa_baseline import MesaExchangeModel
from contagion.model import ContagionModel
from contagion.scenario.assemble import assemble
from contagion.scenario.schema import Scenario

COLUMNS = (
    "price.BTC", "price.ETH", "rounds", "breached", "liquidations", "liquidated_notional", "deleveraged_notional",
    "margin_calls", "deficit", "fund",
)  # fmt: skip


def run_mesa(scenario: Scenario, seed: int) -> MesaExchangeModel:
    """The plain Mesa model, run to the end."""
    model = MesaExchangeModel(assemble(scenario, seed))
    for _ in range(scenario.steps):
        model.step()
    return model


def mesa_outcomes(model: MesaExchangeModel) -> dict[str, np.ndarray]:
    """Columns of its records, net worth of the exchange, its fund and every trader, and ledger sums by cause. [USD]"""
    records = model.datacollector.get_model_vars_dataframe()
    found = {name: records[name].to_numpy(float) for name in COLUMNS}
    worth = [model.exchange.net_worth(), model.exchange.fund, *(trader.net_worth() for trader in model.traders)]
    found["net_worth"] = np.array(worth)
    for cause in ("liquidation_fee", "deficit", "insurance_fund", "unallocated", "surplus", "top_up"):
        found[f"ledger.{cause}"] = np.array([sum(row[4] for row in model.ledger if row[1] == cause)])
    borne = sum(max(0.0, row[4]) for row in model.ledger if row[1] == "auto_deleverage")
    found["ledger.auto_deleverage"] = np.array([borne])
    return found


def array_outcomes(scenario: Scenario, seed: int) -> dict[str, np.ndarray]:
    """The same of :class:`contagion.ContagionModel`."""
    result = ContagionModel(scenario, rng=seed).run()
    steps = result.steps.rename(columns={"net_worth.perp/insurance_fund": "fund"})
    found = {name: steps[name].to_numpy(float) for name in COLUMNS}
    found["net_worth"] = result.agents["net_worth"].to_numpy()[1:]
    rows = result.ledger
    # A layer's name is a cause of its own here; a transfer better for its holder than the mark is no allocation.
    cause = rows["layer"].where(rows["cause"] == "allocation", rows["cause"])
    sums = rows.groupby(cause)["amount"].sum()
    for name in ("liquidation_fee", "deficit", "insurance_fund", "unallocated", "surplus", "top_up", "auto_deleverage"):
        found[f"ledger.{name}"] = np.array([sums.get(name, 0.0)])
    return found


def differences(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest difference of each column relative to the larger of its value and one USD."""
    found = {}
    for name, values in one.items():
        scale = np.maximum(1.0, np.maximum(np.abs(values), np.abs(other[name])))
        found[name] = float((np.abs(values - other[name]) / scale).max())
    return found
