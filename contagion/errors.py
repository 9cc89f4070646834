"""The errors a user meets: each names the field, the value and what is accepted."""

from __future__ import annotations


class ContagionError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(ContagionError, ValueError):
    """Bad input: one message naming the field, the value and what is accepted.

    Parameters
    ----------
    field : str
        Path of the offending field, for example ``exchanges.perp.insurance_fund.size``.
    value : object
        What was given.
    accepted : str
        What would be accepted, in words.
    """

    def __init__(self, field: str, value: object, accepted: str) -> None:
        self.field, self.value, self.accepted = field, value, accepted
        plain = value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value
        super().__init__(f"{field}: got {plain!r}; accepted: {accepted}")

    def __reduce__(self):
        return (type(self), (self.field, self.value, self.accepted))


class InvariantError(ContagionError, RuntimeError):
    """An accounting identity of the model failed; names phase, step, round, agent and amount."""


class ConvergenceError(ContagionError, RuntimeError):
    """A fixed-point solver did not converge within its bound."""
