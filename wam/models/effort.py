"""Effort: how much of a picture is looked for marks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wam.errors import OptionsError


@dataclass(frozen=True)
class Effort:
    """How much of a picture is looked for marks. ``thorough``: on where the model would otherwise stop; ``quick``: at
    the usual resolution only, where a picture shows its mark that lies in the file about as it was marked; ``seconds``:
    wall time after which no further look begins, None: as long as it takes. Raises ``OptionsError`` for nonsense."""

    thorough: bool = False
    quick: bool = False
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.thorough and self.quick:
            raise OptionsError("quick: expected without thorough, found both; leave one out")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise OptionsError(f"seconds: expected a number above 0, found {self.seconds:g}; leave it out for no limit")


USUAL = Effort()
