"""What a scenario says of protocols that take deposits and issue a claim: what backs it, and how holders get out.

All are one thing: money paid in, what was bought with it, a claim, and terms of exit. Kinds differ in what they buy,
and in whether their claim is a promise of one dollar (its value never exceeds par) or a share in what there is.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from contagion.errors import InputError
from contagion.scenario.fields import Disclosed, Money, Positive, Share, Strict


class Exit(Strict):
    """How holders of a claim are paid out.

    Parameters
    ----------
    opens
        First step at which anything is paid; requests made before wait.
    closed
        Spans of steps, first and last, in which nothing is paid: a weekend, a halt.
    notice
        Steps from a request to the earliest payment.
    rate
        Paid per step at most, by all together; none: no bound. [USD]
    gate
        Share of the supply paid per step at most. [1]
    fee
        Kept by the issuer, to the benefit of those who stay. [1]
    swing
        Further fee per share of the supply that waits: all of it waiting costs ``fee + swing``. [1]
    order
        Who is paid when not all can be: by time of request, or everybody the same share.
    value
        Whether a request gets the redemption value of the step in which it is paid, or in which it was made.
    halts_at
        Share of the supply (of an exchange: of what it owes) waiting to be paid from which on nothing is paid for
        `halt` steps; then a step is paid before it can stop again. None: never. [1]
    halt
        Steps.
    pays
        ``balance_sheet``: a unit gets its share of what is recognised, so losses fall on all alike. ``face``: a unit
        gets in full what it stands for until what is due cannot be paid, so losses fall on those who come last.
    """

    opens: Annotated[int, Field(ge=0)] = 0
    closed: tuple[tuple[int, int], ...] = ()
    notice: Annotated[int, Field(ge=0)] = 0
    rate: Positive | None = None
    gate: Annotated[float, Field(gt=0, le=1)] = 1.0
    fee: Annotated[float, Field(ge=0, lt=1)] = 0.0
    swing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    order: Literal["first_come", "pro_rata"] = "first_come"
    value: Literal["payment", "request"] = "payment"
    pays: Literal["balance_sheet", "face"] = "balance_sheet"
    halts_at: Annotated[float, Field(gt=0, le=1)] | None = None
    halt: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _ordered(self) -> Exit:
        for span in self.closed:
            if not 0 <= span[0] <= span[1]:
                raise InputError("closed", span, "a first and a last step, in this order")
        if self.fee + self.swing >= 1.0:
            raise InputError("swing", self.swing, f"less than {1.0 - self.fee:g}, what the fee leaves")
        return self

    @property
    def at_once(self) -> bool:
        """Whether a request is paid in its own step as far as money goes."""
        limits = (self.rate, self.halts_at)
        return not (self.opens or self.closed or self.notice) and limits == (None, None) and self.gate == 1.0


class ExitAtFace(Exit):
    """The same, for kinds that pay at face unless they say otherwise."""

    pays: Literal["balance_sheet", "face"] = "face"


class Turnover(Strict):
    """Where a claim is traded among holders.

    Parameters
    ----------
    depth
        Notional whose sale moves the claim's price by 1%; none: holders do not trade it, unless an automated market
        maker `prices` it, whose coins then say what a sale moves. [USD]
    sells
        Share of what a frightened holder waits for that it sells per step instead. [1]
    nervous
        Share of holders outside the model who can take fright at all. [1]
    """

    depth: Positive | None = None
    sells: Share = 0.0
    nervous: Share = 1.0


class Issuer(Strict):
    """What all kinds share.

    Parameters
    ----------
    deposits
        By holders outside the model. [USD]
    holds
        Protocol or asset -> USD at the start, out of the deposits and the equity.
    equity
        The issuer's own money beside the deposits, which bears losses first: a reserve fund. [USD]
    disclosure
        What holders are shown.
    """

    par: ClassVar[float] = float("inf")

    preset: str | None = None
    deposits: Money = 0.0
    holds: dict[str, Money] = {}
    equity: Money = 0.0
    redemption: Literal["open", "halted"] = "open"
    exit: Exit = Exit()
    turnover: Turnover = Turnover()
    disclosure: Disclosed = "accounts"

    @property
    def only(self) -> str | None:
        """The one asset everything is put into, if there is one."""
        return None

    @property
    def account_at(self) -> str | None:
        """The exchange at which it has an account, if any."""
        return None


class Vault(Issuer):
    """Pools deposits into holdings of its own: other issuers' claims, assets, or the backstop of an exchange."""

    kind: Literal["vault"] = "vault"
    backs: str | None = None  # exchange at which it holds a margin account
    backstop_share: Share = 1.0  # share of its cash posted at that exchange

    @property
    def account_at(self) -> str | None:
        return self.backs


class FundShare(Issuer):
    """A fund whose holders leave at net asset value, within its gates."""

    kind: Literal["fund_share"] = "fund_share"


class FiatBacked(Issuer):
    """One dollar against reserves: cash, deposits at banks, assets. A bank is the same thing."""

    par: ClassVar[float] = 1.0

    kind: Literal["fiat_backed", "bank"] = "fiat_backed"


class Reflexive(Issuer):
    """One dollar against another token that the issuer can mint and sell: the backing is that token's market value.

    What it `holds` is its reserve; nothing else of what was paid in is left. By default a dollar's worth is minted for
    each unit while the token can be sold. Sales of minted units move the token (its index, unless feedback is none) by
    the scenario's impact law at a depth that shrinks with its market value. With linear impact and `depth_share` d the
    market value falls by ``0.01 / d - 1`` for each dollar paid out, so from 0.01 on dilution is all there is, and
    below, the backing can shrink faster than what it backs.

    Parameters
    ----------
    mints
        The token, a market asset.
    minted_supply
        Units outstanding at the start.
    depth_share
        Notional whose sale moves the token by 1%, over its market value. [1]
    """

    par: ClassVar[float] = 1.0

    kind: Literal["reflexive"] = "reflexive"
    mints: str
    minted_supply: Positive
    depth_share: Positive = 0.01
    exit: ExitAtFace = ExitAtFace()


class DeltaNeutral(Issuer):
    """One dollar against spot that is hedged by short contracts of the same assets at an exchange.

    Everything it `holds` in market assets is sold short there at the start; of the rest of its money `posted` is
    margin. After trades, deleveraging and liquidations the short is brought back to the spot, `rehedges` of the gap
    a step; margin is brought back to its opening ratio when it has halved, and what is above is free to be paid out.
    """

    par: ClassVar[float] = 1.0

    kind: Literal["delta_neutral"] = "delta_neutral"
    hedged_at: str  # exchange
    posted: Share = 1.0
    rehedges: Share = 1.0  # share of the gap between spot and short closed per step

    @property
    def account_at(self) -> str | None:
        return self.hedged_at


class LiquidStaking(Issuer):
    """A share in staked units of an asset; slashing lowers all alike."""

    kind: Literal["liquid_staking"] = "liquid_staking"
    stakes: str  # market asset

    @property
    def only(self) -> str | None:
        return self.stakes


class Bridge(Issuer):
    """Locks an asset or claim on one side and issues wrapped units on the other.

    By default a wrapped unit is good for a locked one while any is left, so a theft is borne by who comes last.
    """

    kind: Literal["bridge"] = "bridge"
    locks: str  # market asset or protocol
    exit: ExitAtFace = ExitAtFace()

    @property
    def only(self) -> str | None:
        return self.locks


AnyIssuer = Vault | FundShare | FiatBacked | Reflexive | DeltaNeutral | LiquidStaking | Bridge
