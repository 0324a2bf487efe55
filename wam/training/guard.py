"""Which batches a training run learns from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

SPIKE = 6.0  # times the usual gradient norm from which a batch is left out
PATIENCE = 200  # batches left out one after another that end a run
FORGETTING = 0.02  # share of a batch in what is usual


@dataclass
class StepGuard:
    """Leaves out batches of a wild or non-finite gradient: one must not undo an hour.

    ``usual``: moving mean of the gradient norm, None before the first; never anything that is not finite, as every
    comparison with that is False and no batch would be taken again. ``patience``: so many batches left out one after
    another end a run.
    """

    usual: float | None = None
    patience: int = PATIENCE
    left_out: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.usual is not None and not (math.isfinite(self.usual) and self.usual > 0):
            self.usual = None

    def takes(self, norm: float) -> bool:
        """Whether to take the step of a batch with this gradient norm, which then counts towards the usual one."""
        taken = math.isfinite(norm) and (self.usual is None or norm < SPIKE * self.usual)
        if math.isfinite(norm) and norm > 0:
            usual = norm if self.usual is None else self.usual
            self.usual = (1 - FORGETTING) * usual + FORGETTING * min(norm, 2 * usual)
        self.left_out = 0 if taken else self.left_out + 1
        return taken

    @property
    def stuck(self) -> bool:
        """Whether every one of the last ``patience`` batches was left out."""
        return self.left_out >= self.patience
