"""The rules that share a loss, and what holds of each: the table of ``contagion rules``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contagion.scenario.rules import RuleSpec

HEADINGS = {
    "budget_balance": "budget",
    "no_over_collection": "no excess",
    "monotone_in_profit": "monotone",
    "scale_invariant": "scale",
    "split_proof": "split",
    "principal_untouched": "principal",
}
"""Property -> heading of its column."""

LEGEND = (
    "budget: nothing is left while payers have something the rule can take. no excess: never takes more than the",
    "deficit. monotone: of two accounts that differ in profit only, the richer does not pay less. scale: all sums",
    "times a factor, payments times that factor. split: nobody pays less by spreading units and margin over several",
    "accounts. principal: nobody pays more than its profit. '-': the question does not arise.",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A layer with parameters under the name it has in the table."""

    name: str
    layer: str
    parameters: dict[str, Any]

    def build(self) -> Any:
        """The layer."""
        return RuleSpec(kind="layer", name=self.layer, parameters=self.parameters).build()


def _deleverage(**parameters: Any) -> dict[str, Any]:
    return {"layer": "auto_deleverage", "parameters": parameters}


RULES: tuple[Rule, ...] = (
    Rule("insurance fund", "insurance_fund", {}),
    Rule("insurance fund, drawdown gate", "insurance_fund", {"drawdown": 0.3}),
    Rule("insurance fund, cap per window", "insurance_fund", {"cap_per_window": 20.0}),
    Rule("venue equity", "venue_equity", {}),
    Rule("skin in the game", "skin_in_the_game", {"limit": 20.0}),
    Rule("backstop vault", "backstop_vault", {"vault": "hlp"}),
    Rule("default fund", "default_fund", {}),
    Rule("assessments", "assessments", {}),
    Rule("recourse", "recourse", {}),
    Rule("depositor write-down", "depositor_write_down", {}),
    Rule("safety pool", "safety_pool", {"pool": "hlp"}),
    Rule("safety pool, cap per window", "safety_pool", {"pool": "hlp", "cap_per_window": 20.0}),
    Rule("token dilution", "token_dilution", {"token": "TKN", "supply": 1e6}),
    Rule("profit haircut (DPE)", "profit_haircut", {}),
    Rule("profit haircut, capped", "profit_haircut", {"cap": 0.5}),
    Rule("profit haircut, risk-aware", "profit_haircut", {"leverage_exponent": 2.0}),
    Rule("profit haircut, queue", "profit_haircut", {"order": "pnl_leverage"}),
    Rule("variation-margin haircut (VMGH)", "variation_margin_haircut", {}),
    Rule("period clawback", "period_clawback", {}),
    Rule("optimal, loss over equity", "optimal_haircut", {"worst": "share_of_equity"}),
    Rule("optimal, greatest loss", "optimal_haircut", {"worst": "amount"}),
    Rule("optimal, greatest survivor", "optimal_haircut", {"worst": "survivor"}),
    Rule("balance haircut", "balance_haircut", {}),
    Rule("open-interest levy", "open_interest_levy", {}),
    Rule("withdrawal haircut", "withdrawal_haircut", {}),
    Rule("ADL Binance", **_deleverage(ranking="binance")),
    Rule("ADL BitMEX", **_deleverage(ranking="bitmex")),
    Rule("ADL Bybit", **_deleverage(ranking="bybit", price="bankruptcy_unless_far")),
    Rule("ADL OKX", **_deleverage(ranking="okx", price="mark")),
    Rule("ADL Hyperliquid", **_deleverage(ranking="hyperliquid", price="previous_mark")),
    Rule("ADL dYdX v4", **_deleverage(ranking="random_start")),
    Rule("ADL pro rata to size", **_deleverage(ranking="pro_rata")),
    Rule("ADL pro rata to profit", **_deleverage(ranking="by_profit")),
    Rule("ADL pro rata to equity", **_deleverage(ranking="by_equity")),
    Rule("ADL pro rata, capped", **_deleverage(ranking="pro_rata", cap=0.5)),
    Rule("ADL pro rata, risk-aware", **_deleverage(ranking="pro_rata", leverage_exponent=2.0)),
    Rule("ADL pro rata, whole lots", **_deleverage(ranking="pro_rata", lot=1.0)),
    Rule("tear-up, partial", "tear_up", {"scope": "partial"}),
    Rule("tear-up, full", "tear_up", {"scope": "full"}),
)


def table() -> list[tuple[str, dict[str, bool | None]]]:
    """Each rule with its properties by name; ``None`` where a question does not arise."""
    return [(rule.name, rule.build().properties._asdict()) for rule in RULES]


def rendered() -> str:
    """The table in 80 columns."""
    word = {True: "yes", False: "no", None: "-"}
    widths = [max(len(heading), 3) for heading in HEADINGS.values()]
    lines = [f"{'':<33}" + " ".join(f"{heading:>{w}}" for heading, w in zip(HEADINGS.values(), widths, strict=True))]
    for name, has in table():
        cells = " ".join(f"{word[has[key]]:>{w}}" for key, w in zip(HEADINGS, widths, strict=True))
        lines.append(f"{name:<33}{cells}")
    return "\n".join([line.rstrip() for line in lines] + [""] + _wrapped(" ".join(LEGEND)))


def _wrapped(text: str, width: int = 80) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
