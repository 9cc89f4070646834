"""What issuers may hold, where they have accounts, and the short contracts they open against their spot."""

from __future__ import annotations

from contagion.errors import InputError
from contagion.scenario.issuers import DeltaNeutral, Issuer, Reflexive
from contagion.scenario.layout import Layout
from contagion.state.codes import InstrumentKind
from contagion.state.tables import Accounts, Positions


def assets_of(spec: Issuer) -> list[str]:
    """Assets and claims an issuer may hold."""
    minted = [spec.mints] if isinstance(spec, Reflexive) else []
    return [*spec.holds, *([spec.only] if spec.only else []), *minted]


def accounts_of(spec: Issuer, layout: Layout) -> list[int]:
    """Books of an exchange in which an issuer has an account: all, or for a hedge those of its contracts."""
    if spec.account_at is None:
        return []
    venue = layout.agent_rows[spec.account_at]
    books = layout.books_of[venue]
    if not isinstance(spec, DeltaNeutral):
        return books
    used = {layout.instruments.book[row] for row in hedge_rows(spec, layout).values()}
    return [book for book in books if book in used]


def hedge_rows(spec: DeltaNeutral, layout: Layout) -> dict[str, int]:
    """Contract each asset in an issuer's hands is hedged with."""
    venue = layout.agent_rows[spec.hedged_at]
    return {
        asset: layout.instrument_rows[venue, asset] for asset in spec.holds if (venue, asset) in layout.instrument_rows
    }


def open_hedges(
    layout: Layout, house: list[tuple[int, int, int]], accounts: Accounts, positions: Positions
) -> None:  # fmt: skip
    """Sell short what delta-neutral issuers hold, at the opening price; their margin is paid in later.

    Raises
    ------
    InputError
        A contract of the asset that is not linear or not settled in USD.
    """
    instruments = layout.instruments
    for account, (row, book, _) in enumerate(house):
        spec = layout.specs[row]
        if not isinstance(spec, DeltaNeutral):
            continue
        for asset, contract in hedge_rows(spec, layout).items():
            settle = int(layout.books.settle[instruments.book[contract]])
            if instruments.kind[contract] != InstrumentKind.LINEAR or settle != 0:
                where = f"protocols.{layout.names[row]}.hedged_at"
                raise InputError(where, spec.hedged_at, f"an exchange with a linear contract on {asset} settled in USD")
            if instruments.book[contract] != book:
                continue
            price = float(instruments.mark[contract])
            units = -spec.holds[asset] / price
            for position in range(accounts.start[account], accounts.start[account + 1]):
                if positions.instrument[position] == contract:
                    positions.units[position], positions.entry[position] = units, price
                    accounts.balance[account] -= units * price
