"""Layers of a clearing house: what the defaulter left, the members' default fund, assessments; and the fund's size.

Order of EU Regulation 648/2012, art. 45: the defaulter's margin, its part of the default fund, the clearing house's own
resources, then the parts of the others; recovery tools (assessments, gains haircut, tear-up) come after.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from contagion.allocation.candidates import fill_by_rank
from contagion.allocation.cash import Recourse
from contagion.allocation.layer import Case, Layer, Memory, Payment, Properties, steps_of
from contagion.allocation.shares import water_fill
from contagion.allocation.transfers import contributions_of, replenish
from contagion.scenario.fields import Duration
from contagion.state.codes import AccountFlag
from contagion.state.world import Venue, World

_MEMBERS = Properties(True, True, None, True, None, False)


class DefaulterMargin(Recourse):
    """What the defaulter has in its other accounts at the venue, for its own deficits only."""

    reach: Literal["venue"] = "venue"


class DefaulterFund(Recourse):
    """The defaulter's own part of the default fund, for its own deficits only."""

    reach: Literal["venue"] = "venue"

    def bear(self, case: Case) -> Iterator[Payment]:
        yield from self.paid_by(case, self._contributions, contributions=True)

    def _contributions(self, case: Case, owner: int) -> tuple[str, np.ndarray, np.ndarray]:
        members, left = contributions_of(case.world.state, case.venue)
        mine = members == owner
        return "agents", members[mine], left[mine]


class DefaultFund(Layer):
    """The members' contributions bear the loss pro rata to what is left of them.

    Parameters
    ----------
    order : {"survivors", "pro_rata", "juniorised"}
        Members who did not default only; all alike; or the defaulters' part first, then the others'.
    replenish : duration, optional
        Members pay their contributions up again after this time, out of their wallets (EMIR RTS 153/2013 for the
        clearing house's own part: one month; Nasdaq Clearing 2018: two days for members).
    """

    has: ClassVar[Properties] = _MEMBERS

    order: Literal["survivors", "pro_rata", "juniorised"] = "survivors"
    replenish: Duration | None = None

    @property
    def watches(self) -> bool:
        return self.replenish is not None

    def watch(self, world: World, venue: Venue, memory: Memory) -> None:
        if 0 <= memory.due <= world.step:
            members, left = contributions_of(world.state, venue)
            missing = np.where(defaulted(world, venue, members), 0.0, venue.contributed - left)
            paid = np.minimum(np.maximum(0.0, missing), np.maximum(0.0, world.state.agents.cash[members]))
            replenish(world.bookkeeper, venue, paid)
            world.count("default_fund_replenished", float(paid.sum()))
            memory.due = -1

    def bear(self, case: Case) -> Iterator[Payment]:
        members, left = contributions_of(case.world.state, case.venue)
        if not len(members):
            return
        out = defaulted(case.world, case.venue, members)
        limits = np.where(out, 0.0, left) if self.order == "survivors" else left
        first = out if self.order == "juniorised" else np.zeros(len(out))
        yield Payment(
            fill_by_rank(first.astype(np.float64), limits, case.need), limits, agents=members, contributions=True
        )
        if self.replenish is not None and case.memory.due < 0:
            case.memory.due = case.world.step + steps_of(case.world, self.replenish)


class Assessments(Layer):
    """Members who did not default are called for more, pro rata to contributions and within their cash.

    Parameters
    ----------
    multiple : float
        Most that a member pays in a run, as a multiple of its contribution (CME: 2.75 times the guaranty fund; ESMA
        Q&A on EMIR art. 43(3): it must be capped).
    """

    has: ClassVar[Properties] = _MEMBERS

    multiple: Annotated[float, Field(ge=0)] = 1.0

    def bear(self, case: Case) -> Iterator[Payment]:
        venue, memory = case.venue, case.memory
        members, _ = contributions_of(case.world.state, venue)
        if not len(members):
            return
        asked = np.array([memory.by_agent.get(int(member), 0.0) for member in members])
        most = assessment_power(self.multiple, venue.contributed)
        cash = np.maximum(0.0, case.world.state.agents.cash[members])
        limits = np.minimum(np.maximum(0.0, most - asked), cash)
        limits[defaulted(case.world, venue, members)] = 0.0
        amounts, _ = water_fill(venue.contributed, limits, min(case.need, float(limits.sum())))
        yield Payment(amounts, limits, agents=members)
        for member, amount in zip(members.tolist(), amounts.tolist(), strict=True):
            memory.by_agent[member] = memory.by_agent.get(member, 0.0) + amount


def assessment_power(multiple: float, contributions):
    """Most that members can be assessed for, given their contributions. [USD]"""
    return multiple * contributions


def defaulted(world: World, venue: Venue, members: np.ndarray) -> np.ndarray:
    """Whether each member has ended an account at the venue with a deficit."""
    accounts, books = world.state.accounts, world.state.books
    bankrupt = (accounts.flags & AccountFlag.BANKRUPT) != 0
    bankrupt &= books.venue[accounts.book] == venue.row
    return np.isin(members, accounts.owner[bankrupt])


def cover(losses: np.ndarray, members: int) -> float:
    """Size of a default fund that covers the `members` largest uncovered stress losses of the worst scenario. [USD]

    Cover-1 and cover-2 (PFMI principle 4; EMIR art. 42(3), 43(2)).

    Parameters
    ----------
    losses : ndarray of shape (n_scenarios, n_members)
        Loss of each member beyond its margin, not negative. [USD]
    """
    losses = np.maximum(0.0, np.asarray(losses, dtype=np.float64))
    if losses.shape[1] <= members:
        return float(losses.sum(axis=1).max(initial=0.0))
    largest = np.partition(losses, losses.shape[1] - members, axis=1)[:, losses.shape[1] - members :]
    return float(largest.sum(axis=1).max(initial=0.0))
