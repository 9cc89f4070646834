"""What a scenario says of other protocols that take deposits and issue a claim."""

from __future__ import annotations

from typing import Literal

from contagion.scenario.fields import Money, Share, Strict


class Vault(Strict):
    """Pools deposits into holdings of its own: other issuers' claims, assets, or the backstop of an exchange."""

    kind: Literal["vault"] = "vault"
    preset: str | None = None
    deposits: Money = 0.0  # by holders outside the model [USD]
    holds: dict[str, Money] = {}  # protocol or asset -> USD at the start, out of the deposits
    backs: str | None = None  # exchange at which it holds a margin account
    backstop_share: Share = 1.0  # share of its cash posted at that exchange
    redemption: Literal["open", "halted"] = "open"
