"""The fingerprint by which a copy leads back where its mark is gone: PDQ (Facebook, 2019), 256 bits, where the package
pdqhash is installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wam.pictures.pillow import squared

BITS = 256
LEAST_QUALITY = 50  # of 100, by PDQ's own measure of how much a picture shows; below it its authors advise no use
# In the order of pdqhash: what was done to a registered picture so that this one came of it, where the fingerprint of
# this one, changed in a certain way, is the registered one's.
TURNS = (
    "",
    "turned by 90° clockwise",
    "turned by 180°",
    "turned by 90° counter-clockwise",
    "mirrored top to bottom",
    "mirrored left to right",
    "mirrored along its diagonal",
    "mirrored along its other diagonal",
)
# Pixels of the square that every picture is brought to first: PDQ looks at 64 x 64 cells, and where each is an odd
# number of pixels, with an odd window of its filter, a mirrored picture gives the mirrored bits, and a scaled one the
# same but for a few. By PDQ's own sizes small copies are up to 40 bits away; from those fingerprints these are 6 apart.
_SIDE = 320


def installed() -> bool:
    """Whether fingerprints can be taken."""
    return find_spec("pdqhash") is not None


def fingerprint(pixels: NDArray[np.uint8]) -> int | None:
    """The bits of (H, W, 3) uint8 RGB, the first one highest; None of a picture that shows too little, a blank page
    say, and where the package is not there."""
    if not installed():
        return None
    import pdqhash

    bits, quality = pdqhash.compute(_reduced(pixels))
    return _number(bits) if quality >= LEAST_QUALITY else None


def turned_fingerprints(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """The same of the picture as it is and in the seven other ways that it can be turned and mirrored, in the order of
    ``TURNS``: what it is like if it was a copy so changed. Empty where it has no fingerprint."""
    if not installed():
        return ()
    import pdqhash

    found, quality = pdqhash.compute_dihedral(_reduced(pixels))
    return tuple(map(_number, found)) if quality >= LEAST_QUALITY else ()


def fingerprints_of(pictures: Iterable[NDArray[np.uint8]]) -> tuple[int, ...]:
    """Those of small pictures as they are, whatever they show: guesses at what another was like, say."""
    if not installed():
        return ()
    import pdqhash

    return tuple(_number(pdqhash.compute(one)[0]) for one in pictures)


def _reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(squared(pixels, _SIDE))


def _number(bits: Any) -> int:
    return int.from_bytes(np.packbits(np.asarray(bits).astype(np.uint8)).tobytes(), "big")
