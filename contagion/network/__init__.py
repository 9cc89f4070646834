"""Exposure networks: clearing, claims, stress measures, generators, files. Plain arrays and graphs in and out."""

from __future__ import annotations

from contagion.network.clearing import Clearing, eisenberg_noe, furfine, glasserman_young_bound, rogers_veraart

__all__ = ["Clearing", "eisenberg_noe", "furfine", "glasserman_young_bound", "rogers_veraart"]
