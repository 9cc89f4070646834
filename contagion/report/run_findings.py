"""What happened in a run and who paid, in sentences made from its numbers."""

from __future__ import annotations

import numpy as np

from contagion.report.figures.flows import WORDS
from contagion.report.source import borne, clock, deficits, drawdown, kind_of, market_assets, plain
from contagion.results import RunResult
from contagion.terminal import amount

NOTHING = 0.01  # USD below which an amount is rounding


def findings(run: RunResult) -> list[str]:
    """What happened in plain sentences, from shock to who paid."""
    return [
        sentence
        for part in (_shock, _cascade, _missing, _who_paid, _in_the_end, _unequal, _system, _failures, _facts)
        if (sentence := part(run))
    ]


def _shock(run: RunResult) -> str:
    falls = [f"{asset} {drawdown(run, asset):.1%}" for asset in market_assets(run)[:4]]
    times, unit = clock(run)
    span = f"{times[-1]:.4g} {unit}" if len(times) else "no time at all"
    return f"Over {span}, prices fell from their highest to their lowest value by: {', '.join(falls)}." if falls else ""


def _cascade(run: RunResult) -> str:
    found = run.outcomes
    orders, taken = found.get("liquidations", 0.0), found.get("takeovers", 0.0)
    loans = found.get("loan_liquidations", 0.0)
    parts = []
    if orders + taken:
        largest, ratio = found.get("cascade_largest", 0.0), found.get("branching_ratio", 0.0)
        parts.append(
            f"Exchanges closed accounts by force {orders + taken:,.0f} times ({_many(orders, 'liquidation order')}, "
            f"{_many(taken, 'takeover')}), {largest:,.0f} of them at one instant; {ratio:.0%} of the closures "
            f"came after "
            "the first round of their cascade, set off by those before."
        )
    if loans:
        parts.append(f"Keepers liquidated {_many(loans, 'loan')} at lending pools.")
    return " ".join(parts) or "No account was closed by force."


def _missing(run: RunResult) -> str:
    by_venue = deficits(run)
    total = float(by_venue.sum())
    if total < NOTHING:
        return "No account ended below zero: there was no deficit, so nobody had to pay for anybody else."
    where = ", ".join(f"{amount(value)} at {plain(venue)}" for venue, value in by_venue.head(4).items())
    count = run.outcomes.get("deficits", float("nan"))
    return f"Accounts ended {amount(total)} USD below zero in {_many(count, 'deficit')}: {where}."


def _who_paid(run: RunResult) -> str:
    table, total = borne(run), float(deficits(run).sum())
    if total < NOTHING:
        return ""
    by_layer = table.groupby("layer", sort=False)["amount"].sum()
    left = float(by_layer.get("unallocated", 0.0))
    by_layer = by_layer.drop("unallocated", errors="ignore")
    said = [
        f"{plain(layer)} {_share(value / total)} ({amount(value)})"
        for layer, value in by_layer.items()
        if value > NOTHING
    ]
    end = (
        f" No layer could take the last {_share(left / total)} ({amount(left)}): the venue is left with it."
        if left > NOTHING else " Every deficit was borne in full."
    )  # fmt: skip
    return f"Of these deficits, layer by layer: {', '.join(said) or 'no layer bore anything'}.{end}"


def _in_the_end(run: RunResult) -> str:
    table = run.burden
    total = float(table["amount"].sum())
    if total < NOTHING:
        return ""
    kinds = kind_of(run)
    kind = table["bearer"].astype(str).map(kinds).fillna("trader")
    sums = table.groupby(kind)["amount"].sum().sort_values(ascending=False, kind="stable")
    said = ", ".join(
        f"{WORDS.get(name, name)} {_share(value / total)}" for name, value in sums.items() if value > NOTHING
    )
    who = table.groupby(table["bearer"].astype(str))["amount"].sum().drop("unallocated", errors="ignore")
    most = f"; most of all {plain(who.idxmax())} with {amount(float(who.max()))} USD" if len(who) else ""
    taken = float(run.outcomes.get("over_collected", 0.0))
    beyond = f" It includes {amount(taken)} that deleveraging took beyond the deficits." if taken > NOTHING else ""
    return (
        f"Followed to those who hold the claims of whoever paid, {amount(total)} USD came to rest on: {said}{most}."
        f"{beyond}"
    )


def _unequal(run: RunResult) -> str:
    found = run.outcomes
    payers = found.get("burden_payers", 0.0)
    traders = int((run.agents["type"].astype(str) == "trader").sum())
    if not payers:
        return ""
    wiped = found.get("wiped_out", 0.0)
    return (
        f"{payers:,.0f} of {traders:,} traders bore part of others' deficits; the 1% that bore most bore "
        f"{found.get('burden_top1', 0.0):.0%} of what traders bore, and {wiped:,.0f} lost over 99% of what they would "
        "have ended with."
    )


def _system(run: RunResult) -> str:
    found = run.outcomes
    total = found.get("system_loss", 0.0)
    if total < NOTHING:
        return ""
    channels = {
        "price": "prices",
        "claims": "claims on venues that fell in value",
        "socialised": "venues' rules of loss sharing",
        "execution": "execution away from the mark",
        "fees": "fees",
        "credit": "unpaid credit",
        "runs": "runs",
    }
    parts = {words: found.get(f"system_loss.{name}", 0.0) / total for name, words in channels.items()}
    said = ", ".join(f"{words} {share:.0%}" for words, share in sorted(parts.items(), key=lambda item: -item[1])[:3])
    return f"All agents that lost gave up {amount(total)} USD together, winners' gains not set against it: {said}."


def _failures(run: RunResult) -> str:
    agents = run.agents
    bad = agents[(agents["type"].astype(str) != "trader") & (agents["status"].astype(str) != "")]
    parts = [f"{plain(row.agent)} ended {row.status}" for row in bad.itertuples()]
    defaults = run.outcomes.get("defaults.traders", 0.0)
    if defaults:
        parts.append(f"{_many(defaults, 'trader')} did not pay what was due")
    queued = run.outcomes.get("withdrawals_queued", 0.0)
    if queued > NOTHING:
        parts.append(f"withdrawals of {amount(queued)} USD were still waiting at the end")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _facts(run: RunResult) -> str:
    checks = run.facts[run.facts["role"].astype(str) == "check"]
    said = [
        f"{row.name} {written_fact(row.simulated)} in the run and {written_fact(row.observed)} observed"
        for row in checks.itertuples() if np.isfinite(row.simulated)
    ]  # fmt: skip
    return f"Beside facts that were no input: {'; '.join(said)}." if said else ""


def written_fact(value: float) -> str:
    return amount(value) if abs(value) >= 1e4 else f"{value:,.4g}"


def _many(count: float, noun: str) -> str:
    return f"{count:,.0f} {noun}" + ("" if count == 1 else "s")


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.01 else f"{value:.1%}"
