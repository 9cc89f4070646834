"""Whether the layers of a waterfall fit their venue: somebody to ask, and names that are declared."""

from __future__ import annotations

from contagion.allocation.dilution import TokenDilution
from contagion.allocation.funds import InsuranceFund
from contagion.allocation.order import check_waterfall, draws_on_members
from contagion.errors import InputError
from contagion.scenario.issuers import Vault
from contagion.scenario.lending import LendingPool
from contagion.scenario.names import known
from contagion.scenario.safety_pools import SafetyPool
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Exchange

OF_CONTRACTS = frozenset({
    "auto_deleverage", "profit_haircut", "variation_margin_haircut", "period_clawback", "balance_haircut",
    "optimal_haircut", "open_interest_levy", "withdrawal_haircut", "tear_up", "backstop_vault", "defaulter_margin",
    "defaulter_fund", "default_fund", "assessments",
})  # fmt: skip
"""Layers that ask holders of contracts, or members of a clearing house."""

OF_POOLS = frozenset({"reserve", "depositor_write_down"})


def check_layers(where: str, name: str, exchange: Exchange, scenario: Scenario) -> None:
    """Raise on the first layer of an exchange that can never bear anything, or whose terms name what is not there.

    Raises
    ------
    InputError
        Names the layer, and why nobody can pay.
    """
    layers = [layer.build() for layer in exchange.waterfall]
    names = [layer.name for layer in exchange.waterfall]
    check_waterfall(f"{where}.waterfall", names, layers)
    members = [draws_on_members(layer) for layer in layers]
    if any(members) and exchange.default_fund is None:
        place = members.index(True)
        accepted = "a venue with a default_fund, on whose contributions this layer draws"
        raise InputError(f"{where}.waterfall.{place}", names[place], accepted)
    if exchange.default_fund is not None and not any(members) and exchange.preset is None:
        accepted = "a waterfall with default_fund, defaulter_fund or assessments, which draw on it"
        raise InputError(f"{where}.default_fund", "set", accepted)
    check_cover(where, exchange, scenario)
    for order, layer in enumerate(layers):
        place = f"{where}.waterfall.{order}"
        if (vault := exchange.waterfall[order].parameters.get("vault")) is not None:
            known(f"{place}.vault", vault, scenario.protocols)
            spec = scenario.protocols[vault]
            if not isinstance(spec, Vault) or spec.backs != name:
                raise InputError(f"{place}.vault", vault, f"a vault with backs: {name}")
        if isinstance(layer, InsuranceFund):
            listed = {contract.asset or asset for asset, contract in exchange.contracts.items()} or scenario.assets
            for asset in layer.market_caps:
                known(f"{place}.market_caps", asset, listed)
        if isinstance(layer, TokenDilution):
            _check_token(f"{place}.token", layer.token, scenario)
    check_candidates(where, exchange)


def check_cover(where: str, venue: Exchange | LendingPool, scenario: Scenario) -> None:
    """Raise on the first layer ``safety_pool`` that names no safety pool.

    Raises
    ------
    InputError
        Names the layer, and the safety pools there are.
    """
    pools = [name for name, spec in scenario.protocols.items() if isinstance(spec, SafetyPool)]
    for order, layer in enumerate(venue.waterfall):
        if layer.name == "safety_pool":
            known(f"{where}.waterfall.{order}.pool", layer.parameters["pool"], pools)


def check_candidates(where: str, venue: Exchange | LendingPool) -> None:
    """Raise on the first layer that has no candidates at a venue of this kind.

    Raises
    ------
    InputError
        Names the layer, and why nobody can pay.
    """
    for order, layer in enumerate(venue.waterfall):
        if isinstance(venue, LendingPool) and layer.name in OF_CONTRACTS:
            accepted = "a layer of lending pools: a pool has no contracts, so there are no candidates"
        elif isinstance(venue, Exchange) and layer.name in OF_POOLS:
            accepted = "a layer of exchanges: only a lending pool has depositors and a reserve"
        else:
            continue
        raise InputError(f"{where}.waterfall.{order}", layer.name, accepted)


def _check_token(where: str, token: str, scenario: Scenario) -> None:
    """A token that is sold to outside is a market asset in which nobody has margin, collateral or debt."""
    known(where, token, scenario.assets)
    for name, exchange in scenario.exchanges.items():
        settled = [contract.settlement if contract.kind == "linear" else (contract.asset or asset)
                   for asset, contract in exchange.contracts.items() if contract.kind != "option"]
        if token in exchange.collateral or token in settled:
            raise InputError(where, token, f"a token that is neither collateral nor settlement, as it is at {name}")
    for name, pool in scenario.protocols.items():
        if isinstance(pool, LendingPool) and token in (pool.asset, *pool.coins.values()):
            raise InputError(where, token, f"a token that is neither collateral nor lent, as it is at {name}")
