"""docs/events.md is what runs of the events give: the same words, and numbers within 2%."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "make_events.py"
SPEC = importlib.util.spec_from_file_location("make_events", SCRIPT)
made = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(made)
NUMBER = re.compile(r"\d[\d,]*\.?\d*(?:e[+-]\d+)?")


def written(name: str) -> str:
    page = made.PAGE.read_text(encoding="utf-8")
    return re.search(rf"^## {name}\n.*?(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL).group(0)


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def test_every_event_has_a_section():
    page = made.PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", page, flags=re.MULTILINE) == list(made.EVENTS)
    assert page.startswith(made.INTRODUCTION), "run python docs/make_events.py"


@pytest.mark.parametrize("name", made.EVENTS)
def test_the_section_of_an_event_is_its_run(name):
    from contagion.model import ContagionModel

    now, page = made.section(name, ContagionModel(name, rng=made.SEED).run()), written(name)
    assert NUMBER.sub("#", now).strip() == NUMBER.sub("#", page).strip(), "run python docs/make_events.py"
    assert numbers(now) == pytest.approx(numbers(page), rel=0.02), "run python docs/make_events.py"
