"""What happened in a run and who paid, in sentences made from its numbers."""

from __future__ import annotations

from contagion.report.figures.flows import WORDS
from contagion.report.run_facts import verdict
from contagion.report.source import borne, clock, deficits, drawdown, kind_of, market_assets, plain
from contagion.report.words import joined, usd
from contagion.results import RunResult

NOTHING = 0.01  # USD below which an amount is rounding


def findings(run: RunResult) -> list[str]:
    """What happened in plain sentences, from shock to who paid."""
    return [
        sentence
        for part in (
            _shock, _cascade, _auctions, _missing, _who_paid, _in_the_end, _unequal, _system, _winner, _failures,
            verdict,
        )
        if (sentence := part(run))
    ]


def _shock(run: RunResult) -> str:
    falls = [f"{asset} {drawdown(run, asset):.1%}" for asset in market_assets(run)[:4]]
    times, unit = clock(run)
    span = f"{times[-1]:.4g} {unit}" if len(times) else "no time at all"
    return f"Over {span}, from their highest to their lowest price, assets fell: {', '.join(falls)}." if falls else ""


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
    rows = run.ledger[run.ledger["cause"].astype(str) == "deficit"]
    counts = rows.groupby(rows["payer"].astype(str))["deficit_id"].nunique()
    where = joined([f"{usd(value)} at {plain(venue)} ({counts[venue]:,})" for venue, value in by_venue.head(4).items()])
    count = run.outcomes.get("deficits", float(counts.sum()))
    return f"What accounts and loans lacked is {usd(total)}, in {_many(count, 'deficit')}: {where}.{_counted(run)}"


def _counted(run: RunResult) -> str:
    """How deficits, accounts and loans are counted beside each other."""
    accounts, loans = (run.outcomes.get(name, 0.0) for name in ("accounts_bankrupt", "loans_written_off"))
    parts = [f"{_many(accounts, 'account')} that exchanges took over ended below zero"] if accounts else []
    parts += [f"{_many(loans, 'loan')} had no collateral left"] if loans else []
    said = f" Counted by who left them: {joined(parts)}; one of these can leave several deficits."
    return said if parts else ""


def _who_paid(run: RunResult) -> str:
    table, total = borne(run), float(deficits(run).sum())
    if total < NOTHING:
        return ""
    by_layer = table.groupby("layer", sort=False)["amount"].sum()
    left = float(by_layer.get("unallocated", 0.0))
    by_layer = by_layer.drop("unallocated", errors="ignore")
    said = [
        f"{plain(layer)} {_share(value / total)} ({usd(value)})"
        for layer, value in by_layer.items()
        if value > NOTHING
    ]
    end = (
        f" No layer could take the last {_share(left / total)} ({usd(left)}): the venue is left with it."
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
    most = f"; most of all {plain(who.idxmax())} with {usd(float(who.max()))}" if len(who) else ""
    taken = float(run.outcomes.get("over_collected", 0.0))
    beyond = f" It includes {usd(taken)} that deleveraging took beyond the deficits." if taken > NOTHING else ""
    return (
        f"Followed to those who hold the claims of whoever paid, {usd(total)} came to rest on: {said}{most}."
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
    channels["other"] = "theft, interventions and tokens sold in debt auctions"
    parts = {words: found.get(f"system_loss.{name}", 0.0) / total for name, words in channels.items()}
    shown = {words: share for words, share in parts.items() if abs(share) >= 0.005}
    said = joined([f"{words} {_signed(share)}" for words, share in sorted(shown.items(), key=lambda item: -item[1])])
    less = " A negative part is what losers got back through it." if min(shown.values(), default=0.0) < 0.0 else ""
    return f"All agents that lost gave up {usd(total)} together, winners' gains not set against it: {said}.{less}"


def _auctions(run: RunResult) -> str:
    """What auctions and a crowded chain did, where the run counts them."""
    found = run.outcomes
    sold, zero, bids = (found.get(name, 0.0) for name in ("auction_sales", "auctions_at_zero", "auction_bids"))
    parts = []
    if sold:
        worth = usd(found.get("auctioned_collateral", 0.0))
        bid = f", which took {_many(bids, 'bid')}" if bids else ""
        parts.append(f"{_many(sold, 'lot')} of collateral worth {worth} were sold in auctions{bid}")
    if zero:
        worth = usd(found.get("collateral_at_zero", 0.0))
        parts.append(f"{zero:,.0f} of them went for less than 1% of the market price, collateral worth {worth} in all")
    gas, left = found.get("gas_multiple_peak", 0.0), found.get("keepers_left_out", 0.0)
    if gas > 1.0:
        crowded = f", and {_many(left, 'attempt')} of keepers to act failed for lack of it" if left else ""
        parts.append(f"the price of gas rose to {gas:.3g} times its calm level{crowded}")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _winner(run: RunResult) -> str:
    agents = run.agents[run.agents["agent"].astype(str) != "outside"]
    if not len(agents) or not float(agents["change"].max()) > NOTHING:
        return ""
    row = agents.loc[agents["change"].idxmax()]
    name, group = str(row["agent"]), str(row["group"])
    members = int((agents["group"].astype(str) == group).sum()) if group else 0
    who = f"one of the {members:,} of the group {plain(group)}" if members > 1 else plain(group or name)
    return f"The biggest winner is {who}, with a gain of {usd(float(row['change']))}."


def _failures(run: RunResult) -> str:
    agents = run.agents
    bad = agents[(agents["type"].astype(str) != "trader") & (agents["status"].astype(str) != "")]
    parts = [f"{plain(row.agent)} ended {row.status}" for row in bad.itertuples()]
    defaults = run.outcomes.get("defaults.traders", 0.0)
    if defaults:
        parts.append(f"{_many(defaults, 'trader')} did not pay what was due")
    queued = run.outcomes.get("withdrawals_queued", 0.0)
    if queued > NOTHING:
        parts.append(f"withdrawals of {usd(queued)} were still waiting at the end")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _many(count: float, noun: str) -> str:
    return f"{count:,.0f} {noun}" + ("" if count == 1 else "s")


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.01 else f"{value:.1%}"


def _signed(share: float) -> str:
    return f"{'−' if share < 0.0 else ''}{_share(abs(share))}"
