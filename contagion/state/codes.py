"""The closed lists of the model: phases, causes of ledger rows, kinds of agents and instruments, account flags."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """Phases of a step, in order (docs/model.md, section 5)."""

    SETUP = 0
    SHOCK = 1
    OBSERVE = 2
    MARK = 3
    TRADE = 4
    LIQUIDATE = 5
    DEFAULT = 6
    ALLOCATE = 7
    PROPAGATE = 8
    RUN = 9
    RECORD = 10


class AgentKind(IntEnum):
    """What a node of the exposure graph is. A fund is ring-fenced money of a venue or protocol with its own books."""

    OUTSIDE = 0
    EXCHANGE = 1
    PROTOCOL = 2
    FUND = 3
    TRADER = 4


class InstrumentKind(IntEnum):
    """What an account holds. Contracts are promises between account holders; spot and debt are units of an asset."""

    LINEAR = 0
    OPTION = 1
    INVERSE = 2  # the last of the contracts
    SPOT = 3
    DEBT = 4


class Cause(IntEnum):
    """Why a ledger row exists."""

    EXECUTION = 0  # trade above or below the mark: the worse-priced side pays the other through the venue
    LIQUIDATION = 1  # the same for a forced trade
    LIQUIDATION_FEE = 2
    FUNDING = 3
    INTEREST = 4
    LIMITED_LIABILITY = 5  # a non-recourse account is below zero: its venue carries the difference
    DEFICIT = 6  # that difference becomes final: one root per (venue, account, episode)
    ALLOCATION = 7  # a waterfall layer bears part of a deficit
    SURPLUS = 8  # what is left of a taken-over account
    TOP_UP = 9  # cash from a wallet into an account
    MARGIN_CREDIT = 10  # the account credit that answers a top-up
    WITHDRAWAL = 11  # cash from a venue or issuer to its creditor
    MARGIN_DEBIT = 12  # the account debit that answers a withdrawal
    REDEEMED = 13  # the claim units that answer a withdrawal, at fundamental value
    DEPOSIT = 14
    ISSUED = 15  # the claim units that answer a deposit, at fundamental value
    REPAYMENT = 16  # a keeper repays a borrower's debt
    SEIZURE = 17  # the collateral the keeper takes for it, at fundamental value
    SPOT_SALE = 18  # cash leg of a spot trade
    SPOT_DELIVERY = 19  # goods leg of a spot trade, at fundamental value
    GAS = 20
    LOAN_PAYMENT = 21  # cash paid on due credit
    LOAN_DISCHARGE = 22  # the claim it extinguishes
    FORGIVEN_DEBT = 23
    DEFAULT_COST = 24
    THEFT = 25
    RESOLUTION = 26  # a venue is wound up: account equity becomes a claim on its custody
    INTERVENTION = 27  # a value written from outside a phase
    ENDOWMENT = 28  # opening balance sheet
    SETTLEMENT = 29  # cash into or out of an account when an option expires
    EXPIRY = 30  # the option that answers it
    FEE = 31  # what a venue charges for leaving, or pays for cover


OUTSIDE_CAUSES = frozenset(
    {
        Cause.GAS,
        Cause.SPOT_SALE,
        Cause.SPOT_DELIVERY,
        Cause.DEFAULT_COST,
        Cause.THEFT,
        Cause.INTERVENTION,
        Cause.ENDOWMENT,
        Cause.INTEREST,
        Cause.WITHDRAWAL,  # outside holds claims, and may redeem and buy them
        Cause.REDEEMED,
        Cause.ISSUED,
        Cause.LOAN_PAYMENT,  # outside may have lent, and may owe
        Cause.LOAN_DISCHARGE,
        Cause.FORGIVEN_DEBT,
    }
)
"""The closed list of reasons for which value may enter or leave the modelled system."""


class AccountFlag(IntEnum):
    """Bits of ``Accounts.flags``. Within a step they only switch on."""

    CALLED = 1  # a margin call is open
    BREACHED = 2  # equity was strictly below the requirement
    CLOSED = 4  # closed by the venue
    TAKEN_OVER = 8  # units and balance moved to the takeover account
    BANKRUPT = 16  # ended with a deficit
    MAKER = 32  # quotes prices
    HOUSE = 64  # takeover account of a venue: never called, never liquidated
    UNDER = 128  # limited liability has booked a shortfall for it: see Accounts.value
