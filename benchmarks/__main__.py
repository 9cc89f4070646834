"""``python -m benchmarks [--quick] [NAME ...]``: time, print a table, write ``benchmarks/latest.json``."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

CASES = {
    "mesa_1000": "benchmarks.cases",
    "mesa_100000": "benchmarks.cases",
    "small_step": "benchmarks.cases",
    "command_line": "benchmarks.cases",
    "million_quiet": "benchmarks.scale",
    "million_trading": "benchmarks.scale",
    "crash": "benchmarks.scale",
    "portfolio_speed": "benchmarks.portfolio_speed",
    "allocation_speed": "benchmarks.allocation_speed",
    "pairing": "benchmarks.pairing",
    "sweep_throughput": "benchmarks.sweep_speed",
    "sweep_beside_mesa": "benchmarks.sweep_speed",
    "sweep_10000": "benchmarks.sweep_speed",
}
ON_REQUEST = ("sweep_10000",)
"""Cases that take minutes: timed when they are named."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one or more of " + ", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: a check that everything runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("latest.json"))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in CASES]
    if unknown:
        parser.error(f"{unknown[0]!r}: accepted: {', '.join(CASES)}")
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    # What follows loads the libraries, which read how many threads they may use.
    from importlib import import_module

    from benchmarks.measure import machine

    found, failed = [], False
    print(f"{'':<76}{'value':>12} {'':<12}{'target':<10}met")
    for name in arguments.names or [name for name in CASES if name not in ON_REQUEST]:
        try:
            measured = getattr(import_module(CASES[name]), name)(arguments.quick)
        except Exception as error:  # one broken case must not hide the others
            failed = True
            print(f"{name}: {type(error).__name__}: {error}")
            continue
        for item in measured:
            met = {None: "", True: "yes", False: "NO"}[item.met]
            value = f"{item.value:,.0f}" if item.value >= 1_000 else f"{item.value:.4g}"
            print(f"{item.name:<76}{value:>12} {item.unit:<12}{item.target:<10}{met}", flush=True)
        found += [item.as_dict() for item in measured]
    report = {"machine": machine(), "quick": arguments.quick, "results": found}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"Written: {arguments.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
