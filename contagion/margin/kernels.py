"""Compiled passes over accounts: margin, breaches, and the audit of net worth. One pass reads each account once."""

from __future__ import annotations

import numba as nb
import numpy as np

from contagion.state.codes import AccountFlag, InstrumentKind

_HOUSE, _CALLED, _MAKER = int(AccountFlag.HOUSE), int(AccountFlag.CALLED), int(AccountFlag.MAKER)
_UNDER = np.uint8(AccountFlag.UNDER)
_SPOT = int(InstrumentKind.SPOT)


_EQUITY, _VALUE, _AUDITED, _MARK, _CEILING, _LONG, _SHORT = range(7)


@nb.njit(cache=True)
def _columns(
    equity_price, value_price, audited_price, mark, long_only, tier_start, tier_floor, tier_rate, add_on
):  # fmt: skip
    """What a pass needs of each instrument in one row: three prices, and the first tier (ceiling, rates by side).

    Rates that grow with size are no constants of a tier: a ceiling of 0 sends every notional the long way.
    """
    table = np.empty((len(mark), 7))
    for k in range(len(mark)):
        first = tier_start[k]
        table[k, _EQUITY], table[k, _VALUE] = equity_price[k], value_price[k]
        table[k, _AUDITED], table[k, _MARK] = audited_price[k], mark[k]
        table[k, _CEILING] = tier_floor[first + 1] if tier_start[k + 1] - first > 1 else np.inf
        if add_on[k, 0] != 0.0:
            table[k, _CEILING] = 0.0
        table[k, _LONG] = tier_rate[first] + add_on[k, 2]
        table[k, _SHORT] = 0.0 if long_only[k] else tier_rate[first] + add_on[k, 3]
    return table


@nb.njit(cache=True)
def requirement_of(notional, units, instrument, tier_start, tier_floor, tier_rate, tier_deduction, add_on):
    """MM(N) = N (r_k + slope |u| + add-on of the side) - c_k in the tier of the notional. [settlement asset]"""
    tier = tier_start[instrument]
    last = tier_start[instrument + 1] - 1
    while tier < last and notional >= tier_floor[tier + 1]:
        tier += 1
    extra = add_on[instrument, 0] * abs(units) + (add_on[instrument, 2] if units > 0.0 else add_on[instrument, 3])
    return notional * (tier_rate[tier] + extra) - tier_deduction[tier]


@nb.njit(cache=True)
def audit_agents(
    first, last, cash, worth, account_start, holding_start, holding_asset, holding_units, fundamental, audited,
    book, start, balance, equity, requirement, value, flags, book_settle, assets_audited, warning, settle,
    settle_audited, book_venue, position_instrument, units, mark, equity_price, value_price, audited_price, long_only,
    tier_start, tier_floor, tier_rate, tier_deduction, add_on, scan, owed, shortfall, breached, warned, limited,
    limited_change, suspects, suspect_worth, suspect_gross, counts, tolerance, strict_from,
):  # fmt: skip
    """Mark every account of agents `first`..`last`, list what needs attention, and check net worth.

    For each agent: recompute net worth from cash, holdings, balances and units; revalue its opening units; compare
    with `worth`. An agent that differs (limited liability has moved, credit is outstanding, or an error) goes to
    `suspects` for the caller to settle; institutions (rows below `strict_from`) always do.

    counts: 0 breached, 1 warned, 2 limited, 3 suspects; 4 and 5: an agent with negative cash, or holdings, or -1.
    Also settles what a settlement asset is worth now and at the last audit, by book. Where a book has portfolio margin
    (`scan`, none if no book has), the requirement of its accounts stands in `requirement` already [settlement asset].
    """
    for b in range(len(settle)):
        settle[b] = fundamental[book_settle[b]]
        settle_audited[b] = assets_audited[book_settle[b]]
        owed[b] = shortfall[b] = 0.0
    negative_cash, negative_holding = -1, -1
    two_prices = False  # margin and net worth value spot and debt differently; contracts have one price
    for k in range(len(mark)):
        two_prices |= equity_price[k] != value_price[k]
    # Unsigned indices spare the wrap-around test of every access: a third of the time of the pass.
    table = _columns(
        equity_price, value_price, audited_price, mark, long_only, tier_start, tier_floor, tier_rate, add_on
    )  # fmt: skip
    one = np.uint64(1)
    n_breached, n_warned, n_limited, n_suspects = 0, 0, 0, 0
    next_account = np.uint64(account_start[first])
    next_position = np.uint64(start[next_account])
    next_holding = np.uint64(holding_start[first])
    for agent in range(np.uint64(first), np.uint64(last)):
        total = cash[agent]
        gross = abs(total)
        revaluation = 0.0
        account = next_account
        next_account = np.uint64(account_start[agent + one])
        for a in range(account, next_account):
            b = np.uint64(book[a])
            held = balance[a]
            margin_equity, value_equity, before, need, size = held, held, held, 0.0, 0.0
            position = next_position
            next_position = np.uint64(start[a + one])
            for p in range(position, next_position):
                u = units[p]
                k = np.uint64(position_instrument[p])
                margin_equity += u * table[k, _EQUITY]
                before += u * table[k, _AUDITED]
                notional = abs(u) * table[k, _MARK]
                size += notional
                if notional < table[k, _CEILING]:
                    need += notional * (table[k, _LONG] if u > 0.0 else table[k, _SHORT])
                else:
                    need += requirement_of(
                        notional, u, k, tier_start, tier_floor, tier_rate, tier_deduction, add_on
                    )  # fmt: skip
                if two_prices:
                    value_equity += u * table[k, _VALUE]
            if not two_prices:
                value_equity = margin_equity
            open_position = size > 0.0
            if scan is not None and scan[b, 3] > 0.0:
                need = requirement[a]
            price = settle[b]
            value_usd = value_equity * price
            revaluation += value_usd - before * settle_audited[b]
            equity[a] = margin_equity * price
            requirement[a] = need * price
            gross += (abs(held) + size) * price
            if book_venue[b] == agent:
                continue  # a house account nets out of its venue's own worth
            under = flags[a] & _UNDER
            if value_usd < 0.0 or under:
                change = max(0.0, -value_usd)
                if under:
                    change += value[a]
                if change != 0.0:
                    limited[n_limited] = a
                    limited_change[n_limited] = change
                    n_limited += 1
                value[a] = min(0.0, value_usd)
                flags[a] = flags[a] & ~_UNDER if value_usd >= 0.0 else flags[a] | _UNDER
            if value_usd > 0.0:
                total += value_usd
                owed[b] += value_usd
            else:
                shortfall[b] -= value_usd
            if open_position and margin_equity < need:
                breached[n_breached] = a
                n_breached += 1
            elif open_position and margin_equity < warning[b] * need and not flags[a] & _MAKER:
                warned[n_warned] = a
                n_warned += 1
        holding = next_holding
        next_holding = np.uint64(holding_start[agent + one])
        for h in range(holding, next_holding):
            u = holding_units[h]
            asset = np.uint64(holding_asset[h])
            total += u * fundamental[asset]
            revaluation += u * (fundamental[asset] - audited[asset])
            gross += abs(u) * fundamental[asset]
            if not u * fundamental[asset] >= -tolerance * max(gross, 1.0) and agent > 0:
                negative_holding = agent
        if not cash[agent] >= -tolerance * max(gross, 1.0) and agent > 0:
            negative_cash = agent
        expected = worth[agent] + revaluation
        if agent < strict_from or not abs(total - expected) <= tolerance * max(gross, 1.0):
            worth[agent] = expected
            suspects[n_suspects] = agent
            suspect_worth[n_suspects] = total
            suspect_gross[n_suspects] = gross
            n_suspects += 1
        else:
            worth[agent] = total
    counts[0], counts[1], counts[2], counts[3] = n_breached, n_warned, n_limited, n_suspects
    counts[4], counts[5] = negative_cash, negative_holding


@nb.njit(cache=True, inline="always")
def _margin(position, end, balance, position_instrument, units, table, tiers):
    """Equity, requirement and gross notional of the account with these rows of positions. [settlement asset]"""
    equity, need, size, open_position = balance, 0.0, 0.0, False
    for p in range(position, end):
        u = units[p]
        k = np.uint64(position_instrument[p])
        equity += u * table[k, _EQUITY]
        notional = abs(u) * table[k, _MARK]
        size += notional
        if notional < table[k, _CEILING]:
            need += notional * (table[k, _LONG] if u > 0.0 else table[k, _SHORT])
        else:
            need += requirement_of(notional, u, k, tiers[0], tiers[1], tiers[2], tiers[3], tiers[4])
        open_position |= u != 0.0
    return equity, need, size, open_position


@nb.njit(cache=True)
def margins(
    accounts, start, balance, position_instrument, units, mark, equity_price, long_only, tier_start, tier_floor,
    tier_rate, tier_deduction, add_on, equity, requirement, notional,
):  # fmt: skip
    """Equity, requirement and gross notional of listed accounts at the current marks. [settlement asset]

    The requirement is that of the contracts' tiers and add-ons, whatever the book's rule.
    """
    table = _columns(
        equity_price, equity_price, equity_price, mark, long_only, tier_start, tier_floor, tier_rate, add_on
    )  # fmt: skip
    tiers = (tier_start, tier_floor, tier_rate, tier_deduction, add_on)
    for i in range(len(accounts)):
        a = accounts[i]
        equity[i], requirement[i], notional[i], _ = _margin(
            np.uint64(start[a]), np.uint64(start[a + 1]), balance[a], position_instrument, units, table, tiers
        )


@nb.njit(cache=True)
def sum_accounts(
    book, start, balance, flags, position_instrument, units, net, gross, customers, long, balances, balance_sizes
):  # fmt: skip
    """Per instrument: sum of units, of their size, over customers only, and of positive units. Per book: balances."""
    one = np.uint64(1)
    end = np.uint64(0)
    for a in range(np.uint64(len(balance))):
        b = np.uint64(book[a])
        balances[b] += balance[a]
        balance_sizes[b] += abs(balance[a])
        customer = not flags[a] & _HOUSE
        position = end
        end = np.uint64(start[a + one])
        for p in range(position, end):
            u = units[p]
            k = np.uint64(position_instrument[p])
            net[k] += u
            gross[k] += abs(u)
            long[k] += max(u, 0.0)
            if customer:
                customers[k] += u


@nb.njit(cache=True)
def settle_suspects(
    count, first_trader, worth, suspects, partial, gross, books_venue, books_balance, settle, settle_audited, owed,
    issuer, supply, fundamental, audited, instrument_venue, instrument_kind, customer_units, value_price,
    audited_price, book_of, lender, borrower, face, tolerance, resume,
):  # fmt: skip
    """Complete what the pass over agents left open, and compare; returns the first suspect that differs, or -1.

    Institutions are suspects 0..first_trader-1 in order. Their net worth lacks what they owe account holders, claim
    holders and lenders; customers' units revalue against the venue, and so do customers' balances where they are not
    in USD. Outside (agent 0) is unbounded: only its flows are checked. Settled agents get their net worth from state.
    With `resume` above 0 the comparison goes on there.
    """
    if resume == 0:
        for b in range(len(books_venue)):
            v = books_venue[b]
            partial[v] -= owed[b]
            gross[v] += owed[b]
            worth[v] -= books_balance[b] * (settle[b] - settle_audited[b])
        for k in range(len(instrument_kind)):
            if instrument_kind[k] >= _SPOT:  # contracts revalue through the house account
                worth[instrument_venue[k]] -= (
                    customer_units[k] * (value_price[k] - audited_price[k]) * settle[book_of[k]]
                )
        for a in range(len(issuer)):
            if issuer[a] >= 0:
                partial[issuer[a]] -= supply[a] * fundamental[a]
                gross[issuer[a]] += supply[a] * fundamental[a]
                worth[issuer[a]] -= supply[a] * (fundamental[a] - audited[a])
        for i in range(len(face)):
            if lender[i] < first_trader:
                partial[lender[i]] += face[i]
            if borrower[i] < first_trader:
                partial[borrower[i]] -= face[i]
            for j in range(first_trader, count):
                if suspects[j] == lender[i]:
                    partial[j] += face[i]
                if suspects[j] == borrower[i]:
                    partial[j] -= face[i]
    for j in range(max(1, resume), count):
        agent = suspects[j]
        if not abs(partial[j] - worth[agent]) <= tolerance * max(gross[j], 1.0):
            return j
        worth[agent] = partial[j]
    return -1


@nb.njit(cache=True)
def improper_row(amount, payer, payee, cause, listed):
    """First ledger row that is not positive and finite, or touches outside for a cause that is not listed; or -1."""
    for i in range(len(amount)):
        if not (amount[i] > 0.0 and amount[i] < np.inf):
            return i
        if (payer[i] == 0 or payee[i] == 0) and not listed[cause[i]]:
            return i
    return -1


@nb.njit(cache=True)
def out_of_range(mark, depth):
    """First instrument whose mark is negative or not finite (1, row), or depth negative (2, row); else (0, 0)."""
    for k in range(len(mark)):
        if not (mark[k] >= 0.0 and mark[k] < 1e300):
            return 1, k
        if not depth[k] >= 0.0:
            return 2, k
    return 0, 0
