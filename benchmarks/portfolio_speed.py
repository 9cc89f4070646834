"""Portfolio margin of many accounts beside the matrix product it amounts to."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Measurement, medians
from contagion.margin.portfolio import scan_accounts
from contagion.margin.rules import Portfolio


def portfolio_speed(quick: bool) -> list[Measurement]:
    """100,000 accounts in 10 assets under 24 scenarios: losses, floors per underlying and fees."""
    accounts, assets = (10_000 if quick else 100_000), 10
    rng, rule = np.random.default_rng(1), Portfolio()
    units = rng.normal(size=(accounts, assets))
    loss = rng.normal(size=(assets, len(rule.scenarios)))
    product, margin = np.empty((accounts, len(rule.scenarios))), np.empty((accounts, 3))
    rows, start = np.arange(accounts), np.arange(accounts + 1) * assets
    instrument, flat = np.tile(np.arange(assets, dtype=np.int16), accounts), units.ravel()
    book, one, scan = np.zeros(accounts, np.int16), np.ones(assets), np.array([rule.scan])
    contract = np.zeros(assets, np.int8)

    def multiply() -> None:
        np.matmul(units, loss, out=product)

    def scan_all() -> None:
        scan_accounts(
            rows, start, book, instrument, flat, loss, one, one, np.arange(assets), contract, assets, scan, margin
        )  # fmt: skip

    scan_all()
    plain, scanned = medians(5 if quick else 25, multiply, scan_all)
    what = f"{accounts:,} accounts x {assets} assets x {len(rule.scenarios)} scenarios"
    return [
        Measurement(f"{what}: matrix product", plain * 1e3, "ms"),
        Measurement(f"{what}: portfolio margin", scanned * 1e3, "ms"),
        Measurement(f"{what}: portfolio margin / matrix product", scanned / plain, "x", "<= 4"),
    ]
