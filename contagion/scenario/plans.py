"""Who the traders of a group are: their accounts, positions and slots for holdings, the same for every member."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from contagion.agents.population import lognormal, pareto_sizes
from contagion.errors import InputError
from contagion.scenario.layout import Layout
from contagion.scenario.lending import LendingPool
from contagion.scenario.members import Traders
from contagion.scenario.rules import RuleSpec, rule_class
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Exchange
from contagion.streams import Streams, content_key, member_keys, mix

ROLES = ("market_maker", "borrower", "keeper", "depositor", "hedger", "liquidator", "redeemer")


@dataclass(slots=True)
class Plan:
    """A trader group before its arrays are filled."""

    name: str
    where: str  # path in the scenario, for messages
    spec: Traders
    rule: Any
    role: str  # one of ROLES, or "trader"
    keys: np.ndarray  # of its members
    books: list[int] = field(default_factory=list)  # book of each account of a member
    account_words: list[int] = field(default_factory=list)  # what tells a member's accounts apart
    instruments: list[int] = field(default_factory=list)  # instrument of each position of a member
    account_of: list[int] = field(default_factory=list)  # which of its accounts a position is in
    weights: list[float] = field(default_factory=list)  # share of the notional in each position
    claims: list[int] = field(default_factory=list)  # asset rows of the claims its capital buys
    slots: list[int] = field(default_factory=list)  # asset rows a member may hold
    agents: slice = field(default_factory=lambda: slice(0, 0))
    accounts: slice = field(default_factory=lambda: slice(0, 0))
    positions: slice = field(default_factory=lambda: slice(0, 0))

    @property
    def count(self) -> int:
        return self.spec.count

    def draw(self, streams: Streams, purpose: str) -> np.ndarray:
        """One uniform per member."""
        return streams.uniforms(purpose, self.keys)


@cache
def _role(rule: type) -> str:
    for name in ROLES:
        if issubclass(rule, rule_class("archetype", name)):
            return name
    return "trader"


def group_names(traders: tuple[Traders, ...]) -> list[str]:
    """Names of the groups: as given, else the archetype, with a number from its second appearance on."""
    names: list[str] = []
    for spec in traders:
        base = spec.name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", spec.archetype.rpartition(":")[2]).lower()
        name, number = base, 1
        while name in names:
            if spec.name:
                raise InputError("traders.name", name, "a name used once")
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return names


def plan_groups(scenario: Scenario, layout: Layout) -> list[Plan]:
    """Plans of all trader groups, in the scenario's order."""
    plans = []
    for order, (spec, name) in enumerate(zip(scenario.traders, group_names(scenario.traders), strict=True)):
        if name in layout.agent_rows:
            raise InputError(f"traders.{order}.name", name, "a name no venue, fund or protocol has")
        rule = _rule(f"traders.{order}", spec)
        plan = Plan(name, f"traders.{order}", spec, rule, _role(type(rule)), member_keys(name, spec.count))
        _place(plan, scenario, layout)
        plans.append(plan)
    return plans


def _rule(where: str, spec: Traders) -> Any:
    try:
        # Constructed without validation, which would build it once more.
        return RuleSpec.model_construct(kind="archetype", name=spec.archetype, parameters=spec.parameters).build()
    except InputError as error:
        raise InputError(f"{where}: {error.field}", error.value, error.accepted) from None


def _venues(plan: Plan, scenario: Scenario) -> list[str]:
    spec = plan.spec
    idle = issubclass(type(plan.rule), rule_class("archetype", "passive")) and not (spec.size or spec.leverage)
    if spec.venue or spec.holds or idle:
        return list(spec.venue)
    pools = [name for name, spec in scenario.protocols.items() if isinstance(spec, LendingPool)]
    choice = {
        "borrower": pools,
        "keeper": pools,
        "depositor": list(scenario.protocols),
        "redeemer": list(scenario.protocols),
    }.get(plan.role, list(scenario.exchanges))
    if len(choice) != 1:
        raise InputError(f"{plan.where}.venue", None, "one or more of " + ", ".join(choice or ["(none is declared)"]))
    return choice


def _place(plan: Plan, scenario: Scenario, layout: Layout) -> None:
    venues = _venues(plan, scenario)
    unknown = [name for name in venues if layout.agent_rows.get(name) not in layout.specs]
    if unknown:
        accepted = "one of " + ", ".join(layout.names[row] for row in layout.specs)
        raise InputError(f"{plan.where}.venue", unknown[0], accepted)
    rows = [layout.agent_rows[name] for name in venues]
    exchanges = [row for row in rows if isinstance(layout.specs[row], Exchange)]
    protocols = [row for row in rows if row not in exchanges]
    slots: set[int] = set()
    if plan.role in ("borrower", "keeper"):
        wrong = [row for row in rows if not isinstance(layout.specs[row], LendingPool)]
        if wrong:
            raise InputError(f"{plan.where}.venue", layout.names[wrong[0]], f"lending pools, for a {plan.role}")
        for row in protocols:
            slots |= {layout.asset_rows[name] for name in (*layout.specs[row].coins.values(), layout.specs[row].asset)}
        if plan.role == "borrower":
            _borrow_at(plan, protocols, layout)
    else:
        claims = [layout.claim[row] for row in protocols]
        plan.claims = [] if plan.role == "redeemer" else claims
        _trade_at(plan, exchanges, layout)
        slots |= set(claims) | {int(layout.books.settle[book]) for book in plan.books}
        if plan.role == "hedger":
            slots |= {int(layout.instruments.asset[row]) for row in plan.instruments}
    unissued = [name for name in plan.spec.holds if name not in scenario.protocols]
    if unissued:
        raise InputError(f"{plan.where}.holds", unissued[0], "one of " + ", ".join(scenario.protocols))
    slots |= {layout.asset_rows[name] for name in plan.spec.holds}
    plan.slots = sorted(slots - {0})


def _venue_shares(plan: Plan, venues: list[int], layout: Layout) -> list[float]:
    names, given = [layout.names[row] for row in venues], plan.spec.venue_weights
    if not given:
        return [1.0 / len(names) for _ in names]
    if not set(names) <= set(given):
        raise InputError(f"{plan.where}.venue_weights", sorted(given), "a weight for each of " + ", ".join(names))
    total = sum(given[name] for name in names)
    return [given[name] / total for name in names]


def _trade_at(plan: Plan, exchanges: list[int], layout: Layout) -> None:
    """Accounts at exchanges: one per margin book, or one per position; notional is split over venues."""
    spec = plan.spec
    for venue, share in zip(exchanges, _venue_shares(plan, exchanges, layout), strict=True):
        contracts = {name: row for (owner, name), row in layout.instrument_rows.items() if owner == venue}
        missing = [asset for asset in spec.assets if asset not in contracts]
        if missing:
            accepted = f"contracts of {layout.names[venue]}: {', '.join(contracts)}"
            raise InputError(f"{plan.where}.assets", missing[0], accepted)
        weight = {asset: spec.assets.get(asset, 0.0) for asset in spec.assets} or {
            # Options are held by those who name them, and by the makers who stand on the other side.
            name: 1.0 for name, row in contracts.items()
            if plan.role == "market_maker" or not layout.instruments.right[row]
        }
        for book in layout.books_of[venue]:
            here = {
                name: row for name, row in contracts.items() if name in weight and row in layout.instruments_of[book]
            }
            for order, (name, row) in enumerate(here.items()):
                isolated = spec.margin == "isolated"
                if isolated or order == 0:
                    word = layout.instruments.names[row] if isolated else layout.books.names[book]
                    _open_account(plan, book, word)
                _open_position(plan, row, share * weight[name] / sum(weight.values()))
                if isolated or order == len(here) - 1:
                    _open_collateral(plan, venue, book, layout)


def _open_collateral(plan: Plan, venue: int, book: int, layout: Layout) -> None:
    """Rows for what the group posts as margin in the account opened last."""
    if plan.spec.posts and plan.role not in ("trader", "hedger"):
        raise InputError(f"{plan.where}.posts", list(plan.spec.posts), f"nothing, for a {plan.role}")
    for asset in plan.spec.posts:
        accepted = [name for place, name in layout.collateral_rows if place == venue]
        if asset not in accepted:
            names = ", ".join(accepted) or "(none)"
            raise InputError(f"{plan.where}.posts", asset, f"collateral of {layout.names[venue]}: {names}")
        if layout.instruments.book[layout.collateral_rows[venue, asset]] == book:
            _open_position(plan, layout.collateral_rows[venue, asset], 0.0)


def _borrow_at(plan: Plan, pools: list[int], layout: Layout) -> None:
    """Accounts at lending pools: a row per collateral asset the group uses, and the debt."""
    chosen = plan.spec.assets or plan.rule.collateral
    for pool, portion in zip(pools, _venue_shares(plan, pools, layout), strict=True):
        accepted = list(layout.specs[pool].collateral)
        weight = dict(chosen) or dict.fromkeys(accepted, 1.0)
        missing = [asset for asset in weight if asset not in accepted]
        if missing:
            names = f"collateral of {layout.names[pool]}: {', '.join(accepted)}"
            raise InputError(f"{plan.where}.assets", missing[0], names)
        book = layout.books_of[pool][0]
        _open_account(plan, book, layout.books.names[book])
        for asset, part in weight.items():
            share = part / sum(weight.values()) * portion
            _open_position(plan, layout.instrument_rows[pool, asset], share)
        _open_position(plan, layout.debt_row[pool], 0.0)


def _open_account(plan: Plan, book: int, word: str) -> None:
    plan.books.append(book)
    plan.account_words.append(content_key("account", word))


def _open_position(plan: Plan, instrument: int, weight: float) -> None:
    plan.instruments.append(instrument)
    plan.account_of.append(len(plan.books) - 1)
    plan.weights.append(weight)


def account_keys(plan: Plan) -> np.ndarray:
    """Keys of a group's accounts, shape (count * accounts of a member,)."""
    return mix(plan.keys[:, None] ^ np.array(plan.account_words, np.uint64)).ravel()


def sizes(plan: Plan, streams: Streams) -> np.ndarray | None:
    """Notional (or collateral value) of each member, shape (count,); none if the group states no size. [USD]"""
    given = plan.spec.size
    if not given:
        return None
    where = f"{plan.where}.size"
    if "pareto" in given:
        _only(where, given, {"pareto", "truncate", "total", "mean"})
        if ("total" in given) == ("mean" in given):
            raise InputError(where, given, "{pareto: alpha, truncate: share, total: USD} or mean in place of total")
        total = _number(where, given["total"]) if "total" in given else _number(where, given["mean"]) * plan.count
        share = _number(f"{where}.truncate", given.get("truncate", 1.0))
        try:
            return pareto_sizes(plan.draw(streams, "size"), _number(where, given["pareto"]), total, share)
        except InputError as error:
            raise InputError(f"{where}.{error.field}", error.value, error.accepted) from None
    return distribution(where, given, plan, streams, "size")


def distribution(where: str, given: dict[str, Any], plan: Plan, streams: Streams, purpose: str) -> np.ndarray:
    """Values of ``{fixed: x}``, ``{lognormal: [median, sigma]}`` or ``{uniform: [low, high]}``, shape (count,)."""
    if len(given) != 1 or next(iter(given)) not in ("fixed", "lognormal", "uniform"):
        raise InputError(where, given, "{fixed: x}, {lognormal: [median, sigma]} or {uniform: [low, high]}")
    (kind, value), = given.items()
    if kind == "fixed":
        return np.full(plan.count, _number(where, value))
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise InputError(f"{where}.{kind}", value, "two numbers")
    first, second = (_number(f"{where}.{kind}", item, zero=True) for item in value)
    uniforms = plan.draw(streams, purpose)
    if kind == "uniform":
        return first + (second - first) * uniforms
    return lognormal(uniforms, first, second)


def _number(where: str, value: Any, zero: bool = False) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    if not good or value < 0 or (value == 0 and not zero):
        raise InputError(where, value, "a finite number, not negative" if zero else "a finite number above 0")
    return float(value)


def _only(where: str, given: dict[str, Any], accepted: set[str]) -> None:
    for key in given:
        if key not in accepted:
            raise InputError(f"{where}.{key}", given[key], "keys " + ", ".join(sorted(accepted)))
