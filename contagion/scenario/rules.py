"""Rules by name: a scenario names a built-in rule or ``module:Class``; the class owns its parameters."""

from __future__ import annotations

import difflib
import importlib
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_serializer, model_validator

from contagion.errors import InputError

BUILT_IN: dict[str, dict[str, str]] = {
    "process": {
        "constant": "contagion.market.prices:Constant",
        "gbm": "contagion.market.prices:GeometricBrownian",
        "jump_diffusion": "contagion.market.prices:JumpDiffusion",
        "student_t": "contagion.market.prices:StudentT",
        "event": "contagion.market.prices:EventPath",
        "file": "contagion.market.prices:FilePath",
    },
    "reader": {
        "morpho": "contagion.scenario.morpho_network:MorphoNetwork",
    },
    "impact": {
        "linear": "contagion.market.impact:LinearImpact",
        "square_root": "contagion.market.impact:SquareRootImpact",
        "exponential": "contagion.market.impact:ExponentialImpact",
        "block_book": "contagion.market.impact:BlockBookImpact",
        "constant_product": "contagion.market.impact:ConstantProductImpact",
        "imbalance": "contagion.market.impact:ImbalanceImpact",
    },
    "engine": {
        "full": "contagion.liquidation.engines:FullClose",
        "partial": "contagion.liquidation.engines:PartialToTarget",
        "staged": "contagion.liquidation.engines:StagedClose",
        "smallest_share": "contagion.liquidation.engines:SmallestShare",
        "one_position": "contagion.liquidation.engines:OnePosition",
        "tier_down": "contagion.liquidation.engines:TierDown",
        "take_over": "contagion.liquidation.engines:TakeOver",
    },
    "design": {
        "close_factor": "contagion.protocols.designs.close_factor:CloseFactor",
        "compound_v2": "contagion.protocols.designs.compound_v2:CompoundV2",
        "absorb": "contagion.protocols.designs.absorb:Absorb",
        "incentive_by_threshold": "contagion.protocols.designs.incentive_by_threshold:IncentiveByThreshold",
        "health_discount": "contagion.protocols.designs.health_discount:HealthDiscount",
        "english_auction": "contagion.protocols.designs.english_auction:EnglishAuction",
        "dutch_auction": "contagion.protocols.designs.dutch_auction:DutchAuction",
        "stability_pool": "contagion.protocols.designs.stability_pool:StabilityPool",
    },
    "margin": {
        "tiers": "contagion.margin.rules:Tiers",
        "size_sloped": "contagion.margin.rules:SizeSloped",
        "open_interest_scaled": "contagion.margin.rules:OpenInterestScaled",
        "volume_at_risk": "contagion.margin.rules:VolumeAtRisk",
        "portfolio": "contagion.margin.rules:Portfolio",
        "dynamic": "contagion.margin.rules:Dynamic",
    },
    "layer": {
        "insurance_fund": "contagion.allocation.funds:InsuranceFund",
        "reserve": "contagion.allocation.funds:Reserve",
        "venue_equity": "contagion.allocation.funds:VenueEquity",
        "skin_in_the_game": "contagion.allocation.funds:SkinInTheGame",
        "recourse": "contagion.allocation.cash:Recourse",
        "safety_pool": "contagion.allocation.safety:SafetyPool",
        "depositor_write_down": "contagion.allocation.cash:DepositorWriteDown",
        "profit_haircut": "contagion.allocation.haircuts:ProfitHaircut",
        "variation_margin_haircut": "contagion.allocation.haircuts:VariationMarginHaircut",
        "period_clawback": "contagion.allocation.haircuts:PeriodClawback",
        "balance_haircut": "contagion.allocation.haircuts:BalanceHaircut",
        "optimal_haircut": "contagion.allocation.haircuts:OptimalHaircut",
        "open_interest_levy": "contagion.allocation.levy:OpenInterestLevy",
        "withdrawal_haircut": "contagion.allocation.withdrawals:WithdrawalHaircut",
        "token_dilution": "contagion.allocation.dilution:TokenDilution",
        "auto_deleverage": "contagion.allocation.positions:AutoDeleverage",
        "tear_up": "contagion.allocation.positions:TearUp",
        "backstop_vault": "contagion.allocation.backstop:BackstopVault",
        "defaulter_margin": "contagion.allocation.clearing_house:DefaulterMargin",
        "defaulter_fund": "contagion.allocation.clearing_house:DefaulterFund",
        "default_fund": "contagion.allocation.clearing_house:DefaultFund",
        "assessments": "contagion.allocation.clearing_house:Assessments",
    },
    "archetype": {
        "directional": "contagion.agents.behaviours:Directional",
        "hedger": "contagion.agents.behaviours:Hedger",
        "rebalancer": "contagion.agents.behaviours:Rebalancer",
        "market_maker": "contagion.agents.behaviours:MarketMaker",
        "keeper": "contagion.agents.behaviours:Keeper",
        "depositor": "contagion.agents.behaviours:Depositor",
        "borrower": "contagion.agents.behaviours:Borrower",
        "looper": "contagion.agents.looper:Looper",
        "fund": "contagion.agents.behaviours:LeveragedFund",
        "passive": "contagion.agents.behaviours:Passive",
        "liquidator": "contagion.agents.liquidator:Liquidator",
        "redeemer": "contagion.agents.redeemer:Redeemer",
    },
}
"""Kind of rule -> short name -> ``module:Class``. Anything else is named by ``module:Class`` in the scenario itself."""


@cache
def rule_class(kind: str, name: str) -> type[BaseModel]:
    """The class of a rule.

    Raises
    ------
    InputError
        The name is neither built in nor an importable ``module:Class``.
    """
    target = BUILT_IN[kind].get(name, name)
    if ":" not in target:
        close = difflib.get_close_matches(name, BUILT_IN[kind], n=3)
        hint = f"; nearest: {', '.join(close)}" if close else ""
        raise InputError(kind, name, f"{', '.join(sorted(BUILT_IN[kind]))}, or module:Class{hint}")
    module_name, _, class_name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise InputError(kind, name, f"an importable module:Class ({error})") from error
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise InputError(kind, name, "a pydantic model class")
    return found


class RuleSpec(BaseModel):
    """A rule as written in a scenario: ``{layer: insurance_fund, ...parameters}`` or just its name."""

    model_config = ConfigDict(frozen=True)

    kind: str
    name: str
    parameters: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check(self) -> RuleSpec:
        self.build()
        return self

    def build(self) -> Any:
        """The rule itself, with its parameters checked by its own class."""
        try:
            return rule_class(self.kind, self.name)(**self.parameters)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            accepted = first["msg"].removeprefix("Value error, ").replace("Input should be ", "")
            inner = first.get("ctx", {}).get("error")
            if isinstance(inner, InputError):
                place = f"{self.kind} {self.name}.{where or inner.field}"
                raise InputError(place, inner.value, inner.accepted) from None
            if first["type"] == "missing":
                raise InputError(f"{self.kind} {self.name}.{where}", None, "a value: this field is required") from None
            if first["type"] == "extra_forbidden":
                keys = list(rule_class(self.kind, self.name).model_fields)
                close = difflib.get_close_matches(where, keys, n=3)
                accepted = f"keys {', '.join(keys)}" + (f"; nearest: {', '.join(close)}" if close else "")
            place = f"{self.kind} {self.name}" + (f".{where}" if where else "")
            raise InputError(place, first.get("input"), accepted) from None

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        return {self.kind: self.name, **self.parameters}


def spec_of(kind: str):
    """A validator that reads a rule written as a name, or as a mapping whose key `kind` is the name."""

    def read(value: Any) -> RuleSpec:
        if isinstance(value, RuleSpec):
            return value
        if isinstance(value, str):
            return RuleSpec(kind=kind, name=value)
        if isinstance(value, dict) and isinstance(value.get(kind), str):
            rest = {key: item for key, item in value.items() if key != kind}
            return RuleSpec(kind=kind, name=value[kind], parameters=rest)
        raise InputError(kind, value, f"a name, or a mapping with the key {kind!r}")

    return read
