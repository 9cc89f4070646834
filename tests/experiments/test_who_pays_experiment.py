from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "experiments"
spec = importlib.util.spec_from_file_location("who_pays", FOLDER / "who_pays.py")
who_pays = importlib.util.module_from_spec(spec)
spec.loader.exec_module(who_pays)

# A tenth of the people, and the hour of the low from its middle on.
SMALL = {
    "traders.0.count": 200, "traders.1.count": 150, "traders.4.count": 100, "traders.6.count": 20, "steps": 30,
    "prices.from_hours": 9.3, "shocks.0.at": 1,
}  # fmt: skip


def test_every_rule_meets_the_same_need_and_shares_it_out_in_full() -> None:
    frame = who_pays.runs("october_2025", SMALL, range(2), workers=1)
    assert list(frame["rule"].unique()) == list(who_pays.RULES)
    assert (frame["deficit"] > 0).all()
    np.testing.assert_allclose(frame[list(who_pays.BORNE_BY)].sum(axis=1), frame["deficit"], rtol=1e-9)
    assert frame.groupby("rule")["winners"].sum().gt(0).all()


def test_the_command_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for path, value in SMALL.items() for part in ("--set", f"{path}={value}")]
    who_pays.main(["--seeds", "1", "--workers", "1", *settings])
    said = capsys.readouterr().out
    assert "october_2025, 1 seeds" in said and "Difference to 'deleverage by rank'" in said
    assert said.count("cut profits") == 2


def test_differences_are_paired_by_seed() -> None:
    # Seeds differ by 100 m, rules by 1 m on every seed: paired, nothing is left to chance.
    rows = [{"rule": rule, "seed": seed, "deficit": 1e8 * seed + 1e6 * order, **dict.fromkeys(who_pays.BORNE_BY, 0.0)}
            for seed in range(5) for order, rule in enumerate(["a", "b"])]  # fmt: skip
    frame = pd.DataFrame(rows)
    assert who_pays.table(frame, paired=True)["deficit"].to_dict() == {"b": "1.0 [1.0, 1.0]"}
    assert who_pays.table(frame)["deficit"]["a"].startswith("200.0 [")  # (0 + 100 + 200 + 300 + 400) / 5


def test_the_interval_covers_what_a_normal_one_does() -> None:
    # Standard error of the mean of 400 values of standard deviation 1: 0.05; the 95% interval is about +-0.098 wide.
    low, high = who_pays.interval(np.repeat([-1.0, 1.0], 200))
    assert low == pytest.approx(-0.098, abs=0.006) and high == pytest.approx(0.098, abs=0.006)


def test_the_readme_lists_every_experiment() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = [path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".yaml")]
    assert [name for name in files if name not in text] == []
