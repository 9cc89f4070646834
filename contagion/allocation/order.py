"""Whether every layer of a waterfall can ever be used: what stands before it may leave it nothing."""

from __future__ import annotations

from collections.abc import Sequence

from contagion.allocation.backstop import BackstopVault
from contagion.allocation.candidates import COLUMNS
from contagion.allocation.cash import DepositorWriteDown
from contagion.allocation.clearing_house import Assessments, DefaulterFund, DefaultFund
from contagion.allocation.funds import InsuranceFund, VenueEquity
from contagion.allocation.haircuts import BalanceHaircut, Haircut, OptimalHaircut, ProfitHaircut
from contagion.allocation.layer import Layer
from contagion.allocation.positions import AutoDeleverage, TearUp
from contagion.allocation.rankings import ranking
from contagion.errors import InputError

_PROFIT = (ProfitHaircut, OptimalHaircut)


def check_waterfall(where: str, names: Sequence[str], layers: Sequence[Layer]) -> None:
    """Explain a layer that can never bear anything.

    Parameters
    ----------
    where : str
        Path of the waterfall in the scenario, for the message.

    Raises
    ------
    InputError
        A layer twice; one behind a layer that takes everything it could; a ranking of what is not known of candidates.
    """
    for place, (name, layer) in enumerate(zip(names, layers, strict=True)):
        field = f"{where}.{place}"
        _check_columns(field, layer)
        for earlier_name, earlier in zip(names[:place], layers[:place], strict=True):
            if layer == earlier and type(layer) is type(earlier) and getattr(layer, "limit", None) is None:
                raise InputError(field, name, "every layer once; the same one stands before it")
            if _leaves_nothing(earlier, layer):
                accepted = f"a place before {earlier_name}, which leaves it nothing: it can never be reached"
                raise InputError(field, name, accepted)


def draws_on_members(layer: Layer) -> bool:
    """Whether a layer's money is what members of a clearing house paid in or can be asked for."""
    return isinstance(layer, DefaultFund | DefaulterFund | Assessments)


def _check_columns(field: str, layer: Layer) -> None:
    """A ranking of one's own can ask for what is known of candidates only."""
    key = "ranking" if isinstance(layer, AutoDeleverage) else "order" if isinstance(layer, Haircut) else ""
    name = getattr(layer, key, "")
    if ":" not in name:
        return
    for column in ranking(name)[1]:
        if column not in COLUMNS:
            raise InputError(f"{field}.{key}", name, f"a function of {', '.join(COLUMNS)}; not of {column}")


def _leaves_nothing(earlier: Layer, later: Layer) -> bool:
    """Whether the earlier layer goes on until nothing is left that the later one could take."""
    if isinstance(earlier, DepositorWriteDown):
        return True
    if isinstance(earlier, InsuranceFund) and not earlier.gated:
        return isinstance(later, InsuranceFund)
    if isinstance(earlier, VenueEquity) and earlier.limit is None:
        return isinstance(later, VenueEquity)
    if isinstance(earlier, Haircut) and earlier.severity == earlier.cap == 1.0:
        if isinstance(earlier, BalanceHaircut):
            return isinstance(later, Haircut | AutoDeleverage | TearUp | BackstopVault)
        whole = isinstance(earlier, _PROFIT) and getattr(earlier, "base", "unrealised") == "unrealised"
        return whole and isinstance(later, _PROFIT) and getattr(later, "base", "unrealised") == "unrealised"
    if isinstance(earlier, TearUp) and earlier.scope == "full":
        return isinstance(later, AutoDeleverage | TearUp)  # profits on other contracts are left to those that cut them
    return False
