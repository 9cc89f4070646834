"""Who paid: what each agent gave and got by cause, and on whom the socialised losses of every venue came to rest.

*Socialised* is what a venue's rules made others give for deficits that arose in its books: allocation rows (layers of
money against the mark, and deleveraging at the rule's price against the mark) and what customers lose when a venue is
resolved. Where the payer issued a claim (a vault, a pool that writes deposits down), its holders are the ones who bear
it, pro rata to what they lost on the claim; a holder who left in time bears nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from contagion.outcomes.channels import CHANNEL, Channel
from contagion.state.codes import AgentKind, Cause, InstrumentKind
from contagion.state.ledger import ROW
from contagion.state.world import World

MAX_PASSES = 50
"""Of burdens around issuers that hold each other's claims; what then still circulates stays where it is."""


_KEPT = np.isin(np.arange(len(Cause)), (
    Cause.ALLOCATION, Cause.RESOLUTION, Cause.ISSUED, Cause.REDEEMED, Cause.THEFT,
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Burden:
    """Socialised losses by who bore them in the end. [USD]

    Attributes
    ----------
    by_agent : ndarray of shape (n_agents,)
    table : ndarray of shape (n_agents before traders, n_bearers)
        From the venue where the deficit arose to the bearer: institutions by agent row, then trader groups.
    unallocated : ndarray of shape (n_agents before traders,)
        What no layer of an exchange took, by exchange: its own negative equity.
    """

    by_agent: np.ndarray
    table: np.ndarray
    unallocated: np.ndarray


class Incidence:
    """Follows the ledger of a run, whether its rows are kept or not, and remembers the opening.

    Nothing is done in a step: rows come in blocks, when the ledger counts them.

    Attributes
    ----------
    opening_units : ndarray
        Units by position at the opening.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        self._seen = np.full(state.n_agents, -1, np.int32)  # row of `_paid` of an agent that is in a ledger row
        self._paid = np.zeros((0, len(Channel)))
        self.opening_units = state.positions.units.astype(np.float32)
        self.opening_unit_value = _usd_per_unit(state)
        self.claim_rows = np.flatnonzero(state.assets.issuer[state.holdings.asset] >= 0)
        self.opening_fundamental = state.assets.fundamental.copy()
        self._opening_claims = self._claim_units()
        self._kept = [np.empty(0, ROW)]
        world.bookkeeper.ledger.listeners.append(self.take)

    def take(self, rows: np.ndarray) -> None:
        """Count a block of rows, one after the other, so that sums do not depend on where blocks end."""
        known = _number(rows, self._seen, len(self._paid))
        if known > len(self._paid):
            self._paid = np.concatenate([self._paid, np.zeros((known - len(self._paid), len(Channel)))])
        _count(rows, CHANNEL, self._seen, self._paid)
        some = _KEPT[rows["cause"]]
        if some.any():
            self._kept.append(rows[some])

    @property
    def paid(self) -> np.ndarray:
        """Paid less received so far by :class:`Channel`, shape (n_channels, n_agents). [USD]"""
        paid = np.zeros((len(Channel), len(self._seen)))
        some = self._seen >= 0
        paid[:, some] = self._paid[self._seen[some]].T
        return paid

    def _kept_rows(self) -> np.ndarray:
        self.world.bookkeeper.ledger.fold()
        self._kept = [np.concatenate(self._kept)]
        return self._kept[0]

    def _claim_units(self) -> np.ndarray:
        """Own units of claims by row of `claim_rows`: what a pool keeps for its customers is theirs."""
        state = self.world.state
        holdings, instruments = state.holdings, state.instruments
        units = holdings.units[self.claim_rows].copy()
        for row in np.flatnonzero(state.assets.issuer[instruments.asset] >= 0):
            if instruments.kind[row] == InstrumentKind.SPOT:
                custody = holdings.owner[self.claim_rows] == instruments.venue[row]
                custody &= holdings.asset[self.claim_rows] == instruments.asset[row]
                units[custody] -= instruments.customer_units[row]
        return units

    # -- claims -------------------------------------------------------------------------------------------------

    def claim_losses(self) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """What holders lost on each claim, what they put in and took out at fundamental value taken into account.

        Returns
        -------
        list of (asset row, ndarray of agent rows, ndarray of losses)
            Units in own hands; negative losses are gains. [USD]
        """
        state, found = self.world.state, []
        rows = self._kept_rows()
        rows = rows[np.isin(rows["cause"], (Cause.ISSUED, Cause.REDEEMED, Cause.THEFT))]
        units, held = self._claim_units(), state.holdings
        for asset in np.flatnonzero(state.assets.issuer >= 0).tolist():
            here = held.asset[self.claim_rows] == asset
            holder = held.owner[self.claim_rows[here]].astype(np.int64)
            loss = self._opening_claims[here] * self.opening_fundamental[asset]
            loss -= units[here] * state.assets.fundamental[asset]
            net = np.zeros(state.n_agents)
            issuer = state.assets.issuer[asset]
            issued = rows[(rows["cause"] == Cause.ISSUED) & (rows["payer"] == issuer)]
            redeemed = rows[(rows["cause"] == Cause.REDEEMED) & (rows["payee"] == issuer)]
            np.add.at(net, issued["payee"], issued["amount"])
            np.subtract.at(net, redeemed["payer"], redeemed["amount"])
            stolen = rows[(rows["cause"] == Cause.THEFT) & (rows["payee"] == issuer)]  # units of its claim
            np.subtract.at(net, stolen["payer"], stolen["amount"])
            net[0] += stolen["amount"].sum()
            loss += net[holder]
            reserves = state.agents.kind[holder] == AgentKind.FUND
            loss[reserves] = self._residual(holder[reserves])  # one that pays by burning claims books no redemption
            found.append((asset, holder, loss))
        return found

    def _residual(self, agents: np.ndarray) -> np.ndarray:
        """What agents lost by prices alone. [USD]"""
        worth = self.world.state.agents
        return worth.opening[agents] - worth.worth[agents] - self.paid[:, agents].sum(axis=0)

    def _holders(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """For each issuer (agent row): holders of its claim and the shares of its burden they bear."""
        state, shares = self.world.state, {}
        spot = state.instruments.kind[state.positions.instrument] == InstrumentKind.SPOT
        for asset, holder, loss in self.claim_losses():
            issuer = int(state.assets.issuer[asset])
            pledged = np.flatnonzero(spot & (state.instruments.asset[state.positions.instrument] == asset))
            owner = state.accounts.owner[state.positions.account[pledged]].astype(np.int64)
            fall = self.opening_fundamental[asset] - state.assets.fundamental[asset]
            holder = np.concatenate([holder, owner])
            weight = np.maximum(0.0, np.concatenate([loss, self.opening_units[pledged] * fall]))
            weight[holder == issuer] = 0.0
            if weight.sum() > 1e-9:
                shares[issuer] = (holder, weight / weight.sum())
        return shares

    # -- the burden ---------------------------------------------------------------------------------------------

    def burden(self) -> Burden:
        """Socialised losses so far, by who bore them in the end."""
        world, state = self.world, self.world.state
        first, n_agents = state.first_trader, state.n_agents
        rows = self._kept_rows()
        resolution = (rows["cause"] == Cause.RESOLUTION) & (rows["payer"] != rows["payee"]) & (rows["payee"] < first)
        rows = rows[(rows["cause"] == Cause.ALLOCATION) | resolution]
        layers = world.bookkeeper.ledger.layers
        nobody = rows["layer"] == (layers.index("unallocated") if "unallocated" in layers else -2)
        issuers = np.zeros(n_agents, dtype=bool)
        issuers[state.assets.issuer[state.assets.issuer >= 0]] = True
        nobody &= ~issuers[rows["payer"]]
        unallocated = np.bincount(rows["payer"][nobody], rows["amount"][nobody], minlength=first)
        rows = rows[~nobody]
        payer, amount = rows["payer"].astype(np.int64), rows["amount"]
        by_agent = np.bincount(payer, amount, minlength=n_agents)
        label = np.concatenate([np.arange(first), first + state.agents.group[first:].astype(np.int64)])
        n_labels = first + len(state.group_names)
        direct = np.zeros((first, n_labels))
        np.add.at(direct, (rows["payee"], label[payer]), amount)
        holders = self._holders()
        shares = np.zeros((n_labels, n_labels))
        for issuer, (holder, share) in holders.items():
            np.add.at(shares[issuer], label[holder], share)
        kept = np.maximum(0.0, state.agents.opening[:first] - state.agents.worth[:first])
        table, passed = _pass_on(direct, shares, list(holders), kept)
        for issuer, (holder, share) in holders.items():
            by_agent[issuer] -= passed[issuer]
            np.add.at(by_agent, holder, share * passed[issuer])
        return Burden(np.maximum(by_agent, 0.0), table, unallocated)

    # -- system loss --------------------------------------------------------------------------------------------

    def loss_by_channel(self) -> dict[str, float]:
        """Losses of the agents that lost, outside excepted, by channel; they add up to the system loss. [USD]

        A channel is what losers paid through it less what they got, so one that helped them on balance is negative.
        ``price`` is the rest: marks and indices, with the funding and interest that accrue inside them, net of limited
        liability. ``claims`` is the revaluation of claims in own hands.
        """
        state = self.world.state
        losses = self.claim_losses()
        change = state.agents.worth - state.agents.opening
        loser = change < 0.0
        loser[0] = False
        paid = self.paid[:, loser].sum(axis=1)
        venues = np.array([venue.row for venue in self.world.venues.values() if venue.books], dtype=np.int64)
        carried = float(self.paid[Channel.LIMITED, venues][loser[venues]].sum())
        found = {
            "claims": float(sum(loss[loser[holder]].sum() for _, holder, loss in losses)),
            "socialised": float(paid[Channel.SOCIALISED]) + carried,
        }
        for channel in (Channel.EXECUTION, Channel.FEES, Channel.CREDIT, Channel.RUNS, Channel.OTHER):
            found[channel.name.lower()] = float(paid[channel])
        return {"price": float(-change[loser].sum()) - sum(found.values()), **found}


@nb.njit(cache=True)
def _number(rows, seen, known):
    """Give agents that appear for the first time the next numbers; returns how many are known then."""
    for row in rows:
        for agent in (row.payer, row.payee):
            if seen[agent] < 0:
                seen[agent] = known
                known += 1
    return known


@nb.njit(cache=True)
def _count(rows, channel, seen, paid):
    for row in rows:
        paid[seen[row.payer], channel[row.cause]] += row.amount
        paid[seen[row.payee], channel[row.cause]] -= row.amount


def _usd_per_unit(state) -> np.ndarray:
    """Signed economic exposure of one unit of each instrument. [USD]"""
    instruments = state.instruments
    settle = state.assets.fundamental[state.books.settle[instruments.book]]
    return instruments.sign * instruments.mark * settle


def _pass_on(
    direct: np.ndarray, shares: np.ndarray, issuers: list[int], kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move what issuers bear to their holders, beyond what they kept as a loss of their own net worth.

    Parameters
    ----------
    direct : ndarray of shape (n_origins, n_bearers)
    shares : ndarray of shape (n_bearers, n_bearers)
        Row of an issuer: shares of its holders, adding up to 1.
    kept : ndarray of shape (n_institutions,)

    Returns
    -------
    table : ndarray of shape of `direct`
    passed : ndarray of shape (n_bearers,)
        What each issuer passed on.
    """
    table, passed = direct.copy(), np.zeros(direct.shape[1])
    issuing = np.zeros(direct.shape[1], dtype=bool)
    issuing[issuers] = True
    waiting = np.where(issuing, table, 0.0)
    table[:, issuing] = 0.0
    room = kept.copy()
    for _ in range(MAX_PASSES):
        if waiting.sum() <= 1e-9 * max(1.0, direct.sum()):
            break
        for issuer in issuers:
            column, amount = waiting[:, issuer].copy(), float(waiting[:, issuer].sum())
            waiting[:, issuer] = 0.0
            if amount <= 0.0:
                continue
            keep = min(amount, room[issuer])
            room[issuer] -= keep
            table[:, issuer] += column * (keep / amount)
            given = np.outer(column * (1.0 - keep / amount), shares[issuer])
            waiting += np.where(issuing, given, 0.0)
            table += np.where(issuing, 0.0, given)
            passed[issuer] += amount - keep
    return table + waiting, passed
