"""Writes docs/venues.md from the presets: ``python docs/make_venues.py``. A test holds the page to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contagion.scenario.annotate import origin
from contagion.scenario.preset import preset_fields, preset_names, preset_title

PAGE = Path(__file__).parent / "venues.md"

INTRODUCTION = """# Venues

<!-- Written by docs/make_venues.py from contagion/scenario/presets; edit those. -->

`preset: NAME` in an exchange (or lending pool) of a scenario fills in what is publicly known of that venue's margin,
liquidation engine, insurance fund and loss allocation. Whatever the scenario says itself, or a `--set`, replaces the
preset's value. `contagion show october_2025` marks every field of a preset with its source, as assumed, or as
overridden; `contagion show preset:okx` prints a preset. Values marked * rest on no public source: they are assumed.
Margin rates are maintenance / initial.

The bundled scenario `twelve_venues` puts the same positions through the same crash at all of them, and `ways_to_pay`
does so for every allocation rule.

## Levers

What a regulator or a risk desk can set at an exchange, each a field that a comparison can vary:

| field of `exchanges.NAME` | what it does |
|---|---|
| `trading_limits.leverage` | initial margin of at least 1 / leverage; larger openings are scaled (or `above: error`) |
| `trading_limits.position` | most notional of an account in a contract; orders are cut, openings scaled down |
| `trading_limits.concentration` | the same as a share of the contract's open interest |
| `countercyclical.buffer`, `.floor` | margin above the calm; dynamic margin uses the buffer up before it rises |
| `circuit_breaker` | the venue halts for `halt` steps when a mark moved by `move` within `window` steps |
| `custody` | at resolution, customers' own money first (segregated), or all claims alike (commingled) |
| `waterfall` `insurance_fund.scope` | one fund for all markets, or an equal part for each |
| `waterfall` `insurance_fund.net_notional` | the fund stands behind net notional of so many times its balance |
| `mark` | own book, index, or median of index with averaged gap, own book and other venues |
| `collateral.ASSET.haircut` | share of a posted coin that is no margin |

`credit.risk_weights` sets the capital a lender needs for what it lends (`ratio`, weights by `counterparty`) and divides
the terms of collateral at lending pools by the weight of the asset (`collateral`).

## Presets
"""

COLUMNS = {
    "margin": ("margin", "contracts.BTC", "contracts.*", "countercyclical", "collateral.ETH"),
    "engine": ("liquidation.engine", "liquidation.limit", "liquidation.takeover_below", "liquidation.design",
               "liquidation.close_factor"),
    "fund [USD]": ("insurance_fund.size", "default_fund.cover"),
    "waterfall": ("waterfall",),
}


def page() -> str:
    """The whole page."""
    names = preset_names()
    lines = [INTRODUCTION, "| venue | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name in names:
        fields = preset_fields(name)
        cells = [_cell(fields, paths) for paths in COLUMNS.values()]
        lines.append(f"| [{name}](#{name}) | " + " | ".join(cells) + " |")
    for name in names:
        lines += ["", f"## {name}", "", f"{preset_title(name)}.", "", "| field | value | source |", "|---|---|---|"]
        for path, field in preset_fields(name).items():
            lines.append(f"| `{path}` | {_value(field['value'])} | {origin(field)} |")
    return "\n".join(lines) + "\n"


def _cell(fields: dict[str, dict[str, Any]], paths: tuple[str, ...]) -> str:
    found = []
    for path in paths:
        if path in fields and not (path == "contracts.*" and "contracts.BTC" in fields):
            label = "" if path in ("waterfall", "margin", "liquidation.engine") else f"{path.split('.')[-1]} "
            label = "" if path.startswith(("contracts", "insurance_fund")) else label
            found.append(label + _value(fields[path]["value"], short=True) + ("*" if fields[path]["assumed"] else ""))
    return "; ".join(found) or "-"


def _value(value: Any, short: bool = False) -> str:
    """A value in a few words: rules by name, tiers as rates, numbers with four digits."""
    if isinstance(value, dict) and "tiers" in value:
        return f"{value.get('kind', 'linear')} {_tiers(value['tiers'], short)}"
    if isinstance(value, dict):
        kind = next((key for key in ("layer", "engine", "margin") if key in value), None)
        told = ", ".join(f"{key} {_value(item)}" for key, item in value.items() if key != kind)
        return told if kind is None else f"{value[kind]} ({told})" if told else value[kind]
    if isinstance(value, list):
        between = ", " if all(isinstance(item, float) for item in value) else " → "
        return between.join(map(_value, value))
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return {None: "none", "*": "that backs it"}.get(value, str(value))


def _tiers(tiers: list[dict[str, float]], short: bool) -> str:
    rates = [f"{100 * tier['maintenance']:.4g}/{100 * tier['initial']:.4g}%" for tier in tiers]
    if short and len(tiers) > 3:
        return f"{rates[0]} to {rates[-1]} in {len(tiers)} tiers"
    floors = [f" from {tier['floor']:,.0f}" if tier.get("floor") else "" for tier in tiers]
    return ", ".join(map("".join, zip(rates, floors, strict=True)))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
