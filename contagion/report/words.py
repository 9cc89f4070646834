"""Words of a report: amounts as they are said in a sentence, lists, and the terms that a stranger has to be told."""

from __future__ import annotations

import math
from collections.abc import Sequence

TERMS = {
    "ADL, deleveraging": "positions of winners are closed at a price that leaves the venue without a deficit",
    "basis": "a venue's own price over the index price, less one",
    "BCa": "bias-corrected and accelerated bootstrap, a way to compute an interval from resampled runs",
    "burden": "what somebody bore of deficits that others left, by a venue's rules",
    "deficit": "what an account lacks when it is finally closed: its losses beyond what it had put up",
    "dominance": "at first order: at no amount is a policy more likely to do worse. At second order: nobody who "
    "dislikes risk prefers the other",
    "ES, expected shortfall": "the mean of the worst 5% of runs",
    "Holm": "an adjustment of p-values for having made several comparisons",
    "index": "the price of an asset outside the venues",
    "keeper": "a trader that liquidates loans of lending protocols for a reward",
    "layer": "one source of money in a venue's waterfall: its insurance fund, its equity, its winners",
    "mark": "the price at which a venue values positions, which decides who is liquidated",
    "p": "probability of a difference as large by chance alone",
    "system loss": "sum of the falls in net worth of all that lost; what winners gained is not set against it",
    "takeover": "a venue takes an account over, with its positions, and closes it itself",
    "VaR, value at risk": "what 95% of runs stay below",
    "waterfall": "the order in which a venue's layers are asked to bear a deficit",
    "world": "one draw of everything that is uncertain in the scenario",
}
"""Term -> what it means."""


def glossary(*texts: str) -> list[tuple[str, str]]:
    """Terms that occur in the texts, with their meanings."""
    said = " ".join(texts).lower()
    return [
        (term, meaning) for term, meaning in TERMS.items()
        if any(_occurs(name.strip().lower(), said) for name in term.split(","))
    ]  # fmt: skip


def _occurs(name: str, said: str) -> bool:
    letters = "".join(letter if letter.isalnum() else " " for letter in said)
    return f" {name}" in f" {letters}" if len(name) > 3 else f" {name} " in f" {letters} "


def usd(value: float) -> str:
    """An amount in a sentence: USD 18.21 million, USD 155.9 thousand, USD 12.50; with its sign before it."""
    if not math.isfinite(value):
        return "an unknown amount"
    return f"{'−' if value <= -0.005 else ''}USD {size(abs(value))}"


def size(value: float) -> str:
    """The number of :func:`usd`, with four digits."""
    rounded = float(f"{value:.4g}")
    for unit, scale in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if abs(rounded) >= scale:
            digits = 3 - math.floor(math.log10(abs(rounded) / scale))
            return f"{rounded / scale:,.{max(digits, 0)}f} {unit}"
    return f"{rounded:.2f}" if abs(rounded) >= 0.005 else "0.00"


def quoted(names: Sequence[str], most: int = 3) -> str:
    """Names in quotation marks: “a”, “b” and 2 more."""
    shown = [f"“{name}”" for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def joined(parts: Sequence[str]) -> str:
    """A list as it is said: a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))


def between(low: float, high: float) -> str:
    """An interval of amounts: 96.34 to 108.0 thousand."""
    one, other = (f"{'−' if value <= -0.005 else ''}{size(abs(value))}" for value in (low, high))
    number, _, unit = one.partition(" ")
    return f"{number if unit and other.endswith(f' {unit}') else one} to {other}"
