"""Protocol nodes of an exposure graph that issue claims on what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contagion.errors import InputError
from contagion.network.exposures import exposure_amount
from contagion.scenario.automated_makers import AutomatedMaker
from contagion.scenario.issuers import Issuer, Vault

if TYPE_CHECKING:
    from contagion.scenario.from_graph import Parts


def issuer_of(name: str, spec: Issuer, parts: Parts, by_outside: float) -> dict[str, Any]:
    """Another kind of the base keeps its rules and equity; claims on it, and those it holds, are of the graph."""
    holds = {asset: usd for asset, usd in spec.holds.items() if asset in parts.base.assets}
    for issuer, _, amount, _ in parts.out(name, "deposit", "claim"):
        holds[issuer] = holds.get(issuer, 0.0) + amount
    deposits = _rest_of_coins(name, spec, holds, parts, by_outside) if isinstance(spec, AutomatedMaker) else by_outside
    return spec.model_dump(mode="json") | {"deposits": deposits, "holds": {} if spec.only else holds}


def _rest_of_coins(
    name: str, spec: AutomatedMaker, holds: dict[str, float], parts: Parts, by_outside: float
) -> float:
    """A pool's coins are worth what all have in it: what nobody in the graph holds is held by outside. [USD]"""
    worth = sum(holds.values()) + max(0.0, spec.deposits - sum(spec.holds.values()))
    claims = parts.total(name, "deposit", "claim")
    dust = 1e-9 * max(claims, worth)
    if claims > worth + dust or (by_outside > 0.0 and claims < worth - dust):
        raise InputError(f"node {name}, claims on it", claims, f"what its coins are worth, {worth:g} USD")
    return max(0.0, worth - (claims - by_outside))


def vault_of(name: str, spec: Vault, parts: Parts, by_outside: float) -> dict[str, Any]:
    """Assets and claims of a vault add up: what nobody in the graph holds is held by outside."""
    holds = {asset: usd for asset, usd in spec.holds.items() if asset in parts.base.assets}
    for issuer, _, amount, _ in parts.out(name, "deposit", "claim"):
        holds[issuer] = holds.get(issuer, 0.0) + amount
    backed = parts.backed(name)
    lent = sum(amount for _, _, amount, _ in parts.out(name, "loan", "settlement"))
    invested = sum(holds.values()) + sum(usd for _, usd in backed) + lent - parts.total(name, "loan", "settlement")
    claims = parts.total(name, "deposit", "claim")
    given = parts.graph.nodes[name].get("cash")
    cash = max(0.0, claims - invested) if given is None else exposure_amount(f"node {name}, cash", given)
    rest = invested + cash - claims
    dust = 1e-9 * max(claims, invested, 1.0)
    if rest < -dust or (rest > dust and by_outside > 0.0):
        raise InputError(f"node {name}, claims on it", claims, f"what it owns, {invested + cash:g} USD")
    free = sum(usd for _, usd in backed) + cash
    data = {"deposits": by_outside + (rest if rest > dust else 0.0), "holds": holds, "backs": None}
    if backed:
        data |= {"backs": backed[0][0], "backstop_share": min(1.0, backed[0][1] / free)}
    if "redemption" in parts.graph.nodes[name]:
        data["redemption"] = parts.graph.nodes[name]["redemption"]
    return spec.model_dump(mode="json") | data
