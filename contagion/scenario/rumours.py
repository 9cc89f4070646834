"""What a scenario says of rumours."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contagion.scenario.fields import Share, Strict


class Rumours(Strict):
    """How word of a loss travels along exposures: from a debtor to those who have money with its creditors.

    Parameters
    ----------
    decay
        Weight kept with each further hop; 0: nobody hears of losses two hops away. [1]
    delay
        Steps each further hop takes.
    """

    decay: Share = 0.5
    delay: Annotated[int, Field(ge=1)] = 1
