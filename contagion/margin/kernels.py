"""Compiled passes over accounts: margin, breaches, and the audit of net worth. One pass reads each account once."""

from __future__ import annotations

import numba as nb

from contagion.state.codes import AccountFlag, InstrumentKind

_HOUSE, _CALLED, _MAKER = int(AccountFlag.HOUSE), int(AccountFlag.CALLED), int(AccountFlag.MAKER)
_DEBT = int(InstrumentKind.DEBT)


@nb.njit(cache=True, inline="always")
def position_requirement(units, instrument, mark, long_only, tier_start, tier_floor, tier_rate, tier_deduction):
    """Maintenance requirement of one position: MM(N) = N r_k - c_k in the tier of its notional. [settlement asset]"""
    if units == 0.0 or (long_only[instrument] and units < 0.0):
        return 0.0
    notional = abs(units) * mark[instrument]
    tier = tier_start[instrument]
    last = tier_start[instrument + 1] - 1
    while tier < last and notional >= tier_floor[tier + 1]:
        tier += 1
    return notional * tier_rate[tier] - tier_deduction[tier]


@nb.njit(cache=True)
def audit_agents(
    first, last, cash, worth, account_start, holding_start, holding_asset, holding_units, fundamental, audited,
    book, start, balance, equity, requirement, value, flags, owner_venue, warning, settle, settle_audited, book_venue,
    position_instrument, units, mark, equity_price, value_price, audited_price, long_only, tier_start, tier_floor,
    tier_rate, tier_deduction, owed, shortfall, breached, warned, limited, limited_change, suspects, suspect_worth,
    suspect_gross, counts, tolerance, strict_from,
):  # fmt: skip
    """Mark every account of agents `first`..`last`, list what needs attention, and check net worth.

    For each agent: recompute net worth from cash, holdings, balances and units; revalue its opening units; compare
    with `worth`. An agent that differs (limited liability has moved, credit is outstanding, or an error) goes to
    `suspects` for the caller to settle; institutions (rows below `strict_from`) always do.

    counts: 0 breached, 1 warned, 2 limited, 3 suspects.
    """
    n_breached, n_warned, n_limited, n_suspects = counts[0], counts[1], counts[2], counts[3]
    for agent in range(first, last):
        total = cash[agent]
        gross = abs(total)
        revaluation = 0.0
        for a in range(account_start[agent], account_start[agent + 1]):
            b = book[a]
            held = balance[a]
            margin_equity, value_equity, before, need, size = held, held, held, 0.0, abs(held)
            open_position = False
            for p in range(start[a], start[a + 1]):
                u = units[p]
                if u != 0.0:
                    k = position_instrument[p]
                    open_position = True
                    margin_equity += u * equity_price[k]
                    worth_now = u * value_price[k]
                    value_equity += worth_now
                    before += u * audited_price[k]
                    size += abs(worth_now)
                    need += position_requirement(
                        u, k, mark, long_only, tier_start, tier_floor, tier_rate, tier_deduction
                    )
            price = settle[b]
            value_usd = value_equity * price
            revaluation += value_usd - before * settle_audited[b]
            equity[a] = margin_equity * price
            requirement[a] = need * price
            gross += size * price
            if book_venue[b] == agent:
                continue  # a house account nets out of its venue's own worth
            carried = max(0.0, -value[a])
            if value_usd < 0.0 or carried > 0.0:
                change = max(0.0, -value_usd) - carried
                if change != 0.0:
                    limited[n_limited] = a
                    limited_change[n_limited] = change
                    n_limited += 1
            value[a] = value_usd
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
        for h in range(holding_start[agent], holding_start[agent + 1]):
            u = holding_units[h]
            if u != 0.0:
                asset = holding_asset[h]
                total += u * fundamental[asset]
                revaluation += u * (fundamental[asset] - audited[asset])
                gross += abs(u) * fundamental[asset]
        expected = worth[agent] + revaluation
        worth[agent] = expected
        if agent < strict_from or not abs(total - expected) <= tolerance * max(gross, 1.0):
            suspects[n_suspects] = agent
            suspect_worth[n_suspects] = total
            suspect_gross[n_suspects] = gross
            n_suspects += 1
        else:
            worth[agent] = total
    counts[0], counts[1], counts[2], counts[3] = n_breached, n_warned, n_limited, n_suspects


@nb.njit(cache=True)
def scan_breaches(
    book, start, balance, flags, position_instrument, units, mark, equity_price, long_only, tier_start, tier_floor,
    tier_rate, tier_deduction, breached,
):  # fmt: skip
    """List accounts whose margin equity is strictly below their requirement at the marks of a round; returns the count.

    House accounts are left out.
    """
    found = 0
    for a in range(len(balance)):
        margin_equity, need, open_position = balance[a], 0.0, False
        for p in range(start[a], start[a + 1]):
            u = units[p]
            if u != 0.0:
                open_position = True
                k = position_instrument[p]
                margin_equity += u * equity_price[k]
                need += position_requirement(u, k, mark, long_only, tier_start, tier_floor, tier_rate, tier_deduction)
        if open_position and margin_equity < need and not flags[a] & _HOUSE:
            breached[found] = a
            found += 1
    return found


@nb.njit(cache=True)
def margin_of(
    accounts, start, balance, position_instrument, units, mark, equity_price, long_only, tier_start, tier_floor,
    tier_rate, tier_deduction, equity, requirement, notional,
):  # fmt: skip
    """Equity, requirement and gross notional of listed accounts at the current marks. [settlement asset]"""
    for i in range(len(accounts)):
        a = accounts[i]
        margin_equity, need, size = balance[a], 0.0, 0.0
        for p in range(start[a], start[a + 1]):
            u = units[p]
            if u != 0.0:
                k = position_instrument[p]
                margin_equity += u * equity_price[k]
                size += abs(u) * mark[k]
                need += position_requirement(u, k, mark, long_only, tier_start, tier_floor, tier_rate, tier_deduction)
        equity[i], requirement[i], notional[i] = margin_equity, need, size


@nb.njit(cache=True)
def sum_units(position_instrument, position_account, units, flags, net, gross, customers, long):
    """Per instrument: sum of units, of their size, over customers only, and of positive units."""
    for p in range(len(units)):
        u = units[p]
        if u != 0.0:
            k = position_instrument[p]
            net[k] += u
            gross[k] += abs(u)
            if u > 0.0:
                long[k] += u
            if not flags[position_account[p]] & _HOUSE:
                customers[k] += u


@nb.njit(cache=True)
def audit_institutions(
    first_trader, worth, partial, gross, books_venue, books_balance, settle, settle_audited, owed, issuer, supply,
    fundamental, audited, instrument_venue, instrument_kind, customer_units, value_price, audited_price, book_of,
    lender, borrower, face,
):  # fmt: skip
    """Complete net worth and revaluation of institutions: what they owe account holders, claim holders and lenders.

    `partial` is net worth without those; both it and `worth` are completed in place. Customers' units revalue against
    the venue, and so do customers' balances where they are not in USD.
    """
    for b in range(len(books_venue)):
        v = books_venue[b]
        partial[v] -= owed[b]
        gross[v] += owed[b]
        worth[v] -= books_balance[b] * (settle[b] - settle_audited[b])
    for k in range(len(instrument_kind)):
        if instrument_kind[k] >= 2:  # spot and debt: contracts revalue through the house account
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


@nb.njit(cache=True)
def out_of_range(cash, mark, depth, owner, held, tolerance):
    """First thing that is negative or not a number: (0 nothing | 1 cash | 2 mark | 3 depth | 4 holding, row).

    Agent 0, outside, may be short of both cash and goods.
    """
    largest = 1.0
    for i in range(1, len(cash)):
        largest = max(largest, cash[i])
        if not cash[i] >= -tolerance * largest:
            return 1, i
    for k in range(len(mark)):
        if not (mark[k] >= 0.0 and mark[k] < 1e300):
            return 2, k
        if not depth[k] >= 0.0:
            return 3, k
    largest = 1.0
    for h in range(len(held)):
        if owner[h] > 0:
            largest = max(largest, held[h])
            if not held[h] >= -tolerance * largest:
                return 4, h
    return 0, 0
