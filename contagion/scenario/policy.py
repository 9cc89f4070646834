"""Levers at the opening: tiers with buffers and caps, positions within limits, collateral terms and loans by weight."""

from __future__ import annotations

import numpy as np

from contagion.errors import InputError
from contagion.scenario.accounts import INITIAL_SLACK
from contagion.scenario.layout import Layout, lay_out
from contagion.scenario.lending import Collateral, LendingPool
from contagion.scenario.plans import Plan
from contagion.scenario.schema import Scenario
from contagion.scenario.venues import Contract, Exchange, Tier
from contagion.state.codes import AccountFlag, InstrumentKind
from contagion.state.tables import Accounts, Loans, Positions

HIGHEST_MAINTENANCE = 0.999


def with_collateral_weights(scenario: Scenario) -> Scenario:
    """Loan-to-value and liquidation threshold of each collateral asset divided by its risk weight."""
    weights = scenario.credit.risk_weights.collateral
    if not weights:
        return scenario
    protocols = dict(scenario.protocols)
    for name, pool in scenario.protocols.items():
        if isinstance(pool, LendingPool):
            terms = {key: _weighted(pool.collateral[key], weights.get(coin, 1.0)) for key, coin in pool.coins.items()}
            protocols[name] = pool.model_copy(update={"collateral": terms})
    return scenario.model_copy(update={"protocols": protocols})


def _weighted(terms: Collateral, weight: float) -> Collateral:
    threshold = min(0.999, terms.liquidation_threshold / weight)
    return terms.model_copy(update={"ltv": min(1.0, terms.ltv / weight), "liquidation_threshold": threshold})


def with_margin_levers(scenario: Scenario) -> Scenario:
    """Exchanges with the tiers that their buffer, floor and leverage cap make; the same scenario if nobody has any."""
    changed = {
        name: exchange.model_copy(update={"contracts": _levered(exchange, scenario)})
        for name, exchange in scenario.exchanges.items() if _has_margin_lever(exchange)
    }  # fmt: skip
    return scenario.model_copy(update={"exchanges": {**scenario.exchanges, **changed}}) if changed else scenario


def _has_margin_lever(exchange: Exchange) -> bool:
    rule = exchange.countercyclical
    return exchange.trading_limits.leverage is not None or rule.buffer > 0.0 or rule.floor > 0.0


def _levered(exchange: Exchange, scenario: Scenario) -> dict[str, Contract]:
    contracts = exchange.contracts or {asset: Contract() for asset in scenario.assets}
    return {
        asset: contract.model_copy(update={"tiers": tuple(_tier(exchange, tier) for tier in contract.tiers)})
        for asset, contract in contracts.items()
    }


def _tier(exchange: Exchange, tier: Tier) -> Tier:
    rule, cap = exchange.countercyclical, exchange.trading_limits.leverage
    maintenance = min(max(tier.maintenance * (1.0 + rule.buffer), rule.floor), HIGHEST_MAINTENANCE)
    growth = maintenance / tier.maintenance if tier.maintenance > 0.0 else 1.0
    initial = min(1.0, max(tier.initial * growth, maintenance, 1.0 / cap if cap is not None else 0.0))
    return tier.model_copy(update={"maintenance": maintenance, "initial": initial})


def apply_limits(
    scenario: Scenario, layout: Layout, plans: list[Plan], accounts: Accounts, positions: Positions
) -> list[str]:
    """Set the levered tiers and bring positions that opened without them within every limit.

    Units are cut at the mark, so each account keeps its equity. Open interest is that of the positions as written.

    Returns
    -------
    list of str
        What a reader must know: how many positions were cut, and by how much.

    Raises
    ------
    InputError
        A position above a limit at a venue whose limits say that this is an error.
    """
    levered = with_margin_levers(scenario)
    limited = {name for name, exchange in scenario.exchanges.items() if _has_limit(exchange)}
    if levered is scenario and not limited:
        return []
    instruments = layout.instruments
    if levered is not scenario:
        asked = lay_out(levered, layout.assets.index[: len(scenario.assets) + 1])
        for column in ("tier_rate", "tier_deduction", "tier_initial"):
            getattr(instruments, column)[:] = getattr(asked.instruments, column)
        layout.specs.update({row: asked.specs[row] for row in layout.specs if isinstance(asked.specs[row], Exchange)})
    share = _allowed_share(scenario, layout, plans, accounts, positions)
    cut = np.flatnonzero(share < 1.0 - 1e-12)
    if not len(cut):
        return []
    _refuse(scenario, layout, plans, accounts, positions, cut, share)
    removed = positions.units[cut] * (1.0 - share[cut])
    mark = instruments.mark[positions.instrument[cut]]
    account = positions.account[cut]
    usd = np.abs(removed) / np.array([layout.units_per_usd(int(row)) for row in positions.instrument[cut]])
    positions.units[cut] -= removed
    np.add.at(accounts.balance, account, removed * mark)
    np.add.at(accounts.deposits, account, removed * (mark - positions.entry[cut]))
    return [f"limits cut {len(cut)} opening positions by {abs(usd).sum():.4g} USD together"]


def _has_limit(exchange: Exchange) -> bool:
    return exchange.trading_limits.position is not None or exchange.trading_limits.concentration is not None


def _allowed_share(
    scenario: Scenario, layout: Layout, plans: list[Plan], accounts: Accounts, positions: Positions
) -> np.ndarray:
    """Share of each position that stays, shape (n_positions,)."""
    instruments, share = layout.instruments, np.ones(len(positions.units))
    count = len(instruments.names)
    per_usd = np.array([layout.units_per_usd(row) for row in range(count)])
    usd = np.abs(positions.units / per_usd[positions.instrument])
    long = np.bincount(positions.instrument, np.maximum(positions.units, 0.0), count)
    short = np.bincount(positions.instrument, np.maximum(-positions.units, 0.0), count)
    interest = np.maximum(long, short) / np.abs(per_usd)
    customer = (accounts.flags[positions.account] & AccountFlag.MAKER) == 0
    for name, exchange in scenario.exchanges.items():
        row = layout.agent_rows[name]
        here = np.flatnonzero(customer & (instruments.venue[positions.instrument] == row) & (usd > 0.0))
        most = np.full(len(here), np.inf)
        if exchange.trading_limits.position is not None:
            most = np.minimum(most, exchange.trading_limits.position)
        if exchange.trading_limits.concentration is not None:
            most = np.minimum(most, exchange.trading_limits.concentration * interest[positions.instrument[here]])
        share[here] = np.minimum(1.0, most / usd[here])
    kept = share * usd
    settle = layout.assets.index[layout.books.settle[instruments.book]]
    initial = np.zeros(len(usd))
    for instrument in range(count):
        tiers = slice(int(instruments.tier_start[instrument]), int(instruments.tier_start[instrument + 1]))
        if instruments.kind[instrument] > InstrumentKind.INVERSE or tiers.stop == tiers.start:
            continue
        rows = np.flatnonzero(positions.instrument == instrument)
        floors = instruments.tier_floor[tiers]
        tier = np.searchsorted(floors, kept[rows] / settle[instrument], side="right") - 1
        initial[rows] = kept[rows] * instruments.tier_initial[tiers][tier]
    needed = INITIAL_SLACK * np.bincount(positions.account, initial, len(accounts.value))
    levered = np.array([isinstance(spec, Exchange) and _has_margin_lever(spec) for spec in _venues(layout)])
    by_margin = levered[layout.books.venue[accounts.book]] & (needed > accounts.value)
    fits = np.divide(accounts.value, needed, out=np.ones(len(needed)), where=by_margin)
    return share * np.where(customer, fits[positions.account], 1.0)


def _venues(layout: Layout) -> list[Exchange | LendingPool | None]:
    return [layout.specs.get(row) for row in range(len(layout.names))]


def _refuse(
    scenario: Scenario, layout: Layout, plans: list[Plan], accounts: Accounts, positions: Positions,
    cut: np.ndarray, share: np.ndarray,
) -> None:  # fmt: skip
    for position in cut:
        instrument = int(positions.instrument[position])
        venue = layout.names[int(layout.instruments.venue[instrument])]
        if scenario.exchanges[venue].trading_limits.above == "scale":
            continue
        plan = next(plan for plan in plans if plan.positions.start <= position < plan.positions.stop)
        size = abs(positions.units[position] / layout.units_per_usd(instrument))
        most = share[position] * size
        raise InputError(
            f"exchanges.{venue}.trading_limits",
            f"{size:.4g} USD of {layout.instruments.names[instrument]} in {plan.name}",
            f"positions within the limits (here {most:.4g} USD), or above: scale",
        )  # fmt: skip


def cut_loans(
    scenario: Scenario, layout: Layout, plans: list[Plan], loans: Loans, worth: np.ndarray, cash: np.ndarray
) -> list[str]:
    """Cut loans to what their lenders' capital covers, in place; `worth` is net worth before the cut. [USD]

    What is not lent is the lender's cash; its borrower never had it and has less cash of its own, as far as it has any.
    """
    rule, notes = scenario.credit.risk_weights, []
    weight = _weights(rule.counterparty, layout, plans, len(worth))[loans.borrower]
    for lender in np.unique(loans.lender) if rule.ratio > 0.0 else ():
        mine = np.flatnonzero(loans.lender == lender)
        needed, capital = rule.ratio * float(weight[mine] @ loans.face[mine]), max(0.0, float(worth[lender]))
        if needed <= capital:
            continue
        for loan in mine:
            cut, borrower = float(loans.face[loan]) * (1.0 - capital / needed), int(loans.borrower[loan])
            loans.face[loan] -= cut
            cash[lender] += cut
            custody = sum(
                float(layout.books.balance[book]) for book in layout.books_of.get(borrower, [])
                if layout.books.settle[book] == 0 and isinstance(layout.specs[borrower], Exchange)
            )  # fmt: skip
            cash[borrower] -= min(cut, max(0.0, float(cash[borrower]) - custody))
        name = layout.names[lender] if lender < len(layout.names) else "a trader"
        notes.append(f"capital of {name} covers {capital / needed:.1%} of its loans; the rest is not lent")
    return notes


def _weights(named: dict[str, float], layout: Layout, plans: list[Plan], n_agents: int) -> np.ndarray:
    """Risk weight of every agent as a borrower, shape (n_agents,)."""
    weight = np.ones(n_agents)
    for name, value in named.items():
        group, _, ordinal = name.rpartition(":")
        if name in layout.agent_rows:
            weight[layout.agent_rows[name]] = value
        for plan in plans:
            if plan.name == name:
                weight[plan.agents] = value
            elif plan.name == group and ordinal.isdecimal():
                weight[plan.agents.start + int(ordinal)] = value
    return weight
