"""A detector that answers yes or no to anybody, used to remove a mark at the least price.

Along one direction the mark fades; the answers say how far one has to go. Each answer is a query, and the queries are
counted: they are what a service can limit.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from attacks import folding
from attacks.means import Means, Outcome

GENTLEST, STRONGEST = 46.0, 24.0  # dB that are tried first and last
STRIDE = 2.0  # dB between tries
NEAR = 0.25  # dB to which the border between yes and no is narrowed
BLUR = 1.2  # standard deviation, working pixels: takes most of the band away


def along_fold(marked: Tensor, means: Means, queries: float) -> Outcome:
    """The picture's own folded estimate subtracted, as gently as the detector lets it pass for unmarked."""
    change = -folding.spread(folding.estimate(marked, means), marked, means)
    return _least(marked, change, means, int(queries))


def along_blur(marked: Tensor, means: Means, queries: float) -> Outcome:
    """Blended with a blurred copy: what somebody does who knows nothing of the mark."""
    spread = BLUR / max(1e-6, sum(means.steps(*marked.shape[-2:])) / 2)
    return _least(marked, folding.smoothed(marked, spread) - marked, means, int(queries))


def _least(marked: Tensor, change: Tensor, means: Means, most: int) -> Outcome:
    """The smallest share of a change that the detector does not see the mark through, by at most so many queries; the
    strongest that was tried where it sees it through all."""
    asked = 0

    def passes(image: Tensor) -> bool:
        nonlocal asked
        asked += 1
        return not means.is_marked(image)

    at, seen, image = _walk(marked, change, passes, lambda: asked < most)
    while at - seen < -NEAR and asked < most:  # ``at``: dB that pass; ``seen``: more dB, where the mark is still seen
        middle = (at + seen) / 2
        tried = folding.held(marked, change, middle)
        if passes(tried):
            at, image = middle, tried
        else:
            seen = middle
    return Outcome(image, marked, asked)


def _walk(
    marked: Tensor, change: Tensor, passes: Callable[[Tensor], bool], may_ask: Callable[[], bool]
) -> tuple[float, float, Tensor]:
    """Stronger and stronger until one passes: its dB, those of the last that was seen, and the picture."""
    at, image = GENTLEST, marked
    while at >= STRONGEST and may_ask():
        image = folding.held(marked, change, at)
        if passes(image):
            return at, at + STRIDE, image
        at -= STRIDE
    return at, at, image
