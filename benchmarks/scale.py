"""Size: a quiet million, a million of whom one in a hundred trades, and a crash of Hyperliquid's size."""

from __future__ import annotations

from benchmarks.measure import Measurement, seconds
from benchmarks.phases import array_bytes, phase_times, step_time
from benchmarks.scenarios import october_crash, quiet
from contagion.model import ContagionModel


def million_quiet(quick: bool) -> list[Measurement]:
    """A step in which every price moves, funding accrues, and nobody breaches."""
    accounts = 100_000 if quick else 1_000_000
    _warm_up(0)
    model = ContagionModel(quiet(accounts, 60), rng=1)
    step, phases = _steps(model, accounts, 25)
    rows, count = len(model.world.state.positions.units), len(model.world.state.accounts.balance)
    if model.world.counters or len(model.audit.warned):
        raise RuntimeError(f"the quiet step is not quiet: {model.world.counters}")
    what = f"quiet step, {accounts:,} accounts x 2 positions"
    return [
        Measurement(what, step * 1e3, "ms"),
        Measurement(f"{what}: per account and position", step / rows * 1e9, "ns", "<= 10"),
        Measurement(f"{what}: per account", step / count * 1e9, "ns"),
        *phases,
        Measurement("state arrays per account", model.world.state.nbytes() / count, "bytes"),
        Measurement("all arrays of the model per account", array_bytes(model) / count, "bytes", "<= 250"),
    ]


def million_trading(quick: bool) -> list[Measurement]:
    """The same while 1% of the accounts trade, and while all of them decide and none trades."""
    accounts = 100_000 if quick else 1_000_000
    found = []
    for trading, band, what in (
        (accounts // 100, 0.0, "1% of the accounts trade"),
        (accounts, 5.0, "all decide, none trades"),
    ):
        _warm_up(50)
        model = ContagionModel(quiet(accounts, 60, trading=trading, band=band), rng=1)
        step, phases = _steps(model, accounts, 12)
        rows = len(model.world.state.positions.units)
        found += [
            Measurement(f"step, {accounts:,} accounts, {what}", step * 1e3, "ms"),
            Measurement(f"step, {accounts:,} accounts, {what}: per account and position", step / rows * 1e9, "ns"),
            *phases,
        ]
    return found


def _warm_up(trading: int) -> None:
    model = ContagionModel(quiet(500, 20, trading=trading), rng=1)
    for _ in range(3):
        model.step()


def _steps(model: ContagionModel, accounts: int, steps: int) -> tuple[float, list[Measurement]]:
    for _ in range(3):
        model.step()
    step = step_time(model, steps)
    return step, [
        Measurement(f"  {phase}", time / accounts * 1e9, "ns/account")
        for phase, time in phase_times(model, steps).items()
    ]


def crash(quick: bool) -> list[Measurement]:
    """437,723 accounts through 720 one-second steps, ledger on."""
    accounts = 50_000 if quick else 437_723
    ContagionModel(october_crash(2_000), rng=1).run()
    model = ContagionModel(october_crash(accounts), rng=1)
    fund, lowest = model.world.venues["perp"].fund, float("inf")

    def run() -> None:
        nonlocal lowest
        for _ in range(720):
            model.step()
            lowest = min(lowest, float(model.world.state.agents.cash[fund]))

    took = seconds(run)
    counters = model.world.counters
    what = f"crash, {accounts:,} accounts, 720 steps"
    size = {} if quick else {"liquidations": ">= 20000", "deleveraging_fills": ">= 10000"}
    return [
        Measurement(what, took, "s", "" if quick else "<= 15"),
        *(
            Measurement(f"{what}: {name.replace('_', ' ')}", counters.get(name, 0.0), "", size.get(name, ""))
            for name in ("liquidations", "deleveraging_fills", "accounts_bankrupt")
        ),
        Measurement(f"{what}: least money in the fund", lowest, "USD", "" if quick else "<= 1"),
        Measurement(f"{what}: ledger rows", len(model.world.bookkeeper.ledger), ""),
    ]
