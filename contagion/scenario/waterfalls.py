"""Layers at a venue of the wrong kind, where they have nobody to ask, are mistakes and are explained."""

from __future__ import annotations

from contagion.errors import InputError
from contagion.scenario.lending import LendingPool
from contagion.scenario.venues import Exchange

OF_CONTRACTS = frozenset({
    "auto_deleverage", "profit_haircut", "variation_margin_haircut", "period_clawback", "balance_haircut",
    "optimal_haircut", "open_interest_levy", "withdrawal_haircut", "tear_up", "backstop_vault", "defaulter_margin",
    "defaulter_fund", "default_fund", "assessments",
})  # fmt: skip
"""Layers that ask holders of contracts, or members of a clearing house."""

OF_POOLS = frozenset({"reserve", "depositor_write_down"})


def check_candidates(where: str, venue: Exchange | LendingPool) -> None:
    """Raise on the first layer that has no candidates at a venue of this kind.

    Raises
    ------
    InputError
        Names the layer, and why nobody can pay.
    """
    for order, layer in enumerate(venue.waterfall):
        if isinstance(venue, LendingPool) and layer.name in OF_CONTRACTS:
            accepted = "a layer of lending pools: a pool has no contracts, so there are no candidates"
        elif isinstance(venue, Exchange) and layer.name in OF_POOLS:
            accepted = "a layer of exchanges: only a lending pool has depositors and a reserve"
        else:
            continue
        raise InputError(f"{where}.waterfall.{order}", layer.name, accepted)
