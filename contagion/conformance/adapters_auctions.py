"""Cases of auctions and stability pools, run through the functions their designs call in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contagion.conformance.fixed_point import Fixed, RoundedToNearest
from contagion.protocols.auction_rules import linear_price, lot_of, purchase, stairstep_price
from contagion.protocols.stability_rules import offset

Inputs = dict[str, Any]

WAD, RAY, RAD = 10**18, 10**27, 10**45


def exponential(inputs: Inputs) -> dict[str, Any]:
    cut = RoundedToNearest(int(inputs["cut_ray"]), RAY)
    price = stairstep_price(Fixed(int(inputs["top_price_ray"]), RAY), cut, 1, int(inputs["elapsed_steps"]))
    return {"price_ray": str(price.raw)}


def linear(inputs: Inputs) -> dict[str, Any]:
    elapsed = inputs["elapsed_s"]
    every = elapsed if isinstance(elapsed, list) else [elapsed]
    price = [linear_price(float(inputs["top_price"]), float(inputs["duration_s"]), float(each)) for each in every]
    return {"price": price if isinstance(elapsed, list) else price[0]}


def remaining(inputs: Inputs) -> dict[str, Any]:
    return {"remaining": stairstep_price(1.0, float(inputs["cut"]), 1.0, float(inputs["seconds"]))}


def take(inputs: Inputs) -> dict[str, Any]:
    numbers = (float(inputs[name]) for name in ("tab", "lot", "max_amount", "price", "min_tab_left"))
    deal = purchase(*numbers)
    if deal is None:
        return {"reverts": True}
    return {
        "reverts": False,
        "collateral_bought": deal.bought,
        "paid": deal.paid,
        "tab_left": deal.owed_left,
        "lot_left": deal.lot_left,
    }


def shortfall(inputs: Inputs) -> dict[str, Any]:
    top, cut = int(inputs["top_price_ray"]) / RAY, int(inputs["cut_ray"]) / RAY
    price = stairstep_price(top, cut, 1, int(inputs["elapsed_steps"]))
    deal = purchase(float(inputs["tab"]), float(inputs["lot"]), float(inputs["lot"]), price)
    return {"paid": deal.paid, "bad_debt": deal.owed_left}


def hole(inputs: Inputs) -> dict[str, Any]:
    debt = Fixed(int(inputs["art_wad"]) * (RAD // WAD), RAD)
    rate, penalty = Fixed(int(inputs["rate_ray"]), RAY), Fixed(int(inputs["chop_wad"]), WAD)
    grain = RAD // WAD
    lot = lot_of(
        debt, debt, Fixed(int(inputs["room_rad"]), RAD), penalty, rate, dust=Fixed(int(inputs.get("dust_rad", 0)), RAD),
        grain=lambda part: Fixed(part.raw // grain * grain, RAD),
    )  # fmt: skip
    return {"tab_rad": str(lot.owed.raw if lot else 0)}


def dusty(inputs: Inputs) -> dict[str, Any]:
    names = ("collateral", "debt", "room", "penalty_factor", "rate", "dust")
    lot = lot_of(*(float(inputs[name]) for name in names))
    if lot is None:
        return {"reverts": True, "debt_taken": 0.0, "collateral_taken": 0.0, "tab": 0.0}
    return {"reverts": False, "debt_taken": lot.debt, "collateral_taken": lot.collateral, "tab": lot.owed}


def stability_pool(inputs: Inputs) -> dict[str, Any]:
    paid_in = np.array(inputs["deposits"], float)
    deposits, gains = paid_in.copy(), np.zeros(len(paid_in))
    for loan in inputs["liquidations"]:
        split = offset(deposits, float(loan["debt"]), float(loan["collateral"]))
        deposits, gains = deposits - split.burned, gains + split.gained
    got = deposits + gains * float(inputs["collateral_price"])
    roi = got[0] / paid_in[0] - 1.0 if paid_in[0] > 0.0 else 0.0
    return {"deposits_after": deposits, "collateral_gain": gains, "roi_first": roi}


ADAPTERS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "auction_price_exponential": exponential,
    "auction_price_linear": linear,
    "auction_half_life": remaining,
    "auction_take": take,
    "auction_end_shortfall": shortfall,
    "liquidation_limit_hole": hole,
    "liquidation_partial_dust": dusty,
    "stability_pool": stability_pool,
}

TARGETS: dict[str, tuple[Callable, ...]] = {
    "auction_price_exponential": (stairstep_price,),
    "auction_price_linear": (linear_price,),
    "auction_half_life": (stairstep_price,),
    "auction_take": (purchase,),
    "auction_end_shortfall": (stairstep_price, purchase),
    "liquidation_limit_hole": (lot_of,),
    "liquidation_partial_dust": (lot_of,),
    "stability_pool": (offset,),
}
