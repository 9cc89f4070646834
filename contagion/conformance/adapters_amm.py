"""Pool and imbalance cases, run through the impact rules of a run."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import Any

from contagion.market.impact import constant_product_swap, imbalance_cost

Inputs = dict[str, Any]

UNISWAP_FEE = Fraction(3, 1000)
WEI = 10**18


def uniswap_v2_out(inputs: Inputs) -> dict[str, Any]:
    # Exact rational arithmetic: compiled code has floats only.
    swap = getattr(constant_product_swap, "py_func", constant_product_swap)
    amounts = (Fraction(inputs[name]) * WEI for name in ("amount_in", "reserve_in", "reserve_out"))
    return {"amount_out_wei": str(floor(swap(*amounts, UNISWAP_FEE)[0]))}


def cpamm_swap(inputs: Inputs) -> dict[str, Any]:
    names = ("amount_in", "reserve_in", "reserve_out", "fee")
    out, after, slippage = constant_product_swap(*(float(inputs[name]) for name in names))
    return {"amount_out": out, "marginal_price_after": after, "slippage": slippage}


def gmx_price_impact(inputs: Inputs) -> dict[str, Any]:
    names = ("imbalance_before", "imbalance_after", "exponent", "factor")
    return {"price_impact_usd": imbalance_cost(*(inputs[name] for name in names))}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "uniswap_v2_out": uniswap_v2_out,
    "cpamm_swap": cpamm_swap,
    "gmx_price_impact": gmx_price_impact,
}

TARGETS: dict[str, tuple[Callable, ...]] = {
    "uniswap_v2_out": (constant_product_swap,),
    "cpamm_swap": (constant_product_swap,),
    "gmx_price_impact": (imbalance_cost,),
}

OUT_OF_SCOPE: dict[str, str] = {}
