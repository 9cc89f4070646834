"""Who failed, when and because of whom: the first time an institution fails in some way, and its largest loss then."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contagion.protocols.disclosure import Disclosure
from contagion.results import FAILURE_COLUMNS
from contagion.scenario.venues import Exchange
from contagion.state.codes import Cause, InstrumentKind
from contagion.state.tables import State
from contagion.state.world import Venue, World

STATUS = {4: "illiquid", 1: "default", 2: "insolvent", 8: "failed"}
WORTH_LESS, BELOW_VALUE, HALTED, BAD_DEBT = "worth less", "below its value", "halted", "bad debt"
ITSELF, WITHDRAWALS, OUTSIDE = "itself", "withdrawals", "outside"

LOSS = 0.01
"""Share of the opening value that a claim is down by when it counts as worth less."""
GAP = 0.03
"""Share of its redemption value that a claim trades below when that counts as a failure of its market."""
MATERIAL = 0.01
"""Share of what an institution owes from which on a loss counts as the reason of its failure."""
CENT = 0.01
"""Deficits below it are rounding. [USD]"""

_OWN = (Cause.THEFT, Cause.DEFAULT_COST)


class Failures:
    """Watches institutions, and traders that are named alone, at the end of each step.

    The cause of a failure is where the greatest loss so far lies: with an issuer whose claims it holds or has lent
    against, a borrower, a venue where it has margin, a market asset, a group of traders that left deficits, or with
    what was taken from itself. Who stops paying, or trades low, without a material loss does so because of
    withdrawals; a halt without either comes from outside. Losses count at market, before they are recognised; money
    that is stuck with somebody who failed before counts in full for who cannot pay.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        state = world.state
        self._rows: list[tuple[int, str, str, str, float]] = []
        self._watched = np.array(sorted({
            *(venue.row for venue in world.venues.values()),
            *(row for row in world.agent_rows.values() if row >= state.first_trader),
        }), np.int64)  # fmt: skip
        self._status = state.agents.status[self._watched].copy()
        self._halted: set[int] = set()
        self._roots = 0
        self._pools = {venue.row for venue in world.venues.values() if venue.debts}
        self._pools_at_opening = frozenset(self._pools)
        venues = [venue for venue in world.venues.values() if venue.claim >= 0 and _stands_for_itself(world, venue)]
        self._claims = np.array([venue.claim for venue in venues], np.int64)
        self._less = np.zeros(len(venues), bool)
        self._gap = np.zeros(len(venues), bool)
        self._venues = {venue.row: venue for venue in world.venues.values()}
        self._own = np.zeros(state.n_agents)  # stolen, or lost in default [USD]
        self._left = np.zeros(state.n_agents)  # withdrawn from each [USD]
        self._forgiven: dict[tuple[int, int], float] = {}  # (lender, borrower) [USD]
        world.bookkeeper.ledger.listeners.append(self._take)

    def open(self) -> None:
        """Values of the opening, which losses are measured from."""
        state = self.world.state
        self._disclosure = Disclosure(self.world)
        self._fundamental = state.assets.fundamental.copy()
        self._floor = (1.0 - LOSS) * self._fundamental[self._claims]
        self._index = state.assets.index.copy()
        self._units = state.holdings.units.copy()
        self._margin = {row: self._margin_of(row) for row in self._watched.tolist()}

    def step(self) -> None:
        """Note who failed in this step."""
        state, found = self.world.state, []
        status = state.agents.status[self._watched]
        if (status != self._status).any():
            new = status & ~self._status
            for row, bits in zip(self._watched[new > 0].tolist(), new[new > 0].tolist(), strict=True):
                found += [(row, word) for bit, word in STATUS.items() if bits & bit]
            self._status = self._status | status  # once each
        if len(self.world.halted) > len(self._halted):
            found += [(row, HALTED) for row in self.world.halted if row not in self._halted]
            self._halted |= set(self.world.halted)
        roots = self.world.bookkeeper.deficits
        if len(roots) > self._roots:
            new = zip(roots.venue[self._roots :], roots.amount[self._roots :], strict=True)
            here = self._pools & {int(row) for row, amount in new if amount >= CENT}
            found += [(row, BAD_DEBT) for row in sorted(here)]
            self._pools -= here
            self._roots = len(roots)
        if len(self._claims):
            assets = state.assets
            less = assets.fundamental[self._claims] < self._floor
            gap = assets.market[self._claims] < (1.0 - GAP) * assets.redemption[self._claims]
            for kind, now, before in ((WORTH_LESS, less, self._less), (BELOW_VALUE, gap, self._gap)):
                if (now & ~before).any():
                    found += [(int(assets.issuer[claim]), kind) for claim in self._claims[now & ~before]]
                    before |= now
        if found:
            self._note(found)

    def frame(self) -> pd.DataFrame:
        """One row a failure, see :class:`~contagion.results.RunResult`."""
        table = pd.DataFrame(self._rows, columns=list(FAILURE_COLUMNS))
        kinds = {"step": "int64", "agent": "str", "failure": "str", "cause": "str", "amount": "float64"}
        return table.astype(kinds)

    def _note(self, found: list[tuple[int, str]]) -> None:
        self.world.bookkeeper.ledger.fold()
        known = {row[1] for row in self._rows}
        rows = [(self.world.step, self._name(row), kind, *self._cause(row, kind, known)) for row, kind in found]
        # Causes first: who fails in the same step because of another comes after it.
        while rows:
            waiting = {row[1] for row in rows}
            first = next((row for row in rows if row[3] not in waiting - {row[1]}), rows[0])
            self._rows.append(first)
            rows.remove(first)

    def _cause(self, row: int, kind: str, failed: set[str]) -> tuple[str, float]:
        losses = self._losses(row, failed if kind in ("illiquid", HALTED) else set())
        name, amount = max(losses.items(), key=lambda item: item[1], default=(OUTSIDE, 0.0))
        may_be_sound = kind in ("illiquid", BELOW_VALUE, HALTED)
        if amount > (MATERIAL * self._owed(row) if may_be_sound else 0.0):
            return name, amount
        if kind != HALTED and self._left[row] > 0.0:
            return WITHDRAWALS, float(self._left[row])
        return (WITHDRAWALS if kind in ("illiquid", BELOW_VALUE) else OUTSIDE), 0.0

    def _losses(self, row: int, stuck: set[str]) -> dict[str, float]:
        """What an agent lost so far, at market, by whom it lost it to. [USD]"""
        state, found = self.world.state, {ITSELF: float(self._own[row])}
        assets, venue = state.assets, self._venues.get(row)
        own = venue.claim if venue is not None else -1
        custody = self._custody(row)
        for slot in range(int(state.agents.holding_start[row]), int(state.agents.holding_start[row + 1])):
            asset = int(state.holdings.asset[slot])
            if asset in (0, own):
                continue
            name, opening, now = self._where(asset)
            units = float(state.holdings.units[slot]) - custody.get(asset, 0.0)
            if assets.issuer[asset] < 0:
                units = min(units, float(self._units[slot]))  # what came later did not cost the opening price
            lost = opening if name in stuck and assets.issuer[asset] >= 0 else opening - now
            found[name] = found.get(name, 0.0) + max(0.0, units * lost)
        for place, (equity, deposits) in self._margin_of(row).items():
            before, paid_in = self._margin[row][place]
            found[self._name(place)] = max(0.0, before + deposits - paid_in - equity)
        for loan in np.flatnonzero((state.loans.lender == row) & (state.loans.face > 0.0)).tolist():
            name = self._name(int(state.loans.borrower[loan]))
            missing = 1.0 if name in stuck else 1.0 - float(self._disclosure.recovery()[loan])
            found[name] = found.get(name, 0.0) + float(state.loans.face[loan]) * missing
        for (lender, borrower), amount in self._forgiven.items():
            if lender == row:
                found[self._name(borrower)] = found.get(self._name(borrower), 0.0) + amount
        if venue is not None and isinstance(venue.spec, Exchange):
            self._add_deficits(row, found)
        elif venue is not None and venue.debts:
            self._add_bad_loans(venue, found)
        return found

    def _add_deficits(self, row: int, found: dict[str, float]) -> None:
        """Deficits that groups of traders left at a venue."""
        state, roots = self.world.state, self.world.bookkeeper.deficits
        for account, place, amount in zip(roots.account, roots.venue, roots.amount, strict=True):
            if place == row:
                group = int(state.agents.group[state.accounts.owner[account]])
                name = state.group_names[group] if group >= 0 else ITSELF
                found[name] = found.get(name, 0.0) + amount

    def _add_bad_loans(self, venue: Venue, found: dict[str, float]) -> None:
        """What a pool's loans lack at market prices, by the collateral that fell, and what was written off before."""
        self._add_deficits(venue.row, found)
        state = self.world.state
        instruments, positions = state.instruments, state.positions
        here = np.flatnonzero(np.isin(positions.instrument, venue.instruments) & (positions.units != 0.0))
        if not len(here):
            return
        rows, account = positions.instrument[here], positions.account[here]
        assets = instruments.asset[rows]
        spot = instruments.kind[rows] == InstrumentKind.SPOT
        worth = np.minimum(state.assets.market, state.assets.fundamental)[assets]
        price = np.where(spot, worth, worth * instruments.debt_index[rows])
        names, place = np.unique(account, return_inverse=True)
        lacking = np.maximum(0.0, -np.bincount(place, positions.units[here] * price, len(names)))
        opening = np.array([self._where(int(asset))[1] for asset in assets])
        fell = np.where(spot, positions.units[here] * np.maximum(0.0, opening - worth), 0.0)
        fallen = np.bincount(place, fell, len(names))
        share = np.divide(fell, fallen[place], out=np.zeros(len(here)), where=fallen[place] > 0.0)
        for asset, amount in zip(assets.tolist(), (share * lacking[place]).tolist(), strict=True):
            if amount > 0.0:
                name = self._where(asset)[0]
                found[name] = found.get(name, 0.0) + amount

    def _where(self, asset: int) -> tuple[str, float, float]:
        """Whom a loss on an asset comes from, its opening value and what it is worth now. [USD]"""
        assets = self.world.state.assets
        if assets.issuer[asset] < 0:
            return assets.names[asset], float(self._index[asset]), float(assets.index[asset])
        now = min(float(assets.market[asset]), float(assets.fundamental[asset]))
        return self._name(int(assets.issuer[asset])), float(self._fundamental[asset]), now

    def _margin_of(self, row: int) -> dict[int, tuple[float, float]]:
        """Equity in accounts at other venues and net deposits there, by venue. [USD]"""
        state, found = self.world.state, {}
        for account in range(int(state.agents.account_start[row]), int(state.agents.account_start[row + 1])):
            book = int(state.accounts.book[account])
            place = int(state.books.venue[book])
            if place != row and place not in self._pools_at_opening:
                equity, deposits = found.get(place, (0.0, 0.0))
                paid_in = float(state.accounts.deposits[account] * state.assets.fundamental[state.books.settle[book]])
                found[place] = equity + float(max(0.0, state.accounts.equity[account])), deposits + paid_in
        return found

    def _custody(self, row: int) -> dict[int, float]:
        """Units that are its customers', by asset."""
        venue, instruments = self._venues.get(row), self.world.state.instruments
        if venue is None:
            return {}
        spot = [k for k in venue.instruments if instruments.kind[k] == InstrumentKind.SPOT]
        return {int(instruments.asset[k]): float(instruments.customer_units[k]) for k in spot}

    def _owed(self, row: int) -> float:
        state = self.world.state
        owed = float(state.loans.face[state.loans.borrower == row].sum())
        if (venue := self._venues.get(row)) is None:
            return owed
        if venue.claim >= 0:
            return owed + float(state.assets.supply[venue.claim] * self._fundamental[venue.claim])
        return owed + float(state.books.owed[venue.books].sum())

    def _name(self, row: int) -> str:
        return _name(self.world, row)

    def _take(self, rows: np.ndarray) -> None:
        cause = rows["cause"]
        for row in rows[cause == Cause.FORGIVEN_DEBT]:
            pair = int(row["payer"]), int(row["payee"])
            self._forgiven[pair] = self._forgiven.get(pair, 0.0) + float(row["amount"])
        own = rows[(cause == _OWN[0]) | (cause == _OWN[1])]
        np.add.at(self._own, own["payer"], own["amount"])
        paid = rows[cause == Cause.WITHDRAWAL]
        np.add.at(self._left, paid["payer"], paid["amount"])


def _stands_for_itself(world: World, venue: Venue) -> bool:
    """Whether the value of a claim says something of its issuer: a share in one asset or in a pool says the asset's."""
    return venue.spec.kind != "amm" and getattr(venue.spec, "only", None) not in world.scenario.assets


def _name(world: World, row: int) -> str:
    state: State = world.state
    if row < state.first_trader:
        return state.agents.names[row]
    return state.group_names[int(state.agents.group[row])]
