"""Commands of the command line, by topic; :mod:`contagion.cli` puts them together."""

from __future__ import annotations


class Interrupted(Exception):
    """The user stopped a command; the message says what was kept and where."""
