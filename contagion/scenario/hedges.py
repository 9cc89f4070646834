"""Short contracts that issuers open against the spot they hold."""

from __future__ import annotations

from contagion.errors import InputError
from contagion.scenario.balance_sheets import hedge_rows
from contagion.scenario.issuers import DeltaNeutral
from contagion.scenario.layout import Layout
from contagion.state.codes import InstrumentKind
from contagion.state.tables import Accounts, Positions


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
