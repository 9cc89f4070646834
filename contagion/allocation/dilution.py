"""New tokens are sold to outside, and those who held the old ones bear the loss (Maker: flop auctions)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from contagion.allocation.layer import Case, Layer, Payment, Properties
from contagion.errors import InputError
from contagion.state.codes import Cause, InstrumentKind


class TokenDilution(Layer):
    """Outside buys newly issued units of a token at the price they have afterwards; the cash covers the deficit.

    With a supply S at price P, a sum D is raised by n new units at ``P' = P S / (S + n)``, ``D = n P' = S (P - P')``:
    the old holders lose exactly what outside pays. Agents of the model pay by the units they hold; for units held
    outside the cash comes in as an intervention. The endogenous part of the token's price falls by ``P' / P``.

    Parameters
    ----------
    token : str
        A market asset.
    supply : float
        Units outstanding before the first sale.
    most : float
        Greatest part of the token's value that can be raised at once.
    """

    has: ClassVar[Properties] = Properties(False, True, None, True, True, False)

    token: str
    supply: Annotated[float, Field(gt=0)]
    most: Annotated[float, Field(gt=0, lt=1)] = 0.5

    def bear(self, case: Case) -> Iterator[Payment]:
        state, bookkeeper, row = case.world.state, case.world.bookkeeper, case.venue.row
        if self.token not in state.assets.names[1:]:
            raise InputError("token_dilution.token", self.token, f"one of {', '.join(state.assets.names[1:])}")
        asset = state.assets.names.index(self.token)
        spot = state.instruments.asset[state.instruments.kind == InstrumentKind.SPOT]
        if asset in state.books.settle or asset in spot:
            raise InputError("token_dilution.token", self.token, "a token that is neither collateral nor settlement")
        price = float(state.assets.fundamental[asset])
        supply = self.supply + case.memory.by_market.get(asset, 0.0)
        raised = min(case.need, self.most * supply * price)
        if not raised > 0.0:
            return
        after = price - raised / supply
        held = np.flatnonzero((state.holdings.asset == asset) & (state.holdings.units > 0.0))
        owner, units = state.holdings.owner[held], state.holdings.units[held]
        inside = (owner != 0) & (owner != row)
        holders, place = np.unique(owner[inside], return_inverse=True)
        amounts = np.bincount(place, units[inside] * (price - after), minlength=len(holders))
        rest = raised - float(amounts.sum())
        if rest < -1e-9 * raised:
            raise InputError("token_dilution.supply", self.supply, "at least the units that agents hold")
        case.memory.by_market[asset] = case.memory.by_market.get(asset, 0.0) + raised / after
        case.world.count(f"tokens_issued.{case.venue.name}", raised / after)
        self._reprice(case, asset, after / price)
        # Outside's cash for the part of old holders in the model is a sale; the tokens it gets are theirs no more.
        state.agents.cash[0] -= raised
        state.agents.cash[row] += raised
        yield Payment(amounts, amounts, agents=holders, diluted=True)
        if rest > 0.0:
            bookkeeper.book(Cause.INTERVENTION, 0, row, rest)
            yield Payment(np.array([min(rest, case.need)]), np.array([rest]))

    def _reprice(self, case: Case, asset: int, factor: float) -> None:
        """Lower the price; the rows, and not a revaluation, say who lost by it."""
        assets = case.world.state.assets
        assets.endogenous[asset] += np.log(factor)
        for column in (assets.index, assets.fundamental, assets.redemption, assets.market, assets.audited):
            column[asset] *= factor
