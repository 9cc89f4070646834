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
from contagion.network.exposures import EXPOSURE_KINDS, exposure_matrix, liability_matrix
from contagion.network.generators import GENERATORS, generate_graph
from contagion.network.io import read_graph, write_graph
from contagion.network.reconstruction import Reconstruction, maximum_entropy, minimum_density

__all__ = [
    "EXPOSURE_KINDS",
    "GENERATORS",
    "Clearing",
    "DebtRank",
    "Reconstruction",
    "debtrank",
    "debtrank_balance_sheets",
    "dependency_matrix",
    "eisenberg_noe",
    "exposure_matrix",
    "fragility",
    "furfine",
    "generate_graph",
    "glasserman_young_bound",
    "interbank_leverage",
    "liability_matrix",
    "maximum_entropy",
    "minimum_density",
    "read_graph",
    "rogers_veraart",
    "solve_claim_values",
    "susceptibility",
    "write_graph",
]
