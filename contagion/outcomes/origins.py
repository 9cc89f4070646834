"""Where losses on claims came from: each write-down carries the mix of its causes, through every issuer it passes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagion.outcomes.channels import Channel
from contagion.state.codes import AccountFlag, AgentKind, Cause, InstrumentKind
from contagion.state.world import World

PRICES, LEAVERS = "prices", "early leavers"
_ROUNDING = 1e-9


def claim_origins(world: World) -> pd.DataFrame:
    """Losses on claims from where they arose (rows) to who bore them in the end (columns). [USD]

    An issuer loses by what happens to itself (theft, fees, sales: its own name), by prices of market assets, by those
    who left with more than the balance sheet gave, and by what it holds or has lent against: there the loss carries
    the mix of origins of the claims that fell, pro rata to amounts. Bearers are those who hold claims without issuing
    any, with what limited liability took off their collateral's loss, and issuers as far as their own equity bore it.
    Columns add up to what each bearer lost; who gained on balance on a claim is left out. Rows and columns of zeros
    are left out.
    """
    found = _Books(world)
    mix = found.mix()
    state = world.state
    names = [*state.agents.names[: state.first_trader], *state.group_names]
    borne = found.borne(len(names))
    table = pd.DataFrame(mix.T @ borne, index=found.origins, columns=names)
    return table.loc[table.sum(axis=1) > _ROUNDING, table.sum(axis=0) > _ROUNDING].rename_axis("origin")


class _Books:
    """What every issuer lost, by cause, and who lost on its claim. Matrices have a row for each claim."""

    def __init__(self, world: World) -> None:
        self.world, self.state = world, world.state
        seen, assets, agents = world.incidence, world.state.assets, world.state.agents
        self.claims = np.flatnonzero(assets.issuer >= 0)
        self.issuers = assets.issuer[self.claims]
        self.order = {int(agent): place for place, agent in enumerate(self.issuers)}
        self.origins = [*(agents.names[row] for row in self.issuers), PRICES, LEAVERS]
        self.fall = seen.opening_fundamental - assets.fundamental
        self.losses = seen.claim_losses()
        self.paid = seen.paid
        positions, instruments = self.state.positions, self.state.instruments
        spot = instruments.kind[positions.instrument] == InstrumentKind.SPOT
        self.pledged = np.flatnonzero(spot & (seen.opening_units > 0.0))
        self.pledged_asset = instruments.asset[positions.instrument[self.pledged]]
        self.pledged_units = seen.opening_units[self.pledged].astype(float)
        self.lost = self._lost()

    def _lost(self) -> np.ndarray:
        """What all holders of each claim lost on it together. Shape (n_claims,). [USD]"""
        seen, assets = self.world.incidence, self.state.assets
        rows, count = seen._kept_rows(), len(assets.names)
        held = seen.world.state.holdings.asset[seen.claim_rows]
        opening = np.bincount(held, seen._opening_claims, count)
        opening += np.bincount(self.pledged_asset, self.pledged_units, count)
        lost = (opening * seen.opening_fundamental - assets.supply * assets.fundamental)[self.claims]
        for cause, sign, side in ((Cause.ISSUED, 1.0, "payer"), (Cause.REDEEMED, -1.0, "payee")):
            here = rows[rows["cause"] == cause]
            lost += sign * np.bincount(here[side], here["amount"], self.state.n_agents)[self.issuers]
        return lost

    def mix(self) -> np.ndarray:
        """Shares of the origins in the write-down of each claim, shape (n_claims, n_origins)."""
        n = len(self.claims)
        through, own = self._through(), np.zeros((n, n + 2))
        agents = self.state.agents
        channels = self.paid[:, self.issuers]
        itself = channels[[Channel.EXECUTION, Channel.FEES, Channel.CREDIT, Channel.OTHER]].sum(axis=0)
        lent = channels[[Channel.LIMITED, Channel.SOCIALISED]].sum(axis=0)
        kept = agents.opening[self.issuers] - agents.worth[self.issuers]
        all_of_it = self.lost + kept
        by_price = all_of_it - itself - lent - channels[Channel.RUNS] - through.sum(axis=1)
        own[np.arange(n), np.arange(n)] = itself
        own[:, n], own[:, n + 1] = by_price, channels[Channel.RUNS]
        for place in np.flatnonzero(lent > 0.0):
            self._split_loans(int(place), float(lent[place]), through, own)
        through, own = np.maximum(through, 0.0), np.maximum(own, 0.0)
        gross = through.sum(axis=1) + own.sum(axis=1)
        dust = _ROUNDING * (gross[:, None] + np.abs(all_of_it[:, None]) + 1.0)
        through[through < dust], own[own < dust] = 0.0, 0.0
        total = through.sum(axis=1) + own.sum(axis=1)
        none = total == 0.0
        own[none, np.flatnonzero(none)] = total[none] = 1.0
        found = np.linalg.lstsq(np.eye(n) - through / total[:, None], own / total[:, None], rcond=None)[0]
        found = np.maximum(0.0, found)
        return found / found.sum(axis=1, keepdims=True)

    def _through(self) -> np.ndarray:
        """What the issuer of each claim (row) lost on each claim (column) in its hands. [USD]"""
        through = np.zeros((len(self.claims), len(self.claims)))
        for column, (_, holders, losses) in enumerate(self.losses):
            for holder, loss in zip(holders.tolist(), losses.tolist(), strict=True):
                if holder in self.order and holder != self.issuers[column]:
                    through[self.order[holder], column] += loss
        return through

    def _split_loans(self, place: int, amount: float, through: np.ndarray, own: np.ndarray) -> None:
        """What a pool lost on loans goes by what the collateral of those borrowers lost."""
        state, roots = self.state, self.world.bookkeeper.deficits
        venue = int(self.issuers[place])
        under = np.flatnonzero((state.accounts.flags & AccountFlag.UNDER) != 0)
        accounts = {a for a, v in zip(roots.account, roots.venue, strict=True) if v == venue}
        accounts |= set(under[state.books.venue[state.accounts.book[under]] == venue].tolist())
        here = np.isin(state.positions.account[self.pledged], list(accounts))
        fallen = np.maximum(0.0, self.pledged_units * self.fall[self.pledged_asset]) * here
        if fallen.sum() <= 0.0:
            own[place, place] += amount
            return
        for asset, part in zip(self.pledged_asset.tolist(), (amount * fallen / fallen.sum()).tolist(), strict=True):
            issuer = int(state.assets.issuer[asset])
            if part > 0.0 and issuer >= 0:
                through[place, self.order[issuer]] += part
            elif part > 0.0:
                own[place, len(self.claims)] += part

    def borne(self, count: int) -> np.ndarray:
        """What each bearer lost on each claim, shape (n_claims, count). [USD]"""
        state, first = self.state, self.state.first_trader
        label = np.concatenate([np.arange(first), first + state.agents.group[first:].astype(np.int64)])
        borne = np.zeros((len(self.claims), count))
        spared = self._spared()
        for place, (asset, holders, losses) in enumerate(self.losses):
            here = self.pledged_asset == asset
            owners = state.accounts.owner[state.positions.account[self.pledged[here]]].astype(np.int64)
            pledged = np.maximum(0.0, self.pledged_units[here] * self.fall[asset])
            named = float(losses.sum() + pledged.sum())
            # Whatever else units did (keepers sell them to outside), what is not others' loss is that of outside.
            losses = np.where(holders == 0, losses + float(self.lost[place]) - named, losses)
            final = np.array([int(holder) not in self.order for holder in holders], bool)
            np.add.at(borne[place], label[holders[final]], np.maximum(0.0, losses[final]))
            np.add.at(borne[place], label[owners], pledged * (1.0 - spared[owners]))
            issuer = int(self.issuers[place])
            borne[place, issuer] += max(0.0, float(state.agents.opening[issuer] - state.agents.worth[issuer]))
        borne[borne < _ROUNDING * (1.0 + np.abs(self.lost[:, None]))] = 0.0
        return borne

    def _spared(self) -> np.ndarray:
        """Share of an owner's loss on collateral that limited liability took from it. Shape (n_agents,)."""
        state, n = self.state, self.state.n_agents
        owners = state.accounts.owner[state.positions.account[self.pledged]]
        fallen = np.bincount(owners, np.maximum(0.0, self.pledged_units * self.fall[self.pledged_asset]), n)
        received = np.maximum(0.0, -self.paid[Channel.LIMITED])
        received[state.agents.kind != AgentKind.TRADER] = 0.0
        return np.minimum(1.0, np.divide(received, fallen, out=np.zeros(n), where=fallen > 0.0))
