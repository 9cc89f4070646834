"""The rules of the cases once more, as plain arithmetic on random numbers: a generator of inputs and what they give.

Written from the venues' formulas and from nothing of the package, one loop or line a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Case = tuple[dict[str, Any], dict[str, Any]]
RULES: dict[str, Callable[[Random], Case]] = {}


def rule(make: Callable[[Random], Case]) -> Callable[[Random], Case]:
    RULES[make.__name__] = make
    return make


def some(rng: Random, most: int = 6, least: int = 1) -> range:
    return range(rng.randint(least, most))


def sign(side: str) -> int:
    return 1 if side == "long" else -1


def sides(rng: Random) -> str:
    return rng.choice(["long", "short"])
