"""Exposure networks: clearing, claims, stress measures, generators, files. Plain arrays and graphs in and out."""

from __future__ import annotations

from contagion.network.claims import dependency_matrix, solve_claim_values
from contagion.network.clearing import Clearing, eisenberg_noe, furfine, glasserman_young_bound, rogers_veraart
from contagion.network.debtrank import (
    DebtRank,
    debtrank,
    debtrank_balance_sheets,
    fragility,
    interbank_leverage,
    susceptibility,
)

__all__ = [
    "Clearing",
    "DebtRank",
    "debtrank",
    "debtrank_balance_sheets",
    "dependency_matrix",
    "eisenberg_noe",
    "fragility",
    "furfine",
    "glasserman_young_bound",
    "interbank_leverage",
    "rogers_veraart",
    "solve_claim_values",
    "susceptibility",
]
