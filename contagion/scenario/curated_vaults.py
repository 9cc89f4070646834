"""What a scenario says of a vault whose curator spreads deposits over isolated lending markets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Money, Share
from contagion.scenario.issuers import Issuer


class CuratedVault(Issuer):
    """Deposits are supplied to lending pools up to a cap each; losses of a pool reach the depositors at once.

    Parameters
    ----------
    caps
        Lending pool -> most it is supplied. [USD]
    supply_queue
        Pools that idle cash goes to, in this order; empty: it stays idle.
    withdraw_queue
        Pools that withdrawals are taken from, in this order; empty: as in `caps`.
    idle
        Share of the vault's assets that stays in cash. [1]
    flees_at
        Loss in a pool that the curator sees (its claim below the opening, or collateral whose market price is below
        the oracle's) from which on it takes out all it can and supplies no more; none: it stays. [1]
    every
        Steps from one reallocation to the next.
    """

    kind: Literal["curated_vault"] = "curated_vault"
    caps: dict[str, Money]
    supply_queue: tuple[str, ...] = ()
    withdraw_queue: tuple[str, ...] = ()
    idle: Share = 0.0
    flees_at: Annotated[float, Field(gt=0, le=1)] | None = None
    every: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="before")
    @classmethod
    def _room_for_every_pool(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("caps"), dict):
            held = data.get("holds") or {}
            data = {**data, "holds": {**dict.fromkeys(data["caps"], 0.0), **held}}
        return data

    @model_validator(mode="after")
    def _queues(self) -> CuratedVault:
        for name, queue in (("supply_queue", self.supply_queue), ("withdraw_queue", self.withdraw_queue)):
            unknown = [pool for pool in queue if pool not in self.caps]
            if unknown:
                raise InputError(name, unknown[0], "pools with a cap: " + ", ".join(self.caps))
        for pool, held in self.holds.items():
            if held > self.caps.get(pool, 0.0):
                raise InputError(f"holds.{pool}", held, f"at most its cap, {self.caps.get(pool, 0.0):g}")
        return self
