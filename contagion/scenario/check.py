"""Whether the parts of a scenario fit together: every name that is used is declared, and where it belongs."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.margin.rules import OpenInterestScaled, Portfolio, SizeSloped
from contagion.scenario.automated_makers import AutomatedMaker
from contagion.scenario.curated_vaults import CuratedVault
from contagion.scenario.debt_positions import CollateralisedDebt
from contagion.scenario.issuers import DeltaNeutral, Issuer, Reflexive, Vault
from contagion.scenario.layout import lay_out
from contagion.scenario.lending import LendingPool
from contagion.scenario.names import known as _known
from contagion.scenario.names import nearest
from contagion.scenario.plans import group_names, plan_groups
from contagion.scenario.schema import Scenario, Shock
from contagion.scenario.venues import Exchange
from contagion.scenario.waterfalls import check_candidates, check_cover, check_layers


def check(scenario: Scenario) -> None:
    """Raise on the first name or term that does not fit.

    Raises
    ------
    InputError
        An asset, venue, vault or agent that is not declared; terms of a shock outside their range.
    """
    check_references(scenario)
    opening = np.array([1.0, *(asset.price for asset in scenario.assets.values())])
    plan_groups(scenario, lay_out(scenario, opening))


def check_references(scenario: Scenario) -> None:
    """The part of :func:`check` that does not look at trader groups."""
    market = ["USD", *scenario.assets]
    anything = [*market, *scenario.protocols]
    for name, exchange in scenario.exchanges.items():
        _check_exchange(f"exchanges.{name}", name, exchange, scenario)
    for name, protocol in scenario.protocols.items():
        where = f"protocols.{name}"
        others = [other for other in anything if other != name]
        if isinstance(protocol, LendingPool):
            _known(f"{where}.asset", protocol.asset, market)
            for asset in protocol.coins.values():
                _known(f"{where}.collateral", asset, [other for other in others if other != protocol.asset])
            check_candidates(where, protocol)
            check_cover(where, protocol, scenario)
            continue
        _check_issuer(where, protocol, others, scenario)
    for order, shock in enumerate(scenario.shocks):
        _check_shock(f"shocks.{order}", shock, scenario)
    for order, group in enumerate(scenario.traders):
        for venue in group.venue_weights:
            _known(f"traders.{order}.venue_weights", venue, group.venue)
        for claim in group.holds:
            _known(f"traders.{order}.holds", claim, scenario.protocols)
    source = scenario.prices.parameters.get("source")
    if scenario.prices.name == "file" and isinstance(source, dict):
        for asset in source:
            _known("prices.source", asset, scenario.assets)
    for order, loan in enumerate(scenario.credit.loans):
        _known_agent(f"credit.loans.{order}.lender", loan.lender, scenario)
        _known_agent(f"credit.loans.{order}.borrower", loan.borrower, scenario)
        if loan.lender == loan.borrower:
            raise InputError(f"credit.loans.{order}.borrower", loan.borrower, "an agent other than the lender")
    for name in scenario.credit.risk_weights.counterparty:
        if name not in group_names(scenario.traders):
            _known_agent("credit.risk_weights.counterparty", name, scenario)
    for asset in scenario.credit.risk_weights.collateral:
        _known("credit.risk_weights.collateral", asset, anything)


def _check_exchange(where: str, name: str, exchange: Exchange, scenario: Scenario) -> None:
    for asset, contract in exchange.contracts.items():
        _known(f"{where}.contracts", contract.asset or asset, scenario.assets)
        if contract.kind == "option" and not isinstance(exchange.margin.build(), Portfolio):
            raise InputError(f"{where}.margin", exchange.margin.name, "portfolio, where options are listed")
        _known(f"{where}.contracts.{asset}.settlement", contract.settlement, ["USD", *scenario.assets])
    for asset in exchange.collateral:
        _known(f"{where}.collateral", asset, scenario.assets)
    if isinstance(exchange.margin.build(), SizeSloped | OpenInterestScaled):
        for parameter, value in exchange.margin.parameters.items():
            for asset in value if isinstance(value, dict) else ():
                _known(f"{where}.margin.{parameter}", asset, scenario.assets)
    if exchange.lent_to is not None:
        _known_agent(f"{where}.lent_to", exchange.lent_to, scenario)
    check_layers(where, name, exchange, scenario)
    if exchange.funding is not None and exchange.funding.interval < scenario.dt:
        accepted = f"at least a step, {scenario.dt.total_seconds():g}s: funding is paid at most once a step"
        raise InputError(f"{where}.funding.interval", f"{exchange.funding.interval.total_seconds():g}s", accepted)
    _check_margin_levers(where, exchange)


def _check_issuer(where: str, issuer: Issuer, others: list[str], scenario: Scenario) -> None:
    if isinstance(issuer, CuratedVault):
        pools = [name for name, spec in scenario.protocols.items() if isinstance(spec, LendingPool)]
        for pool in issuer.caps:
            _known(f"{where}.caps", pool, pools)
    for asset in issuer.holds:
        _known(f"{where}.holds", asset, others)
    if isinstance(issuer, AutomatedMaker):
        for claim in issuer.prices:
            _known(f"{where}.prices", claim, scenario.protocols)
    makers = [spec for spec in scenario.protocols.values() if isinstance(spec, AutomatedMaker)]
    priced = any(where.partition(".")[2] in maker.prices for maker in makers)
    if issuer.turnover.sells > 0.0 and issuer.turnover.depth is None and not priced:
        accepted = "0, or a depth of the market it is sold in, or an automated market maker that prices it"
        raise InputError(f"{where}.turnover.sells", issuer.turnover.sells, accepted)
    if isinstance(issuer, Vault) and issuer.backs is not None:
        _known(f"{where}.backs", issuer.backs, scenario.exchanges)
    if issuer.only is not None:
        staking = issuer.kind == "liquid_staking"
        _known(f"{where}.{'stakes' if staking else 'locks'}", issuer.only, others[staking:])  # dollars are not staked
        if issuer.holds:
            raise InputError(f"{where}.holds", dict(issuer.holds), f"nothing: all it has is {issuer.only}")
    if isinstance(issuer, Reflexive):
        _known(f"{where}.mints", issuer.mints, scenario.assets)
        if issuer.mints in issuer.holds:
            raise InputError(f"{where}.holds", issuer.mints, "reserves other than the token it mints")
    if isinstance(issuer, DeltaNeutral):
        _known(f"{where}.hedged_at", issuer.hedged_at, scenario.exchanges)
        contracts = scenario.exchanges[issuer.hedged_at].contracts or scenario.assets
        for asset in issuer.holds:
            if asset in scenario.assets:
                _known(f"{where}.holds", asset, contracts)


def _check_margin_levers(where: str, exchange: Exchange) -> None:
    """Levers on tiers need a margin rule that uses them."""
    rule, probes = exchange.margin.build(), ([(0.0, 0.1, 0.2)], [(0.0, 0.2, 0.4)])
    if rule.terms("", probes[0]) != rule.terms("", probes[1]):
        return
    used = {
        "trading_limits.leverage": exchange.trading_limits.leverage is not None,
        "countercyclical.buffer": exchange.countercyclical.buffer > 0.0,
        "countercyclical.floor": exchange.countercyclical.floor > 0.0,
    }
    for lever, on in used.items():
        if on:
            accepted = f"a margin rule that uses the tiers of contracts; {exchange.margin.name} has rates of its own"
            raise InputError(f"{where}.{lever}", "set", accepted)


def _check_shock(where: str, shock: Shock, scenario: Scenario) -> None:
    kind = shock.kind
    claims = list(scenario.protocols)
    if kind == "price_gap" or (kind == "volatility_jump" and shock.asset is not None):
        _known(f"{where}.asset", shock.asset, scenario.assets)
    elif kind == "depeg":
        _known(f"{where}.asset", shock.asset, [*scenario.assets, *claims])
    elif shock.asset is not None:
        _known(f"{where}.asset", shock.asset, ["USD", *scenario.assets, *claims])
    if kind == "pool_push":
        makers = [name for name, spec in scenario.protocols.items() if isinstance(spec, AutomatedMaker)]
        _known(f"{where}.target", shock.target, makers)
        _known(f"{where}.asset", shock.asset, scenario.protocols[shock.target].holds)
    if kind == "halt":
        _known(f"{where}.target", shock.target, [*scenario.exchanges, *scenario.protocols])
    elif kind == "withdrawal":
        traded = (AutomatedMaker, CollateralisedDebt)
        payers = [name for name, spec in scenario.protocols.items() if not isinstance(spec, traded)]
        _known(f"{where}.target", shock.target, [*scenario.exchanges, *payers])
    elif kind in ("theft", "rescue"):
        _known(f"{where}.target", shock.target, [*scenario.protocols, *scenario.exchanges])
    elif kind == "slashing":
        _known(f"{where}.target", shock.target, scenario.protocols)
    elif kind == "default":
        _known_agent(f"{where}.target", shock.target, scenario)
    elif shock.target is not None:
        _known(f"{where}.target", shock.target, [*scenario.exchanges, *scenario.protocols])
    if kind in ("price_gap", "depeg", "oracle_manipulation", "pool_push") and shock.size <= -1.0:
        raise InputError(f"{where}.size", shock.size, "a relative move above -1")
    if kind == "depth_withdrawal" and not 0.0 <= shock.size <= 1.0:
        raise InputError(f"{where}.size", shock.size, "the share of depth that goes, 0 to 1")
    if kind == "slashing" and not 0.0 <= shock.size <= 1.0:
        raise InputError(f"{where}.size", shock.size, "the share of its holdings that is lost, 0 to 1")
    if kind in ("theft", "rescue", "withdrawal") and shock.size < 0.0:
        raise InputError(f"{where}.size", shock.size, "a number that is not negative")
    if kind == "volatility_jump" and shock.size <= 0.0:
        raise InputError(f"{where}.size", shock.size, "a factor above 0")


def _known_agent(where: str, name: str | None, scenario: Scenario) -> None:
    groups = dict(zip(group_names(scenario.traders), scenario.traders, strict=True))
    institutions = [
        "outside", *scenario.exchanges, *(f"{venue}/insurance_fund" for venue in scenario.exchanges),
        *scenario.protocols,
        *(f"{pool}/reserve" for pool, spec in scenario.protocols.items() if isinstance(spec, LendingPool)),
    ]  # fmt: skip
    singles = [group for group, spec in groups.items() if spec.count == 1]
    if name in institutions or name in singles:
        return
    group, _, ordinal = (name or "").rpartition(":")
    if group in groups and ordinal.isdecimal() and int(ordinal) < groups[group].count:
        return
    members = [f"{group}:0 to {group}:{spec.count - 1}" for group, spec in groups.items() if spec.count > 1]
    accepted = ", ".join([*institutions, *singles, *members])
    raise InputError(where, name, f"one of {accepted}{nearest(name, [*institutions, *groups])}")
