"""A trader node of an exposure graph as a group of one."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose, isfinite
from typing import Any

from contagion.errors import InputError
from contagion.network.exposures import exposure_amount
from contagion.scenario.members import Traders
from contagion.scenario.plans import group_names
from contagion.scenario.rules import rule_class
from contagion.scenario.schema import Scenario

Edges = list[tuple[str, str, float, dict[str, Any]]]
_COPIED = ("long_share", "delay", "margin")


def trader_of(name: str, node: Mapping[str, Any], edges: Edges, owed: float, base: Scenario) -> dict[str, Any]:
    """A group of one with the margin, claims and cash of a node.

    Rules come from a group of the base scenario: the one of the node's ``group``, else of its name, else of its
    ``type``, else the only one with accounts at its venue. The node's ``archetype``, ``leverage`` (notional over margin
    at an exchange, collateral over equity at a pool), ``long_share``, ``delay`` and ``margin`` mode go before them.
    Without margin, who has deposits is a depositor, and who holds claims, loans or only cash is passive. Cash is the
    node's, else the group's capital.

    Parameters
    ----------
    edges : list of (debtor, kind, amount, attributes)
        What the node has coming. [USD]
    owed : float
        Loans it owes within the run. [USD]

    Raises
    ------
    InputError
        Nobody says how a margin trader trades, or what the means of a borrower are; or a combination that a group of
        traders cannot have.
    """
    margin, claims = _sums(edges, "margin"), _sums(edges, "deposit", "claim")
    template = _template(name, node, list(margin), base)
    data = template.model_dump(mode="json") if template else {}
    data |= {"name": name, "count": 1, "venue": list(margin), "size": {}, "capital": 0.0, "assets": {},
             "venue_weights": margin if len(margin) > 1 else {}, "holds": claims}  # fmt: skip
    if margin and template:
        data["assets"] = dict(template.assets)
    data |= {field: node[field] for field in _COPIED if field in node}
    cash = None if node.get("cash") is None else exposure_amount(f"node {name}, cash", node["cash"])
    template_pays = template is not None and (template.capital > 0.0 or bool(margin))
    if cash is None and owed > 0.0 and not template_pays:
        raise InputError(f"node {name}, cash", None, f"what it has in hand [USD], as it owes {owed:g} within the run")
    if margin:
        per = _with_margin(name, node, template, data, margin)
        return data if cash is None else data | {"wallet": cash / per}
    if cash is None:
        cash = template.capital if template and not claims else 0.0
    kinds = {kind for _, kind, _, _ in edges}
    own = node.get("archetype") or (template.archetype if template else "")
    if own and _is(own, "keeper"):
        data["venue"] = list(template.venue) if template else []
    elif not own or not (_is(own, "depositor") and claims):
        own = "depositor" if "deposit" in kinds else "passive"
    same = template is not None and template.archetype == own
    rules = {"archetype": own, "parameters": template.parameters if same else {}}
    return data | rules | {"capital": cash, "wallet": 0.0, "leverage": {}}


def _with_margin(
    name: str, node: Mapping[str, Any], template: Traders | None, data: dict[str, Any], margin: dict[str, float]
) -> float:
    """Size and leverage that make the margin; returns what a group's `wallet` is a multiple of. [USD]"""
    data["archetype"] = node.get("archetype") or (template.archetype if template else None)
    if data["archetype"] is None:
        raise InputError(f"node {name}, archetype", None, "an archetype, or the group of the base scenario it is like")
    total = sum(margin.values())
    if _is(data["archetype"], "market_maker"):
        _same(name, "margin", margin)
        data["capital"] = total
        return total
    borrows = _is(data["archetype"], "borrower")
    leverage = _leverage(name, node, template, borrows)
    data |= {"size": {"fixed": total * leverage}, "leverage": {"fixed": leverage}}
    if borrows:
        data["parameters"] = {key: value for key, value in data.get("parameters", {}).items() if key != "ltv"}
    return total * leverage if borrows else total


def _leverage(name: str, node: Mapping[str, Any], template: Traders | None, borrows: bool) -> float:
    leverage = node.get("leverage")
    if leverage is None and template:
        ltv = template.parameters.get("ltv") if borrows else None
        leverage = 1.0 / (1.0 - ltv) if ltv else template.leverage.get("fixed")
    good = isinstance(leverage, int | float) and not isinstance(leverage, bool) and isfinite(leverage)
    if not good or leverage <= 0.0:
        raise InputError(f"node {name}, leverage", leverage, "a number above 0, or {fixed: x} in its group of the base")
    return float(leverage)


def _template(name: str, node: Mapping[str, Any], venues: list[str], base: Scenario) -> Traders | None:
    groups = dict(zip(group_names(base.traders), base.traders, strict=True))
    for key in (node.get("group"), name, node.get("type")):
        if key in groups:
            return groups[key]
    if not venues or node.get("archetype") is not None:
        return None
    there = [group for group, spec in groups.items() if set(spec.venue) & set(venues) and not _serves(spec)]
    if len(there) != 1:
        accepted = "one of " + (", ".join(there or groups) or "(the base scenario has no group)")
        raise InputError(f"node {name}, group", node.get("group"), f"{accepted}; or an archetype and a leverage")
    return groups[there[0]]


def _serves(spec: Traders) -> bool:
    return _is(spec.archetype, "market_maker") or _is(spec.archetype, "keeper")


def _is(archetype: str, role: str) -> bool:
    return issubclass(rule_class("archetype", archetype), rule_class("archetype", role))


def _sums(edges: Edges, *kinds: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for debtor, kind, amount, _ in edges:
        if kind in kinds:
            sums[debtor] = sums.get(debtor, 0.0) + amount
    return sums


def _same(name: str, what: str, amounts: Mapping[str, float]) -> None:
    first = next(iter(amounts.values()))
    if not all(isclose(amount, first, rel_tol=1e-9) for amount in amounts.values()):
        raise InputError(f"node {name}, {what}", dict(amounts), "the same amount at each: makers split evenly")
