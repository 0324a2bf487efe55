"""The fingerprint by which a copy leads back where its mark is gone: PDQ (Facebook, 2019), 256 bits, where the package
pdqhash is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 256
_SIDE = 512  # pixels: PDQ looks at 64 x 64 cells, and larger pictures cost time for the same bits


def fingerprint(pixels: NDArray[np.uint8]) -> int | None:
    """The bits of (H, W, 3) uint8 RGB, the first one highest; None where the package is not there."""
    if find_spec("pdqhash") is None:
        return None
    import pdqhash

    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    bits, _ = pdqhash.compute(np.array(image))
    return int.from_bytes(np.packbits(bits.astype(np.uint8)).tobytes(), "big")
