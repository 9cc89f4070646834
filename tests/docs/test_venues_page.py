"""docs/venues.md says what the presets say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "make_venues.py"


def test_the_page_of_venues_is_that_of_the_presets() -> None:
    spec = importlib.util.spec_from_file_location("make_venues", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run python docs/make_venues.py"
