"""Adapters of the topics metrics and toxic, and of the impact curves of firesale."""

from __future__ import annotations

from typing import Any

import numpy as np

from contagion.market.impact import exponential_impact, exponential_quantity, square_root_impact, square_root_quantity
from contagion.outcomes import counterparty, measures, risk
from contagion.protocols.lending_rules import liquidation_spiral, toxicity_frontier, toxicity_frontier_rising

Inputs = dict[str, Any]


def _exposure(inputs: Inputs) -> dict[str, Any]:
    sigma, horizon, hazard, lgd = (inputs[name] for name in ("sigma", "horizon", "hazard_rate", "lgd"))
    found = counterparty.brownian_exposure(sigma, horizon, inputs["quantiles"], hazard, lgd)
    return {"ee_at_horizon": found.ee[0], "epe": found.epe, "pfe": found.pfe[:, 0], "cva": found.cva}


def _concentration(inputs: Inputs) -> dict[str, Any]:
    values = inputs["values"]
    return {"gini": measures.gini(values), "hhi": measures.hhi(values), "top_share": measures.top_share(values)}


def _amplification(inputs: Inputs) -> dict[str, Any]:
    return {
        "loss_multiplier": measures.loss_multiplier(inputs["total_loss"], inputs["first_round_loss"]),
        "branching_ratio": measures.branching_ratios(inputs["new_defaults"]),
    }


def _beyond_margin(inputs: Inputs) -> dict[str, Any]:
    margin, sigma = np.array(inputs["margin_rate_and_step_sigma"]).T
    return {"bps": 1e4 * risk.loss_beyond_margin(margin, sigma)}


def _frontier(inputs: Inputs) -> dict[str, Any]:
    return {"ltv": toxicity_frontier(inputs["bonus"], inputs.get("collateral_over_pool_depth", 0.0))}


def _rising_frontier(inputs: Inputs) -> dict[str, Any]:
    impact = 1.0 + inputs["phi"] * inputs["collateral"]
    return {"lambda": impact, "ltv_frontier": toxicity_frontier_rising(inputs["bonus"], inputs["v"], impact)}


def _spiral(inputs: Inputs) -> dict[str, Any]:
    terms = (inputs["liquidation_threshold"], inputs["bonus"], inputs["close_factor"])
    ends = [liquidation_spiral(ltv, *terms) for ltv in inputs["ltv"]]
    return {
        "outcome": [end.outcome for end in ends],
        "steps": [end.steps for end in ends],
        "bad_debt": [end.bad_debt for end in ends],
    }


def _exponential(inputs: Inputs) -> dict[str, Any]:
    # Depth is what moves a price down by 1%; the case states the log move of selling everything.
    depth = -1.0 / exponential_quantity(float(np.expm1(-inputs["alpha"])), 1.0, 1.0)
    return {"price_ratio": [1.0 + exponential_impact(-sold, depth, 1.0) for sold in inputs["fraction_sold"]]}


def _square_root(inputs: Inputs) -> dict[str, Any]:
    # A daily volume moves the price by y times the daily volatility.
    depth = inputs["daily_volume"] / square_root_quantity(inputs["y"] * inputs["daily_volatility"], 1.0, 1.0)
    return {"relative_price_change": square_root_impact(inputs["quantity"], depth, 1.0)}


ADAPTERS = {
    "brownian_exposure": _exposure,
    "gaussian_es": lambda given: {"es": [risk.gaussian_es(quantile) for quantile in given["quantiles"]]},
    "gaussian_systemic": lambda given: risk.gaussian_systemic(given["correlation"], given["quantile"])._asdict(),
    "srisk": lambda given: {"srisk": risk.srisk(given["debt"], given["market_equity"], given["k"], given["lrmes"])},
    "loss_beyond_margin": _beyond_margin,
    "gini": _concentration,
    "pareto_gini": lambda given: {"gini": measures.pareto_gini(given["alpha"])},
    "hill": lambda given: {"hill_index": measures.hill(given["values"], given["k"])},
    "wilson": lambda given: {"interval": measures.wilson(given["successes"], given["trials"], given["confidence"])},
    "fund_coverage": lambda given: measures.fund_coverage(given["fund"], given["deficits"])._asdict(),
    "historical_var_es": lambda given: {"es": risk.historical_var_es(given["losses"], given["quantile"]).es},
    "adl_overuse": lambda given: measures.adl_overuse(given["haircut"], given["needed"])._asdict(),
    "amplification": _amplification,
    "toxicity_frontier": _frontier,
    "toxicity_linear_impact": _rising_frontier,
    "liquidation_spiral": _spiral,
    "exponential_impact": _exponential,
    "square_root_impact": _square_root,
}