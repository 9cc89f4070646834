"""Names that a scenario uses must be declared: the error says which are, and the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from contagion.errors import InputError


def known(where: str, name: object, accepted: Collection[str]) -> None:
    """Raise unless the name is among the accepted ones.

    Raises
    ------
    InputError
        Names what is accepted and what is nearest.
    """
    if name not in accepted:
        raise InputError(where, name, f"one of {', '.join(accepted) or '(none is declared)'}{nearest(name, accepted)}")


def nearest(name: object, accepted: Collection[str]) -> str:
    """``; nearest: ...`` for a misspelt name, or nothing."""
    close = difflib.get_close_matches(str(name), list(accepted), n=3)
    return f"; nearest: {', '.join(close)}" if close else ""
