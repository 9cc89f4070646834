"""What a user waits for: a whole run beside plain Mesa, a small step, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Measurement, medians, seconds
from benchmarks.mesa_baseline import MesaExchangeModel
from benchmarks.mesa_traders import Trader
from benchmarks.phases import phase_times, step_time
from benchmarks.scenarios import exchange_only
from contagion.model import ContagionModel
from contagion.scenario.assemble import assemble
from contagion.scenario.loader import load_scenario

MILD = (-0.03, 0.02, -0.03, 0.03)
"""Price gaps of the whole run: a few liquidations per thousand traders."""


def mesa_1000(quick: bool) -> list[Measurement]:
    """A whole run of 1,000 traders beside plain Mesa."""
    return _beside_mesa(1_000, 250, 3 if quick else 9, 15)


def mesa_100000(quick: bool) -> list[Measurement]:
    """A whole run of 100,000 traders beside plain Mesa."""
    return _beside_mesa(100_000, 25 if quick else 250, 1 if quick else 3, 50)


def _beside_mesa(traders: int, steps: int, repetitions: int, target: float) -> list[Measurement]:
    scenario = exchange_only(traders, steps, gaps=MILD)
    world = assemble(scenario, 1)  # Mesa is given its population; the array model draws its own inside the clock

    def run() -> None:
        ContagionModel(scenario, rng=1).advance()

    run()
    plain, arrays = medians(repetitions, _run(lambda: MesaExchangeModel(world), steps), run)
    quiet = MesaExchangeModel(assemble(exchange_only(traders, 250, leverage=1.5), 1))
    quiet.step()
    agents = quiet.agents_by_type[Trader]
    marking, empty = medians(max(5, 40_000 // traders), quiet.step, lambda: agents.do("nothing"))
    what = f"whole run, {traders:,} traders, {steps} steps"
    return [
        Measurement(f"{what}: plain Mesa", plain * 1e3, "ms"),
        Measurement(f"{what}: contagion", arrays * 1e3, "ms"),
        Measurement(f"{what}: plain Mesa / contagion", plain / arrays, "x", f">= {target}"),
        Measurement(f"plain Mesa, {traders:,} traders: quiet step / empty agents.do", marking / empty, "x", "<= 3"),
    ]


def _run(make, steps: int):
    def run() -> None:
        model = make()
        for _ in range(steps):
            model.step()

    return run


def small_step(quick: bool) -> list[Measurement]:
    """The fixed cost of a step: the quickstart world on a quiet path."""
    calm = {"shocks": [], "assets.BTC.volatility": 1e-3, "assets.ETH.volatility": 1e-3, "steps": 4_000}
    scenario = load_scenario("quickstart", calm)
    model = ContagionModel(scenario, rng=1)
    for _ in range(200):
        model.step()
    found = step_time(model, 500 if quick else 3_000)
    rounds, liquidations = model.recorder.steps()["rounds"].iloc[-1], model.world.counters.get("liquidations", 0)
    if liquidations or rounds != 1:
        raise RuntimeError(f"the small step is not quiet: {liquidations} liquidations, {rounds} rounds")
    return [Measurement("fixed cost of a step, quickstart's world at rest", found * 1e6, "us", "<= 60")] + [
        Measurement(f"  {phase}", time * 1e6, "us") for phase, time in phase_times(model, 500).items()
    ]


def command_line(quick: bool) -> list[Measurement]:
    """Help, and the second run of the bundled example."""
    command = Path(sys.executable).with_name("contagion")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter(Path(folder) / str(order) for order in range(99))

        def call(*arguments: str) -> None:
            subprocess.run([command, *arguments], check=True, capture_output=True, env=environment, cwd=folder)

        def run() -> None:
            call("run", "quickstart", "--out", str(next(outputs)))

        seconds(run)
        helping, running = medians(2 if quick else 5, lambda: call("--help"), run)
    return [
        Measurement("contagion --help", helping, "s", "<= 0.5"),
        Measurement("second contagion run quickstart", running, "s", "<= 3"),
    ]
